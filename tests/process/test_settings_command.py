"""`nexoctl settings` and the tray: how a person gets to the settings screen, and what is said otherwise."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from nexo_tray.controller import Controller
from nexo_tray.link import SharedState
from nexo_tray.model import Click, Do
from nexo_tray.state import DaemonLink, LinkState, State
from settings_parts import Caller, Served, end_settings
from surroundings import Nexod, Surroundings, wait_for
from tray_states import Paper


@pytest.fixture
def browser(surroundings: Surroundings) -> Path:
    """A browser that writes down what it is asked for."""
    program, said = surroundings.home / "my-browser", surroundings.home / "opened"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {said}\n')
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def ended(surroundings: Surroundings) -> Iterator[None]:
    """What was started in the background ends with the test."""
    yield
    end_settings(surroundings)


def opened(surroundings: Surroundings) -> list[str]:
    said = surroundings.home / "opened"
    return said.read_text().split() if said.exists() else []


def fragment(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).fragment)


def test_it_opens_the_browser_of_the_person(nexod: Nexod, surroundings: Surroundings, browser: Path) -> None:
    done = surroundings.nexoctl("settings", env={"BROWSER": str(browser)})
    assert done.out == "The settings are open in your browser.\n"
    (address,) = opened(surroundings)
    assert address.startswith("http://127.0.0.1:")
    assert list(fragment(address)) == ["token"]


def test_no_browser_prints_the_address_alone(nexod: Nexod, surroundings: Surroundings, browser: Path) -> None:
    done = surroundings.nexoctl("settings", "--no-browser", "--add", env={"BROWSER": str(browser)})
    assert done.out.startswith("http://127.0.0.1:")
    assert done.out.count("\n") == 1
    assert done.err == ""
    assert fragment(done.out.strip())["at"] == ["add"]
    assert opened(surroundings) == []


def test_where_no_browser_is_found_the_address_is_printed(nexod: Nexod, surroundings: Surroundings) -> None:
    done = surroundings.nexoctl("settings")
    assert done.out.startswith("http://127.0.0.1:")
    assert "No browser was found here" in done.err


def test_a_second_start_opens_the_same_screen(
    nexod: Nexod, surroundings: Surroundings, browser: Path
) -> None:
    for _ in range(2):
        surroundings.nexoctl("settings", env={"BROWSER": str(browser)})
    first, second = opened(surroundings)
    assert urlsplit(first).port == urlsplit(second).port
    assert first != second


def test_the_daemon_that_its_page_starts_has_the_same_store(nexod: Nexod, surroundings: Surroundings) -> None:
    """Also if the directories were relative ones: the page is served from another directory."""
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="work", provider="ollama"))
    home = surroundings.home
    places = {
        "DATA": surroundings.data_dir,
        "STATE": surroundings.state_dir,
        "CONFIG": surroundings.config_dir,
    }
    env = {f"NEXO_{name}_DIR": str(path.relative_to(home)) for name, path in places.items()}
    page = Caller(Served(surroundings.nexoctl("settings", "--no-browser", env=env).out.strip()))
    assert page.enter() == 200
    nexod.stop()
    try:
        assert page.ask("start")[0] == 200
        with nexod.client() as client:
            assert [one.name for one in client.list_connections()] == ["work"]
    finally:
        surroundings.nexoctl("daemon", "stop")


def test_json_says_both(nexod: Nexod, surroundings: Surroundings) -> None:
    record = surroundings.nexoctl("settings", "--json", "--no-browser").json
    assert record.keys() == {"address", "opened"}
    assert record["opened"] is False


def test_without_the_extra_it_says_what_to_install(nexod: Nexod, surroundings: Surroundings) -> None:
    code = (
        "import sys, importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'uvicorn' else found(name, *more)\n"
        "from nexo_cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    done = surroundings.run([sys.executable, "-c", code, "--no-start", "settings"], expect=1)
    assert "the settings screen is not installed: uvicorn is missing" in done.err
    assert "pip install 'nexo-connections[settings]'" in done.err


def test_without_a_daemon_it_says_so(surroundings: Surroundings) -> None:
    assert surroundings.nexoctl("settings", expect=3).err.startswith("error: nexod is not running")


# -- the tray


class Tray:
    """The controller of a tray that has seen one snapshot."""

    def __init__(self, nexod: Nexod, *, page: bool) -> None:
        self.client = nexod.client()
        with self.client.watch() as events:
            snapshot = next(iter(events)).snapshot
        self.paper = Paper()
        state = State(DaemonLink(LinkState.LIVE), snapshot, page=page)
        self.controller = Controller(
            self.client, SharedState(state), self.paper, lambda: None, chosen_socket=True
        )
        self._ids = {one.name: one.id for one in snapshot.connections} if snapshot else {}

    def click(self, do: Do, name: str = "") -> None:
        self.controller.act(Click(do, self._ids.get(name, "")))


@pytest.fixture
def furnished(nexod: Nexod, provider: ExampleProvider) -> Nexod:
    with nexod.client() as client:
        for name, key in (("work", WORK.key), ("home & lab", HOME.key)):
            url = f"{provider.origin}/v1"
            client.create_connection(ConnectionDraft(name=name, provider="openai", base_url=url, api_key=key))
    return nexod


@pytest.fixture
def at_home(surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch, browser: Path) -> Path:
    """This process runs in the surroundings, as a tray does."""
    for name, value in surroundings.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BROWSER", str(browser))
    return browser


def test_the_tray_opens_it_at_the_right_place(
    furnished: Nexod, surroundings: Surroundings, at_home: Path
) -> None:
    tray = Tray(furnished, page=True)
    try:
        clicks = [(Do.SETTINGS, ""), (Do.ADD, ""), (Do.EDIT, "home & lab"), (Do.WHY, "work"), (Do.WHY, "")]
        for number, (do, name) in enumerate(clicks, 1):
            tray.click(do, name)
            wait_for(lambda wanted=number: len(opened(surroundings)) == wanted, f"{do} is opened")
        places = [fragment(address) for address in opened(surroundings)]
        assert [place.get("at") for place in places] == [None, ["add"], ["edit"], ["show"], None]
        assert [place.get("name") for place in places] == [None, None, ["home & lab"], ["work"], None]
        assert not tray.paper.texts
    finally:
        tray.client.close()
        tray.controller.close()


def test_where_no_browser_opens_the_tray_does_as_before(
    furnished: Nexod, surroundings: Surroundings, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", "")
    monkeypatch.setenv("PATH", str(surroundings.home))
    tray = Tray(furnished, page=True)
    try:
        tray.click(Do.WHY, "work")
        wait_for(lambda: tray.paper.texts, "the window that explains")
        tray.click(Do.EDIT, "work")
        wait_for(lambda: tray.paper.copied == ["nexoctl edit work"], "what to type, without a terminal")
        tray.click(Do.SETTINGS)
        wait_for(lambda: "nexoctl settings --no-browser" in tray.paper.texts[-1].body, "what to type")
        assert not (surroundings.socket.parent / "page.sock").exists()
    finally:
        tray.client.close()
        tray.controller.close()


def test_without_the_extra_the_tray_does_as_before(
    furnished: Nexod, surroundings: Surroundings, at_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(surroundings.home))
    tray = Tray(furnished, page=False)
    try:
        tray.click(Do.ADD)
        wait_for(lambda: tray.paper.copied == ["nexoctl add"], "what to type, without a terminal")
        assert opened(surroundings) == []
    finally:
        tray.client.close()
        tray.controller.close()
