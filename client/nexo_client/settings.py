"""How a program opens the settings screen: it starts `nexo_settings`, which opens the browser.

Not for what is on the screen (`nexo_settings`), and nothing that a workspace needs.
"""

import json
import os
import subprocess
import threading
from pathlib import Path

from nexo.connections import python, run_marks
from nexo.connections.values import frozen

NEEDS = ("nexo_settings", "uvicorn", "h11")
"""What the screen needs beyond the base install."""
_START_S = 20.0


class SettingsUnavailable(Exception):
    """The screen cannot be opened; `hint` says what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@frozen
class OpenedSettings:
    """An address of the screen, good once and for a minute; whether a browser was given it."""

    address: str
    opened: bool


def available() -> bool:
    """Whether the screen is installed."""
    return not python.missing(NEEDS)


def open_settings(
    socket: Path,
    *,
    at: str = "",
    name: str = "",
    browser: bool = True,
    need_browser: bool = False,
    reveal: bool = True,
    uid_check: bool = True,
) -> OpenedSettings:
    """Opens the screen for the daemon of `socket`; a screen that is open already gives the address.

    Args:
        at: where it opens: "add", "edit" or "show"; empty for the list.
        name: the connection that is edited or shown.
        browser: give the address to the browser of the person.
        need_browser: do not start without one.
        reveal: let the page show a stored key or header, one at a time; False holds for a screen that is
            open already, too.
        uid_check: refuse other accounts; without it they are kept out by the secret alone.

    Raises:
        SettingsUnavailable
    """
    missing = python.missing(NEEDS)
    if missing:
        raise SettingsUnavailable(
            f"the settings screen is not installed: {missing[0]} is missing",
            "install it with: pip install 'nexo-connections[settings]'",
        )
    flags = ["--at", at] if at else []
    # With an equals sign: a name may begin with a dash.
    flags += [f"--name={name}"] if name else []
    flags += ["--need-browser"] if need_browser else ["--open"] if browser else []
    flags += [] if reveal else ["--no-reveal"]
    flags += [] if uid_check else ["--no-uid-check"]
    environment = dict(os.environ)
    run_marks.take_back(environment)
    process = subprocess.Popen(
        python.of_ours("nexo_settings", "--socket", os.fspath(socket), *flags),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
        cwd="/",
    )
    # Without it a screen that ends before this program stays behind as a zombie.
    threading.Thread(target=process.wait, name="nexo-settings-reaper", daemon=True).start()
    return _said(process)


def _said(process: "subprocess.Popen[bytes]") -> OpenedSettings:
    """What it says in its first line; it says nothing else, and lives on."""
    timer = threading.Timer(_START_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - for mypy
        with process.stdout as said:
            line = json.loads(said.readline())
    except (OSError, ValueError):
        raise SettingsUnavailable(
            "the settings screen did not start", "see what it says: python -m nexo_settings"
        ) from None
    finally:
        timer.cancel()
    if "error" in line:
        raise SettingsUnavailable(line["error"]["message"], line["error"]["hint"])
    return OpenedSettings(line["address"], line["opened"])
