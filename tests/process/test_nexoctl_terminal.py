"""nexoctl with a person at a real terminal: questions, hidden keys, live layers, colours, widths, Ctrl-C."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import BUSY, HOME, REVOKED, SLOW, WORK, ExampleProvider
from nexo_cli.format import display_width
from nexo_client.types import ConnectionDraft
from surroundings import Nexod, Surroundings, wait_for
from typist import Typist, on_screen

Terminal = Callable[..., Typist]
NEXOCTL = [sys.executable, "-m", "nexo_cli"]


@pytest.fixture
def terminal(surroundings: Surroundings, nexod: Nexod) -> Terminal:
    """Starts nexoctl in a terminal, beside a running daemon."""

    def start(*words: str, columns: int = 100, env: dict[str, str] | None = None) -> Typist:
        return Typist(
            [*NEXOCTL, *words],
            env=surroundings.env | (env or {}),
            cwd=surroundings.home,
            columns=columns,
        )

    return start


@pytest.fixture
def url(provider: ExampleProvider) -> str:
    """The OpenAI face of the example provider."""
    return provider.base_url(Provider.OPENAI)


def save(nexod: Nexod, name: str, key: str, base_url: str, **more: object) -> None:
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name=name, provider="openai", base_url=base_url, api_key=key, **more)  # type: ignore[arg-type]  # a shorthand
        )


def names(nexod: Nexod) -> list[str]:
    with nexod.client() as client:
        return [connection.name for connection in client.list_connections()]


def test_the_wizard_asks_in_order_tests_and_saves(terminal: Terminal, nexod: Nexod, url: str) -> None:
    with terminal("add") as person:
        person.expect("Name: ")
        person.type_in("work\n")
        person.expect("Provider [openai]: ")
        person.type_in("opneai\n")
        person.expect("did you mean openai?")
        person.expect("Provider [openai]: ")
        person.type_in("\n")
        person.expect("API key (hidden): ")
        person.type_in(f"  {WORK.key} \n")
        person.expect("Base URL [https://api.openai.com/v1]: ")
        person.type_in(f"{url}\n")
        person.expect("Custom headers as JSON (Enter for none): ")
        person.type_in('{"X-Team": "blue"\n')
        person.expect("Not JSON")
        person.expect("Custom headers as JSON (Enter for none): ")
        person.type_in('{"X-Team": "blue"}\n')
        person.expect("✓ http")
        person.expect("works")
        person.expect("Saved work")
        person.expect("default")
        assert person.wait() == 0
        assert WORK.key not in person.raw
    with nexod.client() as client:
        saved = client.get_connection("work")
        assert (saved.base_url, saved.header_names, saved.is_default) == (url, ("X-Team",), True)
        assert client.resolve("work").api_key == WORK.key


def test_only_what_is_missing_is_asked(terminal: Terminal, nexod: Nexod, url: str) -> None:
    words = ("add", "mine", "--provider", "openai", "--base-url", url, "--header", "X-A: 1")
    with terminal(*words) as person:
        before = person.expect("API key (hidden): ")
        assert "Name" not in before
        person.type_in(f"{HOME.key}\n")
        person.expect("Saved mine")
        assert person.wait() == 0
        assert "Base URL [" not in person.text
    assert names(nexod) == ["mine"]


def test_a_refused_answer_is_asked_again(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "taken", WORK.key, url)
    with terminal("add", "--provider", "openai", "--base-url", url) as person:
        person.expect("Name: ")
        person.type_in("Taken\n")
        person.expect("already")
        person.expect("Name: ")
        person.type_in("other\n")
        person.expect("API key (hidden): ")
        person.type_in("a key ‘in quotes’\n")
        person.expect("Custom headers")
        person.type_in("\n")
        person.expect("API key (hidden): ")
        person.type_in(f"{WORK.key}\n")
        person.expect("Saved other")
        assert person.wait() == 0
    assert names(nexod) == ["taken", "other"]


@pytest.mark.parametrize("columns", ["3", "²"])
def test_the_wizard_asks_in_a_terminal_of_any_width(
    surroundings: Surroundings, nexod: Nexod, columns: str
) -> None:
    command = ["env", f"COLUMNS={columns}", *NEXOCTL, "add", "work", "--no-test"]
    with Typist(command, env=surroundings.env, cwd=surroundings.home) as person:
        person.expect("claude-code-router")
        # "²" is a key on many keyboards, and a digit to Python.
        for answer in ("²", "99", "ollama"):
            person.expect("Provider [openai]: ")
            person.type_in(f"{answer}\n")
        person.expect("API key")


@pytest.mark.parametrize(("answer", "code", "saved"), [("\n", 6, []), ("n\n", 6, []), ("y\n", 0, ["former"])])
def test_after_a_failed_test_the_person_decides(
    terminal: Terminal, nexod: Nexod, url: str, answer: str, code: int, saved: list[str]
) -> None:
    with terminal("add", "former", "--provider", "openai", "--base-url", url) as person:
        person.expect("API key (hidden): ")
        person.type_in(f"{REVOKED.key}\n")
        person.expect("Custom headers")
        person.type_in("\n")
        person.expect("✗ authenticated")
        person.expect("not reached")
        person.expect("the key was rejected")
        person.expect("next: ")
        person.expect("Save it anyway? [y/N] ")
        person.type_in(answer)
        assert person.wait() == code
        assert REVOKED.key not in person.raw
    assert names(nexod) == saved


@pytest.mark.parametrize("question", ["Name: ", "Provider [openai]: ", "API key (hidden): ", "Base URL ["])
def test_ctrl_c_leaves_the_wizard_at_every_question(terminal: Terminal, nexod: Nexod, question: str) -> None:
    answers = {"Name: ": "work\n", "Provider [openai]: ": "1\n", "API key (hidden): ": "some-key\n"}
    with terminal("add") as person:
        for asked, answer in answers.items():
            if asked == question:
                break
            person.expect(asked)
            person.type_in(answer)
        person.expect(question)
        person.press_ctrl_c()
        assert person.wait() == 130
        assert person.text.rstrip().endswith("Cancelled.")
        assert "Traceback" not in person.text
    assert names(nexod) == []


def test_ctrl_c_during_a_test_cancels_it(
    terminal: Terminal, nexod: Nexod, url: str, provider: ExampleProvider
) -> None:
    save(nexod, "slow", SLOW.key, url, checks_paused=True)
    with terminal("test", "slow") as person:
        person.expect("✓ tcp")
        wait_for(lambda: provider.waiting, "the provider has the request")
        person.press_ctrl_c()
        assert person.wait() == 130
        assert person.text.rstrip().endswith("Cancelled.")
        assert "Traceback" not in person.text
    with nexod.client() as client:
        assert client.status().pid == nexod.pid


def test_a_slow_one_delays_nobody_and_ctrl_c_ends_all(
    terminal: Terminal, nexod: Nexod, url: str, provider: ExampleProvider
) -> None:
    save(nexod, "slow", SLOW.key, url, checks_paused=True)
    save(nexod, "dead", WORK.key, "http://127.0.0.1:9/v1", checks_paused=True)
    save(nexod, "good", WORK.key, url, checks_paused=True)
    with terminal("test", "--all") as person:
        wait_for(lambda: provider.waiting, "the slow one is being tested")
        for name in ("good", "dead"):
            wait_for(lambda name=name: person.shows(f"{name}  "), f"{name} is done")  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
        assert "slow  ✓" not in person.text
        assert provider.waiting
        person.press_ctrl_c()
        assert person.wait() == 130
        assert "Traceback" not in person.text


def test_what_is_under_way_is_erased_even_if_it_is_higher_than_the_terminal(
    surroundings: Surroundings, nexod: Nexod, url: str, provider: ExampleProvider
) -> None:
    names = [f"slow-{number}" for number in range(12)]
    for name in names:
        save(nexod, name, SLOW.key, url, checks_paused=True)
    save(nexod, "good", WORK.key, url, checks_paused=True)
    with Typist(
        [*NEXOCTL, "test", "good", *names], env=surroundings.env, cwd=surroundings.home, rows=6
    ) as person:
        wait_for(lambda: person.shows("good  "), "good is done")
        wait_for(lambda: person.shows("slow-3\n"), "those that wait are shown")
        person.press_ctrl_c()
        assert person.wait() == 130
        screen = on_screen(person.raw, rows=6)
    assert "slow-" not in screen, screen
    assert "good" in screen


def test_watching_ends_with_ctrl_c(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "work", WORK.key, url)
    for words, shown in ((["watch"], "watching 1 connection;"), (["health", "--watch"], "work")):
        with terminal(*words) as person:
            person.expect(shown)
            person.press_ctrl_c()
            assert person.wait() == 130
            assert "Traceback" not in person.text


def test_the_ages_that_are_watched_go_on(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "work", WORK.key, url)
    with terminal("health", "--watch") as person:
        wait_for(
            lambda: person.shows("watching") and len(set(re.findall(r"healthy +(\d+ s)", person.text))) > 2,
            "the time since the state began grows without an event",
        )


def test_a_watched_table_is_as_high_as_the_terminal_and_whole_at_the_end(
    surroundings: Surroundings, nexod: Nexod, url: str
) -> None:
    saved = [f"conn-{number:02}" for number in range(12)]
    for name in saved:
        save(nexod, name, WORK.key, url, checks_paused=True)
    with Typist(
        [*NEXOCTL, "health", "--watch"], env=surroundings.env, cwd=surroundings.home, rows=6
    ) as person:
        person.expect("conn-02")
        person.expect("… and 9 more")
        person.expect("watching")
        assert "conn-03" not in person.text
        person.press_ctrl_c()
        assert person.wait() == 130
        screen = on_screen(person.raw, rows=6)
    assert re.findall("conn-..", screen) == saved


@pytest.mark.parametrize("env", [{"TERM": "unknown"}, {"TTY_INTERACTIVE": "0"}])
def test_health_is_watched_in_every_terminal(
    terminal: Terminal, nexod: Nexod, url: str, env: dict[str, str]
) -> None:
    save(nexod, "work", WORK.key, url)
    with terminal("health", "--watch", env=env) as person:
        person.expect("work")


def test_colours_only_where_they_are_wanted(
    terminal: Terminal, surroundings: Surroundings, nexod: Nexod, url: str
) -> None:
    save(nexod, "work", WORK.key, url)
    with terminal("list") as person:
        assert person.wait() == 0
        assert "\x1b[" in person.raw
    for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with terminal("list", env=env) as person:
            assert person.wait() == 0
            assert "\x1b[" not in person.raw
            assert "work" in person.text
    assert "\x1b" not in surroundings.nexoctl("list").out


@pytest.mark.parametrize("columns", [30, 60, 100, 200])
def test_tables_fit_the_terminal(terminal: Terminal, nexod: Nexod, url: str, columns: int) -> None:
    save(nexod, "a-connection-with-a-long-name", WORK.key, url, default_model="a-model-with-a-long-name")
    save(nexod, "busy", BUSY.key, url)
    for command in ("list", "providers"):
        with terminal(command, columns=columns) as person:
            assert person.wait() == 0
            widths = [display_width(line) for line in person.text.splitlines()]
            assert max(widths) <= columns, person.text


def test_a_correction_that_works_is_offered_and_applied_on_yes(
    terminal: Terminal, nexod: Nexod, provider: ExampleProvider, url: str
) -> None:
    save(nexod, "work", WORK.key, provider.origin)
    for answer, after in (("n\n", provider.origin), ("\n", url)):
        with terminal("test", "work") as person:
            person.expect("suggestion: ")
            person.expect(f"Change the base URL of work to {url}? [Y/n] ")
            person.type_in(answer)
            assert person.wait() == (6 if answer == "n\n" else 0)
        with nexod.client() as client:
            assert client.get_connection("work").base_url == after


@pytest.mark.parametrize(
    "pasted", [f"Bearer {WORK.key}", f"'{WORK.key}'", f'export OPENAI_API_KEY="{WORK.key}"']
)
def test_a_key_pasted_with_its_wrapping_is_cleaned_up_on_yes(
    terminal: Terminal, nexod: Nexod, url: str, pasted: str
) -> None:
    with terminal("add", "work", "--provider", "openai", "--base-url", url) as person:
        person.expect("API key (hidden): ")
        person.type_in(f"{pasted}\n")
        person.expect("Custom headers")
        person.type_in("\n")
        person.expect("Clean the key up? [Y/n] ")
        person.type_in("\n")
        person.expect("Saved work")
        assert person.wait() == 0
        assert WORK.key not in person.raw
    with nexod.client() as client:
        assert client.resolve("work").api_key == WORK.key


@pytest.mark.parametrize(("emacs", "told"), [("29.1,comint", True), ("29.1,vterm", False)])
def test_who_asks_for_a_key_in_a_shell_of_emacs_says_that_it_is_shown(
    terminal: Terminal, emacs: str, told: bool
) -> None:
    with terminal("add", "work", "--provider", "openai", env={"INSIDE_EMACS": emacs}) as person:
        assert ("M-x comint-send-invisible" in person.expect("API key (hidden): ")) == told


@pytest.mark.parametrize("pasted", ["{key}", "\n{key}\n", "{start}\r{rest}"])
def test_a_key_pasted_with_line_breaks_is_one_answer_and_is_never_shown(
    terminal: Terminal, nexod: Nexod, url: str, pasted: str
) -> None:
    text = pasted.format(key=WORK.key, start=WORK.key[:5], rest=WORK.key[5:])
    with terminal("add", "work", "--provider", "openai", "--base-url", url) as person:
        person.expect("API key (hidden): ")
        # A terminal marks a paste for a program that has asked for it.
        marked = "\x1b[?2004h" in person.raw
        person.type_in(f"\x1b[200~{text}\x1b[201~\n" if marked else f"{text}\n")
        person.expect("Custom headers")
        person.type_in("\n")
        person.expect("Saved work")
        assert person.wait() == 0
        assert WORK.key[5:] not in person.raw
        assert person.raw.rfind("\x1b[?2004l") > person.raw.rfind("\x1b[?2004h")
    with nexod.client() as client:
        assert client.resolve("work").api_key == WORK.key


def test_the_password_of_a_proxy_is_asked_for_hidden(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "work", WORK.key, url)
    with terminal("edit", "work", "--proxy", "http://ann@127.0.0.1:3128", "--no-test") as person:
        person.expect("Password of the proxy 127.0.0.1:3128 (hidden; Enter for none)")
        person.type_in("pa55word\n")
        person.expect("Send the stored key through the new proxy? [y/N] ")
        person.type_in("y\n")
        person.expect("Saved")
        assert person.wait() == 0
        assert "pa55word" not in person.text
    with nexod.client() as client:
        assert client.resolve("work").network.proxy == "http://ann:pa55word@127.0.0.1:3128"


def test_an_edit_field_by_field_keeps_what_is_not_typed(
    terminal: Terminal, nexod: Nexod, url: str, provider: ExampleProvider
) -> None:
    save(nexod, "work", WORK.key, url)
    with terminal("edit", "work") as person:
        for question, answer in (
            ("Name [work]: ", "renamed\n"),
            ("Provider [openai]: ", "\n"),
            ("Enter keeps the stored one", "\n"),
            (f"Base URL [{url}]: ", "\n"),
            ("Custom headers", "\n"),
            ("Default model: ", "example-small\n"),
        ):
            person.expect(question)
            person.type_in(answer)
        assert person.wait() == 0
        assert WORK.key not in person.raw
    with nexod.client() as client:
        saved = client.resolve("renamed")
    assert (saved.api_key, saved.base_url, saved.model) == (WORK.key, url, "example-small")


@pytest.mark.parametrize("agrees", [True, False])
def test_the_stored_key_goes_to_a_new_host_only_with_consent(
    terminal: Terminal, nexod: Nexod, url: str, provider: ExampleProvider, agrees: bool
) -> None:
    save(nexod, "work", WORK.key, "http://127.0.0.1:9/v1", checks_paused=True)
    before = len(provider.requests())
    with terminal("edit", "work", "--base-url", url) as person:
        person.expect("would go from http://127.0.0.1:9 to")
        person.expect("Send the stored key to the new address? [y/N] ")
        person.type_in("y\n" if agrees else "\n")
        assert person.wait() == (0 if agrees else 7)
    assert (len(provider.requests()) > before) is agrees
    with nexod.client() as client:
        assert (client.get_connection("work").base_url == url) is agrees


def test_removing_asks_first(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "default", HOME.key, url)
    save(nexod, "work", WORK.key, url)
    for answer, left in (("\n", ["default", "work"]), ("y\n", ["default"])):
        with terminal("remove", "work") as person:
            person.expect("[y/N] ")
            person.type_in(answer)
            assert person.wait() == 0
        assert names(nexod) == left


def test_json_asks_nobody(terminal: Terminal, nexod: Nexod) -> None:
    with terminal("--json", "add") as person:
        assert person.wait() == 2
        assert '"reason": "USAGE"' in person.text


def test_a_reader_that_goes_away_is_no_error(surroundings: Surroundings, nexod: Nexod, url: str) -> None:
    for number in range(30):
        save(nexod, f"connection-{number}", WORK.key, url, checks_paused=True)
    nexoctl = " ".join(NEXOCTL)
    done = surroundings.run(["bash", "-c", f"set -o pipefail; {nexoctl} --json list | head -1"], expect=None)
    assert done.out == "[\n"
    assert done.err == ""
    assert done.code in (0, 141)


def test_a_hostile_name_cannot_steer_the_terminal(terminal: Terminal, nexod: Nexod, url: str) -> None:
    save(nexod, "work", WORK.key, url, default_model="m")
    with terminal("show", "w\x1b[2Jork") as person:
        assert person.wait() == 5
        assert "\x1b[2J" not in person.raw


def test_sigterm_ends_a_watch_without_words(terminal: Terminal) -> None:
    with terminal("watch") as person:
        person.expect("watching")
        os.kill(person.program_pid(), signal.SIGTERM)
        person.wait()
        assert "Traceback" not in person.text


@pytest.fixture
def shell(surroundings: Surroundings, nexod: Nexod) -> Callable[[], Typist]:
    """A shell with job control, whose prompt is `$ `; `nexoctl` is a program in it."""
    (surroundings.home / "nexoctl").write_text(f'#!/bin/sh\nexec {" ".join(NEXOCTL)} "$@"\n')
    (surroundings.home / "nexoctl").chmod(0o755)

    def start() -> Typist:
        env = surroundings.env | {"PS1": "$ ", "PATH": f"{surroundings.home}:{os.environ['PATH']}"}
        # Without line editing, which sets modes of its own before each command.
        command = ["bash", "--noprofile", "--norc", "--noediting", "-i"]
        return Typist(command, env=env, cwd=surroundings.home)

    return start


def echoes(person: Typist, word: str) -> None:
    """The shell shows what is typed."""
    person.type_in(f"true {word}\n")
    person.expect(f"true {word}")
    person.expect("$ ")


@pytest.mark.parametrize("times", [1, 3])
def test_a_key_stays_hidden_after_ctrl_z_and_the_shell_shows_what_is_typed(
    shell: Callable[[], Typist], nexod: Nexod, url: str, times: int
) -> None:
    with shell() as person:
        person.expect("$ ")
        person.type_in(f"nexoctl add work --provider openai --base-url {url} --headers-json '{{}}'\n")
        person.expect("API key (hidden): ")
        for time in range(times):
            person.type_in("half-of-a-key\x1a")
            person.expect("Stopped")
            person.expect("$ ")
            echoes(person, f"word-{time}")
            person.type_in("fg\n")
            person.expect("API key (hidden): ")
        person.type_in(f"{WORK.key}\n")
        person.expect("Saved work")
        assert WORK.key not in person.raw
        assert "half-of-a-key" not in person.raw
        echoes(person, "at-the-end")
    with nexod.client() as client:
        assert client.resolve("work").api_key == WORK.key


SLOW_WRITES = """
import os, time
write = os.write
def slow(descriptor, data):
    done = write(descriptor, data)
    if b"hidden" in data:
        time.sleep(2)
    return done
os.write = slow
"""


def test_a_stop_as_soon_as_it_goes_on_gives_the_terminal_back(
    shell: Callable[[], Typist], nexod: Nexod, surroundings: Surroundings, url: str
) -> None:
    """A machine that is busy just after the question was shown again."""
    (surroundings.home / "sitecustomize.py").write_text(SLOW_WRITES)
    with shell() as person:
        person.expect("$ ")
        add = f"nexoctl add work --provider openai --base-url {url} --headers-json '{{}}'"
        person.type_in(f"PYTHONPATH={surroundings.home} {add}\n")
        person.expect("API key (hidden): ")
        for _ in range(2):
            person.type_in("\x1a")
            person.expect("Stopped")
            person.expect("$ ")
            # The terminal no longer marks pastes. (The modes are set again by bash itself.)
            assert person.raw.rfind("\x1b[?2004l") > person.raw.rfind("\x1b[?2004h")
            person.type_in("fg\n")
            person.expect("API key (hidden): ")
        person.type_in(f"{WORK.key}\n")
        person.expect("Saved work")
        assert WORK.key not in person.raw


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process in /proc")
def test_a_key_stays_hidden_after_a_stop_that_nobody_can_catch(
    shell: Callable[[], Typist], nexod: Nexod, url: str
) -> None:
    with shell() as person:
        person.expect("$ ")
        person.type_in(f"nexoctl add work --provider openai --base-url {url} --headers-json '{{}}'\n")
        person.expect("API key (hidden): ")
        children = Path(f"/proc/{person.program_pid()}/task/{person.program_pid()}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGSTOP)
        person.expect("Stopped")
        person.expect("$ ")
        person.type_in("fg\n")
        person.expect("API key (hidden): ")
        person.type_in(f"{WORK.key}\n")
        person.expect("Saved work")
        assert WORK.key not in person.raw


@pytest.mark.parametrize("question", ["API key (hidden): ", "Name: "])
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGHUP, -signal.SIGHUP),
        (signal.SIGQUIT, -signal.SIGQUIT),
        (signal.SIGINT, 130),
    ],
)
def test_whatever_ends_a_question_the_terminal_is_as_it_was(
    terminal: Terminal, url: str, question: str, number: signal.Signals, code: int
) -> None:
    words = ["add"] if question == "Name: " else ["add", "work", "--provider", "openai", "--base-url", url]
    with terminal(*words) as person:
        before = person.modes()
        person.expect(question)
        if question != "Name: ":
            wait_for(lambda: person.modes() != before, "the echo is off")
        os.kill(person.program_pid(), number)
        person.wait()
        assert person.process.returncode == code
        assert person.modes() == before
        assert "Traceback" not in person.text


def test_what_nohup_ignores_does_not_end_a_question(
    surroundings: Surroundings, nexod: Nexod, url: str
) -> None:
    words = " ".join([*NEXOCTL, "add", "work", "--provider", "openai", "--base-url", url])
    command = ["sh", "-c", f"trap '' HUP; exec {words}"]
    with Typist(command, env=surroundings.env, cwd=surroundings.home) as person:
        person.expect("API key (hidden): ")
        os.kill(person.program_pid(), signal.SIGHUP)
        person.press_ctrl_c()
        assert person.wait() == 130


def test_a_question_goes_on_after_ctrl_z_and_the_shell_shows_what_is_typed(
    shell: Callable[[], Typist], nexod: Nexod
) -> None:
    with shell() as person:
        person.expect("$ ")
        person.type_in("nexoctl add --provider ollama --no-test\n")
        person.expect("Name: ")
        for time in range(2):
            person.type_in("\x1a")
            person.expect("Stopped")
            person.expect("$ ")
            echoes(person, f"word-{time}")
            person.type_in("fg\n")
            person.expect("Name: ")
        person.type_in("later\n")
        person.expect("API key")
        person.press_ctrl_c()
        person.expect("Cancelled")
        person.expect("$ ")
        echoes(person, "at-the-end")


@pytest.mark.parametrize("resumed", ["fg", "bg"])
def test_what_the_shell_shows_after_ctrl_z_is_not_drawn_over(
    shell: Callable[[], Typist], nexod: Nexod, url: str, resumed: str
) -> None:
    save(nexod, "work", WORK.key, url)
    with shell() as person:
        person.expect("$ ")
        person.type_in("nexoctl health --watch\n")
        person.expect("watching")
        person.type_in("\x1a")
        person.expect("Stopped")
        person.expect("$ ")
        echoes(person, "word-1")
        person.type_in(f"{resumed}\n")
        if resumed == "fg":
            person.expect("watching")
        else:
            # These take longer than a drawing.
            for _ in range(2):
                person.expect("$ ")
                person.type_in("nexoctl which >/dev/null; echo there was time\n")
                person.expect("\nthere was time")
            person.expect("$ ")
            person.type_in("fg\n")
            person.expect("watching")
        person.press_ctrl_c()
        person.expect("Cancelled")
        screen = on_screen(person.raw)
    assert screen.count("watching") == 2, screen
    for shown in ("Stopped", "$ true word-1", f"$ {resumed}"):
        assert shown in screen, screen
    if resumed == "bg":
        assert screen.count("\nthere was time\n$ ") == 2, screen
