"""The store's file: results of checks, backups, restores, exports and imports."""

from dataclasses import field
from datetime import datetime

from nexo.connections.terms import ImportAction as ImportAction
from nexo.connections.values import frozen


@frozen
class Backup:
    """A backup of the store; `reason` is daily, migration, request, rotation or rescue."""

    name: str
    path: str
    at: datetime | None
    reason: str
    size_bytes: int


@frozen
class CheckResult:
    """The result of a check of the store; it is sound if there are no problems."""

    problems: tuple[str, ...]
    seals_checked: bool
    connections: int
    secrets: int


@frozen
class Restored:
    """The result of a restore, or of its dry run."""

    path: str
    connections: int
    secrets: int
    done: bool


@frozen
class Export:
    """An export document: JSON; its secrets, if any, are sealed with the passphrase."""

    document: bytes = field(repr=False)
    connections: int
    secrets: int


@frozen
class ImportConsent:
    """A decision about keys, or about who gets which connection, that needs a person's consent.

    Show `text` in full, and ask.

    Attributes:
        id: for `import_document(consents=…)`; valid only for this document, text and present configuration.
        kind: command, file, keyring, proxy, ca_bundle, stored_key, binding, default or fallback.
    """

    id: str
    kind: str
    text: str


@frozen
class ImportStep:
    """One entry of an import; `kind` is connection, binding, default or fallback.

    Attributes:
        needs: the entry is skipped unless all these consents are given.
    """

    action: ImportAction
    kind: str
    name: str
    text: str = ""
    needs: tuple[ImportConsent, ...] = ()
