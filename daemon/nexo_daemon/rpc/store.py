"""StoreService: checks, backups, restores, export and import."""

import logging

from nexo.connections.v1 import store_pb2 as pb
from nexo.connections.v1 import store_pb2_grpc
from nexo_client.terms import VaultState
from nexo_client.wire import timestamp
from nexo_daemon.domain.errors import DomainError
from nexo_daemon.domain.lanes import Lane
from nexo_daemon.domain.model import ClientInfo, Credentials, Handout, StoredState
from nexo_daemon.domain.secret import Secret
from nexo_daemon.registry.document import read_document, write_document
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.merging import Action, Step, plan_import
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.routing import Routing
from nexo_daemon.rpc.errors import Context, speaks_errors
from nexo_daemon.store import care
from nexo_daemon.store.backups import Backup

log = logging.getLogger(__name__)

_FILES = Lane("files", most=4)
# Each takes a core and some memory for half a second.
_DERIVING = Lane("deriving", most=2)

_ACTIONS = {
    Action.ADD: pb.IMPORT_ACTION_ADD,
    Action.CHANGE: pb.IMPORT_ACTION_CHANGE,
    Action.KEEP: pb.IMPORT_ACTION_KEEP,
    Action.SKIP: pb.IMPORT_ACTION_SKIP,
}


@speaks_errors
class StoreService(store_pb2_grpc.StoreServiceServicer):
    """See store.proto."""

    def __init__(self, registry: Registry, routing: Routing, journal: Journal) -> None:
        self._registry = registry
        self._routing = routing
        self._journal = journal
        self._store = registry.store

    async def CheckStore(  # noqa: N802
        self, request: pb.CheckStoreRequest, context: Context
    ) -> pb.CheckStoreResponse:
        """See store.proto."""
        report = await self._registry.on_store_thread(lambda: care.check(self._store))
        return pb.CheckStoreResponse(
            problems=report.problems,
            seals_checked=report.seals_checked,
            connections=report.connections,
            secrets=report.secrets,
        )

    async def CreateBackup(  # noqa: N802
        self, request: pb.CreateBackupRequest, context: Context
    ) -> pb.CreateBackupResponse:
        """See store.proto."""
        await self._journal.flush()
        made = await self._registry.on_store_thread(lambda: care.backup(self._store, self._registry.clock))
        log.info("backup %s", made.name)
        return pb.CreateBackupResponse(backup=_backup(made))

    async def ListBackups(  # noqa: N802
        self, request: pb.ListBackupsRequest, context: Context
    ) -> pb.ListBackupsResponse:
        """See store.proto."""
        found = await _FILES.join("backups", self._store.backups.list)
        return pb.ListBackupsResponse(backups=[_backup(one) for one in found])

    async def RestoreBackup(  # noqa: N802
        self, request: pb.RestoreBackupRequest, context: Context
    ) -> pb.RestoreBackupResponse:
        """See store.proto."""
        await self._journal.flush()
        reports: list[care.RestoreReport] = []

        def work() -> StoredState:
            report, state = care.restore(
                self._store, request.name, clock=self._registry.clock, dry_run=request.dry_run
            )
            reports.append(report)
            return state

        if request.dry_run:
            await self._registry.on_store_thread(work)
        else:
            await self._registry.reload(work)
            log.warning("the store was restored from %s", reports[0].source)
        return pb.RestoreBackupResponse(
            path=str(reports[0].source),
            connections=reports[0].connections,
            secrets=reports[0].secrets,
            restored=reports[0].done,
        )

    async def ExportConnections(  # noqa: N802
        self, request: pb.ExportConnectionsRequest, context: Context
    ) -> pb.ExportConnectionsResponse:
        """See store.proto."""
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
        # scrypt takes half a second on purpose.
        document = await _DERIVING.run(lambda: write_document(snapshot, credentials, passphrase, now))
        if credentials:
            for one in snapshot.connections.values():
                self._journal.handout(Handout(now, one.id, one.name, "ExportConnections", ClientInfo()))
        return pb.ExportConnectionsResponse(
            document=document, connections=len(snapshot.connections), secrets=secrets
        )

    async def ImportConnections(  # noqa: N802
        self, request: pb.ImportConnectionsRequest, context: Context
    ) -> pb.ImportConnectionsResponse:
        """See store.proto."""
        document = await _DERIVING.run(lambda: read_document(request.document, Secret(request.passphrase)))
        steps = plan_import(
            document, self._registry.snapshot, self._present_secrets(), overwrite=request.overwrite
        )
        if not request.dry_run:
            self._registry.require_writable()
            steps = tuple([await self._apply(step) for step in steps])
            log.info("imported %d entries", sum(s.action in (Action.ADD, Action.CHANGE) for s in steps))
        return pb.ImportConnectionsResponse(
            steps=[
                pb.ImportStep(action=_ACTIONS[step.action], kind=step.kind, name=step.name, text=step.text)
                for step in steps
            ],
            imported=not request.dry_run,
        )

    def _present_secrets(self) -> dict[str, Credentials]:
        if self._store.vault.state is not VaultState.UNLOCKED:
            return {}
        found = {}
        for one in self._registry.snapshot.connections.values():
            try:
                found[one.id] = self._store.unseal(one)
            except DomainError:
                continue
        return found

    async def _apply(self, step: Step) -> Step:
        if step.action not in (Action.ADD, Action.CHANGE):
            return step
        try:
            if step.kind == "connection" and step.draft is not None:
                if step.action is Action.ADD:
                    await self._registry.create(step.draft)
                else:
                    await self._registry.update(step.name, step.draft)
            elif step.kind == "binding" and step.binding is not None:
                workspace, allow = step.binding
                await self._routing.bind(workspace, step.text, allow_fallback=allow)
            elif step.kind == "default":
                await self._routing.set_default(step.name)
            elif step.kind == "fallback":
                await self._routing.set_fallback(step.fallback)
        except DomainError as error:
            return Step(Action.SKIP, step.kind, step.name, error.message)
        return step


def _backup(one: Backup) -> pb.StoreBackup:
    return pb.StoreBackup(
        name=one.name, path=str(one.path), at=timestamp(one.at), reason=one.reason, size_bytes=one.size
    )
