"""nexoctl in scripts: exit codes, JSON, pipes, hand-outs for shells, and programs that it becomes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import nexo_client
from nexo.connections import processes
from nexo.connections.terms import HealthState, Provider
from nexo_cli.demo.provider import BUSY, HOME, REVOKED, WORK, ExampleProvider
from nexo_client.types import ConnectionDraft, Header, NetworkProfile
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

OUTCOME_NAMES = (
    "connection",
    "outcome",
    "reason",
    "key",
    "layers",
    "models",
    "http_status",
    "request_id",
    "retry_at",
    "advice",
    "proven",
)


@pytest.fixture
def url(provider: ExampleProvider) -> str:
    return provider.base_url(Provider.OPENAI)


@pytest.fixture
def client(nexod: Nexod) -> Iterator[nexo_client.Client]:
    with nexod.client() as connected:
        yield connected


@pytest.fixture
def work(client: nexo_client.Client, url: str) -> str:
    """The name of a connection that works; it is the default."""
    draft = ConnectionDraft(name="work", provider="openai", base_url=url, api_key=WORK.key)
    return client.create_connection(draft).connection.name


def names(client: nexo_client.Client) -> list[str]:
    return [connection.name for connection in client.list_connections()]


# -- with and without a daemon


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (127, "run -- no-such-program", "no program 'no-such-program'"),
        (127, "run --direct -- ./no-such-program", "no program './no-such-program'"),
        (2, "add x --provider openai --api-key-env NEXO_UNSET", "NEXO_UNSET is not set"),
        (1, "add x --provider openai --headers-json @/nonexistent", "/nonexistent: No such file"),
        (
            2,
            "add x --provider openai --proxy-password-env NEXO_UNSET --proxy http://u@h",
            "NEXO_UNSET is not",
        ),
        (2, "edit x --key-expires soon", "--key-expires: 'soon' is not a date"),
        (2, "edit x --map a", "--map: 'a' has no '='"),
        (2, "test x --header nocolon", "--header number 1 has no colon"),
        (2, "test --draft --api-key-stdin --headers-json @-", "both read stdin"),
        (1, "export -o /nonexistent/x.json", "/nonexistent: there is no such directory"),
        (1, "export --with-secrets --passphrase-stdin -o /dev/null", "/dev/null exists already"),
    ],
)
def test_a_mistake_that_can_be_seen_here_is_named_before_the_daemon_is_asked(
    surroundings: Surroundings, code: int, words: str, said: str
) -> None:
    assert said in surroundings.nexoctl(*words.split(), expect=code).err


def test_headers_from_a_pipe_are_read_once(client: nexo_client.Client, surroundings: Surroundings) -> None:
    add = f"{sys.executable} -m nexo_cli add x --provider custom --base-url http://127.0.0.1:9 --no-test"
    surroundings.run(["bash", "-c", f'{add} --headers-json @<(echo \'{{"X-Team": "blue"}}\')'])
    assert client.get_connection("x").header_names == ("X-Team",)


def test_without_a_daemon_nothing_is_started_unless_allowed(surroundings: Surroundings) -> None:
    done = surroundings.nexoctl("list", expect=3)
    assert "nexoctl daemon start" in done.err
    assert str(surroundings.socket) in done.err
    done = surroundings.nexoctl("--json", "list", expect=3)
    assert done.error["reason"] == "DAEMON_NOT_RUNNING"
    assert surroundings.nexoctl("--json", "status", expect=3).json["running"] is False
    assert surroundings.nexoctl("doctor", expect=1).out.count("✗") == 1
    assert "not running" in surroundings.nexoctl().out
    assert not surroundings.socket.exists()


def test_doctor_names_a_place_that_cannot_be_made(surroundings: Surroundings) -> None:
    file = surroundings.home / "file"
    file.touch()
    env = {"NEXO_DATA_DIR": str(file / "data")}
    findings = surroundings.nexoctl("--json", "doctor", env=env, expect=1).json["findings"]
    (place,) = [one for one in findings if one["topic"] == "data"]
    assert (place["level"], "NEXO_DATA_DIR" in place["fix"]) == ("broken", True)
    assert f"{file} is not a directory" in place["text"]
    nexoctl = [sys.executable, "-m", "nexo_cli"]
    refused = surroundings.run([*nexoctl, "list"], env={"NEXO_STATE_DIR": f"{file}/state"}, expect=3).err
    assert f"{file}/state: Not a directory" in refused
    assert "nexoctl doctor" in refused
    assert "Errno" not in refused


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["import", "missing.json"], "missing.json: there is no such file"),
        (["test", "--timeout", "soon"], "--timeout: no number: 'soon'"),
        (["handouts", "-n", "1.5"], "-n/--limit: no whole number: '1.5'"),
        (["completion", "bsh"], "did you mean bash?"),
    ],
)
def test_a_slip_is_told_in_words(surroundings: Surroundings, words: list[str], told: str) -> None:
    done = surroundings.nexoctl(*words, expect=None)
    assert told in done.err
    assert "argument" not in done.err


def test_a_binding_of_a_directory_that_is_not_there_is_doubted(surroundings: Surroundings, work: str) -> None:
    assert "no such directory" in surroundings.nexoctl("workspace", "bind", "nowhere", work).err
    assert surroundings.nexoctl("workspace", "bind", ".", work).err == ""


def test_text_that_is_none_is_a_mistake_of_usage(surroundings: Surroundings, nexod: Nexod) -> None:
    done = surroundings.run([sys.executable, "-m", "nexo_cli", "show", os.fsdecode(b"gr\xf6\xdfe")], expect=2)
    assert "not UTF-8" in done.err
    assert "LC_ALL=C.UTF-8" in done.err


def test_a_command_starts_the_daemon_and_says_so(surroundings: Surroundings) -> None:
    nexoctl = [sys.executable, "-m", "nexo_cli"]
    done = surroundings.run([*nexoctl, "--json", "list"])
    try:
        assert done.json == []
        assert "started nexod" in done.err
        again = surroundings.run([*nexoctl, "list"])
        assert "started" not in again.err
        status = surroundings.nexoctl("--json", "status").json
        assert status["running"] is True
        assert f"pid {status['pid']}" in done.err
        restarted = surroundings.nexoctl("--json", "daemon", "restart").json
        assert restarted["previous_pid"] == status["pid"] != restarted["pid"]
        assert "nexod" in surroundings.nexoctl("daemon", "logs").out
    finally:
        stopped = surroundings.nexoctl("--json", "daemon", "stop").json
    assert stopped["stopped"] is True
    assert not processes.alive(stopped["pid"])
    assert surroundings.nexoctl("--json", "daemon", "stop").json["stopped"] is False


def test_a_daemon_that_hangs_is_said_to_and_can_be_ended(surroundings: Surroundings) -> None:
    surroundings.forks = False
    nexod = surroundings.start_nexod()
    nexod.signal(signal.SIGSTOP)
    error = surroundings.nexoctl("--json", "daemon", "stop", "--timeout", "1", expect=3).error
    assert f"pid {nexod.pid}" in error["message"]
    assert "--force" in error["hint"]
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    assert [f["fix"] for f in findings if f["level"] == "broken"] == ["nexoctl daemon restart --force"]
    done = surroundings.nexoctl("--json", "daemon", "stop", "--force", "--timeout", "1").json
    assert (done["stopped"], done["pid"]) == (True, nexod.pid)
    assert nexod.wait() == -signal.SIGKILL


def test_commands_at_the_same_time_start_one_daemon(surroundings: Surroundings) -> None:
    commands = [surroundings.spawn([sys.executable, "-m", "nexo_cli", "--json", "list"]) for _ in range(4)]
    try:
        for command in commands:
            told = command.communicate(timeout=PATIENCE_S)[0].decode()
            assert command.returncode == 0, told
            assert told.rstrip().endswith("[]")
    finally:
        surroundings.nexoctl("daemon", "stop")
    # None of those that were too late takes the place of the one that was stopped.
    wait_for(lambda: not daemons_of(surroundings), "every daemon has ended")
    assert not surroundings.socket.exists()


def daemons_of(surroundings: Surroundings) -> list[str]:
    """The processes that were started as a daemon with this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words, env = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:
            continue
        if b"nexo_daemon" in words and f"NEXO_STATE_DIR={surroundings.state_dir}".encode() in env:
            found.append(process.name)
    return found


# -- add, edit, test


def test_a_failed_test_saves_nothing_unless_it_is_said(
    surroundings: Surroundings, client: nexo_client.Client, url: str
) -> None:
    words = ["add", "former", "--provider", "openai", "--base-url", url, "--api-key-stdin"]
    done = surroundings.nexoctl(*words, stdin=REVOKED.key, expect=6)
    assert "--save-anyway" in done.err
    assert "✗ authenticated" in done.out
    done = surroundings.nexoctl("--json", *words, stdin=REVOKED.key, expect=6)
    assert done.json["saved"] is False
    assert done.json["test"]["outcome"] == "auth_error"
    assert done.error["reason"] == "TEST_FAILED"
    assert names(client) == []
    surroundings.nexoctl(*words, "--save-anyway", stdin=f"{REVOKED.key}\n")
    assert names(client) == ["former"]
    words[1] = "untested"
    record = surroundings.nexoctl("--json", *words, "--no-test", stdin=REVOKED.key).json
    assert (record["saved"], record["test"], record["key"]["source"]) == (True, None, "stored")


def test_what_is_missing_is_named(surroundings: Surroundings, nexod: Nexod, url: str) -> None:
    for words, field in (
        (["add"], "name"),
        (["add", "x"], "provider"),
        (["add", "x", "--provider", "openai"], "api_key"),
        (["add", "x", "--provider", "openai", "--api-key-env", "UNSET"], "api_key"),
        (["add", "x", "--provider", "custom"], "base_url"),
        (["test", "--draft", "--provider", "custom"], "base_url"),
        (["edit", "x", "--api-key-stdin"], "api_key"),
    ):
        if words[0] == "edit":
            surroundings.nexoctl(
                "add", "x", "--provider", "openai", "--base-url", url, "--no-key", "--no-test"
            )
        error = surroundings.nexoctl("--json", *words, expect=2).error
        assert error["message"].startswith(field), (words, error)
        assert error["hint"]


def test_a_preset_may_stand_for_the_provider(
    surroundings: Surroundings, client: nexo_client.Client, url: str
) -> None:
    surroundings.nexoctl("add", "fast", "--provider", "groq", "--api-key-stdin", "--no-test", stdin="k-1")
    saved = client.get_connection("fast")
    assert (saved.provider, saved.preset, saved.base_url) == (
        "custom",
        "groq",
        "https://api.groq.com/openai/v1",
    )
    error = surroundings.nexoctl("--json", "add", "x", "--provider", "gorq", expect=2).error
    assert "groq" in error["hint"]
    both = ("--provider", "groq", "--preset", "xai", "--no-key", "--no-test")
    error = surroundings.nexoctl("--json", "add", "x", *both, expect=2).error
    assert error["message"] == "preset: --provider names the preset groq already"


def test_a_change_of_provider_replaces_only_an_untouched_address(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str
) -> None:
    client.create_connection(ConnectionDraft(name="plain", provider="openai", api_key="k-1"))
    flags = ["--provider", "anthropic", "--no-test", "--send-key-to-new-host"]
    surroundings.nexoctl("edit", "plain", *flags)
    surroundings.nexoctl("edit", work, *flags)
    assert client.get_connection("plain").base_url == "https://api.anthropic.com"
    assert client.get_connection(work).base_url == url


def test_the_stored_key_needs_consent_for_a_new_host(
    surroundings: Surroundings, client: nexo_client.Client, work: str, provider: ExampleProvider
) -> None:
    elsewhere = provider.origin.replace("127.0.0.1", "localhost") + "/v1"
    for words in (["edit", work], ["test", work]):
        error = surroundings.nexoctl("--json", *words, "--base-url", elsewhere, expect=7).error
        assert error["reason"] == "KEY_ORIGIN_CHANGED"
        assert "--send-key-to-new-host" in error["hint"]
    hosts = {recorded.request.headers["host"].partition(":")[0] for recorded in provider.requests()}
    assert hosts <= {"127.0.0.1"}
    surroundings.nexoctl("edit", work, "--base-url", elsewhere, "--send-key-to-new-host")
    assert client.get_connection(work).base_url == elsewhere


def test_drafts_and_edits_are_tested_without_being_saved(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str
) -> None:
    before = client.list_connections()[0].revision
    flags = ["--provider", "openai", "--base-url", url, "--api-key-stdin"]
    good = surroundings.nexoctl("--json", "test", "--draft", *flags, stdin=HOME.key).json
    assert (good["outcome"], good["connection"]) == ("ok", "draft")
    bad = surroundings.nexoctl("--json", "test", "--draft", *flags, stdin=REVOKED.key, expect=6).json
    assert bad["outcome"] == "auth_error"
    edit = surroundings.nexoctl("--json", "test", work, "--api-key-stdin", stdin=REVOKED.key, expect=6).json
    assert edit["outcome"] == "auth_error"
    assert names(client) == [work]
    assert client.get_connection(work).revision == before
    assert surroundings.nexoctl("--json", "test", work).json["outcome"] == "ok"
    saved = surroundings.nexoctl("--json", "edit", work, "--api-key-stdin", stdin=HOME.key).json
    assert saved["key"]["verdict"] == "verified"


def test_the_result_of_a_test_has_its_names(surroundings: Surroundings, work: str) -> None:
    result = surroundings.nexoctl("--json", "test", work).json
    assert tuple(result)[: len(OUTCOME_NAMES)] == OUTCOME_NAMES
    assert {layer["layer"] for layer in result["layers"]} >= {"configuration", "dns", "tcp", "http"}


def test_all_are_tested_and_one_failure_counts(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str
) -> None:
    assert surroundings.nexoctl("--json", "test", "--all").json[0]["connection"] == work
    for name, key in (("busy", BUSY.key), ("former", REVOKED.key)):
        client.create_connection(
            ConnectionDraft(name=name, provider="openai", base_url=url, api_key=key, checks_paused=True)
        )
    results = surroundings.nexoctl("test", "--all", "--json", expect=6).json
    assert [result["connection"] for result in results] == [work, "busy", "former"]
    assert [result["outcome"] for result in results] == ["ok", "rate_limited", "auth_error"]
    lines = surroundings.nexoctl("test", "--all", expect=6).out
    assert "1 of 3 work" in lines
    one = surroundings.nexoctl("--json", "test", work, "nobody", expect=6).json
    assert one[1]["error"]["reason"] == "CONNECTION_NOT_FOUND"


def test_headers_come_from_flags_and_files(
    surroundings: Surroundings, client: nexo_client.Client, work: str
) -> None:
    file = surroundings.home / "headers.json"
    file.write_text('{"X-Filed": "1"}')
    surroundings.nexoctl("edit", work, "--headers-json", f"@{file}", "--no-test")
    assert client.get_connection(work).header_names == ("X-Filed",)
    surroundings.nexoctl("edit", work, "--header", "X-A: b: c", "--header", "X-B:2", "--no-test")
    assert dict(client.resolve(work).headers) == {"X-A": "b: c", "X-B": "2"}
    surroundings.nexoctl("edit", work, "--headers-json", "@-", "--no-test", stdin='{"X-Piped": "1"}')
    assert client.get_connection(work).header_names == ("X-Piped",)
    surroundings.nexoctl("edit", work, "--no-headers", "--no-test")
    assert client.get_connection(work).header_names == ()
    done = surroundings.nexoctl("edit", work, "--header", "secret-without-colon", expect=2)
    assert "secret-without-colon" not in done.err


def test_the_password_of_a_proxy_never_stands_in_the_arguments(
    surroundings: Surroundings, client: nexo_client.Client, work: str
) -> None:
    edit = ["edit", work, "--no-test", "--proxy"]
    done = surroundings.nexoctl(*edit, "http://ann:pa55word@127.0.0.1:3128", expect=2)
    assert "pa55word" not in done.err
    assert "--proxy http://USER@127.0.0.1:3128" in done.err
    assert "pa55://" not in surroundings.nexoctl(*edit, "http://ann:pa55://@127.0.0.1:3128", expect=2).err
    url = "http://ann@127.0.0.1:3128"
    surroundings.nexoctl(*edit, url, expect=7)
    agreed = "--send-key-to-new-host"
    surroundings.nexoctl(*edit, url, "--proxy-password-stdin", agreed, stdin="p@ss: 1%\n")
    assert client.resolve(work).network.proxy == "http://ann:p%40ss%3A%201%25@127.0.0.1:3128"
    assert client.get_connection(work).network.proxy == "http://127.0.0.1:3128"
    surroundings.nexoctl(
        *edit, url, "--proxy-password-env", "PROXY_PASSWORD", env={"PROXY_PASSWORD": "other"}
    )
    assert client.resolve(work).network.proxy == "http://ann:other@127.0.0.1:3128"
    surroundings.nexoctl(*edit, url)
    nobodys = client.resolve(work).network.proxy
    assert nobodys == "http://ann:@127.0.0.1:3128"
    surroundings.nexoctl(*edit, "direct", "--proxy-password-env", "HOME", expect=2)
    surroundings.nexoctl(*edit, url, "--proxy-password-env", "NOT_SET", expect=2)
    surroundings.nexoctl(*edit, url, "--proxy-password-stdin", expect=2)
    both = surroundings.nexoctl(*edit, url, "--proxy-password-stdin", "--api-key-stdin", expect=2)
    assert "both read stdin" in both.err
    assert client.resolve(work).network.proxy == nobodys


# -- hand-outs


def test_a_person_may_look_at_what_nobody_is_given(
    surroundings: Surroundings, client: nexo_client.Client, work: str
) -> None:
    proxy = NetworkProfile(proxy="http://ann:pa55@127.0.0.1:3128")
    headers = (Header("X-Team", "blue"),)
    changes = ConnectionDraft(enabled=False, network=proxy, headers=headers)
    client.update_connection(work, changes, keep_key_for_new_origin=True)
    assert "disabled" in surroundings.nexoctl("resolve", "--connection", work, expect=7).err
    shown = surroundings.nexoctl("show", work, "--reveal").out
    for secret in (WORK.key, "X-Team: blue", "ann:pa55@"):
        assert secret in shown
        assert secret not in surroundings.nexoctl("show", work).out
    record = surroundings.nexoctl("--json", "show", work, "--reveal").json
    assert (record["api_key"], record["enabled"]) == (WORK.key, False)
    # One program that asks again is counted in its row.
    assert [(one.method, one.times) for one in client.handouts(work)] == [("RevealConnection", 2)]
    surroundings.nexoctl("vault", "rekey", "--to", "passphrase", "--stdin", stdin="words of a passphrase")
    surroundings.nexoctl("vault", "lock")
    error = surroundings.nexoctl("--json", "show", work, "--reveal", expect=4).error
    assert error["reason"] == "VAULT_LOCKED"
    assert surroundings.nexoctl("show", "nobody", "--reveal", expect=5).out == ""


def test_the_bare_key_and_the_shell_form(surroundings: Surroundings, work: str, url: str) -> None:
    assert surroundings.nexoctl("resolve", "--format", "key").out == f"{WORK.key}\n"
    shell = surroundings.run(
        ["sh", "-c", f'eval "$("{sys.executable}" -m nexo_cli resolve --format env)"; env'],
        env={"ANTHROPIC_AUTH_TOKEN": "theirs"},
    )
    assert "ANTHROPIC_AUTH_TOKEN" not in shell.out
    assert f"OPENAI_API_KEY={WORK.key}" in shell.out.splitlines()
    assert f"OPENAI_BASE_URL={url}" in shell.out.splitlines()
    record = surroundings.nexoctl("resolve").json
    assert (record["connection"], record["api_key"], record["source"]) == (work, WORK.key, "default")
    assert WORK.key in surroundings.nexoctl("show", work, "--reveal").out
    assert WORK.key not in surroundings.nexoctl("show", work).out
    rows = surroundings.nexoctl("--json", "handouts", work).json
    assert sorted((row["method"], row["times"]) for row in rows) == [
        ("ResolveConnection", 3),
        ("RevealConnection", 1),
    ]


def test_run_becomes_the_program(surroundings: Surroundings, work: str, url: str) -> None:
    code = (
        "import os, sys, json; print(json.dumps({n: os.environ.get(n) for n in sys.argv[1:]})); sys.exit(42)"
    )
    asked = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID", "NEXO_RUN"]
    rivals = {"ANTHROPIC_AUTH_TOKEN": "theirs", "OPENAI_ORG_ID": "org-other", "OPENAI_API_KEY": "old"}
    done = surroundings.nexoctl(
        "run", "--direct", "--", sys.executable, "-c", code, *asked, env=rivals, expect=42
    )
    assert done.json == {
        "OPENAI_API_KEY": WORK.key,
        "OPENAI_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": None,
        "OPENAI_ORG_ID": None,
        "NEXO_RUN": work,
    }
    nested = surroundings.nexoctl("run", "--", "true", env={"NEXO_RUN": "other"}, expect=7)
    assert "--nested" in nested.err
    surroundings.nexoctl("run", "--nested", "--", "true", env={"NEXO_RUN": "other"})
    assert surroundings.nexoctl("run", "--", "no-such-program", expect=127).err
    assert surroundings.nexoctl("run", "--", str(surroundings.home), expect=126).err
    surroundings.nexoctl("run", expect=2)


def test_signals_reach_the_program_of_run(surroundings: Surroundings, work: str) -> None:
    process = surroundings.spawn(
        [sys.executable, "-m", "nexo_cli", "run", "--", "sh", "-c", "echo ready; exec sleep 60"]
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGTERM


def test_a_program_of_run_finds_its_stderr_and_its_environment_untouched(
    surroundings: Surroundings, work: str
) -> None:
    """On a busy machine grpc starts a thread at the moment when the program takes its place."""
    with busy_cores():
        for _ in range(10):
            done = surroundings.run(
                [sys.executable, "-m", "nexo_cli", "run", "--", "sh", "-c", "echo -n $GRPC_VERBOSITY"]
            )
            assert (done.out, done.err) == ("", "")


@contextmanager
def busy_cores() -> Iterator[None]:
    """More work than cores."""
    work = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3 * (os.cpu_count() or 1))
    ]
    try:
        yield
    finally:
        for one in work:
            one.kill()
            one.wait()


def test_a_client_of_one_directory_never_gets_the_key_of_another(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str
) -> None:
    client.create_connection(ConnectionDraft(name="acme", provider="openai", base_url=url, api_key=HOME.key))
    project = surroundings.home / "acme"
    inner = project / "deep" / "down"
    inner.mkdir(parents=True)
    assert (
        surroundings.nexoctl("--json", "workspace", "bind", str(project), "acme").json["connection"] == "acme"
    )
    which = surroundings.nexoctl("--json", "which", str(inner)).json
    assert (which["connection"], which["source"]) == ("acme", "workspace")
    assert (
        surroundings.nexoctl("resolve", "--workspace", str(inner), "--format", "key").out.strip() == HOME.key
    )
    refused = surroundings.nexoctl("--json", "remove", "acme", expect=7).error
    assert refused["reason"] == "CONNECTION_IN_USE"
    assert str(project) in refused["message"]
    surroundings.nexoctl("remove", "acme", "--force")
    which = surroundings.nexoctl("which", str(inner), expect=7)
    assert "acme" in which.out + which.err
    failed = surroundings.nexoctl("resolve", "--workspace", str(inner), "--format", "key", expect=7)
    assert WORK.key not in failed.out
    listed = surroundings.nexoctl("--json", "workspace", "list").json
    assert listed["bindings"][0]["broken"] is True
    surroundings.nexoctl("workspace", "unbind", str(project))
    assert surroundings.nexoctl("--json", "which", str(inner)).json["connection"] == work
    assert surroundings.nexoctl("--json", "which", env={"NEXO_CONNECTION": "acme"}, expect=5).error["hint"]


# -- default, health, watch


def test_the_default_is_switched_waited_for_and_undone(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str
) -> None:
    client.create_connection(ConnectionDraft(name="home", provider="openai", base_url=url, api_key=HOME.key))
    with client.follow() as live:
        assert live.current.name == work
        switch = surroundings.nexoctl("--json", "default", "home", "--wait", "20").json
        assert (switch["connection"], switch["previous"]) == ("home", work)
        assert (switch["followers"], switch["pending_followers"]) == (1, [])
        assert live.current.name == "home"
    assert surroundings.nexoctl("default").out == "home\n"
    surroundings.nexoctl("default", "--undo")
    assert surroundings.nexoctl("--json", "default").json["name"] == work
    assert "did you mean" in surroundings.nexoctl("default", "wrok", expect=5).err


def test_health_of_one_is_an_object_and_of_all_a_list(surroundings: Surroundings, work: str) -> None:
    health = surroundings.nexoctl("--json", "health", "--check", work).json
    assert (health["connection"], health["state"]) == (work, "healthy")
    assert health["latency_ms"] > 0
    assert [entry["connection"] for entry in surroundings.nexoctl("--json", "health").json] == [work]
    assert "healthy" in surroundings.nexoctl("health").out


@pytest.mark.parametrize("words", [["watch"], ["health", "--watch"]])
def test_a_watch_prints_one_object_a_line(
    surroundings: Surroundings, client: nexo_client.Client, work: str, url: str, words: list[str]
) -> None:
    process = surroundings.spawn([sys.executable, "-m", "nexo_cli", "--json", *words])
    assert process.stdout
    first = json.loads(process.stdout.readline())
    assert first.get("event") == "snapshot" or first["connection"] == work
    client.create_connection(ConnectionDraft(name="new", provider="openai", base_url=url, api_key=HOME.key))

    def about_the_new_one() -> bool:
        assert process.stdout
        return "new" in json.dumps(json.loads(process.stdout.readline()))

    wait_for(about_the_new_one, "an event about the new connection")
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)


def test_a_watch_outlives_the_daemon(surroundings: Surroundings, nexod: Nexod, work: str) -> None:
    process = surroundings.spawn([sys.executable, "-m", "nexo_cli", "--json", "watch"])
    assert process.stdout
    assert json.loads(process.stdout.readline())["event"] == "snapshot"
    nexod.stop()

    def event(kind: str) -> bool:
        assert process.stdout
        return bool(json.loads(process.stdout.readline())["event"] == kind)

    wait_for(lambda: event("away"), "the daemon is away")
    surroundings.start_nexod()
    wait_for(lambda: event("snapshot"), "a new snapshot")
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)


def test_doctor_finds_nothing_broken_and_redacts_its_report(
    surroundings: Surroundings, client: nexo_client.Client, work: str
) -> None:
    client.check_now([work])
    report = surroundings.nexoctl("--json", "doctor").json
    assert report["ok"] is True
    assert {finding["topic"] for finding in report["findings"]} >= {"socket", "daemon", "store", "vault"}
    surroundings.data_dir.chmod(0o755)
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    broken = [finding for finding in findings if finding["level"] == "broken"]
    assert [finding["topic"] for finding in broken] == ["data"]
    assert "chmod 700" in broken[0]["fix"]
    told = surroundings.nexoctl("doctor", "--report", expect=1).out
    assert str(surroundings.home) not in told
    assert "connection work" not in told


def test_doctor_names_a_broken_workspace_when_no_connection_is_left(
    surroundings: Surroundings, nexod: Nexod
) -> None:
    surroundings.nexoctl("add", "local", "--provider", "ollama", "--no-test", "--no-key")
    surroundings.nexoctl("workspace", "bind", ".", "local")
    surroundings.nexoctl("remove", "local", "--force", "--yes")
    findings = surroundings.nexoctl("--json", "doctor", expect=1).json["findings"]
    assert [one["level"] for one in findings if one["topic"].startswith("workspace ")] == ["broken"]


def test_a_service_that_was_never_installed_is_gone_without_a_service_manager(
    surroundings: Surroundings,
) -> None:
    nowhere = {"PATH": str(surroundings.home)}
    said = surroundings.nexoctl("daemon", "uninstall", env=nowhere)
    assert said.out == "The daemon is not installed as a service.\n"


def test_doctor_calls_in_order_only_what_a_check_found_healthy(
    surroundings: Surroundings, client: nexo_client.Client
) -> None:
    client.update_health_settings(paused=True)
    client.create_connection(ConnectionDraft(name="new", provider="custom", base_url="http://127.0.0.1:9/v1"))
    findings = surroundings.nexoctl("--json", "doctor").json["findings"]
    (found,) = [finding for finding in findings if finding["topic"] == "connection new"]
    assert (found["level"], found["fix"]) == ("warning", "nexoctl test 'new'")
    client.update_health_settings(paused=False)
    wait_for(lambda: client.get_connection("new").health.state is HealthState.UNHEALTHY, "it was checked")
    assert "✗ connection new" in surroundings.nexoctl("doctor", expect=1).out


def test_models_one_a_line_in_a_pipe(surroundings: Surroundings, work: str) -> None:
    assert surroundings.nexoctl("models", work).out.splitlines() == ["example-large", "example-small"]
