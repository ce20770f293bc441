"""The vault and the store of the daemon, for `Client.vault` and `Client.store`.

    with nexo_client.connect() as client:
        client.store.create_backup()

Programs that only use connections do not need this module. `make aio` generates `aio_administration` from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from nexo.connections.codec import enum_to_wire, read, write
from nexo.connections.v1 import store_pb2 as s
from nexo.connections.v1 import vault_pb2 as v
from nexo_client import types
from nexo_client.arguments import checked, is_utf8
from nexo_client.base_client import BaseClient
from nexo_client.calls import each, one, value
from nexo_client.errors import InvalidField
from nexo_client.workspace import is_path

PROMPT_S = 150.0
"""Additional time for a call during which the user may have to answer a dialog of the keyring."""
WORK_S = 60.0
"""Additional time for a call that derives keys or copies the store."""


@checked
class VaultCalls:
    """The calls for the vault. They raise the common errors of `Client` and those in their descriptions."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def status(self) -> types.Vault:
        """The state of the vault."""
        return self._client.ask(v.GetVaultRequest(), one(types.Vault, "vault"))

    def unlock(self, *, passphrase: str = "", recovery_code: str = "") -> types.Vault:
        """Unlocks the vault. The keyring of the desktop may show a dialog.

        Args:
            passphrase: if a passphrase opens the vault.
            recovery_code: opens the vault if its key is lost.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered
        """
        request = v.UnlockVaultRequest()
        if recovery_code:
            request.recovery_code = recovery_code
        elif passphrase:
            request.passphrase = passphrase
        return self._client.ask(request, one(types.Vault, "vault"), longer_s=PROMPT_S)

    def lock(self) -> types.Vault:
        """Locks the vault: the daemon forgets the key."""
        return self._client.ask(v.LockVaultRequest(), one(types.Vault, "vault"))

    def auto_lock(self) -> types.AutoLock:
        """The settings for locking automatically."""
        return self._client.ask(v.GetAutoLockRequest(), one(types.AutoLock, "auto_lock"))

    def set_auto_lock(self, wanted: types.AutoLock) -> types.AutoLock:
        """Changes the settings for locking automatically.

        Args:
            wanted: the new settings, all of them; `problem` is ignored.

        Raises:
            InvalidField
        """
        given = write(v.AutoLock, wanted, problem=None)
        return self._client.ask(v.SetAutoLockRequest(auto_lock=given), one(types.AutoLock, "auto_lock"))

    def rekey(
        self, slot: types.KeySlot, *, passphrase: str = "", forget_secrets: bool = False
    ) -> types.Vault:
        """Replaces the key slot; the secrets are kept.

        Args:
            slot: the kind of the new slot.
            passphrase: for a slot with a passphrase.
            forget_secrets: give up the stored secrets and create a new key, if the key is lost.

        Raises:
            VaultLocked, VaultKeyLost, SecretTampered, LimitReached
        """
        request = v.RekeyVaultRequest(
            slot=enum_to_wire(slot, v.KeySlotKind.DESCRIPTOR),
            passphrase=passphrase,
            forget_secrets=forget_secrets,
        )
        return self._client.ask(request, one(types.Vault, "vault"), longer_s=WORK_S)

    def propose_recovery_code(self) -> types.RecoveryCode:
        """A new recovery code. It becomes valid with `set_recovery_code`; until then the old one is valid."""
        return self._client.ask(v.ProposeRecoveryCodeRequest(), value(types.RecoveryCode, "recovery_code"))

    def set_recovery_code(self, code: str) -> types.Vault:
        """Makes a recovery code valid; an earlier one becomes invalid.

        Args:
            code: from `propose_recovery_code`, after the user has stored it.

        Raises:
            InvalidField, VaultLocked, VaultKeyLost, SecretTampered
        """
        request = v.SetRecoveryCodeRequest(recovery_code=code)
        return self._client.ask(request, one(types.Vault, "vault"), longer_s=WORK_S)

    def rotate(self, *, passphrase: str = "", recovery_code: str = "") -> types.Vault:
        """Re-encrypts all secrets with a new data key, in one transaction.

        Args:
            passphrase: the passphrase, if one opens the vault.
            recovery_code: the new recovery code, if there is one now; see `set_recovery_code`.

        Raises:
            InvalidField, VaultLocked, VaultKeyLost, SecretTampered
        """
        request = v.RotateDataKeyRequest(passphrase=passphrase, recovery_code=recovery_code)
        return self._client.ask(request, one(types.Vault, "vault"), longer_s=WORK_S)


@checked
class StoreCalls:
    """The calls for the store. They raise the common errors of `Client` and those in their descriptions."""

    def __init__(self, client: BaseClient) -> None:
        self._client = client

    def check(self) -> types.CheckResult:
        """Checks the structure of the store, its references and checksums, and that all secrets decrypt."""
        return self._client.ask(s.CheckStoreRequest(), partial(read, types.CheckResult), longer_s=WORK_S)

    def create_backup(self) -> types.Backup:
        """Creates a verified backup of the store, readable only by this user.

        Raises:
            StoreFull
        """
        return self._client.ask(s.CreateBackupRequest(), one(types.Backup, "backup"), longer_s=WORK_S)

    def backups(self) -> tuple[types.Backup, ...]:
        """The backups, newest first."""
        return self._client.ask(s.ListBackupsRequest(), each(types.Backup, "backups"))

    def restore(
        self, name: str | os.PathLike[str] = "", *, dry_run: bool = False, empty: bool = False
    ) -> types.Restored:
        """Replaces the store by a backup, after checking the backup and decrypting its secrets.

        Args:
            name: the name of a backup, or the path of a copy of the store (a `Path`, or a string that starts
                with "~" or contains a separator); empty for the newest backup.
            dry_run: only check the backup.
            empty: create an empty store instead, if the store is gone.

        Raises:
            InvalidField: there is no such backup.
            DaemonFailed: the backup is damaged; nothing was changed.
        """
        request = s.RestoreBackupRequest(name=backup_name(name), dry_run=dry_run, empty=empty)
        return self._client.ask(request, _restored, longer_s=WORK_S)

    def export(self, *, passphrase: str = "") -> types.Export:
        """Exports the configuration.

        Args:
            passphrase: include the secrets, encrypted with it; without one they are left out.

        Raises:
            InvalidField: the passphrase is too short.
            VaultLocked, VaultKeyLost, SecretTampered: the secrets cannot be decrypted.
        """
        request = s.ExportConnectionsRequest(passphrase=passphrase)
        return self._client.ask(request, partial(read, types.Export), longer_s=WORK_S)

    def import_document(
        self,
        document: bytes,
        *,
        passphrase: str = "",
        dry_run: bool = False,
        overwrite: bool = False,
        consents: Iterable[str] = (),
    ) -> tuple[types.ImportStep, ...]:
        """Merges an export into the configuration. Nothing is removed; after an error nothing was changed.

        Args:
            document: the content of the export.
            passphrase: the passphrase of the export; empty if it has none.
            dry_run: only report the steps, as if all consents were given.
            overwrite: change existing entries; otherwise they are kept, and the step lists the differences.
            consents: ids from `ImportStep.needs` of a dry run to which the user agreed.

        Raises:
            InvalidField: the document is not an export, or the passphrase is wrong.
            StoreFailed: the store could not be written.
            VaultLocked, VaultKeyLost: the export has secrets, and they cannot be encrypted.
        """
        request = s.ImportConnectionsRequest(
            document=document, passphrase=passphrase, dry_run=dry_run, overwrite=overwrite, consents=consents
        )
        return self._client.ask(request, each(types.ImportStep, "steps"), longer_s=WORK_S)


def backup_name(name: str | os.PathLike[str]) -> str:
    """The name of a backup as it is, or the absolute path of a copy of the store.

    Raises:
        InvalidField: the current directory is gone, or the path is not UTF-8.
    """
    if isinstance(name, str) and not is_path(name):
        return name
    try:
        whole = str(Path(os.path.expanduser(name)).absolute())  # noqa: PTH111 - leaves an unknown user alone
    except FileNotFoundError:
        raise InvalidField.of("name", "the current directory is gone", "give the whole path") from None
    if not is_utf8(whole):
        raise InvalidField.of("name", "the path is not UTF-8", "rename the file, or make a link to it")
    return whole


def _restored(response: Any) -> types.Restored:
    return read(types.Restored, response, done=response.restored)
