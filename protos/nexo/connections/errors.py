"""Every error that a caller of the daemon can meet: raised there, carried by its reason, raised again here.

    NexoError
    ├── DaemonNotRunning            nothing answers on the socket
    ├── DaemonUnsafe                the socket or its directory belongs to somebody else
    ├── DeadlineExceeded            the daemon did not answer in time
    ├── IncompatibleDaemon          it answers, and does not know the call
    ├── InvalidField                bad input; `.field` and `.hint` say what to change
    ├── NotFound
    │   ├── ConnectionNotFound
    │   └── WorkspaceNotFound, TokenNotFound
    ├── NoDefaultConnection
    ├── ConnectionDisabled
    ├── BindingBroken               the workspace is bound to a connection that is gone
    ├── Refused                     conflict, in use, read-only
    │   ├── NameTaken, StaleRevision, ConnectionInUse, KeyOriginChanged,
    │   └── NothingToUndo, RetryLater, LimitReached, StoreReadOnly, StoreFull, GatewayClosed
    ├── VaultLocked
    │   ├── VaultKeyLost
    │   └── SecretTampered
    ├── KeyReferenceFailed          the key is kept elsewhere and could not be fetched
    ├── ProviderFailed              the provider refused or did not answer
    └── DaemonFailed                store failure, shutdown, internal error

A text is for a person: it names the field or object, the reason and the next step. No text holds a secret
or a provider's unredacted words.
"""

from collections.abc import Mapping

from nexo.connections.terms import Reason


class NexoError(Exception):
    """Base of all errors: a sentence for a person, and what a program needs to tell one from another.

    Attributes:
        reason: stable word, see `nexo.connections.terms.Reason`.
        hint: the next step in one sentence; may be empty.
        metadata: further facts, by the reason (`field`, `used_by`, `current_revision`, …).
        code: name of the canonical status code that the call ends with.
    """

    reason: Reason = Reason.INTERNAL
    code = "FAILED_PRECONDITION"

    def __init__(self, message: str, *, hint: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.metadata: Mapping[str, str] = dict(metadata or {})

    @property
    def message(self) -> str:
        """The text without the hint."""
        return str(self.args[0])


class DaemonNotRunning(NexoError):
    """Nothing answers on the socket; `.hint` names the command that starts the daemon."""

    reason = Reason.DAEMON_NOT_RUNNING


class DaemonUnsafe(NexoError):
    """The socket or its directory is not private to this user, so no key is asked for through it."""

    reason = Reason.DAEMON_UNSAFE


class DeadlineExceeded(NexoError):
    """The daemon did not answer in time."""

    reason = Reason.DEADLINE_EXCEEDED


class IncompatibleDaemon(NexoError):
    """The daemon is of a version that does not know the call."""

    reason = Reason.INCOMPATIBLE


class InvalidField(NexoError):
    """Bad input. Nothing was stored."""

    reason = Reason.INVALID_FIELD
    code = "INVALID_ARGUMENT"

    @classmethod
    def of(cls, field: str, problem: str, hint: str) -> "InvalidField":
        """The error of one field."""
        return cls(f"{field}: {problem}", hint=hint, metadata={"field": field})

    @property
    def field(self) -> str:
        """The field of `ConnectionDraft` (or argument) that is wrong."""
        return self.metadata.get("field", "")


class NotFound(NexoError):
    """The thing named in the call does not exist."""

    code = "NOT_FOUND"


class ConnectionNotFound(NotFound):
    """There is no connection of that name."""

    reason = Reason.CONNECTION_NOT_FOUND


class WorkspaceNotFound(NotFound):
    """The workspace is not bound."""

    reason = Reason.WORKSPACE_NOT_FOUND


class TokenNotFound(NotFound):
    """There is no token of that name for the gateway."""

    reason = Reason.TOKEN_NOT_FOUND


class NoDefaultConnection(NexoError):
    """Nothing is bound, nothing was named and there is no default."""

    reason = Reason.NO_DEFAULT_CONNECTION


class ConnectionDisabled(NexoError):
    """The connection that the rules chose is switched off."""

    reason = Reason.CONNECTION_DISABLED


class BindingBroken(NexoError):
    """The workspace is bound to a connection that is gone; the default is not used in its place."""

    reason = Reason.BINDING_BROKEN


class Refused(NexoError):
    """The change was not made because of the present state."""


class NameTaken(Refused):
    """Another connection has that name (case does not count)."""

    reason = Reason.NAME_TAKEN
    code = "ALREADY_EXISTS"


class StaleRevision(Refused):
    """Somebody changed the connection in between; read it again."""

    reason = Reason.STALE_REVISION
    code = "ABORTED"


class ConnectionInUse(Refused):
    """It is the default or bound; `.metadata["used_by"]` lists by whom."""

    reason = Reason.CONNECTION_IN_USE


class KeyOriginChanged(Refused):
    """The edit would send the stored key to another scheme, host or port."""

    reason = Reason.KEY_ORIGIN_CHANGED


class GatewayClosed(Refused):
    """The local gateway is switched off, or cannot listen."""

    reason = Reason.GATEWAY_CLOSED


class NothingToUndo(Refused):
    """There was no earlier default, or it is gone."""

    reason = Reason.NOTHING_TO_UNDO


class RetryLater(Refused):
    """The provider asked to wait; `.metadata["retry_at"]` says until when (RFC 3339)."""

    reason = Reason.RETRY_LATER


class LimitReached(Refused):
    """Too many of something; the text says of what and how many."""

    reason = Reason.LIMIT_REACHED
    code = "RESOURCE_EXHAUSTED"


class StoreReadOnly(Refused):
    """The store is damaged, newer, or not writable; nothing can be changed."""

    reason = Reason.STORE_READ_ONLY


class StoreFull(Refused):
    """The disk is full; the change was rolled back."""

    reason = Reason.STORE_FULL
    code = "RESOURCE_EXHAUSTED"


class VaultLocked(NexoError):
    """The secrets are sealed and the key is locked."""

    reason = Reason.VAULT_LOCKED


class VaultKeyLost(VaultLocked):
    """The key that opens the secrets cannot be found."""

    reason = Reason.VAULT_KEY_LOST


class SecretTampered(VaultLocked):
    """A sealed secret was changed or moved, so it is not handed out."""

    reason = Reason.SECRET_TAMPERED
    code = "DATA_LOSS"


class KeyReferenceFailed(NexoError):
    """The key is kept elsewhere and could not be fetched."""

    reason = Reason.KEY_REFERENCE_FAILED


class ProviderFailed(NexoError):
    """The provider refused, or did not answer."""

    reason = Reason.PROVIDER_FAILED


class DaemonFailed(NexoError):
    """The daemon could not do it for a reason of its own."""

    code = "INTERNAL"


class StoreFailed(DaemonFailed):
    """The store could not be read or written; the change was rolled back."""

    reason = Reason.STORE_FAILED


class ShuttingDown(DaemonFailed):
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN
    code = "UNAVAILABLE"


def _leaves(kind: type[NexoError]) -> list[type[NexoError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _leaves(child))]


BY_REASON: Mapping[str, type[NexoError]] = {
    kind.reason: kind for kind in _leaves(NexoError) if "reason" in vars(kind) and kind is not NexoError
}
"""The class of each reason; what a newer daemon adds becomes `DaemonFailed`."""
