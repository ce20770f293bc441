"""Clicks against a real daemon, without any desktop: what they do, and what the tray says when that fails."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.client import Client
from nexo_client.types import ConnectionDraft
from nexo_tray import link, state
from nexo_tray.controller import Controller
from nexo_tray.link import Painter, SharedState, WatchThread
from nexo_tray.model import Click, Do
from nexo_tray.state import State
from surroundings import PATIENCE_S, Nexod, wait_for
from tray_states import Paper


class Tray:
    """All of the tray but its view."""

    def __init__(self, socket: Path) -> None:
        self.paper = Paper()
        self.shared = SharedState(State())
        # A switch whose caller has given up would not be made after all.
        self.client = Client(socket, timeout_s=PATIENCE_S)
        self.quits = 0
        self.controller = Controller(self.client, self.shared, self.paper, self._quit, chosen_socket=True)
        self._painter = Painter(self.shared, self.paper.pictures.append, self.controller.reverted)
        self._listener = WatchThread(self.client, self.shared, self.controller.changed, self.controller.lost)
        self._painter.start()
        self._listener.start()

    def _quit(self) -> None:
        self.quits += 1

    def click(self, do: Do, name: str = "") -> None:
        connections = self.shared.state.snapshot.connections if self.shared.state.snapshot else ()
        found = next((c.id for c in connections if c.name == name), name)
        self.controller.act(Click(do, found))

    def close(self) -> None:
        self.shared.close()
        self.client.close()
        self._listener.stop()
        self._painter.join()
        self.controller.close()


@pytest.fixture
def tray(nexod: Nexod, provider: ExampleProvider) -> Iterator[Tray]:
    with nexod.client() as client:
        for name, account in (("work", WORK), ("home", HOME)):
            client.create_connection(
                ConnectionDraft(
                    name=name,
                    provider="openai",
                    base_url=provider.base_url(Provider.OPENAI),
                    api_key=account.key,
                )
            )
    tray = Tray(nexod.socket)
    wait_for(lambda: tray.paper.pictures and tray.paper.default == "work", "the tray knows the default")
    yield tray
    tray.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a switch takes longer than a person waits for it."""
    for module in (link, state):
        monkeypatch.setattr(module, "UNCONFIRMED_AFTER", timedelta(seconds=PATIENCE_S))


def default_of(nexod: Nexod) -> str:
    with nexod.client() as client:
        found = client.get_default()
        return found.name if found else ""


@pytest.mark.usefixtures("patient")
def test_a_switch_is_made_and_confirmed(tray: Tray, nexod: Nexod) -> None:
    tray.click(Do.SWITCH, "home")
    wait_for(lambda: default_of(nexod) == "home", "the daemon has switched")
    wait_for(lambda: tray.shared.state.switch is None, "the watch has confirmed it")
    wait_for(lambda: tray.paper.default == "home", "the mark is there")
    assert not tray.paper.notices


def test_a_storm_of_clicks_ends_where_the_last_one_pointed(tray: Tray, nexod: Nexod) -> None:
    for name in ("home", "work", "home", "work", "home"):
        tray.click(Do.SWITCH, name)
    wait_for(lambda: tray.shared.state.switch is None and tray.paper.default == "home", "the last click")
    assert default_of(nexod) == "home"


@pytest.mark.usefixtures("patient")
def test_two_people_who_switch_at_once_end_up_with_the_same_default(tray: Tray, nexod: Nexod) -> None:
    with nexod.client() as client:
        for _ in range(10):
            tray.click(Do.SWITCH, "home")
            client.set_default("work")
            tray.click(Do.SWITCH, "work")
            client.set_default("home")
    wait_for(lambda: tray.shared.state.switch is None, "nothing waits for an answer")
    wait_for(lambda: tray.paper.default == default_of(nexod), "the tray shows what the daemon has")
    assert all("Not switched" not in notice.title for notice in tray.paper.notices)


def test_a_refused_switch_goes_back_and_says_why(tray: Tray, nexod: Nexod) -> None:
    with nexod.client() as client:
        home = client.get_connection("home")
        tray_home = Click(Do.SWITCH, home.id)
        nexod.kill()
    tray.controller.act(tray_home)
    wait_for(lambda: not tray.shared.state.live, "the tray has seen that the daemon died")
    wait_for(lambda: tray.shared.state.switch is None, "the click is taken back")
    wait_for(lambda: tray.paper.default == "work", "the mark is back")


def test_a_switch_that_the_daemon_leaves_unanswered_goes_back_and_shows_when_it_comes_after_all(
    tray: Tray, nexod: Nexod
) -> None:
    nexod.signal(signal.SIGSTOP)
    try:
        tray.click(Do.SWITCH, "home")
        wait_for(lambda: tray.paper.default == "home", "the click shows at once")
        wait_for(lambda: tray.paper.notices, "somebody says that nothing came of it")
        assert tray.paper.notices[0].title == "Not switched to home"
        wait_for(lambda: tray.paper.default == "work", "the mark is back")
    finally:
        nexod.signal(signal.SIGCONT)
    wait_for(lambda: default_of(nexod) == tray.paper.default == "home", "the truth")


def test_a_connection_that_is_gone_when_the_click_arrives_does_nothing(tray: Tray) -> None:
    tray.click(Do.SWITCH, "id-that-never-was")
    tray.click(Do.DETAILS, "id-that-never-was")
    assert not tray.paper.texts


def test_details_url_models_and_why(tray: Tray, provider: ExampleProvider) -> None:
    tray.click(Do.DETAILS, "work")
    assert f"Base URL: {provider.base_url(Provider.OPENAI)}" in tray.paper.texts[-1].body
    assert WORK.key not in str(tray.paper.texts)
    tray.click(Do.COPY_URL, "work")
    assert tray.paper.copied == [provider.base_url(Provider.OPENAI)]
    tray.click(Do.WHY)
    assert tray.paper.texts[-1].body == "The tray knows of no problem."
    tray.click(Do.MODELS, "work")
    wait_for(lambda: tray.paper.texts[-1].title == "Models of work", "the models")


def test_a_failure_of_an_errand_is_told(tray: Tray, nexod: Nexod, provider: ExampleProvider) -> None:
    provider.stop()
    tray.click(Do.MODELS, "work")
    wait_for(lambda: tray.paper.notices, "the refusal")
    assert tray.paper.notices[0].title == "That did not work"


def test_clicks_on_a_daemon_that_hangs_are_bounded(tray: Tray, provider: ExampleProvider) -> None:
    for _ in range(100):
        tray.click(Do.MODELS, "work")
    wait_for(lambda: any(text.title == "Models of work" for text in tray.paper.texts), "an answer")
    assert len(tray.paper.texts) < 100


def test_quit_is_passed_on(tray: Tray) -> None:
    tray.click(Do.QUIT)
    assert tray.quits == 1
