"""The child process of `desktop_keyring`: reads one question from stdin, writes one answer to stdout, ends.

It chooses the platform's backend itself. `PYTHON_KEYRING_BACKEND` and `keyringrc.cfg` are ignored, because
they may name a third-party backend that stores plain text.
"""

import importlib
import json
import sys
from contextlib import closing
from typing import Any

from nexo.connections.hardening import harden
from nexo_daemon.vault.desktop_keyring import KeyringState

_LINUX = sys.platform.startswith("linux")


def main() -> None:
    """Answer one question."""
    # exec made the process dumpable again, and a key is about to pass through it.
    harden()
    try:
        answer = _answer(json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001 - the parent gets only the type of a backend's error
        answer = {"state": KeyringState.FAILED, "detail": type(error).__name__}
    json.dump(answer, sys.stdout)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    state = _quiet_state() if _LINUX else KeyringState.UNLOCKED
    if state is KeyringState.LOCKED and question.get("prompt"):
        state = _unlock()
    if state is not KeyringState.UNLOCKED or question["call"] == "probe":
        return {"state": state}
    backend = _backend()
    service, user = question["service"], question["user"]
    if question["call"] == "get":
        return {"state": state, "value": backend.get_password(service, user)}
    if question["call"] == "put":
        backend.set_password(service, user, question["value"])
    elif question["call"] == "remove" and backend.get_password(service, user) is not None:
        backend.delete_password(service, user)
    return {"state": state}


def _backend() -> Any:
    name = "keyring.backends.SecretService" if _LINUX else "keyring.backends.macOS"
    return importlib.import_module(name).Keyring()


def _quiet_state() -> KeyringState:
    """Ask the Secret Service only for what cannot make it show a dialog."""
    try:
        import secretstorage
        from secretstorage.collection import get_collection_by_alias
        from secretstorage.exceptions import (
            ItemNotFoundException,
            SecretServiceNotAvailableException,
            SecretStorageException,
        )
    except ImportError:
        return KeyringState.ABSENT
    try:
        bus = secretstorage.dbus_init()
    except SecretStorageException:
        return KeyringState.ABSENT
    with closing(bus):
        try:
            if not secretstorage.check_service_availability(bus):
                return KeyringState.ABSENT
            # `get_default_collection` would create one, with a dialog.
            collection = get_collection_by_alias(bus, "default")
            return KeyringState.LOCKED if collection.is_locked() else KeyringState.UNLOCKED
        except ItemNotFoundException:
            return KeyringState.EMPTY
        except SecretServiceNotAvailableException:
            return KeyringState.FAILED


def _unlock() -> KeyringState:
    import secretstorage
    from secretstorage.collection import get_collection_by_alias

    with closing(secretstorage.dbus_init()) as bus:
        dismissed = get_collection_by_alias(bus, "default").unlock()
    return KeyringState.LOCKED if dismissed else _quiet_state()


if __name__ == "__main__":
    main()
