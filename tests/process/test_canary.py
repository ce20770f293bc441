"""A key that is given to every command, valid and failing, is found nowhere but in sealed form.

Searched: everything that the daemon and nexoctl print, the log, the database with its WAL, every temporary
file, the arguments of all processes while they run, and the exceptions of the SDK.
"""

import base64
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import nexo_client
from nexo.connections.terms import Provider
from nexo_cli.demo.faces import Behaviour, DemoAccount
from nexo_cli.demo.provider import ExampleProvider
from nexo_client.types import ConnectionDraft, Header, NetworkProfile
from surroundings import Finished, Nexod, Surroundings, wait_for

WORD = "canary"
GOOD = f"{WORD}Kq7-good-3f9a1c"
BAD = f"{WORD}Kq7-refused-77d0e2"
HEADER = f"{WORD}Kq7-header-5bb21e"
PROXY = f"{WORD}Kq7-proxy-08ce41"


@pytest.fixture
def provider() -> Iterator[ExampleProvider]:
    accounts = [DemoAccount("good", GOOD), DemoAccount("busy", f"{GOOD}-busy", Behaviour.RATE_LIMITED)]
    with ExampleProvider(accounts=accounts) as running:
        yield running


def spellings() -> list[bytes]:
    """The canary as it is, in the spellings that a program might make of it, and in base64 at each offset."""
    word = f"{WORD}Kq7"
    found = [word.encode(), word.encode("utf-16-le"), word.encode().hex().encode()]
    for offset in range(3):
        whole = base64.b64encode(b"x" * offset + word.encode())
        # Its ends depend on what stands beside it.
        found.append(whole[4:-4])
    return found


class ProcessWatch:
    """Looks at the arguments of every process of this machine, again and again."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.looks = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ending.wait(0.005):
            self.looks += 1
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    arguments = path.read_bytes()
                except OSError:
                    continue
                if b"canaryKq7" in arguments:
                    self.seen.append(arguments.decode(errors="replace"))

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


def leaks(name: str, data: bytes) -> list[str]:
    return [f"{name}: {spelling!r}" for spelling in spellings() if spelling in data]


def every_command(surroundings: Surroundings, provider: ExampleProvider) -> list[Finished]:
    """Each command once as it is meant, and once so that it fails with the key in hand."""
    url = {one: provider.base_url(one) for one in Provider}
    openai = ["--provider", "openai", "--base-url", url[Provider.OPENAI]]
    dead = ["--provider", "custom", "--base-url", "http://127.0.0.1:9/v1"]
    header = ["--headers-json", f'{{"X-Token": "{HEADER}"}}']
    headers_file = surroundings.home / "headers.json"
    headers_file.write_text(f'{{"X-Token": "{HEADER}"}}')
    filed = ["--headers-json", f"@{headers_file}"]

    done: list[Finished] = []

    def say(*words: str, stdin: str = "", env: dict[str, str] | None = None) -> None:
        done.append(surroundings.nexoctl(*words, stdin=stdin, env=env, expect=None))
        done.append(surroundings.nexoctl("--json", *words, stdin=stdin, env=env, expect=None))

    key, bad = {"stdin": GOOD}, {"stdin": BAD}
    say("add", "good", *openai, *filed, "--api-key-stdin", **key)
    say("add", "from-variable", *openai, "--api-key-env", "MY_KEY", env={"MY_KEY": GOOD})
    say("add", "refused", *openai, "--api-key-stdin", **bad)
    say("add", "refused", *openai, "--api-key-stdin", "--no-test", **bad)
    say("add", "dead", *dead, "--api-key-stdin", **key)
    say("add", "good", *openai, "--api-key-stdin", **key)
    say("add", "broken", *openai, "--api-key-stdin", stdin=f"{GOOD}\n{GOOD}")
    say("add", "broken", *openai, "--api-key-stdin", stdin=f" 'Bearer {GOOD}…' ")
    say("add", "broken", "--provider", "custom", "--base-url", f"http://me:{GOOD}@127.0.0.1/v1", "--no-test")
    say("add", "broken", *openai, "--headers-json", f'{{"X-Token": "{HEADER}",}}', "--no-test")
    say("add", "broken", *openai, "--headers-json", f'{{"X-Token": "{HEADER}\\r\\nHost: x"}}', "--no-test")
    say("add", "broken", *openai, "--proxy", f"http://me:{PROXY}@127.0.0.1:9", "--api-key-stdin", **key)
    say(
        "add",
        "proxied",
        *openai,
        *("--proxy", "http://me@127.0.0.1:9", "--proxy-password-env", "PASSWORD"),
        "--api-key-stdin",
        "--no-test",
        env={"PASSWORD": PROXY},
        **key,
    )
    say("edit", "good", "--api-key-stdin", **bad)
    say("edit", "good", *header, "--api-key-stdin", **key)
    say("edit", "good", "--base-url", "http://localhost:9/v1")
    say("edit", "nobody", "--api-key-stdin", **key)
    for provider_name in ("anthropic", "google"):
        say(
            "add",
            provider_name,
            "--provider",
            provider_name,
            "--base-url",
            provider.origin,
            "--api-key-stdin",
            **key,
        )
        say(
            "test",
            "--draft",
            "--provider",
            provider_name,
            "--base-url",
            provider.origin,
            "--api-key-stdin",
            **bad,
        )
    say("test", "--draft", *openai, "--api-key-stdin", **bad)
    say("test", "--draft", *openai, "--api-key-stdin", stdin=f"{GOOD}-busy")
    say("test", "--all")
    say("test", "good", "--completion")
    for words in (
        "list",
        "show good",
        "show proxied",
        "models good",
        "models refused",
        "health",
        "history good",
        "status",
    ):
        say(*words.split())
    say("default", "good"), say("default", "nobody"), say("default", "--undo")
    (
        say("workspace", "bind", ".", "good"),
        say("which"),
        say("workspace", "list"),
        say("workspace", "unbind", "."),
    )
    say("handouts"), say("providers"), say("doctor"), say("daemon", "logs")
    say("remove", "from-variable"), say("remove", "good")
    return done


def test_the_canary_is_found_nowhere(surroundings: Surroundings, provider: ExampleProvider) -> None:
    daemon = surroundings.start_nexod(env={"NEXO_LOG": "debug"})
    with ProcessWatch() as processes:
        done = every_command(surroundings, provider)
    assert processes.looks > 10
    # What the test typed into the arguments of nexoctl is there; nobody may have passed it on.
    assert [one for one in processes.seen if "nexo_cli" not in one] == []
    found: list[str] = []
    for one in done:
        # What the person typed into argv themselves is not ours to hide; our answers are.
        found += leaks(f"output of {' '.join(one.arguments[3:6])}", (one.out + one.err).encode())
        assert "Traceback" not in one.err, one
    assert sum(one.code == 0 for one in done) > 20, [f"{one.arguments[4:7]} {one.code}" for one in done]
    assert provider.served()["good"] > 5, "the key did reach the provider, so it was really there to be found"

    # The hand-out is the one door; it must open, or the search above has proven nothing.
    assert GOOD in surroundings.nexoctl(
        "resolve", "--connection", "good", "--format", "key", expect=None
    ).out or GOOD in (surroundings.nexoctl("resolve", "--connection", "anthropic", "--format", "key").out)
    daemon.kill()
    headers_file = surroundings.home / "headers.json"
    searched = [path for path in surroundings.files() if path != headers_file]
    names = {path.name for path in searched}
    assert {"connections.db", "connections.db-wal", "nexod.log"} <= names, names
    for path in searched:
        found += leaks(str(path), path.read_bytes())
    assert not found


def test_commands_that_read_a_key_never_put_it_into_arguments(
    surroundings: Surroundings, provider: ExampleProvider, nexod: Nexod
) -> None:
    flags = [
        "--provider",
        "openai",
        "--base-url",
        provider.base_url(Provider.OPENAI),
        "--api-key-env",
        "MY_KEY",
    ]
    with ProcessWatch() as processes:
        surroundings.nexoctl("add", "mine", *flags, env={"MY_KEY": GOOD})
        surroundings.nexoctl("test", "mine")
        surroundings.nexoctl("default", "mine")
        surroundings.nexoctl(
            "run", "--", sys.executable, "-c", "import os; assert os.environ['OPENAI_API_KEY']"
        )
    assert processes.seen == []


def test_exceptions_of_the_sdk_do_not_carry_it(nexod: Nexod, provider: ExampleProvider) -> None:
    base = ConnectionDraft(provider="openai", base_url=provider.base_url(Provider.OPENAI), api_key=GOOD)
    secret_headers = (Header("X-Token", HEADER), Header("x-token", HEADER))

    def draft(**changes: object) -> ConnectionDraft:
        from dataclasses import replace

        return replace(base, **changes)  # type: ignore[arg-type]  # a shorthand

    with nexod.client() as client:
        client.create_connection(draft(name="good"))
        client.create_connection(draft(name="refused", api_key=BAD))
        ticket = client.test_draft(draft(name="tested"), keep=True).ticket
        assert ticket
        # What is only tested is not kept.
        assert not client.test_draft(draft(name="tested")).ticket
        failing: list[Callable[[], object]] = [
            lambda: client.create_connection(draft(name="")),
            lambda: client.create_connection(draft(name="good")),
            lambda: client.create_connection(draft(name="a", api_key=f"{GOOD}\n{GOOD}")),
            lambda: client.create_connection(draft(name="a", api_key=f"{GOOD}ü")),
            lambda: client.create_connection(draft(name="a", headers=secret_headers)),
            lambda: client.create_connection(draft(name="a", headers=(Header("X-A", f"{HEADER}\r\n"),))),
            lambda: client.create_connection(draft(name="a", headers_json=f'{{"X": "{HEADER}",}}')),
            lambda: client.create_connection(draft(name="a", base_url=f"http://me:{GOOD}@127.0.0.1/v1")),
            lambda: client.create_connection(
                draft(name="a", network=NetworkProfile(proxy=f"ftp://me:{PROXY}@h:1"))
            ),
            lambda: client.update_connection("nobody", draft()),
            lambda: client.update_connection("refused", draft(), revision=1_000_000),
            lambda: client.update_connection("good", draft(api_key=BAD), ticket=ticket),
            lambda: client.create_connection(draft(api_key=BAD), ticket=ticket),
            lambda: client.list_models("refused"),
        ]
        for number, call in enumerate(failing):
            with pytest.raises(nexo_client.NexoError) as caught:
                call()
            # As a program that logs what it catches: message, hint, facts, the chain of causes, local repr.
            error = caught.value
            told = (
                "".join(traceback.format_exception(error)) + repr(error) + error.hint + repr(error.metadata)
            )
            # The traceback quotes our own source lines, which name the constants, never their values.
            assert not leaks(f"call {number}", told.encode())
        result = client.test_connection("refused")
        assert not result.ok
        assert not leaks("test result", repr(result).encode())
        resolved = client.resolve("good")
        assert not leaks("hand-out", f"{resolved!r} {resolved}".encode())
        assert not leaks("draft", repr(draft(headers=secret_headers)).encode())


def test_a_core_of_the_searching_works(tmp_path: Path) -> None:
    """The search itself finds what it is meant to find."""
    for spelling in (GOOD.encode(), base64.b64encode(b"ab" + GOOD.encode()), GOOD.encode().hex().encode()):
        assert leaks("here", b"\0\1" + spelling + b"\2")
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()", GOOD], stdin=subprocess.PIPE
    )
    with ProcessWatch() as processes:
        wait_for(lambda: processes.seen, "the process is seen")
    assert sleeper.stdin
    sleeper.stdin.close()
    sleeper.wait()
    assert os.getpid()
