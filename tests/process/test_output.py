"""What nexoctl prints, and where: encodings that lack characters, disks that are full, names of bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nexo_client.types import ConnectionDraft
from surroundings import PATIENCE_S, Nexod, Surroundings

NEXOCTL = [sys.executable, "-m", "nexo_cli", "--no-start"]
URL = "http://127.0.0.1:9/v1"
NAME = "wörk…★ 日本"
ENCODINGS = ("ascii", "latin-1", "cp1252", "shift_jis", "utf-8", "utf-16")
LOCALES = (
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX"},
    *({"PYTHONIOENCODING": encoding} for encoding in ENCODINGS),
    {"PYTHONIOENCODING": "ascii:replace"},
)


def encoding_of(locale: dict[str, str]) -> str:
    """What stdout speaks there; a C locale by itself is UTF-8 for Python."""
    plain = "ascii" if locale.get("PYTHONUTF8") == "0" else "utf-8"
    return locale.get("PYTHONIOENCODING", plain).partition(":")[0]


def ran(surroundings: Surroundings, *words: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    """A command with the bytes that it wrote."""
    env = {**surroundings.env, **more.pop("env", {})}  # type: ignore[dict-item]  # a shorthand
    given = {"capture_output": True, "cwd": surroundings.home, "stdin": subprocess.DEVNULL, **more}
    if "stdout" in given or "stderr" in given:
        del given["capture_output"]
    return subprocess.run([*NEXOCTL, *words], env=env, timeout=PATIENCE_S, check=False, **given)  # type: ignore[call-overload]  # likewise


@pytest.fixture
def odd(nexod: Nexod) -> Nexod:
    """A daemon with a connection whose name is in many scripts."""
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name=NAME, provider="custom", base_url=URL, api_key="a-key-1")
        )
    return nexod


COMMANDS = (
    ("list",),
    ("doctor",),
    ("export",),
    ("resolve",),
    ("import", "codex", "--dry-run"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_json_is_json_in_every_encoding(
    surroundings: Surroundings, odd: Nexod, words: tuple[str, ...]
) -> None:
    (surroundings.home / ".codex").mkdir()
    text = f'[model_providers."{NAME}"]\nbase_url = "{URL}"\nexperimental_bearer_token = "a-key-2"\n'
    (surroundings.home / ".codex/config.toml").write_text(text, encoding="utf-8")
    for locale in LOCALES:
        done = ran(surroundings, "--json", *words, env=locale)
        encoding = "utf-8" if words == ("export",) else encoding_of(locale)
        document = json.loads(done.stdout.decode(encoding))
        if words in (("list",), ("import", "codex", "--dry-run")):
            assert NAME in repr(document), locale


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_an_error_in_json_is_json_in_every_encoding(
    surroundings: Surroundings, odd: Nexod, locale: dict[str, str]
) -> None:
    done = ran(surroundings, "--json", "show", "nö…★", env=locale)
    error = json.loads(done.stderr.decode(encoding_of(locale)))["error"]
    if locale.get("PYTHONUTF8") == "0":
        # There Python has the argument as bytes without a meaning.
        assert "LC_ALL=C.UTF-8" in error["hint"]
    else:
        assert (done.returncode, "nö…★" in error["message"]) == (5, True)


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_text_is_readable_where_characters_are_missing(
    surroundings: Surroundings, odd: Nexod, locale: dict[str, str]
) -> None:
    for words in (("list",), ("doctor",), ("providers",), ("--help",)):
        done = ran(surroundings, *words, env=locale)
        assert b"Traceback" not in done.stderr, words
        assert done.stdout, words
        done.stdout.decode(encoding_of(locale))


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_what_a_program_reads_is_the_same_in_every_encoding(
    surroundings: Surroundings, odd: Nexod, locale: dict[str, str]
) -> None:
    assert ran(surroundings, "resolve", "--format", "key", env=locale).stdout == b"a-key-1\n"
    exported = json.loads(ran(surroundings, "export", env=locale).stdout.decode("utf-8"))
    assert NAME in repr(exported)


FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
PRINTING = (
    ("list",),
    ("--json", "list"),
    ("--version",),
    ("--help",),
    ("list", "--help"),
    ("help", "add"),
    ("export",),
    ("resolve", "--format", "key"),
    ("completion", "bash"),
    ("providers",),
    ("doctor",),
    ("import",),
    ("watch",),
)


@FULL
@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_an_output_that_nobody_got_is_no_success(
    surroundings: Surroundings, odd: Nexod, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = ran(surroundings, *words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert ("--json" in words) == done.stderr.startswith(b'{"error"')


@FULL
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list",), 0),
        (("nonsense",), 2),
        (("show", "nope"), 5),
        (("add",), 2),
        (("--socket", "/x/y", "list"), 3),
    ],
)
def test_the_exit_status_says_what_happened_where_no_word_can(
    surroundings: Surroundings, odd: Nexod, words: tuple[str, ...], code: int
) -> None:
    with Path("/dev/full").open("wb") as full:
        assert ran(surroundings, *words, stderr=full, stdout=subprocess.PIPE).returncode == code


@pytest.mark.parametrize(
    "words", [("list",), ("--json", "providers"), ("--help",), ("--version",), ("import",)]
)
def test_a_reader_that_is_gone_ends_it_without_a_word(
    surroundings: Surroundings, odd: Nexod, words: tuple[str, ...]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = ran(surroundings, *words, stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


# -- names that are bytes


@pytest.fixture
def bytes_home(tmp_path: Path) -> Path:
    """A home whose name is no UTF-8, private and short enough for a socket."""
    home = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff%41 \xe9"))
    try:
        home.mkdir(mode=0o700)
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    return home


def test_a_home_that_is_no_utf8_is_a_home_like_any_other(
    surroundings: Surroundings, bytes_home: Path
) -> None:
    env = {name: value for name, value in surroundings.env.items() if not name.startswith(("NEXO_", "XDG_"))}
    env |= {
        "HOME": str(bytes_home),
        "NEXO_SOCKET": str(bytes_home / "s/nexod.sock"),
        "OLLAMA_HOST": "127.0.0.1:9",
    }
    (bytes_home / "s").mkdir(mode=0o700)

    def nexoctl(*words: str, code: int = 0, given: bytes = b"") -> str:
        command = [sys.executable, "-m", "nexo_cli", *words]
        done = subprocess.run(
            command,
            env=env,
            cwd=bytes_home,
            input=given,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        text = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == code, text
        assert "Traceback" not in text
        assert "INTERNAL" not in text
        return text

    add = ("add", "work", "--provider", "custom", "--base-url", URL, "--api-key-stdin", "--no-test")
    try:
        nexoctl(*add, given=b"a-key-1")
        assert r"h\xff%41 \xe9" in nexoctl("status")
        assert r"h\\xff" in nexoctl("--json", "status")
        nexoctl("doctor")
        assert "the default" in nexoctl("which")
        assert "a-key-1" in nexoctl("resolve", "--format", "key")
        assert URL in nexoctl("run", "--direct", "--", "sh", "-c", "echo $OPENAI_BASE_URL")
        assert "backups" in nexoctl("store", "backup")
        nexoctl("store", "check")
        nexoctl("export", "-o", str(bytes_home / "e\udcff.json"))
        nexoctl("import", str(bytes_home / "e\udcff.json"))
        (bytes_home / ".env").write_text("OPENAI_API_KEY=abcd1234efgh\n")
        assert "1 would be imported" in nexoctl("import", "aider", "--dry-run")
        assert "with its key" in nexoctl("import", "aider", "--file", str(bytes_home / ".env"), "--dry-run")
        nexoctl("workspace", "bind", ".", "work", code=2)
        nexoctl("daemon", "restart")
        assert "a-key-1" in nexoctl("resolve", "--format", "key")
    finally:
        nexoctl("daemon", "stop")


def test_a_directory_that_is_no_utf8_gets_what_the_one_above_it_gets(
    surroundings: Surroundings, nexod: Nexod, bytes_home: Path
) -> None:
    with nexod.client() as client:
        for name in ("usual", "client-a"):
            client.create_connection(
                ConnectionDraft(name=name, provider="custom", base_url=URL, api_key=name)
            )
        client.bind(bytes_home.parent, "client-a")
        assert client.resolve(workspace=bytes_home).name == "client-a"
        assert client.resolve(workspace=bytes_home / "sub\udcff/sub").name == "client-a"
        assert client.resolve(workspace=bytes_home.parent.parent).name == "usual"
