"""Accesses the keyring of the desktop through a child process that can be killed.

Any call to a keyring can hang for ever (a stopped service, a prompt that nobody sees), also through a D-Bus
connection in the daemon. So each call is made by a short-lived process with a time limit. Keys pass through
its pipes, never through argv or the environment.
"""

import enum
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from nexo.connections import processes, python

DEADLINE_S = 8.0
PROMPT_DEADLINE_S = 120.0


class KeyringState(enum.StrEnum):
    """The state of the keyring, found out without prompting."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    EMPTY = "empty"
    """It answers and has no default collection; creating one would prompt."""
    ASKS = "asks"
    """It is unlocked, but asks a person before it gives this program an entry, or changes it."""
    ABSENT = "absent"
    """There is no service, bus, or library."""
    HUNG = "hung"
    FAILED = "failed"


class KeyringUnusableError(Exception):
    """The keyring did not do the requested; `state` and `hint` give the reason and the next step."""

    def __init__(self, state: KeyringState, detail: str = "") -> None:
        text, hint = _WORDS[state]
        super().__init__(f"{text} ({detail})" if detail else text)
        self.state = state
        self.hint = hint


_WORDS = {
    KeyringState.UNLOCKED: ("the keyring is unlocked", ""),
    KeyringState.LOCKED: ("the keyring of the desktop is locked", "unlock it with: nexoctl vault unlock"),
    KeyringState.ASKS: (
        "the keyring of the desktop asks you before it gives the key to a program",
        "in KeePassXC, switch off 'Confirm when passwords are retrieved by clients' (Settings, Secret Service"
        " Integration)",
    ),
    KeyringState.EMPTY: (
        "the keyring of the desktop has no default collection",
        "open or make one with the password manager of your desktop (Seahorse, KWalletManager, KeePassXC)",
    ),
    KeyringState.ABSENT: (
        "there is no keyring service in this session",
        "start the daemon in your desktop session, or nexoctl vault rekey --to key_file",
    ),
    KeyringState.HUNG: (
        "the keyring of the desktop does not answer",
        "restart the keyring service (log out and in), then nexoctl vault unlock",
    ),
    KeyringState.FAILED: ("the keyring of the desktop failed", "nexoctl vault unlock tries again"),
}


def probably_absent() -> bool:
    """Whether there is certainly no keyring, found out without starting a process."""
    if not sys.platform.startswith("linux"):
        return False
    address = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    if address:
        # Sandboxes and scripts write this where no bus is to be used.
        return address.startswith("disabled:")
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return not (runtime and Path(runtime, "bus").exists())


def probe(*, deadline_s: float = DEADLINE_S) -> KeyringState:
    """The state of the keyring. Never prompts, creates or raises."""
    if probably_absent():
        return KeyringState.ABSENT
    try:
        return KeyringState(_ask({"call": "probe"}, deadline_s)["state"])
    except KeyringUnusableError as error:
        return error.state


def get(service: str, user: str, *, prompt: bool = False, deadline_s: float = DEADLINE_S) -> str | None:
    """Read an entry; None if the unlocked keyring has no such entry.

    Raises:
        KeyringUnusableError: locked, absent, hung or failing.
    """
    answer = _ask({"call": "get", "service": service, "user": user, "prompt": prompt}, deadline_s)
    value = answer.get("value")
    return value if isinstance(value, str) else None


def put(service: str, user: str, value: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Write an entry and read it back.

    Raises:
        KeyringUnusableError: locked, absent, hung or failing, or it did not keep the entry.
    """
    _ask({"call": "put", "service": service, "user": user, "value": value}, deadline_s)
    if get(service, user, deadline_s=deadline_s) != value:
        raise KeyringUnusableError(KeyringState.FAILED, "it did not store the key")


def remove(service: str, user: str, *, prompt: bool = False, deadline_s: float = DEADLINE_S) -> None:
    """Remove an entry, if there is one. KeePassXC does this only if it may prompt, even if it does not.

    Raises:
        KeyringUnusableError: locked, absent, hung or failing.
    """
    _ask({"call": "remove", "service": service, "user": user, "prompt": prompt}, deadline_s)


def _ask(question: dict[str, Any], deadline_s: float) -> dict[str, Any]:
    if probably_absent():
        raise KeyringUnusableError(KeyringState.ABSENT)
    process = subprocess.Popen(
        python.of_ours("nexo_daemon.vault.keyring_child"),
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(json.dumps(question).encode(), timeout=deadline_s)
    except subprocess.TimeoutExpired:
        raise KeyringUnusableError(KeyringState.HUNG) from None
    finally:
        processes.end_group(process.pid)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
    try:
        answer = json.loads(output)
        state = KeyringState(answer["state"])
    except (ValueError, KeyError, TypeError):
        raise KeyringUnusableError(KeyringState.FAILED, "its helper process died") from None
    if question["call"] != "probe" and state is not KeyringState.UNLOCKED:
        raise KeyringUnusableError(state, str(answer.get("detail", "")))
    return dict(answer)
