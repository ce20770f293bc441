"""Drives a real Firefox over WebDriver BiDi, without a separate driver, with real clicks and keys.

Its pages have the same methods as those of Chromium, except for pictures, sizes and colours.
"""

import json
from typing import Any

from chromium import Tab
from driven_browser import DrivenBrowser
from surroundings import wait_for

PROGRAM = "firefox-esr"

_FLAGS = ("--headless", "--no-remote", "--remote-debugging-port=0")
# Nothing leaves this computer: every name resolves to it, and no proxy is used.
_PREFERENCES = {
    "network.dns.forceResolve": "127.0.0.1",
    "network.proxy.type": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "intl.accept_languages": "en-GB",
    "ui.prefersReducedMotion": 1,
}
# https://w3c.github.io/webdriver/#keyboard-actions
_KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "ArrowDown": "\ue015", "ArrowUp": "\ue013"}
_MODIFIERS = {"shift": "\ue008", "ctrl": "\ue009", "alt": "\ue00a", "meta": "\ue03d"}


class Firefox(DrivenBrowser):
    """The browser; a context manager that leaves nothing behind."""

    goodbye = "browser.close"

    def _command(self) -> list[str]:
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()
        ]
        (self.profile / "user.js").write_text("\n".join(lines), encoding="utf-8")
        return [PROGRAM, *_FLAGS, "--profile", str(self.profile)]

    def _address(self) -> str:
        port = wait_for(self._port, "Firefox listens")
        return f"ws://127.0.0.1:{port}/session"

    def _port(self) -> int:
        """The port from the file in its profile; 0 while there is none."""
        try:
            return int(json.loads((self.profile / "WebDriverBiDiServer.json").read_text())["ws_port"])
        except (OSError, ValueError):
            return 0

    def _begin(self) -> None:
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded"])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its answer."""
        found = self._ask({"method": method, "params": parameters})
        assert found["type"] == "success", f"{method}: {found['error']}: {found['message']}"
        answer = found["result"]
        assert isinstance(answer, dict)
        return answer

    def errors(self, context: str) -> list[str]:
        """The errors in the console of a tab so far."""
        entries = [one["params"] for one in self._events if one.get("method") == "log.entryAdded"]
        return [
            str(one["text"])
            for one in entries
            if one["level"] == "error" and one["source"].get("context") == context
        ]

    def open(self, address: str) -> Tab:
        tab = FirefoxTab(self, self.call("browsingContext.create", type="tab")["context"])
        tab.go(address)
        return tab


class FirefoxTab(Tab):
    """One page."""

    def __init__(self, browser: Firefox, context: str) -> None:
        self._firefox, self._context = browser, context

    def go(self, address: str) -> None:
        self._firefox.call("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def close(self) -> None:
        self._firefox.call("browsingContext.close", context=self._context)

    def eval(self, expression: str) -> Any:
        answer = self._firefox.call(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then((found) => JSON.stringify(found ?? null))",
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", f"{expression}: {answer['exceptionDetails']['text']}"
        return json.loads(answer["result"]["value"])

    def problems(self) -> list[str]:
        return self._firefox.errors(self._context)

    def click_at(self, x: float, y: float) -> None:
        steps = [
            {"type": "pointerMove", "x": round(x), "y": round(y)},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": steps})

    def press(self, key: str, *modifiers: str) -> None:
        held = [_MODIFIERS[one] for one in modifiers]
        self._keys([*held, _KEYS.get(key, key)])

    def type(self, text: str) -> None:
        for letter in text:
            self._keys([letter])

    def _keys(self, keys: list[str]) -> None:
        """Press the keys in this order, and release them in reverse order."""
        steps = [{"type": "keyDown", "value": one} for one in keys]
        steps += [{"type": "keyUp", "value": one} for one in reversed(keys)]
        self._act({"type": "key", "id": "keyboard", "actions": steps})

    def _act(self, source: dict[str, Any]) -> None:
        self._firefox.call("input.performActions", context=self._context, actions=[source])
