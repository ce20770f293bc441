"""Results of operations on the store: check, backup, restore, export and import."""

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
    """The result of a check of the store; the store is sound if there are no problems.

    Attributes:
        seals_checked: all secrets were decrypted, for which the vault has to be unlocked.
        connections, secrets: how many there are.
    """

    problems: tuple[str, ...]
    seals_checked: bool
    connections: int
    secrets: int


@frozen
class Restored:
    """The result of a restore, or of its dry run (not `done`).

    Attributes:
        path: the file that was restored.
        connections, secrets: how many there are in it.
    """

    path: str
    connections: int
    secrets: int
    done: bool


@frozen
class Export:
    """An export document in JSON; its secrets, if any, are sealed under the passphrase."""

    document: bytes = field(repr=False)
    connections: int
    secrets: int


@frozen
class ImportConsent:
    """An effect of an import that needs a person's consent: where a key comes from or goes to, or who gets
    which connection. Show `text` in full, and ask.

    Attributes:
        id: for `import_document(consents=…)`; valid for this document, this text and the present
            configuration only.
        kind: command, file, keyring, proxy, ca_bundle, stored_key, binding, default or fallback.
    """

    id: str
    kind: str
    text: str


@frozen
class ImportStep:
    """One entry of an import; `kind` is connection, binding, default or fallback.

    Attributes:
        needs: the consents that it needs; if one is missing, the entry is skipped.
    """

    action: ImportAction
    kind: str
    name: str
    text: str = ""
    needs: tuple[ImportConsent, ...] = ()
