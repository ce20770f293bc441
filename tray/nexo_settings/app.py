"""The ASGI application: handles a request from its head to the answer. `admission` accepts or refuses it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from nexo_settings import admission
from nexo_settings.files import ALWAYS, PageFile
from nexo_settings.presence import Presence
from nexo_settings.reading import JsonBody, NotUnderstood
from nexo_settings.refusals import Record, error
from nexo_settings.sessions import Sessions

if TYPE_CHECKING:
    # A slow import; the page is served before it is finished.
    from nexo_settings.answers import Answers

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MOST_TABS_LIVE = 3
"""A browser opens at most six connections to a host; tabs with a watch must not use all of them."""
_BODY_S = 10.0
_SESSION = "session"
_WATCH = "watch"


class App:
    """Answers requests of the page. Belongs to one event loop.

    Args:
        authority: `127.0.0.1:PORT`.
        files: the files of the page by path.
        sessions: the known tabs.
        presence: notes requests and open tabs.
        answers: waits until the calls can be answered; files are served before.
    """

    def __init__(
        self,
        authority: str,
        files: dict[str, PageFile],
        sessions: Sessions,
        presence: Presence,
        answers: "Callable[[], Awaitable[Answers]]",
    ) -> None:
        self._authority = authority
        self._files = files
        self._sessions = sessions
        self._presence = presence
        self._answers = answers
        self._live: list[asyncio.Event] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """See ASGI."""
        head = admission.decide(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"],
            scope["headers"],
            self._authority,
            self._files.keys(),
        )
        match head:
            case admission.PageRefusal():
                await _answer(send, head.status, error("REFUSED", head.text))
            case admission.Page():
                await _page(send, self._files[head.path], scope)
            case admission.PageRequest():
                await self._call(head, receive, send)

    async def _call(self, asked: admission.PageRequest, receive: Receive, send: Send) -> None:
        if asked.name != _SESSION and not self._sessions.knows(asked.bearer):
            text = "this tab is unknown; open the settings again"
            await _answer(send, 401, error("TAB_UNKNOWN", text))
            return
        try:
            body = JsonBody.parse(await _body(receive, asked.length))
        except NotUnderstood as problem:
            await _answer(send, 400, error("NOT_UNDERSTOOD", str(problem)))
            return
        except (TimeoutError, ConnectionError):
            return
        self._presence.touch()
        if asked.name == _SESSION:
            await self._open_session(body, send)
        elif asked.name == _WATCH:
            await self._watch(body, receive, send)
        elif (lines := (answers := await self._answers()).lines(asked.name, body)) is not None:
            await _stream(lines, receive, send)
        else:
            status, record = await answers.answer(asked.name, body)
            await _answer(send, status, record)
        self._presence.touch()

    async def _open_session(self, body: JsonBody, send: Send) -> None:
        try:
            secret = self._sessions.trade(body.text("token"))
        except NotUnderstood:
            secret = None
        if secret is None:
            text = "this address was already used, or is older than a minute"
            await _answer(send, 401, error("TOKEN_USED", text))
        else:
            await _answer(send, 200, {"secret": secret})

    async def _watch(self, body: JsonBody, receive: Receive, send: Send) -> None:
        if len(self._live) >= MOST_TABS_LIVE:
            if not body.boolean("take"):
                text = f"the settings are open in {MOST_TABS_LIVE} other tabs"
                await _answer(send, 429, error("TOO_MANY_TABS", text))
                return
            self._live.pop(0).set()
        taken = asyncio.Event()
        self._live.append(taken)
        self._presence.came()
        try:
            await _stream((await self._answers()).news(taken), receive, send)
        finally:
            self._presence.left()
            if taken in self._live:
                self._live.remove(taken)


async def _body(receive: Receive, length: int) -> bytes:
    """The body of a request.

    Raises:
        TimeoutError, ConnectionError: it does not arrive.
        NotUnderstood: it is longer than `length`.
    """
    found = bytearray()
    async with asyncio.timeout(_BODY_S):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ConnectionError
            found += message.get("body", b"")
            if len(found) > length:
                raise NotUnderstood("the body is longer than Content-Length")
            if not message.get("more_body"):
                return bytes(found)


async def _answer(send: Send, status: int, record: Record) -> None:
    await _send(send, status, "application/json", json.dumps(record, ensure_ascii=False).encode())


async def _page(send: Send, file: PageFile, scope: MutableMapping[str, Any]) -> None:
    packed = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
    content = file.packed if packed else file.content
    more = ((b"content-encoding", b"gzip"),) if packed else ()
    await _send(send, 200, file.kind, content if scope["method"] == "GET" else b"", more)


async def _send(send: Send, status: int, kind: str, content: bytes, more: Any = ()) -> None:
    length = (b"content-length", str(len(content)).encode())
    head = [(b"content-type", kind.encode()), length, *more, *ALWAYS]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": content})


async def _stream(lines: AsyncGenerator[Record, None], receive: Receive, send: Send) -> None:
    """Send one line of JSON for each record, until the records end or the tab is closed."""

    async def pump() -> None:
        async for record in lines:
            line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    head = [(b"content-type", b"application/x-ndjson"), *ALWAYS]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    tasks = {asyncio.ensure_future(pump()), asyncio.ensure_future(gone())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await lines.aclose()
