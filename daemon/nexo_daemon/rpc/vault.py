"""VaultService: state of the vault and its changes. Slow calls run on other threads."""

import itertools
import logging
from collections.abc import Callable

from nexo.connections.codec import enum_from_wire, seconds, write
from nexo.connections.errors import InvalidField, NexoError
from nexo.connections.terms import VaultState
from nexo.connections.v1 import vault_pb2 as pb
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import AutoLock, StoredState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.registry.auto_lock import AutoLocker
from nexo_daemon.registry.writer import Writer
from nexo_daemon.vault.derivation import new_recovery_code
from nexo_daemon.vault.slots import SlotKind

log = logging.getLogger(__name__)

RETRY_S = 30.0
PROVE_EVERY = 120
"""The rounds of `look_after_the_vault` from one trial of the key slot to the next: an hour."""

# Calls that may be slow: the keyring may hang, and scrypt takes half a second.
_THREADS = ThreadPool("vault", most=4)


async def look_after_the_vault(writer: Writer, clock: Clock) -> None:
    """Until cancelled, try to open a locked vault, and whether the slot of an unlocked one opens it again.

    At login the daemon may start before the keyring; and a key that was deleted there can be stored again
    only as long as the daemon has it.
    """
    for number in itertools.count(1):
        await clock.sleep(RETRY_S)
        if writer.store.vault.state is VaultState.UNLOCKED:
            if number % PROVE_EVERY == 0 and await _THREADS.run(writer.store.key_manager.prove_slot):
                if writer.store.vault.problem:
                    log.warning("the vault will not unlock again: %s", writer.store.vault.problem)
                writer.vault_changed()
        elif await _THREADS.run(writer.store.key_manager.try_quietly):
            log.info("the vault is unlocked")
            writer.vault_changed()


class VaultService:
    """Answers the calls of vault.proto, which describes each."""

    def __init__(self, writer: Writer, auto_lock: AutoLocker) -> None:
        self._writer = writer
        self._auto_lock = auto_lock

    async def GetVault(self, request: pb.GetVaultRequest) -> pb.GetVaultResponse:
        return pb.GetVaultResponse(vault=self._vault())

    async def UnlockVault(self, request: pb.UnlockVaultRequest) -> pb.UnlockVaultResponse:
        given = request.WhichOneof("words")
        passphrase = Secret(request.passphrase) if given == "passphrase" else None
        code = Secret(request.recovery_code) if given == "recovery_code" else None
        await self._change(
            lambda: self._writer.store.key_manager.unlock(passphrase=passphrase, recovery_code=code)
        )
        self._auto_lock.used()
        log.info("the vault was unlocked on request")
        return pb.UnlockVaultResponse(vault=self._vault())

    async def LockVault(self, request: pb.LockVaultRequest) -> pb.LockVaultResponse:
        self._writer.store.key_manager.lock()
        self._writer.vault_changed()
        log.info("the vault was locked on request")
        return pb.LockVaultResponse(vault=self._vault())

    async def RekeyVault(self, request: pb.RekeyVaultRequest) -> pb.RekeyVaultResponse:
        kind = enum_from_wire(SlotKind, request.slot, pb.KeySlotKind.DESCRIPTOR)
        if kind is None:
            raise InvalidField.of(
                "slot", "is unknown to this daemon", "use keyring, key_file, passphrase or systemd_credential"
            )
        passphrase = Secret(request.passphrase) if request.passphrase else None
        store, forget = self._writer.store, request.forget_secrets

        async def work() -> None:
            self._writer.require_writable()
            await self._change(
                lambda: store.key_manager.rekey(kind, passphrase=passphrase, forget_secrets=forget),
                tell=False,
            )

        await self._writer.command(work())
        if forget:
            await self._writer.reload(store.reload)
        self._writer.vault_changed()
        log.info("the vault now opens by the slot '%s'", kind)
        return pb.RekeyVaultResponse(vault=self._vault())

    async def ProposeRecoveryCode(
        self, request: pb.ProposeRecoveryCodeRequest
    ) -> pb.ProposeRecoveryCodeResponse:
        return pb.ProposeRecoveryCodeResponse(recovery_code=new_recovery_code())

    async def SetRecoveryCode(self, request: pb.SetRecoveryCodeRequest) -> pb.SetRecoveryCodeResponse:
        self._writer.require_writable()
        code = Secret(request.recovery_code)
        await _THREADS.run(lambda: self._writer.store.key_manager.set_recovery_code(code))
        self._writer.vault_changed()
        log.info("the recovery code was replaced")
        return pb.SetRecoveryCodeResponse(vault=self._vault())

    async def RotateDataKey(self, request: pb.RotateDataKeyRequest) -> pb.RotateDataKeyResponse:
        self._writer.require_writable()
        passphrase = Secret(request.passphrase) if request.passphrase else None
        store = self._writer.store
        code = Secret(request.recovery_code) if request.recovery_code else None

        def rotate() -> StoredState:
            store.key_manager.rotate(passphrase=passphrase, recovery_code=code)
            try:
                # Backups made before the rotation open only with the old key.
                store.backups.make(store.database, "rotation", self._writer.clock.now())
            except NexoError as error:
                log.warning("no backup after the rotation: %s", error.message)
            return store.reload()

        await self._writer.reload(rotate)
        log.info("the data key was rotated")
        return pb.RotateDataKeyResponse(vault=self._vault())

    async def GetAutoLock(self, request: pb.GetAutoLockRequest) -> pb.GetAutoLockResponse:
        return pb.GetAutoLockResponse(auto_lock=self._when())

    async def SetAutoLock(self, request: pb.SetAutoLockRequest) -> pb.SetAutoLockResponse:
        given = request.auto_lock
        idle_s = seconds(given.idle) if given.HasField("idle") else None
        await self._auto_lock.set(AutoLock(idle_s, given.on_suspend, given.on_screen_lock))
        log.info("auto-lock was set: %s", self._auto_lock.setting)
        return pb.SetAutoLockResponse(auto_lock=self._when())

    def _when(self) -> pb.AutoLock:
        return write(pb.AutoLock, self._auto_lock.setting, problem=self._auto_lock.problem)

    async def _change(self, work: Callable[[], None], *, tell: bool = True) -> None:
        try:
            await _THREADS.run(work)
        finally:
            if tell:
                self._writer.vault_changed()

    def _vault(self) -> pb.Vault:
        return write(pb.Vault, self._writer.store.key_manager.status())
