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
_DIALOG = "org.freedesktop.Secret.Prompt"


def main() -> None:
    """Answer one question."""
    # exec made the process dumpable again, and a key is about to pass through it.
    harden()
    try:
        answer = _answer(json.load(sys.stdin))
    except WouldAsk:
        answer = {"state": KeyringState.ASKS}
    except Exception as error:  # noqa: BLE001 - the parent gets only the type of a backend's error
        answer = {"state": KeyringState.FAILED, "detail": type(error).__name__}
    json.dump(answer, sys.stdout)


class WouldAsk(Exception):
    """The keyring wants to show a dialog, which this question does not allow."""


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    state = _quiet_state() if _LINUX else KeyringState.UNLOCKED
    call = question["call"]
    if call == "probe" or state in (KeyringState.ABSENT, KeyringState.FAILED):
        return {"state": state}
    if call == "put":
        if state is KeyringState.UNLOCKED:
            state = (_put_entry if _LINUX else _put_password)(question)
        return {"state": state}
    return _with_entry(question, state) if _LINUX else _with_password(question)


def _put_password(question: dict[str, Any]) -> KeyringState:
    _macos().set_password(question["service"], question["user"], question["value"])
    return KeyringState.UNLOCKED


def _with_password(question: dict[str, Any]) -> dict[str, Any]:
    """Get or remove an entry of a keyring that has no collections."""
    value = _macos().get_password(question["service"], question["user"])
    if question["call"] == "remove" and value is not None:
        _macos().delete_password(question["service"], question["user"])
    return {"state": KeyringState.UNLOCKED, "value": value}


def _macos() -> Any:
    return importlib.import_module("keyring.backends.macOS").Keyring()


def quiet_bus() -> Any:
    """A connection to the session bus, on which no dialog of the Secret Service can be opened.

    A service may want to ask before any call: gnome-keyring does for what is locked, KeePassXC before it
    removes an entry. `secretstorage` would open that dialog at once.
    """
    import secretstorage
    from jeepney.low_level import HeaderFields

    bus = secretstorage.dbus_init()
    send = bus.send_and_get_reply

    def quietly(message: Any, **options: Any) -> Any:
        if message.header.fields.get(HeaderFields.interface) == _DIALOG:
            raise WouldAsk
        return send(message, **options)

    bus.send_and_get_reply = quietly
    return bus


def _names(question: dict[str, Any]) -> dict[str, str]:
    return {"service": question["service"], "username": question["user"]}


def _put_entry(question: dict[str, Any]) -> KeyringState:
    """Write an entry of the Secret Service, with the label and attributes that `keyring` gives it."""
    import secretstorage
    from secretstorage.collection import get_collection_by_alias

    label = f"Password for '{question['user']}' on '{question['service']}'"
    attributes = _names(question) | {"application": "Python keyring library"}
    # Not a quiet one, because KeePassXC makes each entry by a dialog that it does not show.
    with closing(secretstorage.dbus_init()) as bus:
        found = _found(bus, question)
        if found is not None and found.is_locked():
            return _lock_of(bus, found)
        collection = get_collection_by_alias(bus, "default")
        collection.create_item(label, attributes, question["value"].encode(), replace=True)
    return KeyringState.UNLOCKED


def _lock_of(bus: Any, found: Any) -> KeyringState:
    """Why an entry is locked. In an open collection, KeePassXC locks it for programs that it asks about."""
    from secretstorage.collection import Collection

    collection = Collection(bus, found.item_path.rpartition("/")[0])
    return KeyringState.LOCKED if collection.is_locked() else KeyringState.ASKS


def _with_entry(question: dict[str, Any], state: KeyringState) -> dict[str, Any]:
    """Get or remove an entry of the Secret Service, in whichever collection it is.

    `keyring` looks only into the default collection. A person can make another one the default, and the entry
    must not seem to be lost then.
    """
    import secretstorage

    # For an entry that only goes away, nobody is asked to unlock anything.
    may_unlock = bool(question["prompt"]) and question["call"] == "get"
    with closing(secretstorage.dbus_init() if question["prompt"] else quiet_bus()) as bus:
        found = _found(bus, question)
        if found is None and state is KeyringState.LOCKED and may_unlock:
            # Some services do not search in a locked collection.
            state = _unlock()
            found = _found(bus, question)
        if found is None:
            return {"state": state}
        if found.is_locked() and not may_unlock:
            return {"state": _lock_of(bus, found)}
        if found.is_locked() and found.unlock():
            return {"state": KeyringState.LOCKED}
        if question["call"] == "remove":
            found.delete()
            return {"state": KeyringState.UNLOCKED}
        return {"state": KeyringState.UNLOCKED, "value": found.get_secret().decode()}


def _found(bus: Any, question: dict[str, Any]) -> Any:
    """The entry: one in the default collection if there is one, and else one that is unlocked."""
    import secretstorage
    from secretstorage.collection import get_collection_by_alias
    from secretstorage.exceptions import ItemNotFoundException

    try:
        default = f"{get_collection_by_alias(bus, 'default').collection_path}/"
    except ItemNotFoundException:
        default = "-"
    items = list(secretstorage.search_items(bus, _names(question)))
    return min(
        items, key=lambda item: (not item.item_path.startswith(default), item.is_locked()), default=None
    )


def _quiet_state() -> KeyringState:
    """Ask the Secret Service only for what cannot make it show a dialog."""
    try:
        import secretstorage
        from secretstorage.collection import SESSION_COLLECTION, get_collection_by_alias
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
            if collection.collection_path == SESSION_COLLECTION:
                # It is kept in memory, and gone after the next login.
                return KeyringState.EMPTY
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
