"""The stream that updates every `LiveConnection` of a process, and reconnects when the daemon restarts.

The stream is open from the first follower to the last one. If it ends, it is reopened after at most a second.
`follow` has the API for programs.
"""

import atexit
import logging
import queue
import threading
from pathlib import Path
from typing import Any

import grpc

from nexo.connections.codec import read
from nexo.connections.terms import FOLLOWERS_PER_STREAM
from nexo.connections.v1 import workspace_pb2 as w
from nexo_client import calls, channel, failures, fork
from nexo_client.errors import IncompatibleDaemon, LimitReached, NexoError
from nexo_client.follow import LiveConnection
from nexo_client.types import OnStale, ResolvedConnection

log = logging.getLogger("nexo_client.follow")

_JOIN_S = 5.0


def pause_before(attempt: int) -> float:
    """Seconds to wait before an attempt; trying a missing socket costs microseconds."""
    if attempt < 3:
        return 0.05
    return 0.25 if attempt < 240 else 1.0


class FollowStream:
    """The followers of one process on one socket. Created only by `follow`."""

    def __init__(self, socket: Path, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.problem: NexoError | None = None
        """Why the stream is not open; None while it is."""
        self._socket = socket
        self._followers: dict[int, LiveConnection] = {}
        self._next_number = 1
        self._start_over()
        fork.register(self)

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._channel: grpc.Channel | None = None
        self._call: Any = None
        self._requests: queue.SimpleQueue[w.FollowConnectionRequest | None] | None = None
        self._callbacks: _CallbackThread | None = None

    # -- for followers, from any thread ----------------------------------------------------------------------

    def join(self, inquiry: w.Inquiry, on_stale: OnStale) -> LiveConnection:
        """Creates a follower. It is ready when the daemon has answered.

        Raises:
            LimitReached
        """
        with self._lock:
            # The daemon would end the stream, for all of them.
            if len(self._followers) >= FOLLOWERS_PER_STREAM:
                raise LimitReached(
                    f"this program follows {FOLLOWERS_PER_STREAM} times already",
                    hint="keep one live connection for each workspace and share it; close() ends one",
                )
            self._ensure_thread()
            live = LiveConnection(self, self._next_number, inquiry, on_stale)
            self._next_number += 1
            self._followers[live.number] = live
            if self._requests is not None:
                self._requests.put(_subscribe(live))
        return live

    def leave(self, live: LiveConnection) -> None:
        """Removes a follower; removing the last one ends the stream."""
        with _STREAMS_LOCK:
            with self._lock:
                if self._followers.pop(live.number, None) is None:
                    return
                if self._requests is not None:
                    self._requests.put(_unsubscribe(live.number))
                last = not self._followers
            if last and _STREAMS.get(self._socket) is self:
                del _STREAMS[self._socket]
        if last:
            self.stop()

    def revive(self) -> None:
        """Starts the thread if it is not running, as in a forked child.

        Raises:
            LimitReached: the system allows no more threads.
        """
        with self._lock:
            self._ensure_thread()

    def stop(self) -> None:
        """Ends the stream and its threads."""
        self._stopping.set()
        with self._lock:
            call, requests, callbacks = self._call, self._requests, self._callbacks
            thread = self._thread
        if call is not None:
            call.cancel()
        if requests is not None:
            requests.put(None)
        if callbacks is not None:
            callbacks.stop()
        # `stop` may be called on the thread itself: a callback may close its follower.
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def drop_after_fork(self) -> list[Any]:
        """See `fork.Droppable`."""
        old = [self._channel, self._call, self._requests, self._thread, self._callbacks]
        self._start_over()
        for live in self._followers.values():
            live.inherit()
        return old

    def _ensure_thread(self) -> None:
        if self._thread is None and not self._stopping.is_set():
            thread = threading.Thread(target=self._run, name="nexo-follow", daemon=True)
            try:
                thread.start()
            except RuntimeError as problem:
                raise failures.without_thread(problem) from None
            self._thread = thread

    # -- on the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            heard = False
            try:
                channel.probe(self._socket)
                failures.require_thread()
                for response in self._open():
                    heard = True
                    self._deliver(response)
                error = None
            except NexoError as caught:
                error = caught
            except grpc.RpcError as failure:
                error = failures.translate(failure, self._socket, "FollowConnection")
            except Exception:
                # The thread must not end, because followers would silently stop following.
                log.exception("the follow stream failed; it is opened again")
                error = None
            finally:
                self._end_requests()
            if self._stopping.is_set():
                break
            self._lose(error)
            attempt = 0 if heard else attempt + 1
            self._stopping.wait(pause_before(attempt))
        with self._lock:
            line, self._channel = self._channel, None
        if line is not None:
            line.close()

    def _open(self) -> Any:
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(channel.target(self._socket), options=channel.OPTIONS)
            requests: queue.SimpleQueue[w.FollowConnectionRequest | None] = queue.SimpleQueue()
            hello = w.FollowConnectionRequest.Hello(client=calls.client_info())
            requests.put(w.FollowConnectionRequest(hello=hello))
            for live in self._followers.values():
                requests.put(_subscribe(live))
            self._requests = requests
            send = calls.sender(calls.method(w.FollowConnectionRequest()), self._channel.stream_stream)
            self._call = send(iter(requests.get, None), wait_for_ready=True)
            if self._stopping.is_set():
                self._call.cancel()
            return self._call

    def _end_requests(self) -> None:
        with self._lock:
            requests, self._requests, self._call = self._requests, None, None
        if requests is not None:
            # grpc reads the requests on its own thread, which would otherwise wait for ever.
            requests.put(None)

    def _deliver(self, response: w.FollowConnectionResponse) -> None:
        self.problem = None
        state: ResolvedConnection | NexoError
        if response.WhichOneof("state") == "problem":
            problem = response.problem
            state = failures.from_reason(problem.reason, problem.message, problem.metadata)
        else:
            state = read(ResolvedConnection, response.connection)
        with self._lock:
            affected = [
                live for number in response.followers if (live := self._followers.get(number)) is not None
            ]
            requests = self._requests
        noticed = [live for live in affected if live.apply(state, response.revision)]
        # From here on `current` returns the new state; the daemon waits for this confirmation.
        if requests is not None:
            applied = w.FollowConnectionRequest.Applied(revision=response.revision)
            requests.put(w.FollowConnectionRequest(applied=applied))
        self._call_back(noticed)

    def _lose(self, error: NexoError | None) -> None:
        self.problem = error
        with self._lock:
            followers = list(self._followers.values())
        self._call_back([live for live in followers if live.lose(error)])
        if isinstance(error, IncompatibleDaemon):
            for live in followers:
                live.give_up_waiting()

    def _call_back(self, noticed: list[LiveConnection]) -> None:
        if not noticed:
            return
        with self._lock:
            if self._stopping.is_set():
                return
            if self._callbacks is None:
                self._callbacks = _CallbackThread()
            callbacks = self._callbacks
        for live in noticed:
            callbacks.request(live)


class _CallbackThread:
    """Runs callbacks on its own thread, so that a slow callback does not delay other followers.

    A follower is queued at most once, so the queue is bounded.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, LiveConnection] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="nexo-callbacks", daemon=True)
        self._thread.start()

    def request(self, live: LiveConnection) -> None:
        with self._changed:
            self._waiting[live.number] = live
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                live = self._waiting.pop(next(iter(self._waiting)))
            live.call_back()


def _subscribe(live: LiveConnection) -> w.FollowConnectionRequest:
    subscribe = w.FollowConnectionRequest.Subscribe(follower=live.number, inquiry=live.inquiry)
    return w.FollowConnectionRequest(subscribe=subscribe)


def _unsubscribe(number: int) -> w.FollowConnectionRequest:
    return w.FollowConnectionRequest(unsubscribe=w.FollowConnectionRequest.Unsubscribe(follower=number))


_STREAMS: dict[Path, FollowStream] = {}
_STREAMS_LOCK = threading.Lock()


def follow(socket: Path, inquiry: w.Inquiry, on_stale: OnStale, timeout_s: float) -> LiveConnection:
    """Creates a follower on the process-wide stream for a socket. The caller waits for the first answer.

    Raises:
        DaemonNotRunning, DaemonUnsafe: as for `connect`.
        LimitReached: this program has too many followers.
    """
    channel.probe(socket)
    with _STREAMS_LOCK:
        stream = _STREAMS.get(socket)
        if stream is None:
            stream = _STREAMS[socket] = FollowStream(socket, timeout_s)
        return stream.join(inquiry, on_stale)


class _StreamsLock:
    """Replaces the lock of this module in a forked child, because another thread may have held it."""

    def drop_after_fork(self) -> list[Any]:
        global _STREAMS_LOCK
        _STREAMS_LOCK = threading.Lock()
        return []


_STREAMS_LOCK_OWNER = _StreamsLock()
fork.register(_STREAMS_LOCK_OWNER)


def _at_exit() -> None:
    for stream in tuple(_STREAMS.values()):
        stream.stop()


# If a stream is still open at exit, grpc calls into the interpreter while it shuts down.
atexit.register(_at_exit)
