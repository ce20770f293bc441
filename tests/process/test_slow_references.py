"""A key that takes long to look up: what happens meanwhile counts, in the daemon as people run it."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import nexo_client
from nexo.connections.terms import Provider
from nexo_client.errors import KeyReferenceFailed, NexoError, VaultLocked
from surroundings import PATIENCE_S, Nexod, wait_for


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
        thread.join(PATIENCE_S)


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


def test_a_key_that_takes_longer_than_the_program_waits_is_named_and_then_there(nexod: Nexod) -> None:
    gate = nexod.surroundings.home / "gate"
    os.mkfifo(gate, 0o600)
    with nexod.client() as client, nexo_client.connect(nexod.socket, timeout_s=3) as waiting:
        client.update_health_settings(paused=True)
        client.create_connection(
            nexo_client.ConnectionDraft(
                name="slow",
                provider=Provider.CUSTOM,
                base_url="http://127.0.0.1:9/v1",
                api_key_ref=f"command:cat {gate}",
            )
        )
        # Not that the daemon does not answer, and to restart it.
        for ask in (lambda: waiting.resolve(connection="slow"), lambda: waiting.reveal("slow")):
            with pytest.raises(KeyReferenceFailed, match="command:cat has not answered"):
                ask()
        key = held(gate)
        os.write(key, b"sk-secret\n")
        os.close(key)
        assert client.resolve(connection="slow").api_key == "sk-secret"


def test_a_follower_that_waits_for_its_key_delays_no_other_and_no_switch_asks_again(nexod: Nexod) -> None:
    home = nexod.surroundings.home
    gate, asked = home / "gate", home / "asked"
    os.mkfifo(gate, 0o600)
    with nexod.client() as client, nexod.client() as program:
        client.update_health_settings(paused=True)
        for name, command in (
            ("slow", f"sh -c 'echo x >>{asked}; cat {gate}'"),
            ("one", "echo sk-one"),
            ("two", "echo sk-two"),
        ):
            client.create_connection(
                nexo_client.ConnectionDraft(
                    name=name,
                    provider=Provider.CUSTOM,
                    base_url="http://127.0.0.1:9/v1",
                    api_key_ref=f"command:{command}",
                )
            )
        client.set_default("one")
        with program.follow() as live, ThreadPoolExecutor(1) as threads:
            wait_for(lambda: live.current.api_key == "sk-one", "the default arrives")
            # It waits for its first answer, on the stream that the other one uses.
            waiting = threads.submit(program.follow, connection="slow")
            key = held(gate)
            for name in ("two", "one", "two"):
                client.set_default(name)
                wait_for(lambda name=name: live.current.name == name, "the switch arrives meanwhile")
            os.write(key, b"sk-slow\n")
            os.close(key)
            with waiting.result(PATIENCE_S) as slow:
                assert slow.current.api_key == "sk-slow"
                client.set_default("one")
                wait_for(lambda: live.current.name == "one", "the last switch arrives")
                assert slow.current.api_key == "sk-slow"
    assert asked.read_text() == "x\n"
