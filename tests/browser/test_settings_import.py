"""Taking over what other programs have, as a person does it: real files, a real daemon, a real Chromium."""

import json
from pathlib import Path

import pytest

from chromium import Chromium, Open, Tab
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, REVOKED, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from page_looks import SIZES, look_at
from settings_parts import Settings, start_settings
from surroundings import Nexod, Surroundings, wait_for

pytestmark = pytest.mark.needs("chromium")

KEYS = (WORK.key, HOME.key, REVOKED.key)
QUIET = {"OLLAMA_HOST": "127.0.0.1:9"}
"""No server of the machine that runs the tests may be found."""
EVIL = "<img src=x onerror=hacked=1>"


@pytest.fixture
def screen(nexod: Nexod, surroundings: Surroundings) -> Settings:
    return start_settings(surroundings, env=QUIET)


def codex(place: Path, provider: ExampleProvider, **keys: str) -> None:
    """A Codex configuration with a provider for each key."""
    directory = place / ".codex"
    directory.mkdir(exist_ok=True)
    url = provider.base_url(Provider.CUSTOM)
    entries = (
        f'[model_providers.{name}]\nname = "{name}"\nbase_url = "{url}"\n'
        f'experimental_bearer_token = "{key}"\n'
        for name, key in keys.items()
    )
    (directory / "config.toml").write_text("".join(entries), encoding="utf-8")


def open_import(tab: Tab) -> None:
    tab.click("Import…")
    tab.sees("Import connections")
    tab.wait("document.querySelector('.offers, .import .card')", "what was found is shown")


def field(name: str) -> str:
    """The selector of the name of a row."""
    return f"[aria-label='Name for {name}']"


def names(nexod: Nexod) -> list[str]:
    with nexod.client() as client:
        return [one.name for one in client.list_connections()]


def test_what_is_found_is_tested_taken_over_and_taken_back(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, work=WORK.key, home=HOME.key, former=REVOKED.key)
    before = (surroundings.home / ".codex/config.toml").read_bytes()
    tab.sees("No connection yet")
    open_import(tab)
    tab.sees(
        "Codex CLI", provider.base_url(Provider.CUSTOM), f"…{WORK.key[-4:]}", "~/.codex: model_providers"
    )
    tab.sees("3 of 3 ticked")
    assert not provider.requests()
    tab.click("Test 3")
    tab.sees("The key was verified, 2 models", "Failed: key rejected", "2 of 3 ticked")
    # What does not work is left out, unless the person ticks it again.
    tab.click("Import 2")
    tab.sees("Imported 2 connections.")
    assert sorted(names(nexod)) == ["home", "work"]
    with nexod.client() as client:
        assert client.reveal("work").api_key == WORK.key
        assert client.reveal("home").api_key == HOME.key
    tab.sees("Programs get")
    tab.click("Undo")
    tab.sees("Removed 2 connections again.", "No connection yet")
    assert names(nexod) == []
    assert (surroundings.home / ".codex/config.toml").read_bytes() == before
    open_import(tab)
    tab.click("[aria-label='Import former']")
    tab.click("Import 3")
    tab.sees("Imported 3 connections.")
    assert sorted(names(nexod)) == ["former", "home", "work"]
    kept = "JSON.stringify([document.documentElement.outerHTML, {...sessionStorage, ...localStorage}])"
    assert not [key for key in KEYS if key in tab.eval(kept)]


def test_what_was_changed_since_is_not_taken_back(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, work=WORK.key, home=HOME.key, former=REVOKED.key)
    open_import(tab)
    tab.click("Import 3")
    tab.sees("Imported 3 connections.")
    with nexod.client() as client:
        client.update_connection("work", ConnectionDraft(default_model="example-large"))
        client.bind("/srv/acme", "home")
        tab.click("Undo")
        tab.sees("Removed 1 connection again.", "work was kept:", "home was kept:")
        assert sorted(names(nexod)) == ["home", "work"]


def test_a_name_that_is_taken_can_be_changed(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, work=WORK.key, home=HOME.key)
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="work", provider="ollama"))
        client.create_connection(
            ConnectionDraft(name="there", provider="custom", base_url=provider.base_url(Provider.CUSTOM))
        )
    tab.sees("there")
    open_import(tab)
    # Another name is proposed, and what leads to a known place is not ticked by itself.
    tab.wait("document.querySelector(\"[aria-label='Import work-2']\")", "a free name")
    tab.sees("You already have 'there' at this address.", "0 of 2 ticked")
    tab.click("[aria-label='Import work-2']")
    tab.fill(field("work-2"), "WORK")
    tab.sees("A connection “work” already exists.")
    tab.wait("document.querySelector('.import-foot .primary').disabled")
    tab.click("[aria-label='Import home']")
    tab.fill(field("WORK"), "Home")
    tab.sees("Another ticked connection has this name.")
    tab.wait("document.querySelector('.import-foot .primary').disabled")
    tab.fill(field("Home"), "office")
    # Somebody else takes the name meanwhile.
    with nexod.client() as client:
        client.create_connection(ConnectionDraft(name="home", provider="ollama"))
    tab.sees("A connection “home” already exists.")
    tab.click("[aria-label='Import home']")
    tab.click("Import 1")
    tab.sees("Imported office.")
    with nexod.client() as client:
        assert client.reveal("office").api_key == WORK.key


def test_a_missing_part_is_typed_and_what_cannot_be_taken_says_why(
    open_page: Open, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    directory = surroundings.home / ".codex"
    directory.mkdir()
    url = provider.base_url(Provider.CUSTOM)
    config = f'[model_providers.corp]\nname = "corp"\nbase_url = "{url}"\nenv_key = "CORP_KEY"\n'
    (directory / "config.toml").write_text(config, encoding="utf-8")
    claude = surroundings.home / ".claude"
    claude.mkdir()
    (claude / "settings.json").write_text('{"env": {"ANTHROPIC_API_KEY": ', encoding="utf-8")
    tab = open_page()
    open_import(tab)
    tab.sees("CORP_KEY", "0 of 1 ticked")
    tab.sees("Cannot be imported", "It is not valid JSON (line 1)")
    tab.wait("document.querySelector(\"[aria-label='Import corp']\").disabled")
    tab.click(".offer .field input")
    tab.type(WORK.key)
    assert (
        tab.eval("getComputedStyle(document.querySelector('.offer .field input')).webkitTextSecurity")
        == "disc"
    )
    tab.click("Test 1")
    tab.sees("The key was verified")
    tab.click("Import 1")
    tab.sees("Imported corp.")
    with nexod.client() as client:
        assert client.reveal("corp").api_key == WORK.key


def test_nothing_to_import_is_said(tab: Tab) -> None:
    open_import(tab)
    tab.sees("No connections of other programs were found.")
    tab.click("Back to the connections")
    tab.sees("No connection yet")


def test_importing_by_the_keyboard_alone(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, work=WORK.key, former=REVOKED.key)
    tab.sees("No connection yet")

    def to(words: str) -> None:
        for _ in range(40):
            tab.press("Tab")
            own = "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
            if str(tab.eval(own)).strip() == words:
                return
        raise AssertionError(f"no Tab leads to {words}")

    to("Import…")
    tab.press("Enter")
    tab.sees("2 of 2 ticked")
    tab.wait("document.activeElement.id === 'import-title'", "the heading has the focus")
    to("Import former")
    tab.press(" ")
    tab.sees("1 of 2 ticked")
    to("Test 1")
    tab.press("Enter")
    tab.sees("The key was verified")
    to("Import 1")
    tab.press("Enter")
    tab.sees("Imported work.")
    assert names(nexod) == ["work"]


def test_hostile_files_are_text_everywhere(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    directory = surroundings.home / ".codex"
    directory.mkdir()
    url = provider.base_url(Provider.CUSTOM)
    name = json.dumps(f"a{EVIL}${{hacked=1}}")
    entries = (
        f"[model_providers.{name}]\nname = {name}\nbase_url = {json.dumps(url)}\n"
        f"experimental_bearer_token = {json.dumps(WORK.key)}\n"
        f"[model_providers.{name}.http_headers]\n'X-{EVIL}' = 'blue-and-green'\n"
        f"[model_providers.'b{EVIL}']\nname = 'b'\nbase_url = 'ftp//{EVIL}'\nenv_key = '{EVIL}'\n"
    )
    (directory / "config.toml").write_text(entries, encoding="utf-8")
    tab.sees("No connection yet")
    open_import(tab)
    tab.sees("onerror=hacked=1")
    boxes = "[...document.querySelectorAll('.offer input[type=checkbox]')]"
    ready = tab.eval(f"{boxes}.filter((one) => !one.disabled).length")
    if ready:
        tab.click("Test 1")
        tab.wait("document.querySelector('.offer .outcome')", "it was tested, or refused")
    assert tab.eval("typeof hacked") == "undefined"
    assert tab.eval("document.images.length") == 0


def test_a_test_can_be_given_up_and_the_daemon_may_end(
    tab: Tab, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, **{f"account{number}": WORK.key + str(number) for number in range(8)})
    tab.sees("No connection yet")
    open_import(tab)
    tab.sees("8 of 8 ticked")
    nexod.kill()
    tab.sees("The daemon is not running")
    tab.wait("document.querySelector('.import-foot .primary').disabled", "nothing can be imported")
    tab.click("Start the daemon")
    tab.wait("!document.querySelector('.import-foot .primary').disabled", "it can be imported again")
    tab.click("Import 8")
    tab.sees("Imported 8 connections.")
    wait_for(lambda: len(names(nexod)) == 8, "all of them are there")
    with nexod.client() as client:
        client.shutdown()


@pytest.mark.needs("node")
def test_what_it_looks_like(
    chromium: Chromium, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex(surroundings.home, provider, work=WORK.key, home=HOME.key, former=REVOKED.key)
    with (surroundings.home / ".codex/config.toml").open("a", encoding="utf-8") as file:
        file.write('[model_providers.corp]\nname = "corp"\nbase_url = "https://llm.corp.example/v1"\n')
        file.write('env_key = "CORP_KEY"\n')
    claude = surroundings.home / ".claude"
    claude.mkdir()
    env = {"ANTHROPIC_API_KEY": HOME.key, "ANTHROPIC_BASE_URL": provider.base_url(Provider.ANTHROPIC)}
    (claude / "settings.json").write_text(json.dumps({"env": env}), encoding="utf-8")
    (surroundings.home / ".gemini").mkdir()
    (surroundings.home / ".gemini/.env").write_text("GEMINI_API_KEY=your-api-key-here\n", encoding="utf-8")
    url = provider.base_url(Provider.ANTHROPIC)
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name="claude", provider="anthropic", base_url=url, api_key=HOME.key)
        )
    (surroundings.home / ".qwen").mkdir()
    (surroundings.home / ".qwen/settings.json").write_text("{", encoding="utf-8")
    screen = start_settings(surroundings, env=QUIET)
    tab = chromium.open(screen.address)
    tab.sees("claude")
    open_import(tab)
    tab.sees("Codex CLI", "Claude Code", "Cannot be imported")
    look_at(tab, "settings-import", sizes=(SIZES[0], SIZES[2]))
    tab.click("Test 3")
    tab.sees("Failed: key rejected", "2 of")
    look_at(tab, "settings-import-tested", sizes=(SIZES[0], SIZES[2]))
    tab.click("Import 2")
    tab.sees("Imported 2 connections.")
    look_at(tab, "settings-imported")
    assert not tab.problems()
    tab.close()
