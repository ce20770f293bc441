"""What the settings screen looks like: every screen and state, in both colours, on large and small screens.

With NEXO_TEST_PICTURES=docs/images these tests make the pictures of docs/settings.md.
"""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chromium import Chromium, Tab
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import BUSY, REVOKED, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft, KeySlot
from page_looks import HEADER, SIZES, STICKS_OUT, fits, look_at
from settings_parts import (
    Settings,
    another_address,
    damage,
    furnish,
    live_for_a_week,
    start_settings,
    use_for_a_month,
)
from surroundings import Nexod, Surroundings

pytestmark = pytest.mark.needs("chromium", "node")

WIDTHS = (320, 360, 480, 700, 861, 900, 1080, 1200, 1201, 1280, 1600)
LONG_NAMES = ("W" * 64, "\N{UNICORN FACE}" * 64, "\N{ARABIC LETTER SEEN}" * 64, "a b " * 15 + "abcd")


@pytest.fixture(scope="module")
def provider() -> Iterator[ExampleProvider]:
    """Answers in a fifth of a second, as far away ones do."""
    with ExampleProvider(slow_s=0.2, retry_after_s=900) as running:
        yield running


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store with a week behind it is kept, once a test has made it."""
    return tmp_path_factory.mktemp("week")


@pytest.fixture
def lived_in(surroundings: Surroundings, provider: ExampleProvider, week: Path) -> Nexod:
    """A daemon with a week behind it, and connections in every state."""
    own = {"config": surroundings.config_dir, "data": surroundings.data_dir}
    if not any(week.iterdir()):
        first = surroundings.start_nexod()
        with first.client() as client:
            furnish(client, provider, [Path("/home/ann/clients/acme"), Path("/home/ann/clients/globex")])
            client.resolve("work")
        first.stop()
        live_for_a_week(surroundings.data_dir / "connections.db", time.time())
        use_for_a_month(surroundings.data_dir / "connections.db", time.time())
        for name, place in own.items():
            shutil.copytree(place, week / name)
    else:
        for name, place in own.items():
            shutil.copytree(week / name, place, dirs_exist_ok=True)
    daemon = surroundings.start_nexod()
    with daemon.client() as client:
        # A test is proof at once; the checks of the background take a second look.
        client.test_connection("old-key")
        client.check_now(["work", "claude", "gemini", "ollama", "team-gateway"])
    return daemon


def test_every_screen_and_state(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    screen = start_settings(surroundings)
    tab = chromium.open(screen.address)
    tab.sees("work", "rate limited", "key rejected", "switched off")
    tab.wait("document.querySelectorAll('.spark path').length >= 6", "the strips of the list")
    tab.wait("document.querySelector('.chart svg .line')", "the chart")
    look_at(tab, "settings", sizes=SIZES)
    tab.click("[data-row=old-key] .pick")
    tab.sees("Key rejected")
    tab.click("7 d")
    tab.wait("document.querySelector('.chart svg .line')", "the chart of the week")
    look_at(tab, "settings-rejected", sizes=(SIZES[0], SIZES[2]))
    tab.click("[data-row=team-gateway] .pick")
    tab.click("Test")
    tab.sees("Failed: rate limited")
    look_at(tab, "settings-tested")
    tab.click("summary[aria-label=More]")
    look_at(tab, "settings-menu")
    tab.click("Remove…")
    look_at(tab, "settings-remove")
    tab.press("Escape")
    tab.press("n")
    tab.sees("On this computer")
    look_at(tab, "settings-providers", sizes=(SIZES[0], SIZES[2]))
    tab.click(".tiles button")
    tab.fill("#f-name", "lab")
    tab.fill("#f-key", REVOKED.key)
    tab.fill("#f-url", provider.base_url(Provider.OPENAI))
    tab.click("Test connection")
    tab.sees("Failed: key rejected")
    look_at(tab, "settings-failed", sizes=(SIZES[0], SIZES[2]))
    tab.look(480, 860)
    tab.click("Test connection")
    bottom = "document.querySelector('.panel-test .outcome')?.getBoundingClientRect().bottom"
    foot = "document.querySelector('.dialog-foot').getBoundingClientRect().top"
    tab.wait(f"{bottom} <= {foot}", "on a phone the verdict comes into view")
    tab.picture("settings-failed-seen")
    tab.look(1280, 860)
    tab.fill("#f-key", WORK.key)
    tab.click("Test connection")
    tab.sees("Success")
    look_at(tab, "settings-add")
    tab.click("Save")
    tab.sees("Saved lab.")
    look_at(tab, "settings-saved")
    tab.click("[aria-label='Close this message']")
    tab.click("[aria-label='Edit team-gateway']")
    tab.sees("Stored: X-Team")
    tab.click("Model names (map)")
    tab.fill("[aria-label='Programs ask for, row 1']", "gpt-5")
    tab.fill("[aria-label='Sent instead, row 1']", "example-large")
    look_at(tab, "settings-edit", sizes=(SIZES[0], SIZES[2]))
    tab.click("Show the stored key")
    tab.wait(
        f"document.querySelector('#revealed').textContent === {json.dumps(BUSY.key)}", "the key is shown"
    )
    look_at(tab, "settings-reveal", sizes=(SIZES[0], SIZES[2]))
    tab.click("Hide the stored key")
    tab.fill("#f-url", "http://127.0.0.1:9/v1")
    tab.click("Test connection")
    tab.sees("Send the stored key there?")
    tab.fill("#f-headers", "{}")
    tab.press("Escape")
    tab.sees("Your changes are not saved")
    look_at(tab, "settings-questions")
    tab.click("Discard")
    tab.click("Workspaces")
    tab.sees("/home/ann/clients/acme")
    tab.fill("#ask-place", "/home/ann/clients/acme/site")
    tab.click("Explain")
    tab.sees("It gets claude")
    tab.fill("#bind-place", "~/clients/initech")
    look_at(tab, "settings-workspaces", sizes=SIZES)
    tab.click("[aria-label='Edit the binding of /home/ann/clients/acme']")
    look_at(tab, "settings-binding")
    tab.press("Escape")
    tab.click("Usage")
    tab.sees("tokens out", "claude-example-5")
    tab.wait("document.querySelectorAll('.bars rect').length > 100", "a bar for each day")
    look_at(tab, "settings-usage", sizes=SIZES)
    tab.click("Hand-outs")
    tab.sees("of work")
    look_at(tab, "settings-handouts", sizes=(SIZES[0], SIZES[2]))
    tab.click("Upkeep")
    tab.sees("Backups", "Recovery code")
    tab.click("Back up now")
    tab.click("Check the store")
    tab.sees("Sound: 8 connections")
    look_at(tab, "settings-upkeep", sizes=(SIZES[0], SIZES[2]))
    tab.click(".backups button")
    tab.sees("It is sound")
    look_at(tab, "settings-restore")
    tab.press("Escape")
    tab.click("Change…")
    look_at(tab, "settings-auto-lock")
    tab.press("Escape")
    tab.click("Connections")
    with lived_in.client() as client:
        client.vault.rekey(KeySlot.PASSPHRASE, passphrase="correct horse battery staple")
        client.vault.lock()
    tab.sees("The vault is locked")
    look_at(tab, "settings-locked", sizes=(SIZES[0], SIZES[2]))
    tab.click("Unlock")
    tab.sees("Use the recovery code")
    look_at(tab, "settings-unlock")
    tab.press("Escape")
    lived_in.kill()
    tab.sees("The daemon is not running")
    look_at(tab, "settings-away", sizes=(SIZES[0], SIZES[2]))
    screen.process.terminate()
    tab.sees("The settings were closed")
    look_at(tab, "settings-ended")
    assert not tab.problems()
    tab.close()


def look_at_every_screen(tab: Tab, state: str) -> None:
    """Each screen in a state that all of them share."""
    for screen in ("Workspaces", "Usage", "Hand-outs", "Upkeep", "Connections"):
        tab.click(screen)
        tab.wait(f"document.querySelector('[aria-current=page]')?.innerText === {json.dumps(screen)}")
        look_at(tab, f"settings-{state}-{screen.lower()}", sizes=(SIZES[0], SIZES[2]))


def test_every_screen_while_the_daemon_is_away(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    tab = chromium.open(start_settings(surroundings).address)
    tab.sees("work")
    lived_in.kill()
    tab.sees("The daemon is not running")
    look_at_every_screen(tab, "away")
    for screen in ("Usage", "Hand-outs"):
        tab.click(screen)
        tab.sees("Not known yet.")
    tab.close()


def test_every_screen_of_a_read_only_store(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    lived_in.stop()
    damage(surroundings.data_dir / "connections.db")
    surroundings.start_nexod()
    tab = chromium.open(start_settings(surroundings).address)
    tab.sees("The store is read-only", "work")
    assert tab.text.count("nexoctl store restore") == 1
    look_at_every_screen(tab, "read-only")
    tab.click("[data-row=work] .pick")
    tab.sees("The store is read-only")
    look_at(tab, "settings-read-only-details", sizes=(SIZES[0], SIZES[2]))
    tab.close()


def test_the_first_start(chromium: Chromium, screen: Settings) -> None:
    tab = chromium.open(screen.address)
    tab.sees("No connection yet")
    look_at(tab, "settings-empty", sizes=SIZES)
    tab.close()


def test_the_header_has_room_at_every_width(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    tab = chromium.open(start_settings(surroundings).address)
    tab.sees("work")
    for width in WIDTHS:
        tab.look(width, 860)
        tab.wait("new Promise((done) => requestAnimationFrame(() => done(true)))")
        assert tab.eval(HEADER) == [], f"at {width} pixels"
    tab.close()


def test_long_names_have_room_at_every_width(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    long_host = f"openai-api-base: https://{'long-' * 11}.example/v1"
    (surroundings.home / ".aider.conf.yml").write_text(long_host)
    with lived_in.client() as client:
        for name in LONG_NAMES:
            url = provider.base_url(Provider.OPENAI)
            client.create_connection(ConnectionDraft(name=name, provider="openai", base_url=url, api_key="x"))
        for place in ("/home/ann/" + "deep/" * 20, "w" * 60):
            client.bind(place, LONG_NAMES[0])
        client.set_fallback(LONG_NAMES)
        client.set_default(LONG_NAMES[0])
        client.resolve(LONG_NAMES[0])
    tab = chromium.open(start_settings(surroundings).address)
    tab.sees(LONG_NAMES[0])

    def fits_in(what: str) -> None:
        for width in (320, 400, 640, 861, 1280):
            tab.look(width, 860)
            tab.wait("new Promise((done) => requestAnimationFrame(() => done(true)))")
            assert fits(tab), f"{what} is wider than {width} pixels"
            assert tab.eval(STICKS_OUT) == [], f"{what} at {width} pixels"
        tab.look(1280, 860)

    fits_in("the list")
    for name in LONG_NAMES:
        tab.eval(f"location.hash = '#/connection/' + encodeURIComponent({json.dumps(name)})")
        tab.wait(f"document.querySelector('.naming h2')?.innerText === {json.dumps(name)}", "its details")
        fits_in(f"{name[:4]}…")
    tab.click("[data-row=team-gateway] .pick")
    tab.click("Test")
    tab.sees("Failed: rate limited")
    fits_in("a failed test")
    tab.click("Edit")
    tab.eval("document.querySelectorAll('dialog details').forEach((one) => { one.open = true; })")
    fits_in("the form")
    tab.press("Escape")
    tab.click("[data-row=gemini] .star")
    tab.click("[data-row] .star[aria-pressed=false]")
    tab.sees("is the default now")
    fits_in("a message")
    for screen, seen in (
        ("Workspaces", "deep/"),
        ("Usage", "tokens out"),
        ("Hand-outs", "of WWW"),
        ("Upkeep", "Recovery code"),
    ):
        tab.click(screen)
        tab.sees(seen)
        fits_in(screen)
    tab.eval("location.hash = '#/import'")
    tab.sees("long-long")
    fits_in("the import")
    tab.close()


def test_what_happens_meanwhile(
    chromium: Chromium, screen: Settings, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    with nexod.client() as client:
        furnish(client, provider)
        client.update_health_settings(paused=True)
        tab = chromium.open(screen.address)
        tab.sees("Checks are paused")
        look_at(tab, "settings-paused")
        tab.click("[aria-label='Edit claude']")
        tab.fill("#f-name", "mine")
        client.update_connection("claude", ConnectionDraft(default_model="theirs"))
        tab.click("Save")
        tab.sees("Somebody else changed it")
        look_at(tab, "settings-stale", sizes=(SIZES[0], SIZES[2]))
        client.delete_connection("claude")
        tab.sees("claude was removed meanwhile")
        look_at(tab, "settings-removed", sizes=(SIZES[0], SIZES[2]))
    second = chromium.open(screen.address)
    second.sees("This tab is not known")
    look_at(second, "settings-unknown")
    second.close()
    tabs = [chromium.open(another_address(surroundings)) for _ in range(3)]
    tabs[-1].sees("It is open elsewhere")
    look_at(tabs[-1], "settings-elsewhere")
    for one in (tab, *tabs):
        one.close()


def test_on_a_small_screen_a_connection_is_a_page_of_its_own(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    start_settings(surroundings)
    tab = chromium.open(another_address(surroundings), width=480, height=860)
    tab.sees("claude")
    visible = (
        "[...document.querySelectorAll('.side, .details')].filter((one) => one.offsetParent)"
        ".map((one) => one.className)"
    )
    assert tab.eval(visible) == ["side"]
    tab.click("[data-row=claude] .pick")
    tab.wait("document.querySelector('.naming h2')?.innerText === 'claude'", "the details")
    assert tab.eval(visible) == ["details"]
    tab.click("[aria-label='Back to the list']")
    tab.wait(f"({visible})[0] === 'side'", "the list again")
    tab.click("[data-row=gemini] .pick")
    tab.eval("history.back()")
    tab.wait(f"({visible})[0] === 'side'", "the browser's own way back works, too")
    tab.close()


def test_a_slice_of_the_chart_can_be_asked_by_pointer_and_by_key(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    tab = chromium.open(start_settings(surroundings).address)
    tab.wait("document.querySelector('.chart svg .line')", "the chart")
    middle = "({x, y, width, height}) => [x + width / 2, y + height / 2]"
    box = tab.eval(f"({middle})(document.querySelector('.chart svg').getBoundingClientRect())")
    tab.move(*box)
    tab.wait("document.querySelector('.readout').innerText.includes('every check succeeded')", "the slice")
    tab.move(5, 5)
    tab.wait("!document.querySelector('.readout').innerText.trim()", "it goes with the pointer")
    tab.eval("document.querySelector('.chart svg').focus()")
    tab.press("ArrowLeft")
    tab.press("ArrowLeft")
    tab.wait("document.querySelector('#said').innerText.includes('check')", "a screen reader is told")
    tab.close()


def test_state_is_a_word_and_a_shape_before_it_is_a_colour(
    chromium: Chromium, lived_in: Nexod, surroundings: Surroundings
) -> None:
    tab = chromium.open(start_settings(surroundings).address)
    tab.sees("key rejected")
    shape = "row.querySelector('.light').innerHTML.replace(/<!--.*?-->/g, '')"
    word = "row.querySelector('.word').textContent.trim()"
    all_rows = "[...document.querySelectorAll('[data-row]')]"
    rows = tab.eval(f"Object.fromEntries({all_rows}.map((row) => [row.dataset.row, [{shape}, {word}]]))")
    shapes = {name: rows[name][0] for name in ("work", "team-gateway", "old-key", "spare")}
    assert len(set(shapes.values())) == 4, json.dumps(shapes)
    assert rows["work"][1].startswith("works, ")
    assert rows["team-gateway"][1] == "rate limited"
    assert rows["old-key"][1] == "key rejected"
    assert rows["spare"][1] == "switched off"
    tab.close()
