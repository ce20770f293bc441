"""Everything that the SDK raises.

    NexoError
    ├── DaemonNotRunning            nothing answers on the socket
    ├── DaemonUnsafe                the socket or its directory belongs to somebody else
    ├── DeadlineExceeded            the daemon did not answer in time
    ├── IncompatibleDaemon          it answers, and does not know the call
    ├── InvalidField                bad input; `.field` and `.hint` say what to change
    ├── NotFound
    │   ├── ConnectionNotFound
    │   └── WorkspaceNotFound
    ├── NoDefaultConnection
    ├── ConnectionDisabled
    ├── BindingBroken               the workspace is bound to a connection that is gone
    ├── Refused                     conflict, in use, read-only
    │   ├── NameTaken, StaleRevision, ConnectionInUse, KeyOriginChanged, KeyRejected,
    │   └── NothingToUndo, RetryLater, LimitReached, StoreReadOnly, StoreFull
    ├── VaultLocked
    │   ├── VaultKeyLost
    │   └── SecretTampered
    ├── KeyReferenceFailed          the key is kept elsewhere and could not be fetched
    ├── ProviderFailed              the provider refused or did not answer
    └── DaemonFailed                store failure, shutdown, internal error

No text of an error holds a secret.
"""

from collections.abc import Mapping

from nexo_client.terms import Reason


class NexoError(Exception):
    """Base of all errors of the SDK.

    Attributes:
        reason: stable word, see `nexo_client.terms.Reason`.
        hint: the next step in one sentence; may be empty.
        metadata: further facts, by the reason (`field`, `used_by`, `current_revision`, …).
    """

    reason: Reason = Reason.INTERNAL

    def __init__(self, message: str, *, hint: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.metadata: Mapping[str, str] = dict(metadata or {})

    @property
    def message(self) -> str:
        """The text without the hint."""
        return str(self.args[0])


class DaemonNotRunning(NexoError):  # noqa: N818 - the name says the state; the base class says that it is an error
    """Nothing answers on the socket; `.hint` names the command that starts the daemon."""

    reason = Reason.DAEMON_NOT_RUNNING


class DaemonUnsafe(NexoError):  # noqa: N818
    """The socket or its directory is not private to this user, so no key is asked for through it."""

    reason = Reason.DAEMON_UNSAFE


class DeadlineExceeded(NexoError):  # noqa: N818
    """The daemon did not answer in time."""

    reason = Reason.DEADLINE_EXCEEDED


class IncompatibleDaemon(NexoError):  # noqa: N818
    """The daemon is of a version that does not know the call."""

    reason = Reason.INCOMPATIBLE


class InvalidField(NexoError):  # noqa: N818
    """Bad input. Nothing was stored."""

    reason = Reason.INVALID_FIELD

    @property
    def field(self) -> str:
        """The field of `ConnectionDraft` (or argument) that is wrong."""
        return self.metadata.get("field", "")


class NotFound(NexoError):  # noqa: N818
    """The thing named in the call does not exist."""


class ConnectionNotFound(NotFound):
    """There is no connection of that name."""

    reason = Reason.CONNECTION_NOT_FOUND


class WorkspaceNotFound(NotFound):
    """The workspace is not bound."""

    reason = Reason.WORKSPACE_NOT_FOUND


class NoDefaultConnection(NexoError):  # noqa: N818
    """Nothing is bound, nothing was named and there is no default."""

    reason = Reason.NO_DEFAULT_CONNECTION


class ConnectionDisabled(NexoError):  # noqa: N818
    """The connection that the rules chose is switched off."""

    reason = Reason.CONNECTION_DISABLED


class BindingBroken(NexoError):  # noqa: N818
    """The workspace is bound to a connection that is gone; the default is not used in its place."""

    reason = Reason.BINDING_BROKEN


class Refused(NexoError):  # noqa: N818
    """The change was not made because of the present state."""


class NameTaken(Refused):
    """Another connection has that name (case does not count)."""

    reason = Reason.NAME_TAKEN


class StaleRevision(Refused):
    """Somebody changed the connection in between; read it again."""

    reason = Reason.STALE_REVISION


class ConnectionInUse(Refused):
    """It is the default or bound; `.metadata["used_by"]` lists by whom."""

    reason = Reason.CONNECTION_IN_USE


class KeyOriginChanged(Refused):
    """The edit would send the stored key to another scheme, host or port."""

    reason = Reason.KEY_ORIGIN_CHANGED


class KeyRejected(Refused):
    """The provider rejected the new key, so the old one stays."""

    reason = Reason.KEY_REJECTED


class NothingToUndo(Refused):
    """There was no earlier default, or it is gone."""

    reason = Reason.NOTHING_TO_UNDO


class RetryLater(Refused):
    """The provider asked to wait; `.metadata["retry_at"]` says until when (RFC 3339)."""

    reason = Reason.RETRY_LATER


class LimitReached(Refused):
    """Too many of something; the text says of what and how many."""

    reason = Reason.LIMIT_REACHED


class StoreReadOnly(Refused):
    """The store is damaged, newer, or not writable; nothing can be changed."""

    reason = Reason.STORE_READ_ONLY


class StoreFull(Refused):
    """The disk is full; the change was rolled back."""

    reason = Reason.STORE_FULL


class VaultLocked(NexoError):  # noqa: N818
    """The secrets are sealed and the key is locked."""

    reason = Reason.VAULT_LOCKED


class VaultKeyLost(VaultLocked):
    """The key that opens the secrets cannot be found."""

    reason = Reason.VAULT_KEY_LOST


class SecretTampered(VaultLocked):
    """A sealed secret was changed or moved, so it is not handed out."""

    reason = Reason.SECRET_TAMPERED


class KeyReferenceFailed(NexoError):  # noqa: N818
    """The key is kept elsewhere and could not be fetched."""

    reason = Reason.KEY_REFERENCE_FAILED


class ProviderFailed(NexoError):  # noqa: N818
    """The provider refused, or did not answer."""

    reason = Reason.PROVIDER_FAILED


class DaemonFailed(NexoError):  # noqa: N818
    """The daemon could not do it for a reason of its own."""


class StoreFailed(DaemonFailed):
    """The store could not be read or written; the change was rolled back."""

    reason = Reason.STORE_FAILED


class ShuttingDown(DaemonFailed):
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN


def _leaves(kind: type[NexoError]) -> list[type[NexoError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in _leaves(child))]


BY_REASON: Mapping[str, type[NexoError]] = {
    kind.reason: kind for kind in _leaves(NexoError) if "reason" in vars(kind) and kind is not NexoError
}
"""The class of each reason; what a newer daemon adds becomes `DaemonFailed`."""
