"""Followers: programs that are told at once when their connection changes.

Level-triggered: a stream is woken, reads the present state and sends that. A slow reader skips the states in
between, never sees an older revision after a newer one, and nothing queues up. A key that is kept outside the
store is fetched in a task of its own, so that the stream serves its other followers meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

from nexo.connections.codec import timestamp, write
from nexo.connections.errors import InvalidField, LimitReached, NexoError, RetryLater, ShuttingDown
from nexo.connections.terms import FOLLOWERS_PER_STREAM
from nexo.connections.v1 import workspace_pb2
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import ClientInfo
from nexo_daemon.registry.resolution import Question
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.bounds import check_bounds
from nexo_daemon.rpc.drafts import client_info, question_of
from nexo_daemon.rpc.errors import Send
from nexo_daemon.rpc.resolver import RECORDED_WITHIN_S, ResolvedAnswer, Resolver
from nexo_daemon.rpc.shares import Shares

STREAM_LIMIT = 4096
STREAMS_OF_A_PROGRAM = 1024


@dataclass(frozen=True)
class LookUp:
    """A running fetch of a key that is needed for the answer to a question.

    Attributes:
        signature: of the expected answer.
        since: the revision that made the fetch necessary.
    """

    task: asyncio.Task[ResolvedAnswer]
    signature: object
    since: int


@dataclass(eq=False)
class FollowSession:
    """The stream of one process that follows."""

    client: ClientInfo
    connected_at: datetime
    questions: dict[int, Question] = field(default_factory=dict)
    sent: dict[int, object] = field(default_factory=dict)
    look_ups: dict[Question, LookUp] = field(default_factory=dict)
    # Revisions of messages that the program has not acknowledged, oldest first. A switch may take several
    # messages, so a revision may occur more than once. Bounded, because some programs never acknowledge.
    unapplied: deque[int] = field(default_factory=lambda: deque(maxlen=FOLLOWERS_PER_STREAM))
    acknowledged: int = 0
    dirty: bool = True
    sending: bool = False
    # The client closed its side, or the daemon is ending the stream with an error.
    done: bool = False
    error: NexoError | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, follower: int, question: Question | None) -> None:
        """Set the question of a follower; None removes the follower."""
        if question is None:
            self.questions.pop(follower, None)
        else:
            self.questions[follower] = question
        self.sent.pop(follower, None)

    def has_applied(self, revision: int) -> bool:
        """Whether the program was sent everything up to `revision`, and has applied it."""
        if self.applied >= revision:
            return True
        # A fetch that an earlier change made necessary does not count.
        waited_for = any(look_up.since >= revision for look_up in self.look_ups.values())
        return not (self.dirty or self.sending or self.unapplied or waited_for)

    @property
    def applied(self) -> int:
        """The newest revision whose messages were all applied."""
        if self.unapplied:
            return min(self.acknowledged, self.unapplied[0] - 1)
        # More messages with the same revision may follow.
        return self.acknowledged - 1 if self.sending else self.acknowledged

    def acknowledge(self, revision: int) -> None:
        """The program has applied one message with `revision`, and all earlier messages."""
        while self.unapplied and self.unapplied[0] < revision:
            self.unapplied.popleft()
        if self.unapplied and self.unapplied[0] == revision:
            self.acknowledged = max(self.acknowledged, self.unapplied.popleft())

    @property
    def label(self) -> str:
        """The name of the program in the list of those that have not applied a switch."""
        name = self.client.program or self.client.name or "unknown program"
        return f"{name} (pid {self.client.pid})"


class FollowHub:
    """All live streams.

    Args:
        changed: called when a follower is added or removed, or changes its question.
    """

    def __init__(self, resolver: Resolver, clock: Clock, changed: Callable[[], None]) -> None:
        self._resolver = resolver
        self._clock = clock
        self._changed = changed
        self._streams: set[FollowSession] = set()
        self._shares = Shares("follow streams", most=STREAM_LIMIT, of_a_program=STREAMS_OF_A_PROGRAM)
        self._settled = asyncio.Condition()
        self._waiting = 0
        self._closed = False

    def followers(self) -> list[workspace_pb2.Follower]:
        """The present followers."""
        # Most ask the same question, which is answered once for all of them.
        names: dict[Question, str] = {}
        for question in {one for stream in self._streams for one in stream.questions.values()}:
            connection = self._resolver.explain(question).connection
            names[question] = connection.name if connection else ""
        return [
            workspace_pb2.Follower(
                client=write(workspace_pb2.ClientInfo, stream.client),
                workspaces=[
                    convert.workspace(question.workspace)
                    for question in stream.questions.values()
                    if question.workspace is not None
                ],
                applied_revision=stream.applied,
                connected_at=timestamp(stream.connected_at),
                connections=sorted({names[question] for question in stream.questions.values()} - {""}),
            )
            for stream in self._streams
        ]

    def on_routing(self) -> None:
        """See `Writer.listen_to_routing`: wake every stream."""
        for stream in self._streams:
            stream.dirty = True
            stream.wake.set()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for stream in self._streams:
            stream.error = ShuttingDown(
                "the daemon is stopping", hint="following resumes when the daemon is back"
            )
            stream.wake.set()

    async def wait_applied(self, revision: int, timeout_s: float) -> tuple[int, list[str]]:
        """Wait until each stream that is open now has applied what it was sent up to `revision`.

        Returns:
            The number of streams, and the labels of those that have not applied it in time.
        """
        streams = set(self._streams)

        def pending() -> list[FollowSession]:
            return [s for s in streams & self._streams if not s.has_applied(revision)]

        self._waiting += 1
        try:
            async with asyncio.timeout(timeout_s), self._settled:
                await self._settled.wait_for(lambda: not pending())
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return len(streams), sorted(stream.label for stream in pending())

    async def _notify(self) -> None:
        # Called twice for each follower of a switch, while mostly nobody waits.
        if self._waiting:
            async with self._settled:
                self._settled.notify_all()

    @contextmanager
    def _registered(self, stream: FollowSession) -> Iterator[None]:
        if self._closed:
            raise ShuttingDown("the daemon is stopping", hint="try again in a moment")
        self._shares.take(stream.client.pid)
        self._streams.add(stream)
        try:
            yield
        finally:
            self._streams.discard(stream)
            self._shares.give(stream.client.pid)
            self._changed()

    def _introduce(self, stream: FollowSession, client: ClientInfo) -> None:
        """Take a stream from the program's share, once the stream says whose it is."""
        self._shares.give(stream.client.pid)
        try:
            self._shares.take(client.pid)
        except LimitReached:
            self._shares.take(stream.client.pid)
            raise
        stream.client = client

    async def serve(
        self,
        requests: AsyncIterator[workspace_pb2.FollowConnectionRequest],
        send: Send[workspace_pb2.FollowConnectionResponse],
    ) -> None:
        """Serve one stream until the client closes its side.

        Raises:
            InvalidField, LimitReached, ShuttingDown
        """
        stream = FollowSession(ClientInfo(), self._clock.now())
        with self._registered(stream):
            reader = asyncio.ensure_future(self._read(stream, requests))
            try:
                while True:
                    await stream.wake.wait()
                    stream.wake.clear()
                    if stream.error is not None:
                        raise stream.error
                    if stream.done:
                        return
                    stream.dirty, stream.sending = False, True
                    await self._update(stream, send)
                    stream.sending = False
                    if not stream.unapplied:
                        await self._notify()
            finally:
                owned = [reader, *(look_up.task for look_up in stream.look_ups.values())]
                for task in owned:
                    task.cancel()
                await asyncio.gather(*owned, return_exceptions=True)
                self._streams.discard(stream)
                await self._notify()

    async def _read(
        self,
        stream: FollowSession,
        requests: AsyncIterator[workspace_pb2.FollowConnectionRequest],
    ) -> None:
        try:
            async for request in requests:
                check_bounds(request)
                match request.WhichOneof("event"):
                    case "hello":
                        self._introduce(stream, client_info(request.hello.client))
                    case "subscribe":
                        if len(stream.questions) >= FOLLOWERS_PER_STREAM:
                            raise LimitReached(
                                f"{FOLLOWERS_PER_STREAM} followers on one stream", hint="close some of them"
                            )
                        stream.ask(request.subscribe.follower, question_of(request.subscribe.inquiry))
                        stream.dirty = True
                        stream.wake.set()
                        self._changed()
                    case "unsubscribe":
                        stream.ask(request.unsubscribe.follower, None)
                        self._changed()
                    case "applied":
                        stream.acknowledge(request.applied.revision)
                        if not stream.unapplied:
                            await self._notify()
                    case _:
                        raise InvalidField.of(
                            "event", "is unknown", "upgrade the daemon: the client is newer"
                        )
        except NexoError as error:
            stream.error = error
        else:
            stream.done = True
        finally:
            stream.wake.set()

    async def _update(
        self, stream: FollowSession, send: Send[workspace_pb2.FollowConnectionResponse]
    ) -> None:
        news = self._news(stream)
        await self._recorded(stream, [answer for _, _, answer in news])
        for question, untold, answer in news:
            if answer.connection is not None and not self._resolver.is_present(answer):
                stream.dirty = True
                stream.wake.set()
                continue
            # Some followers may have been removed in the meantime.
            told = [follower for follower in untold if stream.questions.get(follower) == question]
            for follower in told:
                stream.sent[follower] = answer.signature
            stream.unapplied.append(answer.revision)
            await send(answer.told(told))

    def _news(self, stream: FollowSession) -> list[tuple[Question, list[int], ResolvedAnswer]]:
        """The answers that are known now, with the followers that have not been told."""
        questions: dict[Question, list[int]] = {}
        for follower, asked in stream.questions.items():
            questions.setdefault(asked, []).append(follower)
        for gone in stream.look_ups.keys() - questions.keys():
            self._give_up(stream, gone)
        news = []
        for question, followers in questions.items():
            signature = self._resolver.present_signature(question)
            untold = [f for f in followers if stream.sent.get(f) != signature]
            answer = self._answer(stream, question, signature) if untold else None
            if answer is not None:
                news.append((question, untold, answer))
            elif not untold:
                self._give_up(stream, question)
        return news

    async def _recorded(self, stream: FollowSession, answers: Iterable[ResolvedAnswer]) -> None:
        """Record all before any follower is told, so that a slow disk delays a switch only once."""
        notes = (
            self._resolver.note(answer, method="FollowConnection", client=stream.client)
            for answer in answers
            if answer.connection is not None
        )
        waited_for = {note for note in notes if note is not None}
        if waited_for:
            await asyncio.wait(waited_for, timeout=RECORDED_WITHIN_S)

    def _answer(self, stream: FollowSession, question: Question, signature: object) -> ResolvedAnswer | None:
        """The present answer; None if its key is being fetched; the stream is woken afterwards."""
        answer = self._resolver.at_once(question)
        look_up = stream.look_ups.get(question)
        if answer is None and look_up is not None and look_up.signature == signature:
            if not look_up.task.done():
                return None
            with suppress(RetryLater):
                found = look_up.task.result()
                answer = found if self._resolver.is_present(found) else None
        self._give_up(stream, question)
        if answer is None:
            task = asyncio.create_task(self._resolver.answer(question))
            task.add_done_callback(lambda _: stream.wake.set())
            stream.look_ups[question] = LookUp(task, signature, self._resolver.revision)
        return answer

    @staticmethod
    def _give_up(stream: FollowSession, question: Question) -> None:
        look_up = stream.look_ups.pop(question, None)
        if look_up is not None and not look_up.task.cancel() and not look_up.task.cancelled():
            # Retrieve the exception, so that asyncio does not report it.
            look_up.task.exception()
