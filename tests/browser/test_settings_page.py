"""The settings screen as a person uses it: a real Chromium, a real daemon, real clicks and keys."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chromium import Chromium, Open, Tab
from firefox import Firefox
from nexo.connections.terms import Provider, VaultState
from nexo_cli.demo.provider import HOME, REVOKED, WORK, ExampleProvider
from nexo_client.errors import VaultKeyLost
from nexo_client.types import ConnectionDraft, KeySlot, MappedModel
from page_looks import SIZES, look_at
from settings_parts import Settings, another_address, damage, start_settings
from surroundings import Nexod, Surroundings, wait_for

pytestmark = pytest.mark.needs("chromium")

STAR = "[data-row='{}'] .star"
LATE_PROVIDERS = """
const comes = new Promise((come) => { window.providersCome = come; });
const fetched = window.fetch;
window.fetch = async (where, ...rest) => {
  if (String(where).includes('providers')) await comes;
  return fetched(where, ...rest);
};
"""
HELD_UPKEEP = """
const fetched = window.fetch;
window.held = [];
window.fetch = async (where, ...rest) => {
  const answer = await fetched(where, ...rest);
  if (window.holds && String(where).endsWith('/upkeep')) await new Promise((go) => window.held.push(go));
  return answer;
};
"""
HELD_EVENTS = """
const read = ReadableStreamDefaultReader.prototype.read;
window.held = Promise.resolve();
ReadableStreamDefaultReader.prototype.read = async function () {
  const found = await read.call(this);
  await window.held;
  return found;
};
"""
STAR_UNTIL_THE_ANSWER = """new Promise((done) => {
  let release;
  window.held = new Promise((go) => { release = go; });
  const star = document.querySelector("[data-row='two'] .star");
  const places = [];
  new MutationObserver(() => {
    const pressed = star.getAttribute('aria-pressed');
    if (places.at(-1) !== pressed) places.push(pressed);
    if (!document.body.innerText.includes('two is the default now')) return;
    setTimeout(() => {
      release();
      done(places);
    }, 50);
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
  star.click();
})"""
MOVED_CLOCK = """
const now = Date.now;
window.moved = 0;
Date.now = () => now() + window.moved;
"""


def add(nexod: Nexod, provider: ExampleProvider, *names: str, key: str = WORK.key) -> None:
    url = provider.base_url(Provider.OPENAI)
    with nexod.client() as client:
        for name in names:
            client.create_connection(ConnectionDraft(name=name, provider="openai", base_url=url, api_key=key))


def is_starred(tab: Tab, name: str) -> str:
    return f"document.querySelector(\"{STAR.format(name)}\")?.getAttribute('aria-pressed') === 'true'"


def the_document(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    # Settings → LLM Connections
    tab.sees("LLM Connections", "No connection yet")
    # Add Connection: Name, Provider, API Key, Base URL, Custom Headers
    tab.click("Add connection")
    tab.sees("Providers", "Services", "On this computer")
    tab.fill(".picker input", "open")
    tab.press("Enter")
    tab.wait("document.querySelector('#f-name').value === 'openai'", "a name is proposed")
    tab.wait("document.querySelector('#f-url').value === 'https://api.openai.com/v1'", "the URL is filled in")
    tab.wait("document.activeElement.id === 'f-key'")
    tab.wait("document.querySelector('#f-key').placeholder === 'sk-proj-…'")
    assert tab.eval("document.querySelector('#f-headers').placeholder") == '{"OpenAI-Project": "proj_abc"}'
    tab.type(WORK.key)
    assert tab.eval("getComputedStyle(document.querySelector('#f-key')).webkitTextSecurity") == "disc"
    tab.fill("#f-url", provider.base_url(Provider.OPENAI))
    tab.sees("Back to https://api.openai.com/v1")
    tab.click("dialog details summary")
    tab.fill("#f-headers", '{"X-Team": blue}')
    tab.sees("This is not JSON at line 1, column 12")
    tab.fill("#f-headers", '{"X-Team": "blue"}')
    # Test Connection → Success
    tab.click("Test connection")
    tab.sees("Key accepted", "Success", "The key was verified, 2 models")
    # Save
    tab.click("Save")
    tab.sees("Saved openai.", "Programs get openai unless bound to another")
    with nexod.client() as client:
        saved = client.get_connection("openai")
        assert saved.header_names == ("X-Team",)
        assert saved.is_default
        assert client.reveal("openai").api_key == WORK.key
    # A second one, and the Star
    add(nexod, provider, "claude", key=HOME.key)
    tab.sees("claude")
    tab.click(STAR.format("claude"))
    tab.sees("claude is the default now", "Programs get claude unless bound to another")
    tab.wait(is_starred(tab, "claude"), "the star has moved")
    tab.wait(f"!({is_starred(tab, 'openai')})", "there is one star")
    tab.click("Undo")
    tab.sees("openai is the default again", "Programs get openai unless bound to another")
    # Edit: modify, test, save
    tab.click("[aria-label='Edit openai']")
    tab.wait("document.querySelector('#f-key').placeholder === 'unchanged'", "the key is not shown")
    assert tab.eval("document.querySelector('#f-key').value") == ""
    tab.sees("Stored: X-Team")
    # One header more, without typing the other again
    tab.fill("#f-headers", '{"X-Room": "4"}')
    tab.fill("#f-name", "work")
    tab.fill("#f-model", "example-large")
    tab.click("Model names (map)")
    tab.fill("[aria-label='Programs ask for, row 1']", "gpt-5")
    tab.sees("Type the model that is sent instead of gpt-5.")
    tab.fill("[aria-label='Sent instead, row 1']", "example-large")
    tab.click("Test connection")
    # The last test of it is shown behind the dialog.
    tab.wait("document.querySelector('dialog').innerText.includes('Success')", "the test has ended")
    tab.click("Save")
    tab.sees("Saved work.")
    with nexod.client() as client:
        saved = client.get_connection("work")
        assert saved.default_model == "example-large"
        assert saved.model_map == (MappedModel("gpt-5", "example-large"),)
        assert client.reveal("work").api_key == WORK.key
        assert client.reveal("work").headers == {"X-Team": "blue", "X-Room": "4"}
    tab.click("[aria-label='Edit work']")
    tab.click("[aria-label='Remove the header X-Team']")
    tab.sees("X-Team (is removed")
    tab.click("[aria-label='Change the header X-Room']")
    tab.wait('document.activeElement.value === \'{"X-Room":""}\'', "its name is typed")
    tab.type("5")
    tab.click("Test and save")
    tab.wait("!document.querySelector('dialog')", "it is saved")
    with nexod.client() as client:
        assert client.reveal("work").headers == {"X-Room": "5"}


def test_the_document_line_by_line(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    the_document(tab, nexod, provider)


@pytest.mark.needs("firefox")
def test_the_document_line_by_line_in_firefox(
    screen: Settings, nexod: Nexod, provider: ExampleProvider
) -> None:
    with Firefox() as firefox:
        tab = firefox.open(screen.address)
        the_document(tab, nexod, provider)
        assert not tab.problems()


def test_a_failed_test_says_why_and_what_to_do(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-key", REVOKED.key)
    tab.fill("#f-url", provider.base_url(Provider.OPENAI))
    tab.click("Test and save")
    tab.sees("Failed: key rejected", "Copy it again")
    with nexod.client() as client:
        assert client.list_connections() == ()
    # What is typed after the test makes it an old one: it has to be tested again.
    tab.fill("#f-key", WORK.key)
    tab.sees("This result is from before your last changes")
    tab.click("Test and save")
    tab.sees("Saved openai.")
    # What a model costs is said before one is asked.
    tab.sees("One short completion on example-small")
    tab.click("Ask a model, too")
    tab.sees("Completion works")


def test_saving_what_does_not_work_is_the_persons_choice(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-key", REVOKED.key)
    tab.fill("#f-url", provider.base_url(Provider.OPENAI))
    tab.click("Test connection")
    tab.sees("Failed: key rejected")
    tab.click("Save anyway")
    tab.sees("Saved openai.")
    # What the test said is still there for whoever asks why.
    tab.sees("Last test", "Failed: key rejected", "Server reachable")
    with nexod.client() as client:
        assert client.reveal("openai").api_key == REVOKED.key


def test_all_of_it_by_the_keyboard(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    tab.sees("No connection yet")
    tab.press("n")
    tab.wait("document.activeElement.closest('.picker')", "the search has the focus")
    tab.type("custom")
    tab.sees("any compatible address")
    tab.press("Enter")
    tab.wait("document.activeElement.id === 'f-key'", "the key has the focus")
    tab.type(WORK.key)
    for _ in range(10):
        tab.press("Tab")
        if tab.eval("document.activeElement.id") == "f-url":
            break
    tab.type(provider.base_url(Provider.OPENAI))
    tab.press("Enter", "ctrl")
    tab.sees("Saved custom.")
    tab.wait("!document.querySelector('dialog')", "the dialog is closed")
    add(nexod, provider, "second", "third")
    tab.sees("third")
    tab.eval("document.querySelector('[data-row] .pick').focus()")
    tab.press("ArrowDown")
    tab.press("ArrowDown")
    tab.wait("document.activeElement.closest('[data-row]').dataset.row === 'third'", "arrows move")
    tab.wait("document.querySelector('.naming h2').innerText === 'third'", "the details follow")
    tab.press("t")
    tab.sees("Success")
    tab.press("e")
    tab.sees("Edit third")
    tab.press("Escape")
    tab.wait("!document.querySelector('dialog')", "Escape closes")
    tab.wait("document.activeElement.closest('[data-row]')?.dataset.row === 'third'", "the focus is back")
    # The whole list is one stop for each kind of its buttons.
    tab.wait("[...document.querySelectorAll('[data-row] [tabindex=\"0\"]')].length === 3")


def test_an_enter_that_is_faster_than_the_list_of_providers_counts(tab: Tab) -> None:
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=LATE_PROVIDERS)
    tab.reload()
    tab.sees("No connection yet")
    tab.press("n")
    tab.wait("document.querySelector('.picker input')", "the choice of a provider")
    tab.fill(".picker input", "anthropic")
    tab.press("Enter")
    assert not tab.eval("document.querySelectorAll('.tiles button').length")
    tab.eval("window.providersCome()")
    tab.wait("document.querySelector('#f-name')?.value === 'anthropic'", "the first of the list is chosen")


def test_a_typed_key_is_not_thrown_away_by_a_key_press(tab: Tab) -> None:
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-key", "something typed")
    tab.press("Escape")
    tab.sees("Your changes are not saved")
    tab.press("Enter")
    tab.wait("document.querySelector('#f-key').value === 'something typed'", "it is still there")
    tab.press("Escape")
    tab.click("Discard")
    tab.wait("!document.querySelector('dialog')", "the dialog is closed")


def test_another_provider_keeps_the_key_and_a_typed_address(tab: Tab) -> None:
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-key", "typed")
    for wanted, url in (
        ("groq", "https://api.groq.com/openai/v1"),
        ("anthropic", "https://api.anthropic.com"),
    ):
        tab.click("#f-provider")
        tab.fill(".picker input", wanted)
        tab.press("Enter")
        tab.wait(f"document.querySelector('#f-url')?.value === '{url}'", "the URL follows the provider")
        assert tab.eval("document.querySelector('#f-key').value") == "typed"
    tab.fill("#f-url", "https://mine.example/v1")
    tab.click("#f-provider")
    tab.fill(".picker input", "openai")
    tab.press("Enter")
    tab.wait("document.querySelector('#f-url')?.value === 'https://mine.example/v1'", "a typed URL stays")


def test_what_is_wrong_with_a_field_is_told_beside_it_in_words(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-key", f"export OPENAI_API_KEY={WORK.key}")
    tab.click("Test connection")
    tab.wait("document.querySelector('#n-key').innerText.startsWith('Has white space in it.')", "in words")
    tab.fill("#f-url", "javascript:alert(1)")
    tab.fill("#f-key", WORK.key)
    tab.click("Test connection")
    tab.wait("document.querySelector('#n-url').innerText.startsWith('Has no scheme.')", "in words")
    tab.fill("#f-url", provider.base_url(Provider.OPENAI))
    tab.fill("#f-name", "n" * 65)
    tab.click("Test connection")
    tab.wait("document.querySelector('#n-name').innerText.startsWith('Has 65 characters.')", "in words")
    tab.fill("#f-name", "work")
    tab.click("Test and save")
    tab.sees("Saved work.")
    # A name of the system stays as it is.
    tab.click("[aria-label='Edit work']")
    tab.click("Keep it elsewhere")
    tab.fill("#f-ref", "file:/not-there")
    tab.click("Test connection")
    tab.sees("file:/not-there: No such file")
    tab.press("Escape")
    tab.click("Discard")
    # Where the field is not there, its name is.
    tab.click("Workspaces")
    tab.fill("#bind-place", "w" * 5000)
    tab.choose("#bind-to", "work")
    tab.click("Bind")
    tab.wait("document.querySelector('#bind-problem').innerText", "the refusal")
    assert "_" not in tab.eval("document.querySelector('#bind-problem').innerText")


def test_a_name_that_is_taken_is_told_while_typing(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "work")
    tab.sees("work")
    tab.press("n")
    tab.click(".tiles button")
    tab.fill("#f-name", "WORK")
    tab.sees("A connection “work” already exists")
    tab.wait("document.querySelector('.dialog-foot .primary').disabled")


def test_a_stored_key_goes_to_a_new_host_only_after_a_yes(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    tab.sees("work")
    with ExampleProvider() as elsewhere:
        tab.click("[aria-label='Edit work']")
        tab.fill("#f-url", elsewhere.base_url(Provider.OPENAI))
        tab.click("Test connection")
        tab.sees("Send the stored key there?")
        assert not elsewhere.requests()
        tab.click("Send it and test")
        tab.sees("Success")
        tab.click("Save")
        tab.sees("Saved work.")
        with nexod.client() as client:
            assert client.get_connection("work").base_url == elsewhere.base_url(Provider.OPENAI)


SECOND_HAND = """(() => {
  const real = window.setTimeout;
  window.soon = [];
  window.setTimeout = (run, ms, ...more) =>
    ms === 20000 ? (window.soon.push(run), 0) : real(run, ms, ...more);
})()"""


def test_a_stored_secret_is_shown_on_a_click_and_goes_again(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    with nexod.client() as client:
        client.update_connection("work", ConnectionDraft(headers_json='{"X-Team": "canary-blue"}'))
    tab.sees("work", "X-Team")
    tab.eval(SECOND_HAND)
    tab.click("[aria-label='Edit work']")
    tab.sees("Show X-Team")
    with nexod.client() as client:
        assert not client.handouts()
    shown = "document.querySelector('#revealed').textContent"

    tab.click("Show the stored key")
    tab.wait(f"{shown} === {json.dumps(WORK.key)}", "the key is shown")
    # What the page knows does not hold it, and the field is not filled with it.
    plain = "(name, value) => name === 'opener' ? undefined : value"
    known = f"import('/app.js').then(({{ state }}) => JSON.stringify(state, {plain}))"
    assert WORK.key not in tab.eval(known)
    assert tab.eval("document.querySelector('#f-key').value") == ""

    # Another one takes its place, and twenty seconds later nothing is there.
    tab.click("Show X-Team")
    tab.wait(f"{shown} === 'canary-blue'", "the header is shown in its place")
    tab.eval("window.soon.at(-1)()")
    tab.wait(f"{shown} === ''", "it is gone")
    tab.sees("Show X-Team")

    tab.click("Show the stored key")
    tab.wait(f"{shown} !== ''")
    tab.click("Hide the stored key")
    tab.wait(f"{shown} === ''", "it was hidden by hand")

    tab.click("Show the stored key")
    tab.wait(f"{shown} !== ''")
    hidden = "Object.defineProperty(document, 'hidden', { value: true, configurable: true })"
    tab.eval(f"{hidden}; document.dispatchEvent(new Event('visibilitychange'))")
    tab.wait(f"{shown} === ''", "it went with the tab")
    assert WORK.key not in str(tab.eval("document.documentElement.outerHTML"))
    with nexod.client() as client:
        (record,) = client.handouts("work")
        assert (record.client.program, record.times) == ("nexo_settings", 4)


def test_without_reveal_there_is_no_button(
    open_page: Open, screen: Settings, surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    tab = open_page("--no-reveal")
    tab.sees("work")
    tab.click("[aria-label='Edit work']")
    tab.sees("Remove the stored key")
    assert "Show the stored key" not in tab.text


def test_the_name_of_a_duplicate_is_one_that_can_be_saved(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "é" * 64)
    tab.click("summary[aria-label=More]")
    tab.click("Duplicate…")
    tab.fill("#f-key", WORK.key)
    tab.click("Test and save")
    tab.sees(f"Saved {'é' * 62}-2.")


def test_a_copy_and_a_removal_say_which_secrets_are_lost(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "default")
    usual = ConnectionDraft(provider="custom", base_url=provider.base_url(Provider.CUSTOM))
    with nexod.client() as client:
        for draft in (
            replace(usual, name="both", api_key=WORK.key, headers_json='{"X-Team": "blue", "X-Way": "a"}'),
            replace(usual, name="one", headers_json='{"X-Team": "blue"}'),
            replace(usual, name="away", api_key_ref="file:/srv/key"),
            replace(usual, name="none"),
        ):
            client.create_connection(draft)
    tab.sees("none")

    def choose(name: str, words: str) -> None:
        tab.click(f"[data-row={name}] .pick")
        tab.wait(f"document.querySelector('.naming h2').innerText === {json.dumps(name)}", "its details")
        tab.click("summary[aria-label=More]")
        tab.click(words)
        tab.wait("document.querySelector('dialog')", "the dialog")

    for name, said in (
        ("both", "Its stored key and headers are removed, too."),
        ("one", "Its stored header is removed, too."),
        ("away", "The key itself is kept elsewhere and stays there."),
        ("none", "No key is stored with it."),
    ):
        choose(name, "Remove…")
        assert tab.eval("document.querySelector('.dialog-text').innerText") == said
        tab.press("Escape")
        tab.wait("!document.querySelector('dialog')", "the dialog is closed")
    for name, key, header in (("both", True, "X-Team, X-Way"), ("one", False, "X-Team"), ("none", False, "")):
        choose(name, "Duplicate…")
        form = tab.eval("document.querySelector('.form').innerText")
        assert ("The key is not copied." in form, f"Not copied: {header}." in form) == (key, bool(header))
        tab.press("Escape")
        tab.wait("!document.querySelector('dialog')", "the dialog is closed")


def test_switching_off_duplicating_and_removing(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "work", "spare")
    with nexod.client() as client:
        client.bind("/srv/acme", "work")
    tab.sees("spare")
    tab.click("[data-row=spare] .pick")
    tab.click("summary[aria-label=More]")
    tab.click("Switch off")
    tab.sees("spare is switched off: no program gets it")
    tab.click("summary[aria-label=More]")
    tab.click("Duplicate…")
    tab.sees("Duplicate spare", "The key is not copied")
    tab.wait("document.querySelector('#f-name').value === 'spare-2'", "a free name")
    tab.press("Escape")
    tab.click("summary[aria-label=More]")
    tab.click("Switch on")
    tab.sees("spare is switched on")
    tab.click("[data-row=work] .pick")
    tab.click("summary[aria-label=More]")
    tab.click("Remove…")
    tab.sees("Remove work?", "It is in use: it is the default; bound to /srv/acme")
    tab.choose("#move", "spare")
    tab.click("Remove")
    tab.sees("Removed work.")
    with nexod.client() as client:
        assert [one.name for one in client.list_connections()] == ["spare"]
        default = client.get_default()
        assert default is not None
        assert default.name == "spare"
        assert client.list_workspaces()[0][0].connection == "spare"


def test_workspaces_are_bound_explained_and_freed(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "work", "acme")
    tab.click("Workspaces")
    tab.sees("None is bound")
    tab.fill("#bind-place", "/srv/acme")
    tab.choose("#bind-to", "acme")
    tab.choose("#bind-sticky", "43200")
    tab.click("#bind-fallback")
    tab.click("Bind")
    tab.sees("/srv/acme gets acme from now on")
    tab.fill("#ask-place", "/srv/acme/site")
    tab.click("Explain")
    tab.sees("It gets acme", "bound to /srv/acme")
    tab.click("[aria-label='Unbind /srv/acme']")
    tab.sees("follows the default again", "None is bound")
    tab.click("Undo")
    wait_for(lambda: bound(nexod) == {"/srv/acme": ("acme", 43200, True)}, "it is bound again, as it was")
    tab.choose(".bindings select", "work")
    wait_for(lambda: bound(nexod) == {"/srv/acme": ("work", 43200, True)}, "it is bound anew")
    tab.click("[aria-label='Edit the binding of /srv/acme']")
    tab.choose("#edit-sticky", "3600")
    tab.click("#edit-fallback")
    tab.click("Save")
    tab.sees("Conversations keep their connection until idle for 1 h")
    assert bound(nexod) == {"/srv/acme": ("work", 3600, False)}


def bound(nexod: Nexod) -> dict[str, tuple[str, float | None, bool]]:
    with nexod.client() as client:
        found = client.list_workspaces()[0]
    return {str(one.workspace): (one.connection, one.sticky_s, one.allow_fallback) for one in found}


# -- what can happen meanwhile


def test_a_binding_that_was_changed_while_it_is_edited_stays_changed(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one", "two")
    with nexod.client() as client:
        client.bind("/srv/site", "one")
        tab.click("Workspaces")
        edit = "[aria-label='Edit the binding of /srv/site']"
        tab.click(edit)
        client.bind("/srv/site", "two")
        tab.wait("document.querySelector('.bindings select').value === 'two'", "the change is known")
        tab.click("dialog .tick input")
        tab.click("Save")
        tab.wait("!document.querySelector('dialog')", "the dialog is closed")
        (bound,), _ = client.list_workspaces()
        assert (bound.connection, bound.allow_fallback) == ("two", True)
        tab.click(edit)
        client.unbind("/srv/site")
        tab.sees("It was unbound meanwhile.")
        tab.wait("document.querySelector('dialog .primary').disabled")


def test_a_change_by_somebody_else_shows_by_itself(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "one", "two")
    tab.sees("one", "two")
    with nexod.client() as client:
        client.set_default("two")
        tab.wait(is_starred(tab, "two"), "the star moves")
        client.update_connection("two", ConnectionDraft(name="zwei"))
        tab.sees("zwei")
        client.delete_connection("one")
        tab.wait("!document.querySelector('[data-row=one]')", "what is removed goes")


def test_what_was_changed_meanwhile_is_not_overwritten(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    tab.sees("work")
    tab.click("[aria-label='Edit work']")
    with nexod.client() as client:
        client.update_connection("work", ConnectionDraft(name="renamed", default_model="theirs"))
    tab.fill("#f-name", "mine")
    tab.click("Save")
    tab.sees("Not saved", "Somebody else changed it", "Name is now renamed", "Default model is now theirs")
    tab.click("Keep what I typed")
    tab.click("Save")
    tab.sees("Saved mine.")
    with nexod.client() as client:
        assert client.get_connection("mine").default_model == "theirs"


def test_what_is_removed_while_it_is_edited_can_be_made_anew(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work", "other")
    tab.sees("work")
    tab.click("[data-row=work] .pick")
    tab.click("[aria-label='Edit work']")
    tab.fill("#f-model", "example-large")
    with nexod.client() as client:
        client.delete_connection("work", replace_with="other")
    tab.sees("work was removed meanwhile", "What you typed is still here", "The stored key is gone: type it")
    assert tab.eval("document.querySelector('#f-key').placeholder") != "unchanged"
    assert "Show the stored key" not in tab.text
    tab.wait("document.querySelector('.dialog-foot .primary').disabled")
    tab.click("Save as a new connection")
    tab.wait("document.querySelector('#dialog-title').innerText === 'Add connection'", "it is a new one")
    tab.fill("#f-key", WORK.key)
    tab.click("Test and save")
    tab.sees("Saved work.")
    with nexod.client() as client:
        assert client.get_connection("work").default_model == "example-large"
        assert client.reveal("work").api_key == WORK.key
        # What is only looked at goes, and the page says so.
        client.delete_connection("work")
    tab.sees("work was removed.")
    tab.wait("location.hash === '#/'")


def test_a_daemon_that_is_killed_is_told_and_started_again(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    tab.wait("document.querySelector('[data-row=work] .state.healthy')", "it was checked")
    nexod.kill()
    tab.sees("The daemon is not running", "This is the last known state", "worked")
    tab.wait("document.querySelector('header .primary').disabled")
    tab.click("Start the daemon")
    tab.wait("!document.body.innerText.includes('The daemon is not running')", "it runs again")
    tab.wait("!document.querySelector('header .primary').disabled", "it can be written again")
    with nexod.client() as client:
        assert client.status().connections == 1
        client.shutdown()
    tab.sees("The daemon is not running")


def test_a_key_that_was_lost_under_an_unlocked_vault_is_told_until_it_is_stored_again(
    tab: Tab, nexod: Nexod, surroundings: Surroundings
) -> None:
    (surroundings.config_dir / "vault.key").unlink()
    with nexod.client() as client:
        with pytest.raises(VaultKeyLost):
            client.vault.unlock()
        tab.sees("The vault will not unlock again", "nexoctl vault rekey --to key_file")
        client.vault.rekey(KeySlot.KEY_FILE)
    tab.wait("!document.querySelector('.banner')", "the banner is gone")


def test_a_locked_vault_is_unlocked_with_its_passphrase(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    with nexod.client() as client:
        client.vault.rekey(KeySlot.PASSPHRASE, passphrase="correct horse battery staple")
        client.vault.lock()
    tab.sees("The vault is locked", "Programs get no keys until it is unlocked")
    tab.click("Unlock")
    tab.sees("Unlock the vault")
    tab.type("wrong")
    tab.press("Enter")
    tab.wait("document.querySelector('dialog .problem')", "it says what is wrong")
    tab.fill("#f-open", "correct horse battery staple")
    tab.press("Enter")
    tab.sees("The vault is unlocked.")
    with nexod.client() as client:
        assert client.status().vault is VaultState.UNLOCKED


def test_a_read_only_store_is_shown_and_mended_from_a_backup(
    nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider, chromium: Chromium
) -> None:
    add(nexod, provider, "work")
    with nexod.client() as client:
        client.store.create_backup()
    nexod.stop()
    damage(surroundings.data_dir / "connections.db")
    surroundings.start_nexod()
    tab = chromium.open(start_settings(surroundings).address)
    try:
        tab.sees("The store is read-only")
        tab.wait("document.querySelector('header .primary').disabled")
        tab.click("Restore…")
        tab.sees("Restore this backup?", "It is sound: 1 connection")
        tab.click("Restore")
        tab.sees("Restored 1 connection")
        tab.wait("!document.querySelector('header .primary').disabled", "it can be written again")
        assert not tab.problems()
    finally:
        tab.close()


def test_checks_that_are_paused_are_resumed(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "work")
    with nexod.client() as client:
        client.update_health_settings(paused=True)
        tab.sees("Checks are paused")
        tab.click("Resume")
        tab.wait("!document.body.innerText.includes('Checks are paused')", "the banner goes")
        assert not client.health_settings().paused


def test_a_page_whose_server_has_ended_says_so(tab: Tab, screen: Settings) -> None:
    tab.sees("No connection yet")
    screen.process.terminate()
    tab.sees("The settings were closed", "nexoctl settings")


def test_a_reload_stays_in_and_a_used_address_does_not(
    tab: Tab, chromium: Chromium, screen: Settings
) -> None:
    tab.sees("No connection yet")
    tab.wait("location.hash === '#/'")
    tab.reload()
    tab.sees("No connection yet")
    first = chromium.open(screen.address)
    first.sees("No connection yet")
    second = chromium.open(screen.address)
    second.sees("This tab is not known")
    first.close()
    second.close()


def test_an_address_that_is_pasted_into_an_open_tab_opens_there(
    chromium: Chromium, screen: Settings, nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one")
    # The browser does not load the page again for another fragment.
    tab = chromium.open(f"http://{screen.authority}/")
    tab.sees("This tab is not known")
    for place, seen in (((), "Who uses it"), (("--at", "edit", "--name", "one"), "Edit one")):
        before = tab.eval("sessionStorage.getItem('secret')")
        tab.call("Page.navigate", url=another_address(surroundings, *place))
        tab.sees(seen)
        assert tab.eval("sessionStorage.getItem('secret')") != before
        assert "token" not in tab.eval("location.hash")
    addresses = [entry["url"] for entry in tab.call("Page.getNavigationHistory")["entries"]]
    assert not [one for one in addresses if "token" in one]
    tab.close()


def test_a_fourth_tab_can_take_over(open_page: Open) -> None:
    tabs = [open_page() for _ in range(3)]
    for one in tabs:
        one.sees("No connection yet")
    fourth = open_page()
    fourth.sees("It is open elsewhere")
    fourth.click("Continue here")
    fourth.sees("No connection yet")
    tabs[0].sees("It is open elsewhere")


def test_it_opens_where_it_is_asked_to(open_page: Open, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "one", "two & three")
    open_page("--at", "add").sees("Add connection", "On this computer")
    edited = open_page("--at", "edit", "--name", "two & three")
    edited.sees("Edit two & three")
    edited.wait("document.activeElement.id === 'f-name'")
    shown = open_page("--at", "show", "--name", "two & three")
    shown.wait("document.querySelector('.naming h2')?.innerText === 'two & three'", "it is shown")


def test_of_two_quick_clicks_on_stars_the_last_one_counts(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one", "two")
    tab.sees("two")
    one, two = (f'document.querySelector("{STAR.format(name)}").click()' for name in ("one", "two"))
    drawn = "await new Promise((done) => setTimeout(done, 0))"
    with nexod.client() as client:
        for clicks, last in (((two, one), "one"), ((two, one, two), "two"), ((one, two, one), "one")):
            tab.eval(f"(async () => {{ {f'; {drawn}; '.join(clicks)} }})()")
            tab.sees(f"{last} is the default now")
            wait_for(lambda: (found := client.get_default()) and found.name == last, f"{last} is the default")  # noqa: B023 - waited for at once
            tab.click("[aria-label='Close this message']")


def test_charts_of_the_list_are_loaded_again_when_they_are_old(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=MOVED_CLOCK)
    tab.reload()
    add(nexod, provider, "one", "two")
    tab.wait("document.querySelectorAll('.spark').length === 2", "both strips")

    def loaded() -> int:
        return sum(one.endswith("/api/history") for one in tab.requests())

    before = loaded()
    tab.eval("window.moved = 16 * 60_000")
    tab.eval("void window.dispatchEvent(new Event('resize'))")
    wait_for(lambda: loaded() > before, "the charts are loaded again")


def test_the_result_of_testing_all_is_a_sentence(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "one")
    tab.sees("one")
    tab.click("Test all")
    tab.sees("The connection works.")
    add(nexod, provider, "two")
    tab.sees("two")
    tab.click("Test all")
    tab.sees("All 2 connections work.")
    # What is switched off was not tested.
    for name, said in (("two", "The connection works."), ("one", "No connection is switched on.")):
        with nexod.client() as client:
            client.update_connection(name, ConnectionDraft(enabled=False))
        tab.wait(f"document.querySelector('[data-row={name}].off')", f"{name} is switched off")
        tab.click("Test all")
        tab.sees(said)


def test_two_hundred_connections(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    with nexod.client() as client:
        client.update_health_settings(paused=True)
    add(nexod, provider, *(f"account-{number:03}" for number in range(200)))
    tab.wait("document.querySelectorAll('[data-row]').length === 200", "all of them are listed")
    tab.press("/")
    tab.type("account-19")
    tab.wait("document.querySelectorAll('[data-row]').length === 10", "the filter works")


def test_upkeep_does_what_its_buttons_say(
    tab: Tab, nexod: Nexod, provider: ExampleProvider, chromium: Chromium, tmp_path: Path
) -> None:
    chromium.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    with nexod.client() as client:
        for name in ("work", "claude", "gemini"):
            url = provider.base_url(Provider.OPENAI)
            client.create_connection(
                ConnectionDraft(name=name, provider="openai", base_url=url, api_key=WORK.key)
            )
        tab.click("Upkeep")
        tab.click("Back up now")
        tab.sees("By hand")
        assert [one.reason for one in client.store.backups()] == ["request"]
        tab.click("Check the store")
        tab.sees("Sound: 3 connections and 3 secrets, and every secret can be decrypted")
        client.delete_connection("gemini")
        tab.click(".backups button")
        tab.sees("Now\n2 connections", "It is sound: 3 connections and 3 secrets")
        tab.click("Restore")
        tab.sees("Restored 3 connections and 3 secrets")
        assert {one.name for one in client.list_connections()} == {"work", "claude", "gemini"}
        tab.sees("Recovery code", "None.")
        tab.click("export")
        tab.sees("connections.json has 3 connections and no key.")

        def downloaded() -> bytes:
            written = b"".join(path.read_bytes() for path in tmp_path.glob("*.json"))
            return written if written.rstrip().endswith(b"}") else b""

        written = wait_for(downloaded, "the whole download")
        assert written.count(b'"provider": "openai"') == 3
        assert WORK.key.encode() not in written
        tab.click("Change…")
        tab.choose("#auto-idle", "3600")
        tab.click("Save")
        tab.sees("After 1 h without a hand-out")
        assert client.vault.auto_lock().idle_s == 3600
        tab.click("Switch on")
        tab.sees("Listens on 127.0.0.1:", "no program uses it")
        assert client.gateway.status().gateway.listening
        # The second one is chosen while the first is on its way.
        tab.choose("#stand-in", "claude")
        tab.choose("#stand-in", "gemini")
        tab.sees("1\nclaude", "2\ngemini")
        wait_for(lambda: client.get_fallback() == ("claude", "gemini"), "both stand-ins")
        tab.click("[aria-label='Move gemini up']")
        tab.sees("1\ngemini")
        tab.click("[aria-label='Remove the stand-in claude']")
        wait_for(lambda: client.get_fallback() == ("gemini",), "the stand-ins")
        tab.click("Pause")
        tab.sees("Checks are paused")
        assert client.status().checks.paused
        client.resolve("work")
        tab.click("Hand-outs")
        tab.sees("got the key of work")
        tab.fill("[aria-label='Filter the hand-outs']", "no such program")
        tab.sees("Nothing matches.")
        tab.click("Usage")
        tab.sees("Nothing went through the gateway in this time.")


@pytest.mark.needs("node")
def test_a_stand_in_that_was_chosen_stays_while_an_older_list_arrives(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=HELD_UPKEEP)
    tab.reload()
    add(nexod, provider, "one", "two")
    tab.click("Upkeep")
    tab.wait("document.querySelector('#stand-in')", "the stand-ins are known")
    tab.eval("window.holds = true")
    tab.choose("#stand-in", "one")
    tab.wait("window.held.length", "the list after the first choice has arrived")
    tab.choose("#stand-in", "two")
    rows = "document.querySelectorAll('.bindings li').length"
    tab.wait(f"{rows} === 2", "both are shown")
    watch = f"new MutationObserver(() => {{ window.fewest = Math.min(window.fewest, {rows}); }})"
    tab.eval(f"window.fewest = 2; {watch}.observe(document.body, {{ subtree: true, childList: true }})")
    tab.eval("window.holds = false; window.held.forEach((go) => go())")
    with nexod.client() as client:
        wait_for(lambda: client.get_fallback() == ("one", "two"), "both are saved")
    assert tab.eval("window.fewest") == 2


def test_the_way_to_the_provider_is_part_of_the_form(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "work")
    tab.sees("work")
    tab.click("[aria-label='Edit work']")
    tab.click("Network (proxy, certificates)")
    tab.fill("#f-proxy", "gopher://127.0.0.1:9")
    tab.click("Test connection")
    tab.wait("document.querySelector('#n-proxy.problem')", "it says what is wrong with the proxy")
    tab.fill("#f-proxy", "direct")
    tab.fill("#f-caBundle", "/nowhere/ca.pem")
    tab.click("Test and save")
    tab.wait("document.querySelector('#n-caBundle.problem')", "it says what is wrong with the file")
    tab.fill("#f-caBundle", "")
    tab.fill("#f-noProxy", "localhost, .corp.example")
    look_at(tab, "settings-network", sizes=(SIZES[0], SIZES[2]))
    tab.click("Test and save")
    tab.sees("Saved work.")
    with nexod.client() as client:
        network = client.get_connection("work").network
        assert (network.proxy, network.no_proxy) == ("direct", ("localhost", ".corp.example"))
        tab.click("[aria-label='Edit work']")
        tab.wait("document.querySelector('#f-proxy').value === 'direct'", "it is there again")
        tab.fill("#f-proxy", "")
        tab.click("Test and save")
        tab.wait("!document.querySelector('dialog')", "it is saved")
        assert client.get_connection("work").network.proxy == "system"


def test_a_header_that_the_server_takes_is_taken_over_by_a_button(tab: Tab, nexod: Nexod) -> None:
    class OwnHeader(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("x-api-key") == WORK.key
            error = {"error": {"message": "Invalid API key", "code": "invalid_api_key"}}
            listed = {"object": "list", "data": [{"id": "example-large", "object": "model"}]}
            raw = json.dumps(listed if known else error).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), OwnHeader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tab.sees("No connection yet")
        tab.press("n")
        tab.fill(".picker input", "custom")
        tab.press("Enter")
        tab.fill("#f-key", WORK.key)
        tab.fill("#f-url", f"http://127.0.0.1:{server.server_address[1]}/v1")
        tab.click("Test connection")
        tab.sees("Failed: key rejected")
        tab.sees("Send the key as x-api-key")
        tab.click(".suggestion button")
        tab.sees("Success")
        tab.click("Save")
        tab.sees("Saved custom.")
        with nexod.client() as client:
            assert client.get_connection("custom").auth_scheme.value == "x-api-key"
            # What is saved has the same button in its details; it leads to the form, where it can be saved.
            client.update_connection("custom", ConnectionDraft(auth_scheme="bearer"))
            tab.click("[aria-label='Close this message']")
            tab.click("Test")
            tab.sees("Failed: key rejected")
            tab.click(".details .suggestion button")
            tab.sees("Edit custom", "Success")
            tab.click("Save")
            # "Saved custom." may still be what was said to screen readers the first time.
            wait_for(lambda: client.get_connection("custom").auth_scheme.value == "x-api-key", "it is saved")
            tab.sees("Saved custom.")
    finally:
        server.shutdown()
        server.server_close()


def test_a_star_stays_where_it_was_clicked_until_the_daemon_says_so(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    """The answer to the click often comes before the event with the change."""
    add(nexod, provider, "one", "two")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=HELD_EVENTS)
    tab.reload()
    tab.wait(is_starred(tab, "one"), "the list")
    assert tab.eval(STAR_UNTIL_THE_ANSWER) == ["true"]
    tab.wait(f"{is_starred(tab, 'two')} && !({is_starred(tab, 'one')})", "there is one star")
