"""Opens the settings screen: starts `nexo_settings`, which opens the browser."""

import json
import os
import subprocess
import threading

from nexo.connections import limits, python
from nexo.connections.values import frozen
from nexo_client import background, channel
from nexo_client.errors import SettingsUnavailable

NEEDS = ("nexo_settings", "uvicorn", "h11")
"""The modules that the settings screen needs beyond the base install."""
_START_S = 20.0


@frozen
class OpenedSettings:
    """The result of opening the settings screen.

    Attributes:
        address: the address of the page; it can be used once, within a minute.
        opened: a browser was started with it.
    """

    address: str
    opened: bool


def available() -> bool:
    """Whether the settings screen is installed."""
    return not python.missing(NEEDS)


def open_settings(
    socket: str | os.PathLike[str],
    *,
    at: str = "",
    name: str = "",
    browser: bool = True,
    need_browser: bool = False,
    reveal: bool = True,
    uid_check: bool = True,
) -> OpenedSettings:
    """Opens the settings screen for the daemon of `socket`. If it is already running, that one is used.

    Args:
        at: the page: "add", "edit" or "show"; empty for the list.
        name: the connection to edit or show.
        browser: open the address in the user's browser.
        need_browser: fail if no browser can be opened.
        reveal: allow the page to show stored keys and headers, one at a time; False also applies to a screen
            that is already running.
        uid_check: refuse connections from other users of the computer; without it only the secret in the
            address protects the page.

    Raises:
        SettingsUnavailable
        DaemonUnsafe, InvalidField: as for `connect`.
    """
    missing = python.missing(NEEDS)
    if missing:
        raise SettingsUnavailable(
            f"the settings screen is not installed: {missing[0]} is missing",
            hint="install it with: pip install 'nexo-connections[settings]'",
        )
    flags = ["--at", at] if at else []
    # Written with an equals sign, because a name may begin with a dash.
    flags += [f"--name={name}"] if name else []
    flags += ["--need-browser"] if need_browser else ["--open"] if browser else []
    flags += [] if reveal else ["--no-reveal"]
    flags += [] if uid_check else ["--no-uid-check"]
    place = os.fspath(channel.locate(socket))
    try:
        process = background.start("nexo_settings", "--socket", place, *flags, stdout=subprocess.PIPE)
    except OSError as problem:
        why = limits.refusal(problem)
        raise SettingsUnavailable(
            f"the settings screen cannot be started: {why.problem}", hint=why.hint
        ) from None
    return _result_of(process)


def _result_of(process: "subprocess.Popen[bytes]") -> OpenedSettings:
    """Reads the result from the first line of its output; the process keeps running."""
    timer = threading.Timer(_START_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None  # noqa: S101 - for mypy
        with process.stdout as said:
            line = json.loads(said.readline())
    except (OSError, ValueError):
        raise SettingsUnavailable(
            "the settings screen did not start", hint="see its error message: python -m nexo_settings"
        ) from None
    finally:
        timer.cancel()
    if "error" in line:
        raise SettingsUnavailable(line["error"]["message"], hint=line["error"]["hint"])
    return OpenedSettings(line["address"], line["opened"])
