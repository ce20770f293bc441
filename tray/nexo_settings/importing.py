"""What does the import screen ask for? Look, test, take, undo; `nexo_sources` decides what is there.

A key that was found never goes to the page: it stays here, for a while, and the page names rows by their ids.
"""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import field, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit, urlunsplit

from nexo.connections.values import frozen
from nexo_client import errors, records, types
from nexo_client.aio import AsyncClient
from nexo_client.records import Record
from nexo_settings import showing
from nexo_settings.reading import JsonBody, NotUnderstood

if TYPE_CHECKING:
    # They are loaded when somebody looks: the page is there sooner without them.
    from nexo_sources.finding import Skipped
    from nexo_sources.offers import Offer, Survey

KEPT_S = 15 * 60.0
"""What was found is forgotten after this time, and with it the keys."""
MOST_ROWS = 300
"""Rows that are kept and shown; a person ticks a few."""
LOOK_S = 30.0
TEST_S = 30.0
TESTS_AT_A_TIME = 3
_MOST_UNDOS = 8
_MOST_TEXT = 400
_SHORTEST_SHOWN = 12
_SHORTEST_SECRET = 8

Answer = TypeVar("Answer")


@frozen
class Ticked:
    """One ticked row as the page sends it.

    Attributes:
        draft: the connection as the daemon takes it, key included.
        fixes: what the person agreed to, of what a test proposed.
        ticket: of the test of it; empty when there was none.
    """

    id: str
    draft: types.ConnectionDraft = field(repr=False)
    fixes: tuple[str, ...] = ()
    ticket: str = field(default="", repr=False)


class Offers:
    """What was found last, by row. Forgets after `KEPT_S`; `now` is monotonic. Belongs to one event loop."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._offers: dict[str, Offer] = {}
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, offers: "list[Offer]") -> list[str]:
        """The ids of the offers, of which at most `MOST_ROWS` are kept; what was kept before is forgotten."""
        self.forget()
        look = secrets.token_urlsafe(9)
        self._offers = {f"{look}-{number}": offer for number, offer in enumerate(offers[:MOST_ROWS])}
        self._until = self._now() + KEPT_S
        self._timer = asyncio.get_running_loop().call_later(KEPT_S, self.forget)
        return list(self._offers)

    def forget(self) -> None:
        """Keep nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._offers = None, {}

    def __getitem__(self, row: str) -> "Offer":
        if self._now() >= self._until:
            self.forget()
        try:
            return self._offers[row]
        except KeyError:
            raise NotUnderstood("what was found is kept for 15 minutes; look again") from None


class ImportCalls:
    """Answers the import screen. Belongs to one event loop."""

    def __init__(
        self, client: AsyncClient, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._now = now
        self._kept = Offers(monotonic)
        self._looking: asyncio.Future[Survey] | None = None
        self._made: dict[str, list[types.Connection]] = {}

    async def look(self, _body: JsonBody) -> Record:
        """What other programs have, by source, without a secret."""
        results = await self._survey()
        connections = await self._client.list_connections()
        return self._shown(results, connections)

    async def _survey(self) -> "Survey":
        # One at a time: a look that hangs on a dead mount is joined, not repeated.
        if self._looking is None:
            self._looking = _in_a_thread(_survey)
            self._looking.add_done_callback(self._looked)
        try:
            async with asyncio.timeout(LOOK_S):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            raise errors.DeadlineExceeded(
                f"looking for connections takes longer than {LOOK_S:.0f} s",
                hint="a directory of another computer may not answer; `nexoctl import SOURCE` looks at one",
            ) from None

    def _looked(self, done: "asyncio.Future[Survey]") -> None:
        self._looking = None
        if not done.cancelled():
            # Asked for, also when the tab that wanted it is gone.
            done.exception()

    def _shown(self, results: "Survey", connections: tuple[types.Connection, ...]) -> Record:
        from nexo_sources.finding import unique_names
        from nexo_sources.offers import offers_of

        offers = offers_of(results)
        names = unique_names(
            tuple(offer.finding for offer in offers), tuple(connection.name for connection in connections)
        )
        offers = [replace(offer, finding=named) for offer, named in zip(offers, names, strict=True)]
        said = _without(_secrets(offers))
        rows = [
            {"id": row, **_offer(offer, connections, said)}
            for row, offer in zip(self._kept.keep(offers), offers, strict=False)
        ]
        whole = iter([row for row in rows if not row["lacks"]])
        halves = iter([row for row in rows if row["lacks"]])
        sources = []
        for source, found in results:
            shown = [row for _, row in zip(found.findings, whole, strict=False)]
            left_out = []
            for skipped in found.skipped:
                row = next(halves, None) if skipped.half is not None else None
                if row is not None:
                    shown.append(row | {"reason": said(skipped.reason)})
                else:
                    left_out.append(_left_out(skipped, said))
            sources.append(
                {
                    "name": source.name,
                    "title": source.title,
                    "rows": shown,
                    "left_out": left_out[:MOST_ROWS],
                }
            )
        return {"sources": sources, "more": max(0, len(offers) - MOST_ROWS), "kept_s": KEPT_S}

    async def test(self, body: JsonBody) -> AsyncIterator[Record]:
        """Test the rows, a few at a time: a line for each layer and verdict, with the id of its row."""
        rows = self._rows(body)
        # Eight layers and a verdict a row at most.
        lines: asyncio.Queue[Record | None] = asyncio.Queue()
        room = asyncio.Semaphore(TESTS_AT_A_TIME)

        async def one(row: Ticked) -> None:
            async with room:
                lines.put_nowait({"id": row.id})
                try:
                    result = await self._client.test_draft(
                        row.draft,
                        timeout_s=TEST_S,
                        on_layer=lambda layer: lines.put_nowait({"id": row.id, "layer": records.of(layer)}),
                        fixes=row.fixes,
                        keep=True,
                    )
                except errors.NexoError as problem:
                    lines.put_nowait({"id": row.id, **showing.refusal(problem)})
                else:
                    lines.put_nowait({"id": row.id, "result": showing.result(result)})

        async def every() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for row in rows:
                        group.create_task(one(row))
            finally:
                lines.put_nowait(None)

        task = asyncio.ensure_future(every())
        try:
            while (line := await lines.get()) is not None:
                yield line
            await task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def take(self, body: JsonBody) -> Record:
        """Save the rows, one after the other; one that fails does not stop the rest."""
        rows = self._rows(body)
        made: list[types.Connection] = []
        imported, failed = [], []
        for row in rows:
            try:
                saved = await self._save(row)
            except errors.NexoError as problem:
                failed.append({"id": row.id, **showing.refusal(problem)})
                if isinstance(problem, (errors.DaemonNotRunning, errors.ShuttingDown, errors.VaultLocked)):
                    if not made:
                        raise
                    break
                continue
            made.append(saved.connection)
            imported.append({"id": row.id, **showing.saved(saved, self._now())})
        return {"imported": imported, "failed": failed, "undo": self._undoable(made) if made else ""}

    async def _save(self, row: Ticked) -> types.SavedConnection:
        if not row.ticket:
            return await self._client.create_connection(row.draft, fixes=row.fixes)
        # The name may have been typed after the test.
        renamed = types.ConnectionDraft(name=row.draft.name)
        return await self._client.create_connection(renamed, ticket=row.ticket)

    def _undoable(self, made: list[types.Connection]) -> str:
        while len(self._made) >= _MOST_UNDOS:
            del self._made[next(iter(self._made))]
        ticket = secrets.token_urlsafe(9)
        self._made[ticket] = made
        return ticket

    async def undo(self, body: JsonBody) -> Record:
        """Remove what an import made; what was changed or bound since stays, and is named."""
        made = self._made.pop(body.text("undo"), None)
        if made is None:
            raise NotUnderstood("this import was undone already, or is too old")
        removed, kept = [], []
        # The last first: the first may have become the default, which the others would then be asked to be.
        for connection in reversed(made):
            try:
                await self._remove(connection)
                removed.append(connection.name)
            except errors.ConnectionNotFound:
                continue
            except errors.NexoError as problem:
                kept.append({"name": connection.name, **showing.refusal(problem)})
        return {"removed": removed, "kept": kept}

    async def _remove(self, connection: types.Connection) -> None:
        try:
            await self._client.delete_connection(connection.name, revision=connection.revision)
        except errors.ConnectionInUse:
            bindings, _ = await self._client.list_workspaces()
            bound = any(one.connection == connection.name for one in bindings)
            # The import itself made it the default; with a workspace of its own it is the person's.
            if bound or not connection.is_default:
                raise
            await self._client.delete_connection(connection.name, force=True, revision=connection.revision)

    def _rows(self, body: JsonBody) -> list[Ticked]:
        found = [
            self._row(one)
            for one in body.objects("rows", MOST_ROWS, ("id", "name", "part", "fixes", "ticket"))
        ]
        if not found:
            raise NotUnderstood("no row is named")
        if len({row.id for row in found}) < len(found):
            raise NotUnderstood("a row is named twice")
        return found

    def _row(self, said: JsonBody) -> Ticked:
        from nexo_sources import halves
        from nexo_sources.finding import Part

        row, part = said.text("id"), said.text("part").strip()
        offer = self._kept[row]
        finding = offer.finding
        if offer.half is not None:
            if not part:
                raise NotUnderstood(f"{offer.half.lacks} is missing: it was not found, type it")
            complete = halves.with_key if offer.half.lacks is Part.KEY else halves.with_address
            finding = complete(offer.half, part)
        draft = replace(finding, name=said.text("name") or finding.name).draft()
        return Ticked(row, draft, said.texts("fixes", 16), said.text("ticket"))


def _survey() -> "Survey":
    from nexo_sources import SOURCES, survey

    # This process has dropped the provider keys of its environment (see `hardening`), and may have been
    # started from any directory.
    return survey(source for source in SOURCES if not source.of_shell)


def _in_a_thread(work: Callable[[], Answer]) -> "asyncio.Future[Answer]":
    """The answer of work that may hang in the kernel: the thread does not keep the process from ending."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as problem:  # noqa: BLE001 - told to whoever waits
            answer.set_exception(problem)

    threading.Thread(target=run, name="nexo-settings-look", daemon=True).start()
    return asyncio.wrap_future(answer)


# -- what is shown of a row


def masked(key: str) -> str:
    """A key as the page may show it: its end, if that is a small part of it."""
    return "" if not key else f"…{key[-4:]}" if len(key) >= _SHORTEST_SHOWN else "…"


def shown_address(url: str) -> str:
    """An address without what may be a secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _secrets(offers: "list[Offer]") -> set[str]:
    found = [offer.finding.api_key for offer in offers]
    values = (header.value for offer in offers for header in offer.finding.headers)
    # Many send their own address along; it would be missing from the address beside it.
    found += [value for value in values if "://" not in value]
    return {one for one in found if len(one) >= _SHORTEST_SECRET}


Said = Callable[[str], str]


def _without(hidden: set[str]) -> Said:
    """Shortens a text of another program, which may repeat its key anywhere: as a model, as a name."""
    longest_first = sorted(hidden, key=len, reverse=True)

    def said(text: str) -> str:
        for one in longest_first:
            text = text.replace(one, "…")
        # What no answer can carry is no name either.
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"

    return said


def _offer(offer: "Offer", connections: tuple[types.Connection, ...], said: Said) -> Record:
    from nexo_sources.finding import Part
    from nexo_sources.offers import existing_twin, key_words, same_place_words

    finding, half = offer.finding, offer.half
    lacks = half.lacks if half else None
    twin = "" if lacks is Part.ADDRESS else existing_twin(finding, connections)
    return {
        "name": said(finding.name),
        "place": said(finding.place),
        "provider": finding.provider.value,
        "preset": finding.preset,
        # Of half an account it would be the provider's own, which nobody said.
        "address": "" if lacks is Part.ADDRESS else said(shown_address(finding.address)),
        "key": masked(finding.api_key),
        "key_words": "" if lacks is Part.KEY else key_words(finding),
        "header_names": [said(header.name) for header in finding.headers],
        "model": said(finding.model),
        "lacks": lacks.value if lacks else "",
        "twin": said(same_place_words(twin)) if twin else "",
        "reason": "",
    }


def _left_out(skipped: "Skipped", said: Said) -> Record:
    return {"what": said(skipped.what), "place": said(skipped.place), "reason": said(skipped.reason)}
