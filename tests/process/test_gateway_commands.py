"""`nexoctl gateway`, `token` and `usage`, as a person types them, against a gateway that really listens."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider
from nexo_cli.setups.programs import PROGRAMS
from surroundings import Nexod, Surroundings, wait_for


@pytest.fixture
def work(surroundings: Surroundings, nexod: Nexod, provider: ExampleProvider) -> Surroundings:
    """A home with two connections; `work` is the default."""
    for name, account in (("work", WORK), ("home", HOME)):
        url = provider.base_url(Provider.OPENAI)
        flags = ["--provider", "openai", "--base-url", url, "--api-key-stdin", "--no-test"]
        surroundings.nexoctl("add", name, *flags, "--model", "example-small", stdin=account.key)
    return surroundings


def ask(surroundings: Surroundings, token: str) -> tuple[int, str]:
    """The status of one question with a token, and the connection that answered."""
    url = surroundings.nexoctl("--json", "gateway", "status").json["addresses"]["openai"]
    body = json.dumps({"model": "example-small", "messages": [{"role": "user", "content": "hi"}]}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(
            urllib.request.Request(f"{url}/chat/completions", body, headers), timeout=20
        ) as answer:
            return answer.status, answer.headers["x-nexo-connection"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, ""


def tokens_in(directory: Path) -> set[str]:
    """Every token that stands in a file."""
    texts = [path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file()]
    words = [word.strip("\"',:{}[] \n") for text in texts for word in text.replace("=", " ").split()]
    return {word for word in words if word.startswith("nexo_")}


@pytest.mark.parametrize("program", [one.name for one in PROGRAMS if one.settings])
def test_a_program_that_was_set_up_is_let_in_and_after_undo_nothing_is_left(
    work: Surroundings, tmp_path: Path, program: str
) -> None:
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
        "LLM_USER_PATH": str(tmp_path / "llm"),
    }
    done = work.nexoctl("--json", "gateway", "setup", program, "--write", env=home).json
    assert all(file["changed"] for file in done["files"])
    told = " ".join(done["by_hand"])
    (token,) = tokens_in(tmp_path) or {word for word in told.split() if word.startswith("nexo_")}
    assert ask(work, token) == (200, "work")
    if tokens_in(tmp_path):
        again = work.nexoctl("--json", "gateway", "setup", program, "--write", env=home).json
        assert not any(file["changed"] for file in again["files"])
    else:
        # It is in the keyring of the program, where it is not looked for; a second one needs a word.
        assert work.nexoctl("gateway", "setup", program, "--write", env=home, expect=7).err
    assert ask(work, token) == (200, "work")
    work.nexoctl("gateway", "setup", program, "--undo", env=home)
    assert list(tmp_path.rglob("*")) == []
    assert ask(work, token)[0] == 401


def test_a_file_that_cannot_be_read_is_left_alone_and_no_token_is_made(work: Surroundings) -> None:
    broken = work.home / ".claude" / "settings.json"
    broken.parent.mkdir()
    broken.write_text('{"env": ')
    refused = work.nexoctl("gateway", "setup", "claude-code", "--write", expect=1)
    assert "settings.json" in refused.err
    assert broken.read_text() == '{"env": '
    assert work.nexoctl("--json", "token", "list").json == []


@pytest.mark.parametrize("text", ['{"theme": "dark" // mine\n}\n', '{"theme": "dark",}'])
def test_a_file_that_the_program_itself_does_not_read_is_not_called_a_set_up(
    work: Surroundings, text: str
) -> None:
    settings = work.home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(text)
    refused = work.nexoctl("gateway", "setup", "claude-code", "--write", expect=1)
    assert "the program ignores it" in refused.err
    assert settings.read_text() == text
    assert work.nexoctl("--json", "token", "list").json == []


def test_a_set_up_program_stays_with_its_connection_when_one_is_named(work: Surroundings) -> None:
    work.nexoctl("gateway", "setup", "codex", "--write", "--connection", "home")
    (token,) = tokens_in(work.home / ".codex")
    assert ask(work, token) == (200, "home")
    refused = work.nexoctl("gateway", "setup", "codex", "--write", "--connection", "work", expect=7)
    assert "--undo" in refused.err


def test_settings_from_another_computer_are_not_taken_for_a_set_up(work: Surroundings) -> None:
    work.nexoctl("gateway", "setup", "codex", "--write")
    config = work.home / ".codex" / "config.toml"
    (token,) = tokens_in(config.parent)
    config.write_text(config.read_text().replace(token, "nexo_of-another-computer"))
    refused = work.nexoctl("--json", "gateway", "setup", "codex", "--write", expect=7)
    assert refused.error["reason"] == "NAME_TAKEN"
    work.nexoctl("token", "revoke", "codex")
    work.nexoctl("gateway", "setup", "codex", "--write")
    (token,) = tokens_in(config.parent)
    assert ask(work, token) == (200, "work")


def test_the_settings_that_are_printed_hold_no_token_and_change_nothing(work: Surroundings) -> None:
    shown = work.nexoctl("gateway", "setup", "codex")
    assert "model_providers.nexo.base_url" in shown.out
    assert "nexo_" not in shown.out
    assert not (work.home / ".codex").exists()


def test_a_token_is_shown_once_and_is_worth_nothing_after_it_is_revoked(work: Surroundings) -> None:
    work.nexoctl("gateway", "on")
    token = work.nexoctl("token", "add", "mine").out.strip()
    theirs = work.nexoctl("token", "add", "theirs", "--connection", "home").out.strip()
    assert (ask(work, token), ask(work, theirs)) == ((200, "work"), (200, "home"))
    work.nexoctl("default", "home")
    assert ask(work, token) == (200, "home")
    listed = work.nexoctl("token", "list").out
    assert "mine" in listed
    assert token not in listed
    assert work.nexoctl("--json", "token", "add", "MINE", expect=7).error["reason"] == "NAME_TAKEN"
    work.nexoctl("token", "revoke", "mine")
    assert ask(work, token)[0] == 401
    assert work.nexoctl("--json", "token", "revoke", "mine", expect=5).error["reason"] == "TOKEN_NOT_FOUND"
    assert work.nexoctl("token", "add", "x", "--connection", "home", "--workspace", ".", expect=2).err
    assert work.nexoctl("token", "add", "x", "--connection", "", expect=2).err
    assert work.nexoctl("token", "add", "x", "--expires", "soon", expect=2).err


def test_usage_says_what_the_provider_reported(work: Surroundings) -> None:
    assert "No request" in work.nexoctl("usage").err
    work.nexoctl("gateway", "on")
    token = work.nexoctl("token", "add", "mine").out.strip()
    for _ in range(2):
        ask(work, token)
    work.nexoctl("default", "home")
    ask(work, token)

    def all_ended() -> list[dict[str, Any]]:
        """The rows; an answer is counted a moment after its last byte."""
        rows = work.nexoctl("--json", "usage", "--by", "connection", "--by", "model", "--since", "1d").json
        return rows if all(row["input_tokens"] and row["output_tokens"] for row in rows) else []

    counted = {
        (row["connection"], row["model"]): row["requests"] for row in wait_for(all_ended, "the tokens")
    }
    assert counted == {("work", "example-small"): 2, ("home", "example-small"): 1}
    table = work.nexoctl("usage").out
    assert [line.split()[:2] for line in table.splitlines()[1:]] in (
        [["home", "1"], ["work", "2"]],
        [["work", "2"], ["home", "1"]],
    )
    assert work.nexoctl("usage", "--by", "colour", expect=2).err
    assert work.nexoctl("usage", "--by", "day", "--by", "hour", expect=2).err


def test_off_stays_off_until_it_is_switched_on(work: Surroundings) -> None:
    work.nexoctl("gateway", "on")
    port = work.nexoctl("--json", "gateway", "status").json["port"]
    assert "switched off" in work.nexoctl("gateway", "off").out
    assert work.nexoctl("gateway", "setup", "codex", "--write", expect=7).err
    assert not (work.home / ".codex").exists()
    on = work.nexoctl("--json", "gateway", "on").json
    assert (on["listening"], on["port"]) == (True, port)


def test_which_names_who_is_behind_the_gateway_with_a_connection(work: Surroundings) -> None:
    assert work.nexoctl("--json", "which").json["gateway_programs"] == []
    work.nexoctl("gateway", "on")
    token = work.nexoctl("token", "add", "editor").out.strip()
    assert ask(work, token) == (200, "work")
    (user,) = work.nexoctl("--json", "which").json["gateway_programs"]
    assert (user["token"], user["connection"]) == ("editor", "work")
    assert "programs that use it through the gateway: editor" in work.nexoctl("which").out
    assert "behind" not in work.nexoctl("which", "--connection", "home").out


def test_a_model_is_mapped_shown_exported_and_let_go(work: Surroundings) -> None:
    def mapped() -> dict[str, str]:
        return {row["asked"]: row["sent"] for row in work.nexoctl("--json", "show", "work").json["model_map"]}

    assert mapped() == {}
    work.nexoctl("edit", "work", "--map", "gpt-5=example-small", "--map", "b=a=c")
    assert mapped() == {"gpt-5": "example-small", "b": "a=c"}
    assert "gpt-5 \u2192 example-small" in work.nexoctl("show", "work").out
    there = str(work.home / "there.json")
    work.nexoctl("export", "--output", there)
    work.nexoctl("edit", "work", "--unmap", "b", "--map", "gpt-5=other")
    assert mapped() == {"gpt-5": "other"}
    work.nexoctl("import", there, "--overwrite")
    assert mapped() == {"gpt-5": "example-small", "b": "a=c"}
    for wrong, word in (
        (("--map", "gpt-5"), "has no '='"),
        (("--map", "a=b", "--map", "a=c"), "twice"),
        (("--unmap", "never-mapped"), "gpt-5"),
        (("--map", "nexo=m"), "--model ID"),
        (("--map", "a="), "empty"),
    ):
        assert word in work.nexoctl("edit", "work", *wrong, expect=2).err
    flags = ("--provider", "openai", "--api-key-stdin", "--no-test")
    work.nexoctl("add", "new", *flags, "--map", "gpt-5=x", stdin="sk-new")
    added = work.nexoctl("--json", "show", "new").json
    assert added["model_map"] == [{"asked": "gpt-5", "sent": "x"}]
