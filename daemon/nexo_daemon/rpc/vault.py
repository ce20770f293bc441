"""VaultService: what opens the vault, and the changes of it. Slow calls run beside the event loop."""

import logging
from collections.abc import Callable

from nexo.connections.v1 import vault_pb2 as pb
from nexo.connections.v1 import vault_pb2_grpc
from nexo_client.terms import VaultState
from nexo_client.wire import enum_to_wire, timestamp
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import DomainError, InvalidField
from nexo_daemon.domain.lanes import Lane
from nexo_daemon.domain.model import StoredState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.writer import Writer
from nexo_daemon.rpc.errors import Context, speaks_errors
from nexo_daemon.vault.slots import SlotKind

log = logging.getLogger(__name__)

RETRY_S = 30.0

# A keyring that hangs, and scrypt.
_LANE = Lane("vault", most=4)

_SLOTS = {
    SlotKind.KEYRING: pb.KEY_SLOT_KIND_KEYRING,
    SlotKind.KEY_FILE: pb.KEY_SLOT_KIND_KEY_FILE,
    SlotKind.PASSPHRASE: pb.KEY_SLOT_KIND_PASSPHRASE,
    SlotKind.SYSTEMD_CREDENTIAL: pb.KEY_SLOT_KIND_SYSTEMD_CREDENTIAL,
}


async def open_when_possible(writer: Writer, clock: Clock) -> None:
    """Until cancelled: try a locked vault again, quietly. At login the daemon may come before the keyring."""
    while True:
        await clock.sleep(RETRY_S)
        if writer.store.vault.state is not VaultState.LOCKED:
            continue
        if await _LANE.run(writer.store.custody.try_quietly):
            log.info("the vault is unlocked")
            writer.vault_changed()


@speaks_errors
class VaultService(vault_pb2_grpc.VaultServiceServicer):
    """See vault.proto."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def GetVault(  # noqa: N802
        self, request: pb.GetVaultRequest, context: Context
    ) -> pb.GetVaultResponse:
        """See vault.proto."""
        return pb.GetVaultResponse(vault=self._vault())

    async def UnlockVault(  # noqa: N802
        self, request: pb.UnlockVaultRequest, context: Context
    ) -> pb.UnlockVaultResponse:
        """See vault.proto."""
        given = request.WhichOneof("words")
        passphrase = Secret(request.passphrase) if given == "passphrase" else None
        code = Secret(request.recovery_code) if given == "recovery_code" else None
        await self._change(
            lambda: self._writer.store.custody.unlock(passphrase=passphrase, recovery_code=code)
        )
        log.info("the vault was unlocked on request")
        return pb.UnlockVaultResponse(vault=self._vault())

    async def LockVault(  # noqa: N802
        self, request: pb.LockVaultRequest, context: Context
    ) -> pb.LockVaultResponse:
        """See vault.proto."""
        self._writer.store.custody.lock()
        self._writer.vault_changed()
        log.info("the vault was locked on request")
        return pb.LockVaultResponse(vault=self._vault())

    async def RekeyVault(  # noqa: N802
        self, request: pb.RekeyVaultRequest, context: Context
    ) -> pb.RekeyVaultResponse:
        """See vault.proto."""
        kind = next((kind for kind, number in _SLOTS.items() if number == request.slot), None)
        if kind is None:
            raise InvalidField(
                "slot",
                "is none that this daemon knows",
                "use keyring, key_file, passphrase or systemd_credential",
            )
        passphrase = Secret(request.passphrase) if request.passphrase else None
        store, forget = self._writer.store, request.forget_secrets

        async def work() -> None:
            self._writer.require_writable()
            await self._change(
                lambda: store.custody.rekey(kind, passphrase=passphrase, forget_secrets=forget), tell=False
            )

        await self._writer.command(work())
        if forget:
            await self._writer.reload(store.reload)
        self._writer.vault_changed()
        log.info("the vault now opens by the slot '%s'", kind)
        return pb.RekeyVaultResponse(vault=self._vault())

    async def CreateRecoveryCode(  # noqa: N802
        self, request: pb.CreateRecoveryCodeRequest, context: Context
    ) -> pb.CreateRecoveryCodeResponse:
        """See vault.proto."""
        self._writer.require_writable()
        code = await _LANE.run(self._writer.store.custody.new_recovery_code)
        log.info("a recovery code was made")
        return pb.CreateRecoveryCodeResponse(recovery_code=code)

    async def RotateDataKey(  # noqa: N802
        self, request: pb.RotateDataKeyRequest, context: Context
    ) -> pb.RotateDataKeyResponse:
        """See vault.proto."""
        self._writer.require_writable()
        passphrase = Secret(request.passphrase) if request.passphrase else None
        store = self._writer.store
        made: list[str] = []

        def rotate() -> StoredState:
            made.append(store.custody.rotate(passphrase=passphrase))
            try:
                # The earlier backups open with the earlier key only.
                store.backups.make(store.database, "rotation", self._writer.clock.now())
            except DomainError as error:
                log.warning("no backup after the rotation: %s", error.message)
            return store.reload()

        await self._writer.reload(rotate)
        log.info("the data key was rotated")
        return pb.RotateDataKeyResponse(vault=self._vault(), recovery_code=made[0])

    async def _change(self, work: Callable[[], None], *, tell: bool = True) -> None:
        try:
            await _LANE.run(work)
        finally:
            if tell:
                self._writer.vault_changed()

    def _vault(self) -> pb.Vault:
        status = self._writer.store.custody.status()
        slot = next((number for kind, number in _SLOTS.items() if kind == status.slot), 0)
        return pb.Vault(
            state=enum_to_wire(status.state),
            slot=slot,  # type: ignore[arg-type]  # the stubs know the number as an enum only
            problem=status.problem,
            slot_made_at=timestamp(status.slot_made_at),
            data_key_made_at=timestamp(status.data_key_made_at),
            recovery_made_at=timestamp(status.recovery_made_at),
        )
