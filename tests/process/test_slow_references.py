"""A key that takes long to look up: what happens meanwhile counts, in the daemon as people run it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nexo_client
from nexo_client.errors import NexoError, VaultLocked
from nexo_client.terms import Provider
from surroundings import Nexod, wait_for


@contextmanager
def asking(nexod: Nexod, name: str) -> Iterator[list[object]]:
    """A program that resolves on a thread; yields where its answer appears."""
    heard: list[object] = []

    def resolve() -> None:
        with nexod.client() as client:
            try:
                heard.append(client.resolve(connection=name).api_key)
            except NexoError as error:
                heard.append(error)

    thread = threading.Thread(target=resolve)
    thread.start()
    try:
        yield heard
    finally:
        thread.join(30)


def held(gate: Path) -> int:
    """Wait until somebody looks the key up; they wait until something is written here."""

    def opened() -> int | None:
        try:
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    return wait_for(opened, "the key is looked up")


def test_a_vault_that_is_locked_during_a_look_up_hands_nothing_out(nexod: Nexod) -> None:
    gate = nexod.surroundings.home / "gate"
    os.mkfifo(gate, 0o600)
    with nexod.client() as client:
        client.update_health_settings(paused=True)
        for name, command in (("slow", f"cat {gate}"), ("fast", "echo sk-fast")):
            client.create_connection(
                nexo_client.ConnectionDraft(
                    name=name,
                    provider=Provider.CUSTOM,
                    base_url="http://127.0.0.1:9/v1",
                    api_key_ref=f"command:{command}",
                )
            )
        assert client.resolve(connection="fast").api_key == "sk-fast"
        with asking(nexod, "slow") as heard:
            key = held(gate)
            client.vault.lock()
            os.write(key, b"sk-secret\n")
            os.close(key)
            wait_for(lambda: heard, "the program has its answer")
        assert isinstance(heard[0], VaultLocked)
        for name in ("slow", "fast"):
            with pytest.raises(VaultLocked):
                client.resolve(connection=name)
