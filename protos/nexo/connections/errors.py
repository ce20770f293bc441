"""The errors that a caller of the daemon can get: raised by the daemon, sent as a reason, raised again by the
client.

NexoError
├── DaemonNotRunning            no process answers on the socket
├── DaemonUnsafe                the socket or its directory belongs to another user
├── DeadlineExceeded            the daemon did not answer in time
├── IncompatibleDaemon          the daemon does not know the call
├── InvalidField                bad input; `.field` and `.hint` say what to change
├── NotFound
│   ├── ConnectionNotFound
│   └── WorkspaceNotFound, TokenNotFound
├── NoDefaultConnection
├── ConnectionDisabled
├── BindingBroken               the workspace is bound to a removed connection
├── Refused                     conflict, in use, read-only
│   ├── NameTaken, StaleRevision, ConnectionInUse, KeyOriginChanged,
│   └── NothingToUndo, RetryLater, LimitReached, StoreReadOnly, StoreFull, GatewayClosed
├── VaultLocked
│   ├── VaultKeyLost
│   └── SecretTampered
├── KeyReferenceFailed          the key is kept elsewhere and could not be fetched
├── ProviderFailed              the provider refused or did not answer
├── ServiceFailed               systemd or launchd could not do it
├── SettingsUnavailable         the settings screen cannot be opened
└── DaemonFailed                store failure, shutdown, internal error

A message is for a person: it names the field or object, the reason and the next step. No message holds a
secret or unredacted text of a provider. If a button can solve the problem, `action` says which; its texts are
in `REMEDIES`. A hint may name a command of nexoctl.
"""

from collections.abc import Mapping
from typing import NamedTuple

from nexo.connections.terms import Action, Reason


class Remedy(NamedTuple):
    """An action that solves a problem.

    Attributes:
        label: the text of a button.
        words: the action as part of a sentence, for a person without a terminal.
        command: the command for a terminal; words in capitals are placeholders.
    """

    label: str
    words: str
    command: str


REMEDIES: Mapping[Action, Remedy] = {
    Action.START_DAEMON: Remedy("Start the daemon", "start the daemon", "nexoctl daemon start"),
    Action.RESTART_DAEMON: Remedy("Restart the daemon", "restart the daemon", "nexoctl daemon restart"),
    Action.UNLOCK_VAULT: Remedy("Unlock", "unlock the vault", "nexoctl vault unlock"),
    Action.USE_RECOVERY_CODE: Remedy(
        "Use the recovery code", "open the vault with the recovery code", "nexoctl vault unlock --recovery"
    ),
    Action.ENTER_AGAIN: Remedy(
        "Enter it again", "enter its key and header values again, or restore a backup", "nexoctl edit NAME"
    ),
    Action.REPLACE_USERS: Remedy(
        "Choose a replacement",
        "choose what its users get instead, or remove it anyway",
        "nexoctl remove NAME --replace-with OTHER",
    ),
    Action.LOOK_AGAIN: Remedy("Look again", "read it again, then repeat the change", "nexoctl show NAME"),
    Action.SEND_KEY: Remedy(
        "Send it there",
        "enter the new key with the change, or agree to send the stored one there",
        "nexoctl edit NAME --send-key-to-new-host",
    ),
    Action.CLEAN_UP_KEY: Remedy("Clean it up", "have the key cleaned up", "nexoctl add NAME"),
    Action.RENAME: Remedy("Rename", "choose another name", "nexoctl edit NAME --name NEW"),
    Action.CHOOSE_DEFAULT: Remedy(
        "Choose a default", "add a connection, or choose a default", "nexoctl default NAME"
    ),
    Action.ENABLE_CONNECTION: Remedy(
        "Switch it on", "switch it on, or choose another one", "nexoctl edit NAME --enable"
    ),
    Action.BIND_AGAIN: Remedy(
        "Bind it again",
        "bind it to another connection, or unbind it so that it gets the default",
        "nexoctl workspace bind PATH NAME",
    ),
    Action.OPEN_GATEWAY: Remedy("Open the gateway", "open the gateway", "nexoctl gateway on"),
}
"""The texts for every action, used by daemon, nexoctl, tray and settings screen."""

_OF_A_TERMINAL = ("nexoctl ", "--")


class NexoError(Exception):
    """Base of all errors: a sentence for a person, and data for a program.

    Attributes:
        reason: stable word, see `nexo.connections.terms.Reason`.
        hint: the next step in one sentence; may be empty.
        metadata: further data, which depends on the reason (`field`, `used_by`, `current_revision`, …).
        action: the action that a button can offer; None if there is none.
        code: name of the canonical status code that the call ends with.
    """

    reason: Reason = Reason.INTERNAL
    action: Action | None = None
    code = "FAILED_PRECONDITION"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        metadata: Mapping[str, str] | None = None,
        action: Action | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.action = action or type(self).action

    @property
    def message(self) -> str:
        """The text without the hint."""
        return str(self.args[0])

    @property
    def remedy(self) -> Remedy | None:
        """The texts for the action; None without an action."""
        return REMEDIES[self.action] if self.action else None

    @property
    def next_step(self) -> str:
        """The next step without a terminal: the hint, or the action's words if the hint names a command."""
        for_terminals = not self.hint or any(mark in self.hint for mark in _OF_A_TERMINAL)
        return self.remedy.words if self.remedy and for_terminals else self.hint


class DaemonNotRunning(NexoError):
    """No process answers on the socket; `.hint` names the command that starts the daemon."""

    reason = Reason.DAEMON_NOT_RUNNING
    action = Action.START_DAEMON


class DaemonUnsafe(NexoError):
    """The socket or its directory is not private to this user, so the client does not use it."""

    reason = Reason.DAEMON_UNSAFE


class DeadlineExceeded(NexoError):
    """The daemon did not answer in time."""

    reason = Reason.DEADLINE_EXCEEDED
    action = Action.RESTART_DAEMON


class IncompatibleDaemon(NexoError):
    """The daemon has another version that does not know the call."""

    reason = Reason.INCOMPATIBLE
    action = Action.RESTART_DAEMON


class InvalidField(NexoError):
    """Bad input. Nothing was stored."""

    reason = Reason.INVALID_FIELD
    code = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, field: str, problem: str, hint: str) -> "InvalidField":
        """The error for one field."""
        return cls(f"{field}: {problem}", hint=hint, metadata={"field": field})

    @property
    def field(self) -> str:
        """The invalid field of `ConnectionDraft`, or the invalid argument."""
        return self.metadata.get("field", "")


class NotFound(NexoError):
    """The thing named in the call does not exist."""

    code = "NOT_FOUND"


class ConnectionNotFound(NotFound):
    """There is no connection with that name."""

    reason = Reason.CONNECTION_NOT_FOUND


class WorkspaceNotFound(NotFound):
    """The workspace is not bound."""

    reason = Reason.WORKSPACE_NOT_FOUND


class TokenNotFound(NotFound):
    """The gateway has no token with that name."""

    reason = Reason.TOKEN_NOT_FOUND


class NoDefaultConnection(NexoError):
    """The call names no connection, the workspace is not bound, and there is no default."""

    reason = Reason.NO_DEFAULT_CONNECTION
    action = Action.CHOOSE_DEFAULT


class ConnectionDisabled(NexoError):
    """The connection that the rules chose is switched off."""

    reason = Reason.CONNECTION_DISABLED
    action = Action.ENABLE_CONNECTION


class BindingBroken(NexoError):
    """The workspace is bound to a connection that was removed; the default is not used instead."""

    reason = Reason.BINDING_BROKEN
    action = Action.BIND_AGAIN


class Refused(NexoError):
    """The present state does not allow the change."""


class NameTaken(Refused):
    """Another connection has that name; case is ignored."""

    reason = Reason.NAME_TAKEN
    action = Action.RENAME
    code = "ALREADY_EXISTS"


class StaleRevision(Refused):
    """Another client changed the connection in between; read it again."""

    reason = Reason.STALE_REVISION
    action = Action.LOOK_AGAIN
    code = "ABORTED"


class ConnectionInUse(Refused):
    """The connection is the default or bound; `.used_by` lists its users."""

    reason = Reason.CONNECTION_IN_USE
    action = Action.REPLACE_USERS

    @property
    def used_by(self) -> tuple[str, ...]:
        """The users: "the default", directories and names of workspaces; "…" at the end stands for more."""
        return tuple(self.metadata.get("used_by", "").splitlines())


class KeyOriginChanged(Refused):
    """The edit would send the stored key to another scheme, host or port."""

    reason = Reason.KEY_ORIGIN_CHANGED
    action = Action.SEND_KEY


class GatewayClosed(Refused):
    """The local gateway is switched off, or cannot listen."""

    reason = Reason.GATEWAY_CLOSED
    action = Action.OPEN_GATEWAY


class NothingToUndo(Refused):
    """There is no earlier default, or it was removed."""

    reason = Reason.NOTHING_TO_UNDO


class RetryLater(Refused):
    """The provider asked to wait until `.metadata["retry_at"]` (RFC 3339)."""

    reason = Reason.RETRY_LATER


class LimitReached(Refused):
    """A limit is reached; the message says which."""

    reason = Reason.LIMIT_REACHED
    code = "RESOURCE_EXHAUSTED"


class StoreReadOnly(Refused):
    """Nothing can be changed, because the store is damaged, from a newer version, or not writable."""

    reason = Reason.STORE_READ_ONLY


class StoreFull(Refused):
    """The disk is full; the change was rolled back."""

    reason = Reason.STORE_FULL
    code = "RESOURCE_EXHAUSTED"


class VaultLocked(NexoError):
    """The secrets cannot be opened, because the vault is locked."""

    reason = Reason.VAULT_LOCKED
    action = Action.UNLOCK_VAULT


class VaultKeyLost(VaultLocked):
    """The key that opens the secrets cannot be found."""

    reason = Reason.VAULT_KEY_LOST
    action = Action.USE_RECOVERY_CODE


class SecretTampered(VaultLocked):
    """A sealed secret was changed or moved in the store, so the daemon refuses to use it."""

    reason = Reason.SECRET_TAMPERED
    action = Action.ENTER_AGAIN
    code = "DATA_LOSS"


class KeyReferenceFailed(NexoError):
    """The key is kept elsewhere and could not be fetched."""

    reason = Reason.KEY_REFERENCE_FAILED


class ProviderFailed(NexoError):
    """The provider refused, or did not answer."""

    reason = Reason.PROVIDER_FAILED


class ServiceFailed(NexoError):
    """The service manager (systemd, launchd) reported an error or could not be used."""

    reason = Reason.SERVICE_FAILED


class SettingsUnavailable(NexoError):
    """The settings screen cannot be opened."""

    reason = Reason.SETTINGS_UNAVAILABLE


class DaemonFailed(NexoError):
    """The daemon failed for an internal reason."""

    code = "INTERNAL"


class StoreFailed(DaemonFailed):
    """The store could not be read or written; the change was rolled back."""

    reason = Reason.STORE_FAILED


class ShuttingDown(DaemonFailed):
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN
    action = Action.START_DAEMON
    code = "UNAVAILABLE"


def _leaves(kind: type[NexoError]) -> list[type[NexoError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _leaves(child))]


BY_REASON: Mapping[str, type[NexoError]] = {
    kind.reason: kind for kind in _leaves(NexoError) if "reason" in vars(kind) and kind is not NexoError
}
"""The class of each reason; an unknown reason from a newer daemon becomes `DaemonFailed`."""
