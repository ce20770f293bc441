"""Drives a real Chromium over its own protocol (CDP), with real clicks and keys.

It has only what the tests of the settings screen need, and waits for conditions instead of sleeping.
"""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driven_browser import DrivenBrowser
from surroundings import wait_for

PROGRAM = "chromium"
PICTURES = os.environ.get("NEXO_TEST_PICTURES", "")
"""The directory for screenshots, which a person looks at and the docs use; empty for none."""

_MISSES = 5
"""Number of clicks on a moving element before a test fails."""
_FLAGS = (
    "--headless=new",
    # Root has no sandbox; and the machines that run tests have no GPU.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--password-store=basic",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # Nothing leaves this computer; a name that is "rebound" to us leads to us.
    "--host-resolver-rules=MAP rebound.example 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
    "--lang=en-GB",
)
_KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
    "ArrowRight": (39, ""),
    "ArrowLeft": (37, ""),
    " ": (32, " "),
}
_MODIFIERS = {"alt": 1, "ctrl": 2, "meta": 4, "shift": 8}


class Chromium(DrivenBrowser):
    """The browser; a context manager that leaves nothing behind."""

    goodbye = "Browser.close"

    def _command(self) -> list[str]:
        return [PROGRAM, *_FLAGS, f"--user-data-dir={self.profile}", "about:blank"]

    def _address(self) -> str:
        note = self.profile / "DevToolsActivePort"
        wait_for(lambda: note.exists() and note.read_text().count("\n") >= 1, "Chromium listens")
        port, path = note.read_text().split("\n")[:2]
        return f"ws://127.0.0.1:{port}{path}"

    def call(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its answer."""
        message = {"method": method, "params": parameters}
        found = self._ask(message | ({"sessionId": session} if session else {}))
        if "error" in found:
            raise AssertionError(f"{method}: {found['error']}")
        answer = found["result"]
        assert isinstance(answer, dict)
        return answer

    def events(self, session: str, method: str) -> list[dict[str, Any]]:
        """What was reported so far."""
        return [
            one["params"]
            for one in self._events
            if one.get("sessionId") == session and one.get("method") == method
        ]

    def open(self, address: str, *, width: int = 1280, height: int = 860, dark: bool = False) -> "Tab":
        """A new tab, once its page has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setLocaleOverride", locale="en-GB")
        tab.look(width, height, dark=dark)
        tab.go(address)
        return tab


class Tab:
    """One page."""

    def __init__(self, browser: Chromium, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self._forgiven = False

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def go(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'", f"{address.partition('#')[0]} has loaded")

    def reload(self) -> None:
        """Load the page again, until the old one is gone."""
        self.eval("window.old = true")
        self.call("Page.reload")
        self.wait("!window.old && document.readyState === 'complete'", "the page has loaded again")

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Set the size of the window and the colour scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def stay(self) -> None:
        """Wait until the browser asks whether to leave the page, and say no."""

        def asked() -> bool:
            # The page does not answer meanwhile; any answer brings the events before it.
            self._browser.call("Browser.getVersion")
            return bool(self._browser.events(self._session, "Page.javascriptDialogOpening"))

        wait_for(asked, "a question whether to leave the page")
        self.call("Page.handleJavaScriptDialog", accept=False)

    # -- what is there

    def eval(self, expression: str) -> Any:
        """The value of an expression; promises are awaited."""
        how = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        # The page's Content-Security-Policy applies, as to a script in the page.
        how["allowUnsafeEvalBlockedByCSP"] = False
        answer = self.call("Runtime.evaluate", expression=expression, **how)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, expression: str, what: str = "") -> Any:
        """The first truthy value of an expression."""

        def ask() -> Any:
            try:
                return self.eval(
                    f"(async () => ((found) => (found instanceof Node ? true : found))({expression}))()"
                )
            except AssertionError as problem:
                # The page is being replaced.
                if "context" in str(problem) or "navigat" in str(problem):
                    return None
                raise

        try:
            return wait_for(ask, what or expression)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\nthe page says:\n{self.text}\n{self.problems()}") from None

    def sees(self, *texts: str) -> None:
        """Waits until all of the texts are on the page."""
        for text in texts:
            self.wait(f"document.body?.innerText.includes({json.dumps(text)})", f"the page says {text!r}")

    @property
    def text(self) -> str:
        return str(self.eval("document.body?.innerText"))

    def problems(self) -> list[str]:
        """Exceptions, violations of the policy and errors of the console so far."""
        found = [
            str(one["exceptionDetails"].get("exception", {}).get("description") or one["exceptionDetails"])
            for one in self._browser.events(self._session, "Runtime.exceptionThrown")
        ]
        if self._forgiven:
            return []
        entries = self._browser.events(self._session, "Log.entryAdded")
        # A refusal of the server is reported as an error, too, but a test may intend it.
        found += [
            str(one["entry"]["text"])
            for one in entries
            if one["entry"]["level"] == "error" and one["entry"]["source"] != "network"
        ]
        return found

    def forgive(self) -> None:
        """Ignore the problems so far, because the test provoked them."""
        self._forgiven = True

    def requests(self) -> list[str]:
        """The addresses that were asked for."""
        self.eval("1")
        sent = self._browser.events(self._session, "Network.requestWillBeSent")
        return [str(one["request"]["url"]) for one in sent]

    # -- what a person does

    def click(self, what: str) -> None:
        """Click on an element: a selector, or the words on a button or link.

        A page that moves between the look and the click is clicked on again, as a person would.
        """
        for _ in range(_MISSES):
            place = self.wait(f"await ({_FIND})({json.dumps(what)})", f"there is {what!r} to click on")
            self.click_at(*place)
            # Undefined on a page that the click put in the place of this one.
            seen = "window.clickedOnIt === undefined ? 'elsewhere' : window.clickedOnIt ? 'here' : 'missed'"
            if self.wait(seen, f"the page has seen the click on {what!r}") != "missed":
                return
        raise AssertionError(f"{what!r} moved away from under {_MISSES} clicks")

    def click_at(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key: str, *modifiers: str) -> None:
        code, text = _KEYS.get(key, (ord(key.upper()) if len(key) == 1 else 0, key))
        held = sum(_MODIFIERS[one] for one in modifiers)
        plain = {"key": key, "windowsVirtualKeyCode": code, "modifiers": held}
        shown = {"text": text} if text and not held & 7 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown" if shown else "rawKeyDown", **plain, **shown)
        self.call("Input.dispatchKeyEvent", type="keyUp", **plain)

    def type(self, text: str) -> None:
        """Insert the text at once, as a paste does."""
        self.call("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        """Click into a field, and replace what is in it."""
        self.click(selector)
        self.eval(f"document.querySelector({json.dumps(selector)}).select()")
        if text:
            self.type(text)
        else:
            self.call("Input.dispatchKeyEvent", type="keyDown", key="Delete", windowsVirtualKeyCode=46)

    def choose(self, selector: str, value: str) -> None:
        """Choose in a list, once it offers the value."""
        found = f"document.querySelector({json.dumps(selector)})"
        offered = f"[...{found}?.options ?? []].some((one) => one.value === {json.dumps(value)})"
        self.wait(offered, f"{selector} offers {value!r}")
        self.eval(f"{found}.value = {json.dumps(value)}")
        self.eval(f"{found}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    # -- pictures

    def picture(self, name: str) -> None:
        """Keep a picture of the page, if somebody wants them."""
        if not PICTURES:
            return
        # Two frames, so that what was drawn last is on it.
        self.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shot = self.call("Page.captureScreenshot", format="png")["data"]
        file = Path(PICTURES) / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(shot))


_FIND = """async (what) => {
  const words = (e) => (e.getAttribute('aria-label') || e.innerText || '').trim();
  const all = [...document.querySelectorAll('button, a, summary')];
  let found = null;
  try { found = document.querySelector(what); } catch { found = null; }
  const open = document.querySelector('dialog[open]');
  found ??= all.find((e) => words(e) === what && (!open || open.contains(e)));
  if (!found || found.disabled) return null;
  found.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  const before = found.getBoundingClientRect();
  // A click meets what was drawn last, and one that misses meets something else: nobody clicks on what moves.
  const frame = () => new Promise((drawn) => { requestAnimationFrame(drawn); setTimeout(drawn, 100); });
  await frame();
  await frame();
  const box = found.getBoundingClientRect();
  if (before.x !== box.x || before.y !== box.y || found.disabled) return null;
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const hit = document.elementFromPoint(x, y);
  const meets = (e) => e && (found.contains(e) || e.contains(found));
  if (!box.width || !meets(hit)) {
    // Below a bar that stays: one scrolls on.
    found.scrollIntoView({ block: 'center', inline: 'nearest' });
    return null;
  }
  // A click and not a press: the page may move between press and release.
  window.clickedOnIt = false;
  const label = found.closest('label');
  const note = (e) => { window.clickedOnIt = [found, label].some((one) => one?.contains(e.target)); };
  document.addEventListener('click', note, { capture: true, once: true });
  return [x, y];
}"""


Open = Callable[..., Tab]
"""Opens the page under test in a new tab: see tests/browser/conftest.py."""
