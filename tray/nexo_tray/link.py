"""Follows the daemon: one thread receives events, one updates the display, and both share the state.

Neither thread uses the desktop directly: `paint` passes the picture to the main loop. There is no polling;
the display thread also wakes up when a text becomes out of date ("5 min ago") or a click is not confirmed in
time.
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

GAP_S = 0.25
"""The minimum time between two updates: with more than four per second, panels leak memory (XFCE) or fall
behind. The update after a click does not wait."""
_SETTLE_S = 0.02
"""How long events are collected before an update: one change of the daemon arrives as several events."""
_JOIN_S = 5.0


def utc_now() -> datetime:
    """The current time."""
    return datetime.now(UTC)


class SharedState:
    """The state that the threads share. A change is a function from the old state to the new one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changed = threading.Condition()
        self._version = 0
        self._closed = False

    @property
    def state(self) -> State:
        """The current state."""
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
        """Wait until the version differs from `seen`, `timeout_s` seconds have passed, or this is closed.

        Returns:
            The version, the state, and whether this is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._version != seen, timeout_s)
            return self._version, self._state, self._closed

    def pause(self, seconds: float, clicked: Switch | None) -> bool:
        """Wait for `seconds`, or until a new click; returns whether this was closed meanwhile."""

        def over() -> bool:
            return self._closed or self._state.switch not in (None, clicked)

        with self._changed:
            self._changed.wait_for(over, seconds)
            return self._closed

    def close(self) -> None:
        """End all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Painter:
    """The display thread: paints a picture when it differs from the last one, at most once per `GAP_S`."""

    def __init__(
        self,
        shared: SharedState,
        paint: Callable[[Picture], None],
        reverted: Callable[[Switch], None],
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._shared = shared
        self._paint = paint
        self._reverted = reverted
        self._now = now
        self._thread = threading.Thread(target=self._run, name="nexo-tray-painter", daemon=True)

    def start(self) -> None:
        """Start the thread, which paints the current state first."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended. The shared state has to be closed first."""
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
    """The watch thread: keeps the shared state up to date, through restarts of the daemon."""

    def __init__(
        self,
        client: Client,
        shared: SharedState,
        on_transition: Callable[[HealthTransition], None],
        on_away: Callable[[NexoError | None], None],
    ) -> None:
        self._shared = shared
        self._watcher = watch_forever(client)
        self._on_transition = on_transition
        self._on_away = on_away
        self._thread = threading.Thread(target=self._run, name="nexo-tray-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the subscription and the thread."""
        self._watcher.stop()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        was_live = False
        for heard in self._watcher:
            state = self._shared.change(partial(fold, event=heard, now=utc_now()))
            if heard.event is not None and heard.event.transition is not None:
                self._on_transition(heard.event.transition)
            if was_live and not state.live:
                self._on_away(heard.error)
            was_live = state.live
