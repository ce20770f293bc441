"""Pictures are painted when they differ, four times a second at most; an unconfirmed click is taken back."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from nexo_tray.link import GAP_S, Painter, SharedState
from nexo_tray.model import Picture
from nexo_tray.state import State, Switch
from surroundings import wait_for
from tray_states import NOW, connection, healthy, live, unhealthy


class Screen:
    """Keeps what is painted, and when."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.moments: list[float] = []
        self.reverted: list[Switch] = []

    def paint(self, picture: Picture) -> None:
        self.pictures.append(picture)
        self.moments.append(time.monotonic())


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.moment = NOW

    def __call__(self):
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def shared(screen: Screen, clock: Clock) -> Iterator[SharedState]:
    shared = SharedState(live(connection("a", default=True), connection("b", unhealthy())))
    painter = Painter(shared, screen.paint, screen.reverted.append, clock)
    painter.start()
    wait_for(lambda: screen.pictures, "the first picture")
    yield shared
    shared.close()
    painter.join()
    assert not any(thread.name == "nexo-tray-painter" for thread in threading.enumerate())


def default_is(name: str):
    def step(state: State) -> State:
        changed = tuple(replace(c, is_default=c.name == name) for c in state.snapshot.connections)
        return replace(state, snapshot=replace(state.snapshot, connections=changed))

    return step


def marked(picture: Picture) -> list[str]:
    return [item.label.split()[1] for item in picture.menu if item.radio and item.checked]


def test_a_thousand_changes_become_a_few_pictures_and_the_last_one_wins(
    shared: SharedState, screen: Screen
) -> None:
    began = time.monotonic()
    for number in range(1000):
        shared.change(default_is("ab"[number % 2]))
        if number % 100 == 0:
            time.sleep(0.01)
    wait_for(lambda: marked(screen.pictures[-1]) == ["b"], "the last change")
    seconds = time.monotonic() - began
    assert len(screen.pictures) <= 2 + seconds / GAP_S
    gaps = [after - before for before, after in zip(screen.moments, screen.moments[1:], strict=False)]
    assert all(gap >= GAP_S * 0.9 for gap in gaps)


def test_what_looks_the_same_is_not_painted_again(shared: SharedState, screen: Screen) -> None:
    shared.change(lambda state: replace(state, revision=99))
    shared.change(default_is("b"))
    wait_for(lambda: len(screen.pictures) == 2, "the change that shows")
    assert marked(screen.pictures[1]) == ["b"]


def test_an_unconfirmed_click_is_taken_back_and_told(
    shared: SharedState, screen: Screen, clock: Clock
) -> None:
    clicked = Switch("id-b", NOW)
    shared.change(lambda state: replace(state, switch=clicked))
    wait_for(lambda: marked(screen.pictures[-1]) == ["b"], "the click shows at once")
    clock.moment = NOW + timedelta(seconds=3)
    shared.change(lambda state: replace(state, revision=5))
    wait_for(lambda: screen.reverted == [clicked], "it is told that the click was in vain")
    wait_for(lambda: marked(screen.pictures[-1]) == ["a"], "the mark is back")
    assert shared.state.switch is None


def test_a_picture_is_painted_anew_when_its_age_becomes_untrue(screen: Screen) -> None:

    def now():
        # Nine minutes and 59.8 seconds after the check, and going on once that was painted.
        gone = time.monotonic() - screen.moments[0] if screen.moments else 0.0
        return NOW + timedelta(seconds=599.8 + gone)

    shared = SharedState(live(connection("a", healthy(checked=NOW), default=True)))
    painter = Painter(shared, screen.paint, screen.reverted.append, now)
    painter.start()
    wait_for(lambda: len(screen.pictures) >= 2, "a second picture without any event")
    shared.close()
    painter.join()
    assert screen.pictures[0].tooltip.endswith("checked 5 min ago")
    assert screen.pictures[1].tooltip.endswith("checked 10 min ago")


def test_a_board_that_is_closed_releases_its_painter_at_once(screen: Screen, clock: Clock) -> None:
    shared = SharedState(State())
    painter = Painter(shared, screen.paint, screen.reverted.append, clock)
    painter.start()
    wait_for(lambda: screen.pictures, "the first picture")
    shared.close()
    painter.join()
    assert not any(thread.name == "nexo-tray-painter" for thread in threading.enumerate())
