"""The calls of the import screen: look, test, take, undo. `nexo_sources` finds the connections.

A found key is never sent to the page. It is kept here for a limited time, and the page refers to rows by ids.
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
    # Imported on the first look, so that the page starts faster.
    from nexo_sources.finding import Skipped
    from nexo_sources.offers import Offer, Survey

KEPT_S = 15 * 60.0
"""Results, including the keys, are forgotten after this time."""
MOST_ROWS = 300
"""The maximum number of rows that are kept and shown."""
LOOK_S = 30.0
TESTS_AT_A_TIME = 3
_MOST_UNDOS = 8
_MOST_TEXT = 400
_SHORTEST_SHOWN = 12
_SHORTEST_SECRET = 8

Answer = TypeVar("Answer")


@frozen
class Ticked:
    """One ticked row that the page sent.

    Attributes:
        draft: the draft for the daemon, including the key.
        fixes: the suggestions of a test that the user accepted.
        ticket: the ticket of its test; empty if it was not tested.
    """

    id: str
    draft: types.ConnectionDraft = field(repr=False)
    fixes: tuple[str, ...] = ()
    ticket: str = field(default="", repr=False)


class Offers:
    """The results of the last look by row id, kept for `KEPT_S`. Belongs to one event loop.

    Args:
        now: a monotonic clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._offers: dict[str, Offer] = {}
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def keep(self, offers: "list[Offer]") -> list[str]:
        """Keep at most `MOST_ROWS` offers, forget earlier ones, and return the ids."""
        self.forget()
        look = secrets.token_urlsafe(9)
        self._offers = {f"{look}-{number}": offer for number, offer in enumerate(offers[:MOST_ROWS])}
        self._until = self._now() + KEPT_S
        self._timer = asyncio.get_running_loop().call_later(KEPT_S, self.forget)
        return list(self._offers)

    def forget(self) -> None:
        """Forget all offers."""
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
    """Answers the calls of the import screen. Belongs to one event loop."""

    def __init__(
        self, client: AsyncClient, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._client = client
        self._now = now
        self._kept = Offers(monotonic)
        self._looking: asyncio.Future[Survey] | None = None
        self._made: dict[str, list[types.Connection]] = {}

    async def look(self, _body: JsonBody) -> Record:
        """The connections of other programs by source, without secrets."""
        results = await self._survey()
        connections = await self._client.list_connections()
        return self._shown(results, connections)

    async def _survey(self) -> "Survey":
        # Only one search runs at a time: if it hangs on a dead mount, later calls wait for the same one.
        if self._looking is None:
            self._looking = _in_a_thread(_survey)
            self._looking.add_done_callback(self._looked)
        try:
            async with asyncio.timeout(LOOK_S):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            raise errors.DeadlineExceeded(
                f"looking for connections takes longer than {LOOK_S:.0f} s",
                hint="a network directory may not respond; `nexoctl import SOURCE` searches one source",
            ) from None

    def _looked(self, done: "asyncio.Future[Survey]") -> None:
        self._looking = None
        if not done.cancelled():
            # Retrieve the exception even if no tab waits for it, so that asyncio does not log it.
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
        incomplete = iter([row for row in rows if row["lacks"]])
        sources = []
        for source, found in results:
            shown = [row for _, row in zip(found.findings, whole, strict=False)]
            left_out = []
            for skipped in found.skipped:
                row = next(incomplete, None) if skipped.incomplete is not None else None
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
        """Test rows, a few at a time: a line for each layer and result, with the id of the row."""
        rows = self._rows(body)
        # Unbounded, because a row has at most eight layers and a result.
        lines: asyncio.Queue[Record | None] = asyncio.Queue()
        room = asyncio.Semaphore(TESTS_AT_A_TIME)

        async def one(row: Ticked) -> None:
            async with room:
                lines.put_nowait({"id": row.id})
                try:
                    result = await self._client.test_draft(
                        row.draft,
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
        """Save rows one after the other; a failed one does not stop the others."""
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
        """Delete the connections that an import created. Those that were changed or bound since are kept."""
        made = self._made.pop(body.text("undo"), None)
        if made is None:
            raise NotUnderstood("this import was already undone, or is too old")
        removed, kept = [], []
        # In reverse order, because the first one may have become the default, which has to be replaced.
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
            # A default that the import created may be deleted; a bound connection may not.
            if bound or not connection.is_default:
                raise
            await self._client.delete_connection(connection.name, force=True, revision=connection.revision)

    def _rows(self, body: JsonBody) -> list[Ticked]:
        found = [
            self._row(one)
            for one in body.objects("rows", MOST_ROWS, ("id", "name", "part", "fixes", "ticket"))
        ]
        if not found:
            raise NotUnderstood("rows is empty")
        if len({row.id for row in found}) < len(found):
            raise NotUnderstood("rows contains an id twice")
        return found

    def _row(self, said: JsonBody) -> Ticked:
        from nexo_sources import completing
        from nexo_sources.finding import Part

        row, part = said.text("id"), said.text("part").strip()
        offer = self._kept[row]
        finding = offer.finding
        if offer.incomplete is not None:
            if not part:
                raise NotUnderstood(f"{offer.incomplete.lacks} is missing: it was not found, type it")
            complete = completing.with_key if offer.incomplete.lacks is Part.KEY else completing.with_address
            finding = complete(offer.incomplete, part)
        draft = replace(finding, name=said.text("name") or finding.name).draft()
        return Ticked(row, draft, said.texts("fixes", 16), said.text("ticket"))


def _survey() -> "Survey":
    from nexo_sources import SOURCES, survey

    # Sources that depend on the shell are left out: this process has removed provider keys from its
    # environment (see `hardening`), and its current directory is arbitrary.
    return survey(source for source in SOURCES if not source.of_shell)


def _in_a_thread(work: Callable[[], Answer]) -> "asyncio.Future[Answer]":
    """Run work that may hang in the kernel on a daemon thread, so that the process can end meanwhile."""
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as problem:  # noqa: BLE001 - raised in the waiting coroutine
            answer.set_exception(problem)

    threading.Thread(target=run, name="nexo-settings-look", daemon=True).start()
    return asyncio.wrap_future(answer)


# -- how a row is shown


def masked(key: str) -> str:
    """A key in the form that the page may show: only its end, and only if it is long enough."""
    return "" if not key else f"…{key[-4:]}" if len(key) >= _SHORTEST_SHOWN else "…"


def shown_address(url: str) -> str:
    """An address without its user name, password, query and fragment, which may contain a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def _secrets(offers: "list[Offer]") -> set[str]:
    found = [offer.finding.api_key for offer in offers]
    values = (header.value for offer in offers for header in offer.finding.headers)
    # Header values that are addresses are not secret; hiding them would also hide the address of the row.
    found += [value for value in values if "://" not in value]
    return {one for one in found if len(one) >= _SHORTEST_SECRET}


Said = Callable[[str], str]


def _without(hidden: set[str]) -> Said:
    """A function that removes secrets from a text and shortens it; even a name may contain a key."""
    longest_first = sorted(hidden, key=len, reverse=True)

    def said(text: str) -> str:
        for one in longest_first:
            text = text.replace(one, "…")
        # JSON in UTF-8 cannot contain surrogates.
        text = text.encode("utf-8", "replace").decode()
        return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"

    return said


def _offer(offer: "Offer", connections: tuple[types.Connection, ...], said: Said) -> Record:
    from nexo_sources.finding import Part
    from nexo_sources.offers import existing_twin, key_words, same_place_words

    finding, incomplete = offer.finding, offer.incomplete
    lacks = incomplete.lacks if incomplete else None
    twin = "" if lacks is Part.ADDRESS else existing_twin(finding, connections)
    return {
        "name": said(finding.name),
        "place": said(finding.place),
        "provider": finding.provider.value,
        "preset": finding.preset,
        # If the address is missing, `finding.address` would be the provider's default.
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
