"""The enums and error reasons that daemon, client and scripts share.

Not for behaviour, and not for terms that only one side needs. The import is cheap, without grpc and protobuf.
Each enum's values appear in `--json`; `nexo.connections.codec` maps them to the contract.
"""

from enum import StrEnum


class Provider(StrEnum):
    """The wire dialect that a connection speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"
    CUSTOM = "custom"


class ProviderKind(StrEnum):
    """The kind of organisation or server behind a provider or a preset."""

    CLOUD = "cloud"
    SERVICE = "service"
    LOCAL = "local"


class AuthScheme(StrEnum):
    """The request header that carries the API key."""

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    API_KEY = "api-key"
    NONE = "none"


class KeySource(StrEnum):
    """Where the API key of a connection is kept."""

    NONE = "none"
    STORED = "stored"
    REFERENCE = "reference"


class KeyVerdict(StrEnum):
    """What a test has proven about the API key."""

    NONE = "none"
    VERIFIED = "verified"
    NOT_ENFORCED = "not_enforced"
    UNVERIFIED = "unverified"


class Outcome(StrEnum):
    """The main result of a probe."""

    OK = "ok"
    AUTH_ERROR = "auth_error"
    PERMISSION = "permission"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    UNREACHABLE = "unreachable"
    PROVIDER_DOWN = "provider_down"
    NOT_COMPATIBLE = "not_compatible"
    CONFIG_ERROR = "config_error"


class HealthState(StrEnum):
    """The health state of a connection."""

    HEALTHY = "healthy"
    LIMITED = "limited"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class Layer(StrEnum):
    """The steps of a test, in the order in which they run."""

    CONFIGURATION = "configuration"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    HTTP = "http"
    AUTHENTICATED = "authenticated"
    MODEL_LISTED = "model_listed"
    COMPLETION = "completion"


class LayerStatus(StrEnum):
    """How a layer of a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_REACHED = "not_reached"
    SKIPPED = "skipped"


class ResolutionSource(StrEnum):
    """The rule that chose a connection for a workspace."""

    EXPLICIT = "explicit"
    ENVIRONMENT = "environment"
    WORKSPACE = "workspace"
    DEFAULT = "default"
    FALLBACK = "fallback"


class VaultState(StrEnum):
    """Whether the daemon can open its sealed secrets."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    KEY_LOST = "key_lost"
    TAMPERED = "tampered"


class StoreState(StrEnum):
    """Whether the daemon can save changes."""

    READ_WRITE = "read_write"
    READ_ONLY = "read_only"


class ImportAction(StrEnum):
    """What an import does with an entry of the document."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    SKIP = "skip"


class Reason(StrEnum):
    """Why a call was refused: `google.rpc.ErrorInfo.reason`, and `error.reason` of `--json`."""

    INVALID_FIELD = "INVALID_FIELD"
    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    WORKSPACE_NOT_FOUND = "WORKSPACE_NOT_FOUND"
    NAME_TAKEN = "NAME_TAKEN"
    STALE_REVISION = "STALE_REVISION"
    CONNECTION_IN_USE = "CONNECTION_IN_USE"
    KEY_ORIGIN_CHANGED = "KEY_ORIGIN_CHANGED"
    KEY_REFERENCE_FAILED = "KEY_REFERENCE_FAILED"
    NO_DEFAULT_CONNECTION = "NO_DEFAULT_CONNECTION"
    CONNECTION_DISABLED = "CONNECTION_DISABLED"
    BINDING_BROKEN = "BINDING_BROKEN"
    NOTHING_TO_UNDO = "NOTHING_TO_UNDO"
    RETRY_LATER = "RETRY_LATER"
    VAULT_LOCKED = "VAULT_LOCKED"
    VAULT_KEY_LOST = "VAULT_KEY_LOST"
    SECRET_TAMPERED = "SECRET_TAMPERED"  # noqa: S105 - a word, not a password
    STORE_READ_ONLY = "STORE_READ_ONLY"
    STORE_FULL = "STORE_FULL"
    STORE_FAILED = "STORE_FAILED"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    LIMIT_REACHED = "LIMIT_REACHED"
    GATEWAY_CLOSED = "GATEWAY_CLOSED"
    TOKEN_NOT_FOUND = "TOKEN_NOT_FOUND"  # noqa: S105 - a word, not a password
    SHUTTING_DOWN = "SHUTTING_DOWN"
    INTERNAL = "INTERNAL"
    # Found by the client alone:
    DAEMON_NOT_RUNNING = "DAEMON_NOT_RUNNING"
    DAEMON_UNSAFE = "DAEMON_UNSAFE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    INCOMPATIBLE = "INCOMPATIBLE"
    SERVICE_FAILED = "SERVICE_FAILED"
    SETTINGS_UNAVAILABLE = "SETTINGS_UNAVAILABLE"


class Action(StrEnum):
    """An action that solves the problem of an error; `nexo.connections.errors.REMEDIES` has its texts."""

    START_DAEMON = "start_daemon"
    RESTART_DAEMON = "restart_daemon"
    UNLOCK_VAULT = "unlock_vault"
    USE_RECOVERY_CODE = "use_recovery_code"
    ENTER_AGAIN = "enter_again"
    REPLACE_USERS = "replace_users"
    LOOK_AGAIN = "look_again"
    SEND_KEY = "send_key"
    CLEAN_UP_KEY = "clean_up_key"
    RENAME = "rename"
    CHOOSE_DEFAULT = "choose_default"
    ENABLE_CONNECTION = "enable_connection"
    BIND_AGAIN = "bind_again"
    OPEN_GATEWAY = "open_gateway"


class UsageBy(StrEnum):
    """How a report about the use of the gateway is grouped."""

    CONNECTION = "connection"
    WORKSPACE = "workspace"
    PROGRAM = "program"
    MODEL = "model"
    DAY = "day"
    HOUR = "hour"


ERROR_DOMAIN = "connections.nexo"
"""`google.rpc.ErrorInfo.domain` of every error that the daemon raises."""

FOLLOWERS_PER_STREAM = 1024
"""The most followers of one FollowConnection stream; the daemon ends a stream with more."""

TOKEN_PREFIX = "nexo_"  # noqa: S105 - a prefix, not a password
"""The prefix of the gateway's tokens, by which secret scanners recognise one."""
