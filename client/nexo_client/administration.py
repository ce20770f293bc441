"""The vault and the store of the daemon: what `nexoctl vault`, `store`, `export`, `import` and `show` use.

    with nexo_client.connect() as client:
        Administration(client).create_backup()

Not for workspaces: a program that needs a connection needs nothing of this.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.message import Message

from nexo.connections.v1 import store_pb2 as s
from nexo.connections.v1 import vault_pb2 as v
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import convert
from nexo_client.calls import Call, client_info
from nexo_client.client import Client
from nexo_client.terms import VaultState
from nexo_client.types import ResolvedConnection
from nexo_client.wire import enum_from_wire, moment

T = TypeVar("T")

_WORKSPACES = "/nexo.connections.v1.WorkspaceService/"
_VAULT = "/nexo.connections.v1.VaultService/"
_STORE = "/nexo.connections.v1.StoreService/"

PROMPT_S = 150.0
"""What a call may take in which a person answers a dialog of the keyring."""
WORK_S = 60.0
"""What a call may take that derives keys or copies the store."""


class KeySlot(StrEnum):
    """Where the key lies that opens the vault when the daemon starts."""

    KEYRING = "keyring"
    KEY_FILE = "key_file"
    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a password
    SYSTEMD_CREDENTIAL = "systemd_credential"


class ImportAction(StrEnum):
    """What an import does, or would do, with an entry."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Vault:
    """What opens the sealed secrets.

    Attributes:
        slot: None while no key was ever made.
        problem: why it is not unlocked and what to do.
        recovery_made_at: None if there is no recovery code.
    """

    state: VaultState | None
    slot: KeySlot | None
    problem: str
    slot_made_at: datetime | None
    data_key_made_at: datetime | None
    recovery_made_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """Shown to the person once; the repr does not show it."""

    code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup of the store; `reason` is daily, migration, request or rotation."""

    name: str
    path: str
    at: datetime | None
    reason: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check of the store found; sound if there are no problems."""

    problems: tuple[str, ...]
    seals_checked: bool
    connections: int
    secrets: int


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore put in place, or would put."""

    path: str
    connections: int
    secrets: int
    done: bool


@dataclass(frozen=True, slots=True)
class Export:
    """An export document: JSON, its secrets (if any) sealed under the passphrase."""

    document: bytes = field(repr=False)
    connections: int
    secrets: int


@dataclass(frozen=True, slots=True)
class ImportStep:
    """One entry of an import; `kind` is connection, binding, default or fallback."""

    action: ImportAction
    kind: str
    name: str
    text: str


class Administration:
    """The calls. Each raises what `Client`'s methods raise, and what its text names."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # The secrets of a connection

    def reveal(self, name: str) -> ResolvedConnection:
        """What a program would get of a connection, for a person who looks: a disabled one, too.

        Leaves a record, as every hand-out does.

        Raises:
            ConnectionNotFound, VaultLocked, VaultKeyLost, SecretTampered, KeyReferenceFailed
        """
        return self._ask(
            _WORKSPACES + "RevealConnection",
            w.RevealConnectionRequest(name=name, client=client_info()),
            w.RevealConnectionResponse,
            lambda response: convert.resolved(response.connection),
            reads=True,
        )

    # The vault

    def vault(self) -> Vault:
        """Its state."""
        return self._ask(_VAULT + "GetVault", v.GetVaultRequest(), v.GetVaultResponse, _vault, reads=True)

    def unlock(self, *, passphrase: str = "", recovery_code: str = "") -> Vault:
        """Open it; the keyring of the desktop may ask the person.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        request = v.UnlockVaultRequest()
        if recovery_code:
            request.recovery_code = recovery_code
        elif passphrase:
            request.passphrase = passphrase
        return self._ask(_VAULT + "UnlockVault", request, v.UnlockVaultResponse, _vault, longer_s=PROMPT_S)

    def lock(self) -> Vault:
        """Forget the key until it is unlocked."""
        return self._ask(_VAULT + "LockVault", v.LockVaultRequest(), v.LockVaultResponse, _vault)

    def rekey(self, slot: KeySlot, *, passphrase: str = "", forget_secrets: bool = False) -> Vault:
        """Another slot in place of the present one; the secrets stay.

        Args:
            forget_secrets: when the key is lost: give up the stored secrets and begin anew.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, StoreReadOnly, StoreFull, LimitReached
        """
        request = v.RekeyVaultRequest(
            slot=v.KeySlotKind.Value(f"KEY_SLOT_KIND_{slot.name}"),
            passphrase=passphrase,
            forget_secrets=forget_secrets,
        )
        return self._ask(_VAULT + "RekeyVault", request, v.RekeyVaultResponse, _vault, longer_s=WORK_S)

    def new_recovery_code(self) -> RecoveryCode:
        """A code that opens the vault when everything else is lost. An earlier one is no longer good.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, StoreReadOnly, StoreFull
        """
        return self._ask(
            _VAULT + "CreateRecoveryCode",
            v.CreateRecoveryCodeRequest(),
            v.CreateRecoveryCodeResponse,
            lambda response: RecoveryCode(response.recovery_code),
        )

    def rotate(self, *, passphrase: str = "") -> RecoveryCode | None:
        """Seal every secret again under a new key; returns the new recovery code if there was one.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, StoreReadOnly, StoreFull
        """
        return self._ask(
            _VAULT + "RotateDataKey",
            v.RotateDataKeyRequest(passphrase=passphrase),
            v.RotateDataKeyResponse,
            lambda response: RecoveryCode(response.recovery_code) if response.recovery_code else None,
            longer_s=WORK_S,
        )

    # The store

    def check(self) -> CheckResult:
        """Structure, references, flipped bits, and whether every secret opens."""
        return self._ask(
            _STORE + "CheckStore",
            s.CheckStoreRequest(),
            s.CheckStoreResponse,
            lambda r: CheckResult(tuple(r.problems), r.seals_checked, r.connections, r.secrets),
            reads=True,
            longer_s=WORK_S,
        )

    def create_backup(self) -> Backup:
        """A copy of the store, checked and private.

        Raises:
            StoreFull, DaemonFailed
        """
        return self._ask(
            _STORE + "CreateBackup",
            s.CreateBackupRequest(),
            s.CreateBackupResponse,
            lambda response: _backup(response.backup),
            longer_s=WORK_S,
        )

    def backups(self) -> tuple[Backup, ...]:
        """The newest first."""
        return self._ask(
            _STORE + "ListBackups",
            s.ListBackupsRequest(),
            s.ListBackupsResponse,
            lambda response: tuple(_backup(one) for one in response.backups),
            reads=True,
        )

    def restore(self, name: str = "", *, dry_run: bool = False) -> Restored:
        """Put a backup in the place of the store, once it is proven sound and its secrets open.

        Args:
            name: of a backup, or an absolute path; empty for the newest.

        Raises:
            InvalidField: there is no such backup.
            DaemonFailed: it is not sound; nothing was changed.
        """
        return self._ask(
            _STORE + "RestoreBackup",
            s.RestoreBackupRequest(name=name, dry_run=dry_run),
            s.RestoreBackupResponse,
            lambda r: Restored(r.path, r.connections, r.secrets, r.restored),
            longer_s=WORK_S,
        )

    def export(self, *, passphrase: str = "") -> Export:
        """Everything that is configured; with the secrets only under a passphrase.

        Raises:
            InvalidField: the passphrase is too short.
            VaultLocked, VaultKeyLost, SecretTampered: the secrets do not open.
        """
        return self._ask(
            _STORE + "ExportConnections",
            s.ExportConnectionsRequest(passphrase=passphrase),
            s.ExportConnectionsResponse,
            lambda r: Export(r.document, r.connections, r.secrets),
            longer_s=WORK_S,
        )

    def import_document(
        self, document: bytes, *, passphrase: str = "", dry_run: bool = False, overwrite: bool = False
    ) -> tuple[ImportStep, ...]:
        """Merge an export into what is there; nothing is removed.

        Args:
            overwrite: change what exists; otherwise it stays and the step says how it differs.

        Raises:
            InvalidField: no export, or the passphrase does not open it.
            StoreReadOnly
        """
        request = s.ImportConnectionsRequest(
            document=document, passphrase=passphrase, dry_run=dry_run, overwrite=overwrite
        )
        return self._ask(
            _STORE + "ImportConnections",
            request,
            s.ImportConnectionsResponse,
            lambda response: tuple(_step(one) for one in response.steps),
            longer_s=WORK_S,
        )

    def _ask(
        self,
        path: str,
        request: Message,
        response: type[Message],
        read: Callable[[Any], T],
        *,
        reads: bool = False,
        longer_s: float = 0.0,
    ) -> T:
        return self._client.run(Call(path, request, response, read, reads=reads, longer_s=longer_s))


def _vault(response: Any) -> Vault:
    vault = response.vault
    name = v.KeySlotKind.Name(vault.slot).removeprefix("KEY_SLOT_KIND_")
    return Vault(
        enum_from_wire(VaultState, vault.state),
        KeySlot[name] if name in KeySlot.__members__ else None,
        vault.problem,
        moment(vault.slot_made_at),
        moment(vault.data_key_made_at),
        moment(vault.recovery_made_at),
    )


def _backup(message: s.StoreBackup) -> Backup:
    return Backup(message.name, message.path, moment(message.at), message.reason, message.size_bytes)


def _step(message: s.ImportStep) -> ImportStep:
    name = s.ImportAction.Name(message.action).removeprefix("IMPORT_ACTION_")
    action = ImportAction[name] if name in ImportAction.__members__ else ImportAction.SKIP
    return ImportStep(action, message.kind, message.name, message.text)
