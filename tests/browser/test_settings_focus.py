"""Where the focus is, what a screen reader is told, and what becomes of typed text, in a real Chromium."""

import json
from typing import Any

import pytest

from chromium import Tab
from nexo.connections.terms import Provider
from nexo_cli.demo.provider import WORK, ExampleProvider
from nexo_client.types import ConnectionDraft, KeySlot
from settings_parts import Settings
from surroundings import Nexod, wait_for

pytestmark = pytest.mark.needs("chromium")

FOCUSED = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText.trim())"


def add(nexod: Nexod, provider: ExampleProvider, *names: str) -> None:
    url = provider.base_url(Provider.OPENAI)
    with nexod.client() as client:
        for name in names:
            draft = ConnectionDraft(name=name, provider="openai", base_url=url, api_key=WORK.key)
            client.create_connection(draft)


def focus(tab: Tab, selector: str) -> None:
    found = f"document.querySelector({json.dumps(selector)})"
    tab.wait(f"{found} && !{found}.disabled", f"there is {selector} to focus")
    tab.eval(f"{found}.focus()")


def has_focus(tab: Tab, words: str) -> None:
    tab.wait(f"{FOCUSED} === {json.dumps(words)}", f"the focus is on {words!r}")


def choose_in_menu(tab: Tab, words: str) -> None:
    """By the keyboard alone."""
    focus(tab, "summary[aria-label=More]")
    tab.press("Enter")
    tab.wait("document.querySelector('details.more').open", "the menu is open")
    for _ in range(4):
        tab.press("Tab")
        if tab.eval(FOCUSED) == words:
            tab.press("Enter")
            return
    raise AssertionError(f"{words} is not in the menu")


# What can have the focus, and whose ring is cut off by something that cannot be scrolled.
CUT_RINGS = """(() => {
  const cuts = (one) => {
    const { overflowX, contentVisibility } = getComputedStyle(one);
    const scrolls = one.scrollHeight > one.clientHeight && overflowX === 'auto';
    return (overflowX !== 'visible' || contentVisibility === 'auto') && !scrolls;
  };
  const around = (one) => (one === document.body ? [] : [one, ...around(one.parentElement)]);
  const cut = (one) => {
    one.focus({ focusVisible: true });
    if (document.activeElement !== one || one.matches('main')) return false;
    const { outlineWidth, outlineOffset } = getComputedStyle(one);
    const grown = parseFloat(outlineWidth) + parseFloat(outlineOffset) - 0.5;
    const ring = one.getBoundingClientRect();
    const boxes = around(one.parentElement).filter(cuts).map((each) => each.getBoundingClientRect());
    return boxes.some((box) => ring.left - grown < box.left || ring.right + grown > box.right
      || ring.top - grown < box.top || ring.bottom + grown > box.bottom);
  };
  const able = 'button, a[href], input, select, textarea, summary, [tabindex]';
  const all = [...document.querySelectorAll(able)].filter((one) => !one.disabled && one.checkVisibility());
  return all.filter(cut).map((one) => one.outerHTML.slice(0, 120));
})()"""


def test_the_ring_around_what_has_the_focus_is_whole(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, *(f"one-{number}" for number in range(9)))
    tab.sees("one-8")
    for width in (1280, 360):
        tab.look(width, 700)
        assert tab.eval(CUT_RINGS) == []
        tab.press("n")
        tab.sees("On this computer")
        assert tab.eval(CUT_RINGS) == []
        tab.click(".tiles button")
        tab.wait("document.querySelector('#f-key')", "the form")
        tab.eval("document.querySelectorAll('dialog details').forEach((one) => { one.open = true; })")
        assert tab.eval(CUT_RINGS) == []
        tab.press("Escape")
        tab.wait("!document.querySelector('dialog')", "the form is closed")


def test_the_focus_stays_on_its_row_when_rows_above_it_go(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one", "two", "three", "four")
    tab.sees("four")
    for part, words in (("star", "Default: three"), ("edit", "Edit three")):
        focus(tab, f"[data-row=three] .{part}")
        with nexod.client() as client:
            client.delete_connection("two")
        tab.wait("!document.querySelector('[data-row=two]')", "the row above it is gone")
        has_focus(tab, words)
        add(nexod, provider, "two")
        tab.sees("two")
    focus(tab, "[data-row=three] .pick")
    with nexod.client() as client:
        client.delete_connection("one", force=True)
    tab.wait("!document.querySelector('[data-row=one]')", "the row above it is gone")
    tab.wait("document.activeElement.closest('[data-row]')?.dataset.row === 'three'", "the same row")


def test_the_focus_goes_back_when_a_dialog_closes_or_a_row_is_removed(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one", "two", "three")
    tab.sees("three")
    tab.click("[data-row=three] .pick")
    tab.wait("document.querySelector('.naming h2').innerText === 'three'", "its details")
    # The entry that opened the dialog is hidden with its menu.
    choose_in_menu(tab, "Remove…")
    tab.sees("Remove three?")
    tab.press("Escape")
    has_focus(tab, "More")
    choose_in_menu(tab, "Switch off")
    tab.sees("three is switched off")
    has_focus(tab, "More")
    choose_in_menu(tab, "Remove…")
    tab.sees("Remove three?")
    tab.press("Tab")
    has_focus(tab, "Remove")
    tab.press("Enter")
    tab.sees("Removed three")
    tab.wait("document.activeElement.closest('[data-row]')?.dataset.row === 'one'", "the chosen row")
    # A button that is disabled while its action runs.
    focus(tab, ".details .tools button")
    tab.press("Enter")
    tab.sees("Success")
    has_focus(tab, "Test")
    # A message that is closed.
    tab.click("[data-row=two] .star")
    tab.sees("two is the default now")
    focus(tab, "[aria-label='Close this message']")
    tab.press("Enter")
    tab.wait("document.activeElement.matches('main')", "the screen has the focus")
    # What is read meanwhile does not move.
    tab.look(1280, 400)
    focus(tab, ".details .tools button")
    tab.eval("void (document.activeElement.click(), window.scrollTo(0, document.body.scrollHeight))")
    tab.wait("!document.querySelector('.details .tools button').disabled", "the test has ended")
    has_focus(tab, "Test")
    tab.wait("document.activeElement.getBoundingClientRect().bottom < 0")
    tab.look(1280, 860)
    tab.click("Upkeep")
    for name in ("one", "two"):
        tab.choose("#stand-in", name)
        tab.wait(f"document.querySelector('[aria-label=\"Remove the stand-in {name}\"]')", "it is a stand-in")
    focus(tab, "[aria-label='Move two up']")
    tab.press("Enter")
    tab.wait("document.querySelector('.bindings .where').innerText === 'two'", "it is the first")
    has_focus(tab, "Move two up")
    focus(tab, "[aria-label='Remove the stand-in one']")
    tab.press("Enter")
    tab.wait("document.querySelectorAll('.bindings li').length === 1", "it is removed")
    tab.wait("document.activeElement.closest('section')?.ariaLabel === 'Stand-ins'", "the focus is near")


def test_a_menu_closes_when_the_focus_leaves_it(tab: Tab, nexod: Nexod, provider: ExampleProvider) -> None:
    add(nexod, provider, "one")
    focus(tab, "summary[aria-label=More]")
    tab.press("Enter")
    tab.wait("document.querySelector('details.more').open", "the menu is open")
    tab.press("Tab", "shift")
    tab.wait("!document.querySelector('details.more').open", "the menu is closed")


def test_keys_for_a_connection_work_only_where_it_is_shown(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one")
    tab.sees("one")
    with nexod.client() as client:
        before = client.last_test("one")
    tab.click("Usage")
    tab.sees("Requests and tokens")
    tab.press("t")
    tab.press("e")
    # The keys are handled in their order, so this one was handled last.
    tab.press("n")
    tab.sees("On this computer")
    tab.press("Escape")
    tab.wait("!document.querySelector('dialog')", "no form is open")
    with nexod.client() as client:
        assert client.last_test("one") == before
    tab.click("Connections")
    tab.sees("Who uses it")
    assert "Last test" not in tab.text


def announced(tab: Tab) -> set[str]:
    """What the live regions say that a screen reader can reach."""
    tree = tab.call("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in tree}

    def words(node: dict[str, Any]) -> str:
        below = [by_id[one] for one in node.get("childIds", ()) if one in by_id]
        own = "" if below else str(node.get("name", {}).get("value", ""))
        return own + "".join(words(one) for one in below)

    live = (node for node in tree if not node["ignored"] and node["role"]["value"] in ("status", "alert"))
    return {words(node) for node in live}


def test_messages_while_a_dialog_is_open_are_in_it(
    tab: Tab, nexod: Nexod, provider: ExampleProvider, screen: Settings
) -> None:
    add(nexod, provider, "one")
    with nexod.client() as client:
        client.vault.rekey(KeySlot.PASSPHRASE, passphrase="correct horse battery staple")
        tab.click("[aria-label='Edit one']")
        tab.sees("Show the stored key")
        client.vault.lock()
        tab.sees("The vault is locked")
    tab.click("Show the stored key")
    tab.wait("document.querySelector('dialog .toast')", "the refusal is in the dialog")
    locked = "The vault is locked: you locked it"
    wait_for(lambda: any(locked in text for text in announced(tab)), "the refusal is announced")
    tab.click("dialog [aria-label='Close this message']")
    tab.fill("#f-key", "something typed")
    nexod.kill()
    tab.wait(
        "document.querySelector('dialog .banner')?.innerText.includes('The daemon is not running.')",
        "why the buttons do not work",
    )
    tab.click("dialog .banner button")
    tab.wait("!document.querySelector('.banner.bad')", "the daemon was started from there")
    assert tab.eval("document.querySelector('#f-key').value") == "something typed"
    screen.process.terminate()
    tab.wait(
        "document.querySelector('dialog .banner')?.innerText.includes('The settings were closed')",
        "what was typed can still be copied",
    )
    assert tab.eval("document.querySelector('#f-key').value") == "something typed"


def test_typed_text_is_not_thrown_away_without_a_question(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one")
    tab.sees("one")

    def form(opener: str) -> None:
        tab.click(opener)
        if opener == "Add connection":
            tab.click(".tiles button")
        tab.wait("document.querySelector('#f-url')?.value", "the form is filled in")

    def closed(*, after_question: bool) -> None:
        tab.press("Escape")
        if after_question:
            tab.sees("Your changes are not saved")
            tab.click("Discard")
        tab.wait("!document.querySelector('dialog')", "the dialog is closed")

    for opener in ("Add connection", "[aria-label='Edit one']"):
        form(opener)
        closed(after_question=False)
        for field in ("#f-name", "#f-url", "#f-model", "#f-key"):
            form(opener)
            tab.fill(field, "typed")
            closed(after_question=True)
        form(opener)
        tab.click("Model names (map)")
        tab.fill("[aria-label='Programs ask for, row 1']", "typed")
        closed(after_question=True)
    # Also from the list of providers, which has no place for the question.
    form("Add connection")
    tab.fill("#f-key", "typed")
    tab.click("#f-provider")
    tab.wait("document.querySelector('.picker')", "the list of providers")
    closed(after_question=True)
    # And not by the browser itself.
    form("Add connection")
    tab.fill("#f-url", "https://typed.example/v1")
    tab.eval("void setTimeout(() => location.reload())")
    tab.stay()
    assert tab.eval("document.querySelector('#f-url').value") == "https://typed.example/v1"


NAMED_BY_TEXT = """[...(document.querySelector('dialog') ?? document).querySelectorAll('button, summary')]
  .filter((one) => one.checkVisibility() && !one.ariaLabel && !one.querySelector('span[aria-hidden]'))
  .map((one) => one.innerText.replace(/\\s+/g, ' ').trim())"""


def test_controls_are_called_what_is_written_on_them(
    tab: Tab, nexod: Nexod, provider: ExampleProvider
) -> None:
    add(nexod, provider, "one")
    tab.sees("change of health")

    def names() -> set[str]:
        tree = tab.call("Accessibility.getFullAXTree")["nodes"]
        return {" ".join(node["name"]["value"].split()) for node in tree if "name" in node}

    def rightly_named() -> None:
        # The browser brings the tree up to date a moment later.
        wait_for(
            lambda: set(tab.eval(NAMED_BY_TEXT)) <= names(), "controls are called what is written on them"
        )

    rightly_named()
    tab.click("[aria-label='Edit one']")
    tab.sees("Show the stored key")
    rightly_named()
    tab.press("Escape")
    for screen in ("Workspaces", "Usage", "Upkeep"):
        tab.click(screen)
        tab.wait(f"document.querySelector('[aria-current=page]')?.innerText === {json.dumps(screen)}")
        rightly_named()
