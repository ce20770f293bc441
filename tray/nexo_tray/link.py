"""How does the tray follow the daemon? One thread listens, one paints; a board between them holds the state.

Neither thread touches the desktop itself: `paint` brings the picture to the main loop. Nothing here wakes up
by itself, except when a phrase in the picture becomes untrue ("5 min ago") or a click waits for its answer.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from nexo_client.client import Client
from nexo_client.errors import NexoError
from nexo_client.types import HealthTransition
from nexo_client.watch import watch_forever
from nexo_tray.model import Picture, picture
from nexo_tray.state import UNCONFIRMED_AFTER, State, Switch, confirmed_default, expired, fold

Now = Callable[[], datetime]

GAP_S = 0.25
"""Between two paintings: a panel that is told more than four times a second grows (XFCE) or falls behind.
A click is painted sooner; nobody clicks that often."""
_SETTLE_S = 0.02
"""One change of the daemon arrives as several events; their picture is painted once."""
_JOIN_S = 5.0


def utc_now() -> datetime:
    """The present."""
    return datetime.now(UTC)


class SharedState:
    """The state, shared by the threads. Every change is a function from the old state to the new one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changed = threading.Condition()
        self._version = 0
        self._closed = False

    @property
    def state(self) -> State:
        """The state right now."""
        with self._changed:
            return self._state

    def change(self, step: Callable[[State], State]) -> State:
        """Apply `step` and return the new state; wakes the painter if it differs."""
        with self._changed:
            new = step(self._state)
            if new != self._state:
                self._state = new
                self._version += 1
                self._changed.notify_all()
            return new

    def wait(self, seen: int, timeout_s: float | None) -> tuple[int, State, bool]:
        """Wait until the version differs from `seen`, `timeout_s` have passed, or the board is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version != seen, timeout_s)
            return self._version, self._state, self._closed

    def pause(self, seconds: float, clicked: Switch | None) -> bool:
        """Let changes gather for a while, but not a new click; True if the board was closed in between."""

        def over() -> bool:
            return self._closed or self._state.switch not in (None, clicked)

        with self._changed:
            self._changed.wait_for(over, seconds)
            return self._closed

    def close(self) -> None:
        """Release everybody who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Painter:
    """Turns changes of the board into pictures: only those that differ, at most one each `GAP_S`."""

    def __init__(
        self,
        shared: SharedState,
        paint: Callable[[Picture], None],
        reverted: Callable[[Switch], None],
        now: Now = utc_now,
    ) -> None:
        self._shared = shared
        self._paint = paint
        self._reverted = reverted
        self._now = now
        self._thread = threading.Thread(target=self._run, name="nexo-tray-painter", daemon=True)

    def start(self) -> None:
        """Begin to paint, with the present state at once."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended; the board has to be closed first."""
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        painted: Picture | None = None
        seen, state, closed = self._shared.wait(-1, 0)
        while not closed:
            now = self._now()
            if expired(state, now):
                self._take_back()
                seen, state, closed = self._shared.wait(-1, 0)
                continue
            current = picture(state, now)
            if current != painted:
                painted = current
                self._paint(current)
                if self._shared.pause(GAP_S, state.switch):
                    return
            deadline = state.switch.at + UNCONFIRMED_AFTER if state.switch else None
            due = [moment for moment in (current.true_until, deadline) if moment is not None]
            timeout_s = max(0.05, (min(due) - self._now()).total_seconds()) if due else None
            before = seen
            seen, state, closed = self._shared.wait(seen, timeout_s)
            if seen != before and not closed:
                if self._shared.pause(_SETTLE_S, state.switch):
                    return
                seen, state, closed = self._shared.wait(-1, 0)

    def _take_back(self) -> None:
        taken: list[Switch] = []

        def step(state: State) -> State:
            taken.clear()
            if state.switch is None or not expired(state, self._now()):
                return state
            default = confirmed_default(state.snapshot)
            if not state.live or default is None or default.id != state.switch.to_id:
                taken.append(state.switch)
            return replace(state, switch=None)

        self._shared.change(step)
        for switch in taken:
            self._reverted(switch)


class WatchThread:
    """The watch thread: keeps the board true as long as the tray lives, whatever becomes of the daemon."""

    def __init__(
        self,
        client: Client,
        shared: SharedState,
        on_transition: Callable[[HealthTransition], None],
        on_away: Callable[[NexoError | None], None],
        now: Now = utc_now,
    ) -> None:
        self._shared = shared
        self._watcher = watch_forever(client)
        self._on_transition = on_transition
        self._on_away = on_away
        self._now = now
        self._thread = threading.Thread(target=self._run, name="nexo-tray-listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the subscription and the thread."""
        self._watcher.stop()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        was_live = False
        for heard in self._watcher:
            state = self._shared.change(partial(fold, event=heard, now=self._now()))
            if heard.event is not None and heard.event.transition is not None:
                self._on_transition(heard.event.transition)
            if was_live and not state.live:
                self._on_away(heard.error)
            was_live = state.live
