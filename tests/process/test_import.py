"""Importing for real: the daemon, the example provider, and files with keys that nobody may see again."""

import json
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, REVOKED, WORK, ExampleProvider
from surroundings import Nexod, Surroundings
from typist import Typist

QUIET = {"OLLAMA_HOST": "127.0.0.1:9"}
"""No server of the machine that runs the tests may wander into them (its other usual ports may be in use)."""


@pytest.fixture
def newcomer(surroundings: Surroundings) -> Iterator[Surroundings]:
    """Surroundings in which the person starts the daemon; it is stopped in the end."""
    yield surroundings
    surroundings.nexoctl("daemon", "stop")


def codex_home(surroundings: Surroundings, provider: ExampleProvider, **keys: str) -> Path:
    """A Codex configuration with a provider for each key."""
    directory = surroundings.home / ".codex"
    directory.mkdir()
    for name, key in keys.items():
        with (directory / "config.toml").open("a") as file:
            file.write(f'[model_providers.{name}]\nname = "{name}"\nbase_url = "')
            file.write(f'{provider.base_url(Provider.CUSTOM)}"\nexperimental_bearer_token = "{key}"\n')
    return directory


def test_a_source_is_taken_over_tested_and_left_as_it_was(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    directory = codex_home(surroundings, provider, work=WORK.key, former=REVOKED.key)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()}
    done = surroundings.nexoctl("import", "codex", "--all", "--json", env=QUIET, expect=6)
    assert [one["connection"]["name"] for one in done.json["imported"]] == ["work"]
    assert done.json["imported"][0]["test"]["key"] == "verified"
    assert done.json["imported"][0]["connection"]["key"]["verdict"] == "verified"
    assert [(one["name"], one["test"]["outcome"]) for one in done.json["failed"]] == [
        ("former", "auth_error")
    ]
    assert [one["name"] for one in surroundings.nexoctl("list", "--json").json] == ["work"]
    assert surroundings.nexoctl("resolve", "--connection", "work", "--format", "key").out.strip() == WORK.key
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()} == before
    for text in (done.out, done.err, nexod.output):
        assert WORK.key not in text
        assert REVOKED.key not in text
    for path in surroundings.files():
        if directory not in path.parents:
            assert WORK.key.encode() not in path.read_bytes(), path


def test_importing_twice_adds_nothing(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    codex_home(surroundings, provider, work=WORK.key)
    surroundings.nexoctl("import", "codex", "--all", env=QUIET)
    again = surroundings.nexoctl("import", "codex", "--all", env=QUIET)
    assert "you already have 'work' at this address" in again.out
    assert "Nothing was imported." in again.out
    surroundings.nexoctl("import", "codex", "--all", "--again", env=QUIET)
    names = [one["name"] for one in surroundings.nexoctl("list", "--json").json]
    assert names == ["work", "work-2"]


def test_a_dry_run_needs_no_daemon_and_changes_nothing(
    surroundings: Surroundings, provider: ExampleProvider
) -> None:
    codex_home(surroundings, provider, work=WORK.key)
    done = surroundings.nexoctl("import", "codex", "--dry-run", env=QUIET)
    assert "1 would be imported. Nothing was changed." in done.out
    assert not surroundings.data_dir.exists()
    assert not provider.requests()


def test_a_script_has_to_say_all(surroundings: Surroundings, provider: ExampleProvider) -> None:
    codex_home(surroundings, provider, work=WORK.key)
    done = surroundings.nexoctl("import", "codex", env=QUIET, expect=2)
    assert "--all" in done.err


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("import", "codx"), 2, "nexoctl import codex"),
        (("import", "env", "--file", "/etc/hostname"), 2, "nexoctl import env"),
        (("import", "codex", "--file", "/no/such/file"), 5, "path"),
        (("import", "/etc/hostname"), 1, "--file /etc/hostname"),
    ],
)
def test_a_slip_is_answered_with_the_way_out(
    surroundings: Surroundings, words: tuple[str, ...], code: int, hint: str
) -> None:
    if words[-1].startswith("/etc") and not Path(words[-1]).exists():
        pytest.skip(f"no {words[-1]} here")
    done = surroundings.nexoctl(*words, "--json", expect=code)
    assert hint in done.error["hint"]


def test_the_environment_of_the_shell_is_a_source(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    env = QUIET | {
        "ANTHROPIC_BASE_URL": provider.base_url(Provider.ANTHROPIC),
        "ANTHROPIC_API_KEY": HOME.key,
        "GROQ_API_KEY": "your-key-here",
    }
    done = surroundings.nexoctl("import", "env", "--all", "--json", env=env)
    (one,) = done.json["imported"]
    assert (one["connection"]["provider"], one["test"]["outcome"]) == ("anthropic", "ok")
    assert [(item["what"], item["source"]) for item in done.json["skipped"]] == [("groq", "env")]


NEXOCTL = [sys.executable, "-m", "nexo_cli"]


def test_first_run_leads_from_nothing_to_a_tested_connection(
    newcomer: Surroundings, provider: ExampleProvider
) -> None:
    codex_home(newcomer, provider, work=WORK.key, home=HOME.key)
    with Typist(NEXOCTL, env=newcomer.env | QUIET, cwd=newcomer.home) as person:
        person.expect("started nexod")
        person.expect("Welcome")
        before = person.expect("Import which?")
        # Whatever else this computer has stands before it.
        number = re.search(r"(\d+) +work ", before)
        assert number
        person.type_in(f"{number[1]}\n")
        person.expect("Imported work")
        person.expect("1 of 1 imported")
        person.expect("nexoctl list")
        assert person.wait() == 0
        assert WORK.key not in person.raw
    names = [one["name"] for one in newcomer.nexoctl("list", "--json").json]
    assert names == ["work"]


def test_first_run_without_anything_to_import_offers_the_wizard(
    newcomer: Surroundings, provider: ExampleProvider
) -> None:
    with Typist(NEXOCTL, env=newcomer.env | QUIET, cwd=newcomer.home) as person:
        person.expect("Add a connection now?")
        person.type_in("\n")
        person.expect("Name")
        person.press_ctrl_c()
        assert person.wait() == 130
        assert "Traceback" not in person.text


def test_in_a_pipe_nothing_is_started_and_nobody_is_asked(surroundings: Surroundings) -> None:
    done = surroundings.run([*NEXOCTL])
    assert "The daemon is not running" in done.out
    assert not surroundings.socket.exists()


def test_a_source_that_others_may_write_is_still_only_read(
    surroundings: Surroundings, provider: ExampleProvider
) -> None:
    directory = codex_home(surroundings, provider, work=WORK.key)
    for path in (*directory.iterdir(), directory):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)
    done = surroundings.nexoctl("import", "codex", "--dry-run", "--json", env=QUIET)
    assert json.dumps(done.json).count(WORK.key) == 0
    assert len(done.json["found"]) == 1


@pytest.mark.parametrize("words", [("import", "all", "--all"), ("import", "litellm", "--all"), ()])
def test_in_a_clone_no_variable_of_the_shell_is_sent_to_an_address_of_the_directory(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, words: tuple[str, ...]
) -> None:
    clone = surroundings.home / "clone"
    clone.mkdir()
    model = {
        "model": "openai/x",
        "api_base": provider.base_url(Provider.CUSTOM),
        "api_key": "os.environ/GITHUB_TOKEN",
    }
    (clone / "litellm_config.yaml").write_text(json.dumps({"model_list": [{"litellm_params": model}]}))
    shell = {"GITHUB_TOKEN": "ghp_canary", **QUIET}
    with Typist([*NEXOCTL, *words], env=surroundings.env | shell, cwd=clone) as person:
        person.expect("if you trust it: nexoctl import litellm --file litellm_config.yaml")
        if not words:
            # The first run goes on with a connection typed in by hand.
            person.type_in("\x03")
        person.wait()
    assert surroundings.nexoctl("list", "--json").json == []
    assert provider.requests() == ()


def half_without_key(surroundings: Surroundings, provider: ExampleProvider) -> None:
    """A provider of Codex whose key is in a variable that is not set."""
    directory = surroundings.home / ".codex"
    directory.mkdir()
    address = provider.base_url(Provider.CUSTOM)
    text = f'[model_providers.work]\nbase_url = "{address}"\nenv_key = "NOT_SET_HERE"\n'
    (directory / "config.toml").write_text(text)


def half_without_address(surroundings: Surroundings) -> None:
    """A key whose address is in a variable that nobody reads."""
    (surroundings.home / ".env").write_text(
        f"OPENAI_API_KEY={WORK.key}\nOPENAI_API_HOST=https://somewhere.example\n"
    )


def test_a_half_is_listed_never_sent_and_completed_by_a_flag(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    half_without_address(surroundings)
    listed = surroundings.nexoctl("import", "aider", "--all", "--json", env=QUIET)
    assert [(one["what"], one["lacks"]) for one in listed.json["skipped"]] == [("openai", "base_url")]
    assert listed.json["imported"] == []
    assert provider.requests() == ()
    url = provider.base_url(Provider.CUSTOM)
    done = surroundings.nexoctl("import", "aider", "--all", "--base-url", url, "--json", env=QUIET)
    (one,) = done.json["imported"]
    assert (one["connection"]["base_url"], one["test"]["key"]) == (url, "verified")


@pytest.mark.parametrize("flag", ["--api-key-env", "--api-key-ref", "--api-key-stdin"])
def test_a_key_that_is_missing_comes_from_where_the_person_says(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider, flag: str
) -> None:
    half_without_key(surroundings, provider)
    file = surroundings.home / "key"
    file.write_text(f"{WORK.key}\n")
    file.chmod(0o600)
    given = {"--api-key-env": ["MINE"], "--api-key-ref": [f"file:{file}"], "--api-key-stdin": []}[flag]
    words = ("import", "codex", "--all", flag, *given, "--json")
    done = surroundings.nexoctl(*words, env=QUIET | {"MINE": WORK.key}, stdin=WORK.key)
    (one,) = done.json["imported"]
    assert one["test"]["outcome"] == "ok"
    assert one["connection"]["key"]["source"] == ("reference" if flag == "--api-key-ref" else "stored")


def test_a_half_that_is_chosen_asks_for_what_it_lacks(
    surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider
) -> None:
    half_without_key(surroundings, provider)
    words = [*NEXOCTL, "import", "codex"]
    with Typist(words, env=surroundings.env | QUIET, cwd=surroundings.home) as person:
        person.expect("1? ")
        person.expect("Import which? (numbers, all, none) [none]")
        person.type_in("1\n")
        person.expect("API key for ")
        person.expect(provider.base_url(Provider.CUSTOM))
        person.type_in(f"{WORK.key}\n")
        person.expect("1 of 1 imported")
        assert person.wait() == 0
        assert WORK.key not in person.raw
