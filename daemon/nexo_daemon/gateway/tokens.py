"""Tokens of the gateway: those of runs, valid while their process lives, and named ones, valid until revoked.

The store holds only digests. A token is looked up by its digest, so the stored data reveals no token, and the
time of the look-up reveals nothing either. The connection of a token is resolved for every request.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from nexo.connections import names
from nexo.connections.errors import InvalidField, LimitReached, NameTaken, NexoError, TokenNotFound
from nexo.connections.processes import born
from nexo.connections.ranges import LONGEST_TOKEN_S
from nexo.connections.terms import TOKEN_PREFIX
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.gateway import NamedToken, StoredRun
from nexo_daemon.domain.model import ClientInfo, WorkspaceKey
from nexo_daemon.gateway.process_watch import ProcessWatch
from nexo_daemon.registry.resolution import Question
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store import gateway_rows
from nexo_gateway.model_name import ALIAS

if TYPE_CHECKING:
    from nexo_daemon.store.writing import Writing

log = logging.getLogger(__name__)

RUN_LIMIT = 4096
NAMED_LIMIT = 1000
NAME_LIMIT = 100
MODELS_REMEMBERED = 16
RECENT = timedelta(hours=1)


@dataclass
class Bearer:
    """The owner of a token, and recent use. Lives as long as the token."""

    id: str
    question: Question
    created_at: datetime
    named: NamedToken | None = None
    client: ClientInfo | None = None
    program: str = ""
    dialect: str = ""
    connection_name: str = ""
    models: dict[str, datetime] = field(default_factory=dict)
    requests: int = 0
    open: int = 0
    last_at: datetime | None = None

    def recent_models(self, now: datetime) -> list[str]:
        """The models that it asked for within the last hour."""
        return [model for model, at in self.models.items() if now - at <= RECENT]

    def asked_for(self, model: str, now: datetime) -> None:
        """Remember a model for an hour; the name of the default model is not remembered."""
        if model == ALIAS:
            return
        self.models.pop(model, None)
        self.models[model] = now
        while len(self.models) > MODELS_REMEMBERED:
            del self.models[next(iter(self.models))]


class Tokens:
    """All bearers, by the digest of their tokens."""

    def __init__(self, writer: Writer, processes: ProcessWatch, clock: Clock) -> None:
        self._writer = writer
        self._processes = processes
        self._clock = clock
        self._bearers: dict[bytes, Bearer] = {}
        self._by_id: dict[str, Bearer] = {}
        self._errands: set[asyncio.Future[None]] = set()
        # Ends the open requests of a bearer; returns their number. Set by the server.
        self.cut: Callable[[str], int] = lambda _: 0
        writer.listen_to_reload(self.load)

    def changed(self) -> None:
        """Tell the watchers that the programs behind the gateway have changed."""
        self._writer.status_changed()

    async def load(self) -> None:
        """Replace the named tokens by those in the store, and resume runs whose processes live."""
        found: list[NamedToken] = []
        runs: list[StoredRun] = []
        try:
            found, runs = await self._writer.on_store_thread(self._read)
        except NexoError as error:
            log.warning("the tokens of the gateway cannot be read: %s", error.message)
        known = {b.id: b for b in self._bearers.values() if b.named is not None}
        kept = {digest: b for digest, b in self._bearers.items() if b.named is None}
        for token in found:
            bearer = known.pop(token.id, None)
            kept[token.digest] = _bearer_of(token) if bearer is None or bearer.named != token else bearer
        self._bearers = kept
        self._by_id = {bearer.id: bearer for bearer in kept.values()}
        for bearer in known.values():
            self.cut(bearer.id)
        for run in runs:
            await self._take_up(run)

    def _read(self) -> tuple[list[NamedToken], list[StoredRun]]:
        if not self._writer.store.database.is_open:
            return [], []
        with self._writer.store.database.reading() as db:
            return gateway_rows.tokens(db), gateway_rows.runs(db)

    async def _take_up(self, run: StoredRun) -> None:
        """Resume a run from before a restart of the daemon, if it is still the same process."""
        if run.id in self._by_id:
            return
        question = Question(run.workspace, run.connection, run.environment_connection)
        bearer = Bearer(run.id, question, run.created_at, client=run.client)
        same = bool(run.born) and born(run.client.pid) == run.born
        if not (same and self._processes.watch(run.client.pid, lambda: self._gone(run.digest, bearer))):
            await self._forget_run(run.id)
            return
        self._add(run.digest, bearer)

    def bearer(self, token: str) -> Bearer | None:
        """The bearer of a token; None if it is unknown, revoked or expired."""
        bearer = self._bearers.get(_digest(token))
        return bearer if bearer is not None and self._is_good(bearer) else None

    def holder(self, bearer_id: str) -> Bearer | None:
        """The bearer with that id; None if its token is revoked or expired, or its process has ended."""
        bearer = self._by_id.get(bearer_id)
        return bearer if bearer is not None and self._is_good(bearer) else None

    def _is_good(self, bearer: Bearer) -> bool:
        expires = bearer.named.expires_at if bearer.named is not None else None
        return expires is None or self._clock.now() < expires

    def users(self) -> list[Bearer]:
        """Runs, and named tokens that were used within the last hour."""
        now = self._clock.now()
        return [
            bearer
            for bearer in self._bearers.values()
            if bearer.named is None
            or bearer.open
            or (bearer.last_at is not None and now - bearer.last_at <= RECENT)
        ]

    def named(self) -> list[Bearer]:
        """The named ones, the oldest first."""
        return [bearer for bearer in self._bearers.values() if bearer.named is not None]

    async def mint(self, question: Question, client: ClientInfo) -> str:
        """Create a token for a run, valid while its process lives.

        Raises:
            InvalidField: there is no such process.
            LimitReached
        """
        if sum(1 for bearer in self._bearers.values() if bearer.named is None) >= RUN_LIMIT:
            raise LimitReached(f"{RUN_LIMIT} programs run with tokens already", hint="end some of them")
        token, digest = _fresh()
        bearer = Bearer(uuid.uuid4().hex, question, self._clock.now(), client=client)
        if not self._processes.watch(client.pid, lambda: self._gone(digest, bearer)):
            raise InvalidField.of(
                "client.pid", f"there is no process {client.pid} here", "give the id of a running process"
            )
        self._add(digest, bearer)
        run = StoredRun(
            bearer.id,
            digest,
            question.workspace,
            question.connection,
            question.environment_connection,
            client,
            born(client.pid),
            bearer.created_at,
        )
        try:
            await self._write(lambda db: gateway_rows.put_run(db, run))
        except NexoError as error:
            log.warning("a run will be unknown after a restart of the daemon: %s", error.message)
        return token

    def _gone(self, digest: bytes, bearer: Bearer) -> None:
        self._end(digest, bearer)
        task = asyncio.ensure_future(self._forget_run(bearer.id))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _forget_run(self, run_id: str) -> None:
        with contextlib.suppress(NexoError):
            await self._write(lambda db: gateway_rows.delete_token(db, run_id))

    async def create(
        self,
        name: str,
        *,
        workspace: WorkspaceKey | None = None,
        connection: str = "",
        lifetime: timedelta | None = None,
    ) -> tuple[Bearer, str]:
        """Create a named token; the token itself is returned only this once.

        Raises:
            InvalidField, NameTaken, LimitReached, ConnectionNotFound, StoreReadOnly, StoreFull, StoreFailed
        """
        _check_name(name)
        if lifetime is not None and not 0 < lifetime.total_seconds() <= LONGEST_TOKEN_S:
            raise InvalidField.of(
                "lifetime", "has to be more than zero and at most ten years", "for example 90d"
            )

        async def work() -> tuple[Bearer, str]:
            named = self.named()
            if any(_is_called(one, name) for one in named):
                raise NameTaken(
                    f"name: there is a token '{name}' already",
                    hint=f"choose another name, or revoke it first: nexoctl token revoke '{name}'",
                    metadata={"field": "name", "name": name},
                )
            if len(named) >= NAMED_LIMIT:
                raise LimitReached(f"there are {NAMED_LIMIT} tokens", hint="revoke some first")
            found = self._writer.snapshot.get(connection) if connection else None
            token, digest = _fresh()
            now = self._clock.now()
            row = NamedToken(
                id=uuid.uuid4().hex,
                name=name,
                digest=digest,
                workspace=workspace,
                connection_id=found.id if found else "",
                connection_name=found.name if found else "",
                created_at=now,
                expires_at=now + lifetime if lifetime else None,
            )
            await self._write(lambda db: gateway_rows.put_token(db, row))
            bearer = _bearer_of(row)
            self._add(digest, bearer)
            return bearer, token

        return await self._writer.command(work())

    async def revoke(self, name: str) -> int:
        """Revoke a named token and end its open requests; returns their number.

        Raises:
            TokenNotFound, StoreReadOnly, StoreFull, StoreFailed
        """

        async def work() -> int:
            found = [one for one in self._bearers.items() if _is_called(one[1], name)]
            if not found:
                raise TokenNotFound(
                    f"there is no token '{name}'", hint="see 'nexoctl token list'", metadata={"name": name}
                )
            digest, bearer = found[0]
            await self._write(lambda db: gateway_rows.delete_token(db, bearer.id))
            return self._end(digest, bearer)

        return await self._writer.command(work())

    def _add(self, digest: bytes, bearer: Bearer) -> None:
        self._bearers[digest] = self._by_id[bearer.id] = bearer
        self.changed()

    def _end(self, digest: bytes, bearer: Bearer) -> int:
        self._bearers.pop(digest, None)
        self._by_id.pop(bearer.id, None)
        self.changed()
        return self.cut(bearer.id)

    async def _write(self, write: Callable[["Writing"], None]) -> None:
        self._writer.require_writable()

        def work() -> None:
            with self._writer.store.database.begin() as db:
                write(db)

        await self._writer.on_store_thread(work)


def _fresh() -> tuple[str, bytes]:
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return token, _digest(token)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _bearer_of(token: NamedToken) -> Bearer:
    question = Question(workspace=token.workspace, connection=token.connection_id)
    return Bearer(token.id, question, token.created_at, named=token, last_at=token.last_used_at)


def _is_called(bearer: Bearer, name: str) -> bool:
    return bearer.named is not None and names.key(bearer.named.name) == names.key(name)


def _check_name(name: str) -> None:
    if not name.strip() or name != name.strip():
        raise InvalidField.of("name", "is empty or has white space around it", "name the program: cursor")
    if problem := names.invisible(name):
        raise InvalidField.of("name", problem, "choose another one")
    if len(name) > NAME_LIMIT:
        text = f"has {len(name)} characters"
        raise InvalidField.of("name", text, f"use at most {NAME_LIMIT}")
