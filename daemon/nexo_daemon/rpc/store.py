"""StoreService: checks, backups, restores, export and import."""

import logging

from nexo.connections import paths
from nexo.connections.codec import write
from nexo.connections.errors import StoreFailed
from nexo.connections.model.store import Restored
from nexo.connections.terms import ImportAction
from nexo.connections.v1 import store_pb2 as pb
from nexo_daemon.domain.model import ClientInfo, Credentials, HandoutRecord, StoredState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.registry.document import read_document, write_document
from nexo_daemon.registry.imports import bring_in, preview
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.store import maintenance
from nexo_daemon.store.backups import BackupFile
from nexo_daemon.store.files import StoreUnusable

log = logging.getLogger(__name__)

_FILES = ThreadPool("files", most=4)
# scrypt takes half a second and 128 MB, or four times both if the document demands it.
_DERIVING = ThreadPool("deriving", most=1)


class StoreService:
    """Answers the calls of store.proto, which describes each."""

    def __init__(self, registry: Registry, journal: Journal) -> None:
        self._registry = registry
        self._journal = journal
        self._store = registry.store

    async def CheckStore(self, request: pb.CheckStoreRequest) -> pb.CheckStoreResponse:
        report = await self._registry.on_store_thread(lambda: maintenance.check(self._store))
        return pb.CheckStoreResponse(
            problems=map(paths.shown, report.problems),
            seals_checked=report.seals_checked,
            connections=report.connections,
            secrets=report.secrets,
        )

    async def CreateBackup(self, request: pb.CreateBackupRequest) -> pb.CreateBackupResponse:
        await self._journal.flush()
        made = await self._registry.on_store_thread(
            lambda: maintenance.backup(self._store, self._registry.clock)
        )
        log.info("backup %s", made.name)
        return pb.CreateBackupResponse(backup=_backup(made))

    async def ListBackups(self, request: pb.ListBackupsRequest) -> pb.ListBackupsResponse:
        found = await _FILES.join("backups", self._store.backups.list)
        return pb.ListBackupsResponse(backups=[_backup(one) for one in found])

    async def RestoreBackup(self, request: pb.RestoreBackupRequest) -> pb.RestoreBackupResponse:
        if request.empty:
            return await self._begin_anew()
        await self._journal.flush()
        reports: list[Restored] = []

        def work() -> StoredState:
            report, state = maintenance.restore(
                self._store, request.name, clock=self._registry.clock, dry_run=request.dry_run
            )
            reports.append(report)
            return state

        if request.dry_run:
            await self._registry.on_store_thread(work)
        else:
            await self._registry.reload(work)
            log.warning("the store was restored from %s", reports[0].path)
        return write(pb.RestoreBackupResponse, reports[0], restored=reports[0].done)

    async def _begin_anew(self) -> pb.RestoreBackupResponse:
        try:
            await self._registry.reload(self._store.begin_anew)
        except StoreUnusable as error:
            raise StoreFailed(error.message, hint=error.hint) from None
        log.warning("an empty store was made, because the earlier one is gone: %s", self._store.path)
        return pb.RestoreBackupResponse(path=paths.shown(self._store.path), restored=True)

    async def ExportConnections(self, request: pb.ExportConnectionsRequest) -> pb.ExportConnectionsResponse:
        snapshot = self._registry.snapshot
        passphrase = Secret(request.passphrase)
        credentials: dict[str, Credentials] | None = None
        secrets = 0
        if passphrase:
            credentials = {one.id: self._store.unseal(one) for one in snapshot.connections.values()}
            secrets = sum(
                (one.api_key is not None) + len(one.headers) + (one.proxy_credentials is not None)
                for one in credentials.values()
            )
        now = self._registry.clock.now()
        # scrypt takes half a second, intentionally.
        document = await _DERIVING.run(lambda: write_document(snapshot, credentials, passphrase, now))
        if credentials:
            for one in snapshot.connections.values():
                self._journal.handout(HandoutRecord(now, one.id, one.name, "ExportConnections", ClientInfo()))
            await self._journal.flush()
        return pb.ExportConnectionsResponse(
            document=document, connections=len(snapshot.connections), secrets=secrets
        )

    async def ImportConnections(self, request: pb.ImportConnectionsRequest) -> pb.ImportConnectionsResponse:
        document = await _DERIVING.run(lambda: read_document(request.document, Secret(request.passphrase)))
        overwrite = request.overwrite
        if request.dry_run:
            steps = await _DERIVING.run(lambda: preview(self._registry, document, overwrite=overwrite))
        else:
            consents = frozenset(request.consents)
            steps = await bring_in(self._registry, document, overwrite=overwrite, consents=consents)
            log.info("imported %d of %d entries", sum(s.does_something for s in steps), len(steps))
        taken = any(s.does_something for s in steps) or all(s.action is ImportAction.KEEP for s in steps)
        return pb.ImportConnectionsResponse(
            steps=[write(pb.ImportStep, one) for one in steps], imported=taken and not request.dry_run
        )


def _backup(one: BackupFile) -> pb.StoreBackup:
    return write(pb.StoreBackup, one, path=paths.shown(one.path), size_bytes=one.size)
