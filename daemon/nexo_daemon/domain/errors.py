"""Every error that a caller of the daemon can meet. `rpc.errors` maps them to status codes.

The texts are for a person: they name the field or object, the reason and the next step, and never hold a
secret or a provider's unredacted words.
"""

from collections.abc import Mapping

from nexo_client.terms import Reason


class DomainError(Exception):
    """Base: a reason, a sentence, a hint (the next step) and facts for programs."""

    reason: Reason = Reason.INTERNAL

    def __init__(self, message: str, *, hint: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.metadata: Mapping[str, str] = dict(metadata or {})


class InvalidField(DomainError):  # noqa: N818 - named after the reason
    """Bad input in one field."""

    reason = Reason.INVALID_FIELD

    def __init__(self, field: str, problem: str, hint: str) -> None:
        super().__init__(f"{field}: {problem}", hint=hint, metadata={"field": field})
        self.field = field


class ConnectionNotFound(DomainError):  # noqa: N818
    """No connection of that name."""

    reason = Reason.CONNECTION_NOT_FOUND


class WorkspaceNotFound(DomainError):  # noqa: N818
    """No binding of that workspace."""

    reason = Reason.WORKSPACE_NOT_FOUND


class NameTaken(DomainError):  # noqa: N818
    """Another connection has the name."""

    reason = Reason.NAME_TAKEN


class StaleRevision(DomainError):  # noqa: N818
    """Lost race of two edits."""

    reason = Reason.STALE_REVISION


class ConnectionInUse(DomainError):  # noqa: N818
    """The default or bound."""

    reason = Reason.CONNECTION_IN_USE


class KeyOriginChanged(DomainError):  # noqa: N818
    """A stored secret would go to a new host."""

    reason = Reason.KEY_ORIGIN_CHANGED


class KeyRejected(DomainError):  # noqa: N818
    """A replacement key was rejected by the provider; nothing changed."""

    reason = Reason.KEY_REJECTED


class KeyReferenceFailed(DomainError):  # noqa: N818
    """A key kept elsewhere could not be fetched."""

    reason = Reason.KEY_REFERENCE_FAILED


class NoDefaultConnection(DomainError):  # noqa: N818
    """Nothing is bound and there is no default."""

    reason = Reason.NO_DEFAULT_CONNECTION


class ConnectionDisabled(DomainError):  # noqa: N818
    """The winner of a resolution is switched off."""

    reason = Reason.CONNECTION_DISABLED


class BindingBroken(DomainError):  # noqa: N818
    """The winner of a resolution is gone."""

    reason = Reason.BINDING_BROKEN


class NothingToUndo(DomainError):  # noqa: N818
    """No earlier default."""

    reason = Reason.NOTHING_TO_UNDO


class RetryLater(DomainError):  # noqa: N818
    """Not now: a provider asked to wait, or the configuration is changing."""

    reason = Reason.RETRY_LATER


class LimitReached(DomainError):  # noqa: N818
    """A bound of the daemon."""

    reason = Reason.LIMIT_REACHED


class VaultLocked(DomainError):  # noqa: N818
    """Secrets cannot be opened now."""

    reason = Reason.VAULT_LOCKED


class VaultKeyLost(DomainError):  # noqa: N818
    """Secrets cannot be opened any more without a recovery code or a backup of the key."""

    reason = Reason.VAULT_KEY_LOST


class SecretTampered(DomainError):  # noqa: N818
    """A sealed secret does not authenticate."""

    reason = Reason.SECRET_TAMPERED


class StoreReadOnly(DomainError):  # noqa: N818
    """The store takes no changes."""

    reason = Reason.STORE_READ_ONLY


class StoreFull(DomainError):  # noqa: N818
    """No space left; rolled back."""

    reason = Reason.STORE_FULL


class StoreFailed(DomainError):  # noqa: N818
    """Input/output error; rolled back."""

    reason = Reason.STORE_FAILED


class ProviderFailed(DomainError):  # noqa: N818
    """The provider did not give what was asked of it."""

    reason = Reason.PROVIDER_FAILED


class ShuttingDown(DomainError):  # noqa: N818
    """The daemon is stopping."""

    reason = Reason.SHUTTING_DOWN
