"""The vault and the store of the daemon, for `Client.vault` and `Client.store`.

    with nexo_client.connect() as client:
        client.store.create_backup()

Not for workspaces: a program that needs a connection needs nothing of this. `aio_administration` is generated
from this file by `make aio`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from nexo.connections.codec import read, write
from nexo.connections.v1 import store_pb2 as s
from nexo.connections.v1 import vault_pb2 as v
from nexo_client import types
from nexo_client.calls import Call, each, one
from nexo_client.line import Line

PROMPT_S = 150.0
"""What a call may take in which a person answers a dialog of the keyring."""
WORK_S = 60.0
"""What a call may take that derives keys or copies the store."""


class VaultCalls:
    """Each raises what the methods of `Client` raise, and what its text names."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def status(self) -> types.Vault:
        """Its state."""
        return self._line.ask(Call(v.GetVaultRequest(), one(types.Vault, "vault"), reads=True))

    def unlock(self, *, passphrase: str = "", recovery_code: str = "") -> types.Vault:
        """Open it; the keyring of the desktop may ask the person.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        request = v.UnlockVaultRequest()
        if recovery_code:
            request.recovery_code = recovery_code
        elif passphrase:
            request.passphrase = passphrase
        return self._line.ask(Call(request, one(types.Vault, "vault"), longer_s=PROMPT_S))

    def lock(self) -> types.Vault:
        """Forget the key until it is unlocked."""
        return self._line.ask(Call(v.LockVaultRequest(), one(types.Vault, "vault")))

    def auto_lock(self) -> types.AutoLock:
        """When it locks by itself."""
        return self._line.ask(Call(v.GetAutoLockRequest(), one(types.AutoLock, "auto_lock"), reads=True))

    def set_auto_lock(self, wanted: types.AutoLock) -> types.AutoLock:
        """Let it lock by itself from now on.

        Raises:
            InvalidField, StoreReadOnly, StoreFull
        """
        given = write(v.AutoLock, wanted, problem=None)
        return self._line.ask(Call(v.SetAutoLockRequest(auto_lock=given), one(types.AutoLock, "auto_lock")))

    def rekey(
        self, slot: types.KeySlot, *, passphrase: str = "", forget_secrets: bool = False
    ) -> types.Vault:
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
        return self._line.ask(Call(request, one(types.Vault, "vault"), longer_s=WORK_S))

    def propose_recovery_code(self) -> types.RecoveryCode:
        """A fresh code, which opens nothing before `set_recovery_code`; an earlier one is good until then."""
        return self._line.ask(Call(v.ProposeRecoveryCodeRequest(), _new_code, reads=True))

    def set_recovery_code(self, code: str) -> types.Vault:
        """This code opens the vault when everything else is lost; an earlier one is no longer good.

        Args:
            code: as `propose_recovery_code` made it, when whoever keeps it has it.

        Raises:
            InvalidField, VaultLocked, VaultKeyLost, SecretTampered, StoreReadOnly, StoreFull
        """
        return self._line.ask(Call(v.SetRecoveryCodeRequest(recovery_code=code), one(types.Vault, "vault")))

    def rotate(self, *, passphrase: str = "", recovery_code: str = "") -> types.Vault:
        """Seal every secret again under a new key, in one step.

        Args:
            recovery_code: if there is one, the code that takes its place, as for `set_recovery_code`.

        Raises:
            InvalidField, VaultLocked, VaultKeyLost, SecretTampered, StoreReadOnly, StoreFull
        """
        request = v.RotateDataKeyRequest(passphrase=passphrase, recovery_code=recovery_code)
        return self._line.ask(Call(request, one(types.Vault, "vault"), longer_s=WORK_S))


class StoreCalls:
    """Each raises what the methods of `Client` raise, and what its text names."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def check(self) -> types.CheckResult:
        """Structure, references, flipped bits, and whether every secret opens."""
        return self._line.ask(
            Call(s.CheckStoreRequest(), partial(read, types.CheckResult), reads=True, longer_s=WORK_S)
        )

    def create_backup(self) -> types.Backup:
        """A copy of the store, checked and private.

        Raises:
            StoreFull, DaemonFailed
        """
        return self._line.ask(Call(s.CreateBackupRequest(), one(types.Backup, "backup"), longer_s=WORK_S))

    def backups(self) -> tuple[types.Backup, ...]:
        """The newest first."""
        return self._line.ask(Call(s.ListBackupsRequest(), each(types.Backup, "backups"), reads=True))

    def restore(self, name: str = "", *, dry_run: bool = False, empty: bool = False) -> types.Restored:
        """Put a backup in the place of the store, once it is proven sound and its secrets open.

        Args:
            name: of a backup, or an absolute path; empty for the newest.
            empty: no backup, but an empty store in the place of one that is gone.

        Raises:
            InvalidField: there is no such backup.
            DaemonFailed: it is not sound; nothing was changed.
        """
        request = s.RestoreBackupRequest(name=name, dry_run=dry_run, empty=empty)
        return self._line.ask(Call(request, _restored, longer_s=WORK_S))

    def export(self, *, passphrase: str = "") -> types.Export:
        """Everything that is configured; with the secrets only under a passphrase.

        Raises:
            InvalidField: the passphrase is too short.
            VaultLocked, VaultKeyLost, SecretTampered: the secrets do not open.
        """
        request = s.ExportConnectionsRequest(passphrase=passphrase)
        return self._line.ask(Call(request, partial(read, types.Export), longer_s=WORK_S))

    def import_document(
        self,
        document: bytes,
        *,
        passphrase: str = "",
        dry_run: bool = False,
        overwrite: bool = False,
        consents: Iterable[str] = (),
    ) -> tuple[types.ImportStep, ...]:
        """Merge an export into what is there; nothing is removed. After an error nothing was changed.

        Args:
            dry_run: say what would be done with all consents.
            overwrite: change what exists; otherwise it stays and the step says how it differs.
            consents: ids of `ImportStep.needs` of a dry run that a person agreed to.

        Raises:
            InvalidField: no export, or the passphrase does not open it.
            StoreReadOnly, StoreFull, StoreFailed
            VaultLocked, VaultKeyLost: it has secrets, and they cannot be sealed.
        """
        request = s.ImportConnectionsRequest(
            document=document, passphrase=passphrase, dry_run=dry_run, overwrite=overwrite, consents=consents
        )
        return self._line.ask(Call(request, each(types.ImportStep, "steps"), longer_s=WORK_S))


def _new_code(response: Any) -> types.RecoveryCode:
    return types.RecoveryCode(response.recovery_code)


def _restored(response: Any) -> types.Restored:
    return read(types.Restored, response, done=response.restored)
