"""The file behind the daemon: what a check, a backup, a restore, an export and an import say."""

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
    """What a check of the store found; sound if there are no problems."""

    problems: tuple[str, ...]
    seals_checked: bool
    connections: int
    secrets: int


@frozen
class Restored:
    """What a restore put in place, or would put."""

    path: str
    connections: int
    secrets: int
    done: bool


@frozen
class Export:
    """An export document: JSON, its secrets (if any) sealed under the passphrase."""

    document: bytes = field(repr=False)
    connections: int
    secrets: int


@frozen
class ImportConsent:
    """What an entry would decide about keys, or about who gets which connection: show `text` uncut, and ask.

    Attributes:
        id: for `import_document(consents=…)`; bound to the document, the text and what is there now.
        kind: command, file, keyring, proxy, ca_bundle, stored_key, binding, default or fallback.
    """

    id: str
    kind: str
    text: str


@frozen
class ImportStep:
    """One entry of an import; `kind` is connection, binding, default or fallback.

    Attributes:
        needs: without all of these consents it is skipped.
    """

    action: ImportAction
    kind: str
    name: str
    text: str = ""
    needs: tuple[ImportConsent, ...] = ()
