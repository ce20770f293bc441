"""The output of each command with --json: nouns of the SDK as `records` writes them, and nexoctl's own
objects.

Read by type checkers and by `schema`; no command imports it for its own work. In `Annotated`, a text explains
the field, a class or a tuple lists its possible words, and `SPREAD` inserts the fields of a noun.
"""

from datetime import datetime
from typing import Annotated, Literal, NotRequired, TypedDict

from nexo.connections import terms
from nexo.connections.model.connection import Configuration
from nexo.connections.terms import Action
from nexo_cli.findings import DoctorFinding
from nexo_client.types import (
    AutoLock,
    Backup,
    CheckResult,
    Connection,
    ConnectionHealth,
    DefaultSwitch,
    Explanation,
    Follower,
    GatewayOverview,
    GatewayToken,
    Handout,
    HealthHistory,
    HealthTransition,
    ImportStep,
    LastTest,
    Model,
    ProviderInfo,
    RecoveryCode,
    ResolvedConnection,
    Restored,
    Status,
    Suggestion,
    TestResult,
    Usage,
    Vault,
    Workspace,
    WorkspaceBinding,
)
from nexo_sources.finding import Finding, Skipped

SPREAD = object()

NAMES = {
    "ExportDocument": "export",
    "LeftOut": "skipped",
    "MadeToken": "new_gateway_token",
    "ServiceReport": "service",
    "SettingsPage": "settings",
    "StatusReport": "status",
    "StoreSummary": "store_state",
    "TakenOver": "imported",
    "VaultSummary": "vault_state",
}
"""Names of shapes in the schema that differ from their class names."""


class Failure(TypedDict):
    """What failed."""

    reason: Annotated[str, "Stable word; USAGE, TEST_FAILED and the reasons of the daemon."]
    message: Annotated[str, "One sentence: the field or object, and what is wrong."]
    hint: Annotated[str, "The next step; may be empty."]
    action: Annotated[Action | None, "What a button could do about it."]
    used_by: NotRequired[Annotated[list[str], "CONNECTION_IN_USE only; … at the end stands for more."]]


class Error(TypedDict):
    """On stderr, whenever a command fails with --json."""

    error: Failure


class Saved(TypedDict):
    """What add and edit have saved."""

    connection: Annotated[Connection, SPREAD]
    saved: bool
    warnings: list[Suggestion]
    test: TestResult | None


class NotSaved(TypedDict):
    """What add and edit print when the test failed and nothing was saved."""

    saved: bool
    test: TestResult


class Untested(TypedDict):
    """An entry of nexoctl test for a test that could not be made."""

    connection: str
    outcome: None
    error: Failure


class Models(TypedDict):
    """nexoctl models NAME."""

    connection: str
    models: list[Model]
    truncated: bool


class Workspaces(TypedDict):
    """nexoctl workspace list."""

    bindings: list[WorkspaceBinding]
    followers: list[Follower]


class Doctor(TypedDict):
    """nexoctl doctor."""

    ok: bool
    findings: list[DoctorFinding]


class TakenOver(TypedDict):
    """A finding that was saved."""

    connection: Connection
    place: str
    test: TestResult | None


class NotImported(TypedDict):
    """A finding that was not saved."""

    finding: Annotated[Finding, SPREAD]
    reason: str
    test: TestResult | None


class LeftOut(TypedDict):
    """An entry that cannot be imported as it is."""

    source: str
    skipped: Annotated[Skipped, SPREAD]


class Import(TypedDict):
    """nexoctl import SOURCE."""

    imported: list[TakenOver]
    failed: list[NotImported]
    found: Annotated[list[Finding], "What was not chosen; with --dry-run, all of it."]
    skipped: list[LeftOut]


class Fallback(TypedDict):
    """nexoctl fallback set, show, off."""

    fallback: Annotated[list[str], "The stand-ins, the first choice first."]
    serving: Annotated[str | None, "The stand-in that serves right now; only show knows it."]


class Paused(TypedDict):
    """nexoctl pause, resume."""

    paused: Annotated[bool, "The background checks of all connections are paused."]
    paused_connections: Annotated[list[str], "Those paused by name."]


class Removed(TypedDict):
    """nexoctl remove NAME."""

    removed: str
    replaced_with: Annotated[str | None, "What its users get now."]
    revision: int


class Unbound(TypedDict):
    """nexoctl workspace unbind."""

    unbound: Workspace
    revision: int


class Overview(TypedDict):
    """nexoctl without a command."""

    running: bool
    connections: Annotated[list[str] | None, "Names; null while the daemon does not run."]
    default: str | None


class UnitReport(TypedDict):
    """The daemon as a service of the login session."""

    manager: Literal["systemd", "launchd"]
    unit: str
    packaged: bool
    environment: Annotated[dict[str, object], "NEXO_ variables that the unit sets."]
    state: str | None
    at_login: bool
    service_pid: int | None
    restarts: int
    outlives_logout: bool


class ServiceReport(UnitReport):
    """The daemon as a service of the login session."""

    problem: str | None


class StatusReport(TypedDict):
    """nexoctl status, while the daemon runs."""

    status: Annotated[Status, SPREAD]
    service: NotRequired[
        Annotated[ServiceReport | None, "nexoctl daemon status only; null where it is not installed."]
    ]
    gateway: NotRequired[
        Annotated[GatewayOverview | None, "of nexoctl status alone; null of a daemon that has none"]
    ]


class History(TypedDict):
    """nexoctl history NAME."""

    connection: str
    window_s: Annotated[float, "How far back it looks."]
    past: Annotated[HealthHistory, SPREAD]
    health: ConnectionHealth


class Event(TypedDict):
    """One line of nexoctl watch; `event` says which of the others is there."""

    event: Annotated[
        str,
        (
            "snapshot",
            "connection",
            "removed",
            "bindings",
            "status",
            "transition",
            "handout",
            "lagged",
            "shutting_down",
            "away",
            "unknown",
        ),
    ]
    sequence: NotRequired[Annotated[int, "Counts the events of one subscription from 1."]]
    revision: NotRequired[int]
    connections: NotRequired[list[Connection]]
    bindings: NotRequired[list[WorkspaceBinding]]
    status: NotRequired[StatusReport]
    connection: NotRequired[Annotated[Connection | str, "The whole object; its name if it was removed."]]
    transition: NotRequired[HealthTransition]
    handout: NotRequired[Handout]
    message: NotRequired[str]


class NotRunning(TypedDict):
    """nexoctl status and daemon status, while the daemon does not run."""

    running: Annotated[bool, "false"]
    socket: str
    service: NotRequired[
        Annotated[ServiceReport | None, "nexoctl daemon status only; null where it is not installed."]
    ]


class Started(TypedDict):
    """nexoctl daemon start."""

    running: bool
    pid: int
    started: Annotated[bool, "false: it was running already."]
    socket: str


class Stopped(TypedDict):
    """nexoctl daemon stop."""

    running: bool
    pid: Annotated[int | None, "Of the daemon that was stopped."]
    stopped: bool


class Restarted(TypedDict):
    """nexoctl daemon restart."""

    running: bool
    pid: int
    previous_pid: int | None


class Installed(UnitReport):
    """nexoctl daemon install."""

    installed: bool
    pid: Annotated[int | None, "null with --no-now."]


class Uninstalled(TypedDict):
    """nexoctl daemon uninstall."""

    installed: bool
    removed: Annotated[str | None, "The unit that install had written; null if there was none."]


class LogLine(TypedDict):
    """One line of nexoctl daemon logs."""

    line: str


class Rotated(TypedDict):
    """nexoctl vault rotate. May hold a secret."""

    rotated: bool
    recovery_code: Annotated[str | None, "The new code, if there was one; the earlier one is void."]


class ExportedNetwork(TypedDict):
    """How its requests reach the network."""

    proxy: Literal["system", "direct", "url"]
    proxy_url: str
    no_proxy: list[str]
    ca_bundle: str


class ExportedConnection(TypedDict):
    """A connection."""

    configured: Annotated[Configuration, SPREAD]
    api_key: Annotated[Annotated[str, terms.KeySource], "Where the key lies; never the key."]
    api_key_ref: str
    headers: Annotated[list[str], "Names of the custom headers."]
    network: ExportedNetwork
    key_expires_at: datetime | None
    model_map: Annotated[dict[str, str], "What is sent, by what is asked for."]


class ExportedWorkspace(TypedDict):
    """A binding."""

    kind: Annotated[str, ("path", "name")]
    value: str
    connection: str
    allow_fallback: bool
    sticky_s: float | None


class ExportDocument(TypedDict):
    """What nexoctl export writes, and nexoctl import FILE reads; the same with and without --json."""

    format: Literal["nexo-connections"]
    version: int
    exported_at: datetime
    connections: list[ExportedConnection]
    default: str | None
    fallback: list[str]
    workspaces: list[ExportedWorkspace]
    secrets: NotRequired[Annotated[dict[str, object], "With --with-secrets: sealed under the passphrase."]]


class Exported(TypedDict):
    """nexoctl export --output FILE."""

    path: str
    connections: int
    secrets: int


class MergeCounts(TypedDict):
    """Entries by what became of them."""

    add: int
    change: int
    keep: int
    skip: int


class Merged(TypedDict):
    """nexoctl import FILE, with a file that nexoctl export wrote."""

    imported: Annotated[
        bool, "Something was taken over, or there was nothing left to take over. false with --dry-run."
    ]
    counts: MergeCounts
    steps: list[ImportStep]


class Completion(TypedDict):
    """nexoctl completion SHELL."""

    shell: str
    script: str


class MadeToken(TypedDict):
    """A token that was just made. Holds the token."""

    made: Annotated[GatewayToken, SPREAD]
    token: Annotated[str, "shown this once"]


class SetupFile(TypedDict):
    """A settings file of a program."""

    path: str
    format: Literal["json", "toml", "yaml", "env"]
    settings: Annotated[dict[str, str | None], "place and value; null is taken away"]
    changed: bool
    backup: Annotated[str | None, "the file as it was"]
    problem: Annotated[str | None, "why it was left alone"]


class Setup(TypedDict):
    """What a program needs for the gateway: nexoctl gateway setup. by_hand may hold the token."""

    program: str
    written: bool
    undone: bool
    token: Annotated[str | None, "the name of its token"]
    files: list[SetupFile]
    by_hand: list[str]


class RevokedToken(TypedDict):
    """nexoctl token revoke"""

    revoked: str
    ended: Annotated[int, "requests that ended with it"]


class SettingsPage(TypedDict):
    """nexoctl settings"""

    address: Annotated[str, "good once, for a minute"]
    opened: Annotated[bool, "a browser was given it"]


class Shown(TypedDict):
    """A connection: nexoctl show; with its secrets if --reveal asks for them."""

    connection: Annotated[Connection, SPREAD]
    api_key: NotRequired[Annotated[str, "Only with show --reveal."]]
    headers: NotRequired[Annotated[dict[str, str], "Only with show --reveal."]]


PRINTED: dict[str, object] = {
    "overview": Overview,
    "add": Saved | NotSaved,
    "edit": Saved | NotSaved,
    "list": list[Connection],
    "show": Shown,
    "test": TestResult | LastTest | list[TestResult | Untested],
    "default": Connection | DefaultSwitch | None,
    "models": Models,
    "remove": Removed,
    "settings": SettingsPage,
    "import": Import | Merged,
    "providers": list[ProviderInfo],
    "resolve": ResolvedConnection,
    "which": Explanation,
    "workspace bind": WorkspaceBinding,
    "workspace unbind": Unbound,
    "workspace list": Workspaces,
    "gateway status": GatewayOverview,
    "gateway on": GatewayOverview,
    "gateway off": GatewayOverview,
    "gateway setup": Setup,
    "token add": MadeToken,
    "token list": list[GatewayToken],
    "token revoke": RevokedToken,
    "usage": list[Usage],
    "handouts": list[Handout],
    "health": ConnectionHealth | list[ConnectionHealth],
    "history": History,
    "wait": ConnectionHealth,
    "fallback set": Fallback,
    "fallback show": Fallback,
    "fallback off": Fallback,
    "pause": Paused,
    "resume": Paused,
    "watch": Event,
    "status": StatusReport | NotRunning,
    "doctor": Doctor,
    "daemon start": Started,
    "daemon stop": Stopped,
    "daemon restart": Restarted,
    "daemon install": Installed,
    "daemon uninstall": Uninstalled,
    "daemon status": StatusReport | NotRunning,
    "daemon logs": LogLine,
    "vault status": Vault,
    "vault unlock": Vault,
    "vault lock": Vault,
    "vault rekey": Vault,
    "vault auto-lock": AutoLock,
    "vault recovery": RecoveryCode,
    "vault rotate": Rotated,
    "store check": CheckResult,
    "store backup": Backup,
    "store backups": list[Backup],
    "store restore": Restored,
    "export": ExportDocument | Exported,
    "completion": Completion,
}
"""What each command prints. `run` becomes another program and `demo` tells a story: they print no JSON."""
