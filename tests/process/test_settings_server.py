"""The server of the settings screen, attacked: by other sites, names and accounts, and by what it is sent."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexo_sources
from nexo_cli.demo.provider import WORK, ExampleProvider
from nexo_client.types import ConnectionDraft
from nexo_settings.admission import MAX_BODY_BYTES
from settings_parts import Caller, Served, Settings, another_address, start_settings
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

KEY = "sk-canary-5f2d9a77c1-of-the-settings"
HEADER = "blue-canary-0c9e8d-of-the-settings"
OTHER = 12345
PYTHON = "/usr/bin/python3"
NEWER = """
import sys
import nexo.connections.version
nexo.connections.version.__version__ = "99.0"
from nexo_settings.__main__ import main
sys.exit(main())
"""


@pytest.fixture
def screen(nexod: Nexod, surroundings: Surroundings) -> Settings:
    return start_settings(surroundings)


@pytest.fixture
def page(screen: Settings) -> Caller:
    """A tab that is known."""
    caller = Caller(screen)
    assert caller.enter() == 200
    return caller


def lines(screen: Settings, secret: str, call: str, body: object = None) -> Iterator[dict[str, object]]:
    """The lines of a streamed answer; the connection ends with the iterator."""
    raw = json.dumps(body or {}).encode()
    head = (
        f"POST /api/{call} HTTP/1.1\r\nHost: {screen.authority}\r\nOrigin: http://{screen.authority}\r\n"
        f"Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        "Connection: close\r\n"
        f"Authorization: Bearer {secret}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", screen.port), timeout=30) as line:
        line.sendall(head.encode() + raw)
        with line.makefile("rb") as answer:
            yield {"status": int(answer.readline().split()[1])}
            for text in answer:
                if text.startswith(b"{"):
                    yield json.loads(text)


# -- who may in


def test_it_listens_on_loopback_alone(screen: Settings) -> None:
    own = {
        fields[9]: fields[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
    }
    open_files = []
    for entry in Path(f"/proc/{screen.process.pid}/fd").iterdir():
        # A file that it has closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            open_files.append(str(entry.readlink()))
    sockets = {one[8:-1] for one in open_files if one.startswith("socket:[")}
    assert {own[one] for one in sockets if one in own} == {f"0100007F:{screen.port:04X}"}


def test_an_address_is_good_once(screen: Settings) -> None:
    first, second = Caller(screen), Caller(screen)
    assert first.enter() == 200
    assert second.enter() == 401
    assert second.ask("providers")[0] == 401
    assert first.ask("providers")[0] == 200


def test_without_a_tab_nothing_is_told(screen: Settings) -> None:
    for bearer in (None, "Bearer ", f"Bearer {screen.token}", "Bearer x", "Basic x"):
        for call in ("providers", "watch", "test", "create", "reveal", "start", "no-such-call"):
            status, answer = Caller(screen).ask(call, Authorization=bearer)
            assert (status, answer["error"]["reason"]) == (401, "TAB_UNKNOWN")


NOT_THE_PAGE = [
    ({"Host": "rebound.example"}, 421),
    ({"Host": "localhost:80"}, 421),
    ({"Host": None}, 400),
    ({"Origin": "http://127.0.0.1:1"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": None}, 403),
    ({"Sec_Fetch_Site": "cross-site"}, 403),
    ({"Sec_Fetch_Site": "same-site"}, 403),
    ({"Sec_Fetch_Site": None}, 403),
    ({"Content_Type": "text/plain"}, 415),
    ({"Content_Type": None}, 415),
]


def test_a_request_that_is_not_the_pages_is_refused_even_with_its_secret(page: Caller) -> None:
    for headers, status in NOT_THE_PAGE:
        for call in ("providers", "session", "create"):
            assert page.raw(f"/api/{call}", b"{}", **headers)[0] == status, headers


def test_every_answer_forbids_what_the_page_does_not_need(page: Caller) -> None:
    for target, method in (("/", "GET"), ("/app.js", "GET"), ("/none", "GET"), ("/api/providers", "POST")):
        body = b"{}" if method == "POST" else None
        more = {} if method == "POST" else {"Content_Type": None}
        _, _, headers = page.raw(target, body, method=method, **more)
        policy = headers["content-security-policy"]
        for word in ("default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"):
            assert word in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert (
            headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
        )
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert not {"set-cookie", "access-control-allow-origin", "server"} & headers.keys()


@pytest.mark.needs("linux")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_account_is_refused_even_with_the_address(screen: Settings) -> None:
    script = (
        "import socket, sys\n"
        "line = socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=30)\n"
        "line.sendall(f'GET / HTTP/1.1\\r\\nHost: 127.0.0.1:{sys.argv[1]}\\r\\n\\r\\n'.encode())\n"
        "print(line.recv(100).split(b'\\r\\n')[0].decode())\n"
    )
    done = subprocess.run(
        [PYTHON, "-c", script, str(screen.port)],
        user=OTHER,
        group=OTHER,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "HTTP/1.1 403 Forbidden"
    # What the other account did cost nobody else anything: the token is still good.
    assert Caller(screen).enter() == 200


# -- what it is sent


def test_a_body_that_is_no_call_is_refused(page: Caller) -> None:
    for body in (b"", b"[]", b"{", b"\xff\xfe", b"[" * 30_000):
        assert page.raw("/api/create", body)[0] == 400
    assert page.raw("/api/create", b"x" * (MAX_BODY_BYTES + 1))[0] == 413


def test_a_field_that_is_too_long_is_named(page: Caller) -> None:
    draft = {"name": "work", "provider": "openai", "api_key": "k"}
    for field in ("name", "api_key", "headers_json"):
        status, answer = page.ask("create", {"draft": draft | {field: "x" * 70_000}})
        assert (status, answer["error"]["message"].partition(":")[0]) == (409, field)


def test_only_a_backup_that_is_listed_is_restored(page: Caller, nexod: Nexod) -> None:
    with nexod.client() as client:
        made = client.store.create_backup()
    for name in ("", made.path, f"../backups/{made.name}"):
        status, answer = page.ask("restore", {"name": name, "dry_run": True})
        assert (status, answer["error"]["reason"]) == (400, "NOT_UNDERSTOOD"), name
    status, answer = page.ask("restore", {"name": made.name, "dry_run": True})
    assert (status, answer) == (200, {"connections": 0, "secrets": 0, "restored": False})


def test_what_is_longer_than_it_says_is_refused(page: Caller, screen: Settings) -> None:
    assert page.raw("/api/create", b"{}" + b" " * 100, Content_Length="2")[0] in (200, 400)
    assert page.ask("providers")[0] == 200


def test_a_caller_that_sends_nothing_holds_up_nobody(page: Caller, screen: Settings) -> None:
    silent = [socket.create_connection(("127.0.0.1", screen.port)) for _ in range(40)]
    try:
        for line in silent:
            line.sendall(b"POST /api/create HTTP/1.1\r\nHost: x\r\n")
        assert page.ask("providers")[0] == 200
    finally:
        for line in silent:
            line.close()


def test_more_connections_than_a_browser_has_make_room_for_the_page(page: Caller, screen: Settings) -> None:
    held = [socket.create_connection(("127.0.0.1", screen.port), timeout=30) for _ in range(80)]
    try:
        assert page.raw("/", None, method="GET", Content_Type=None)[0] == 200
        assert held[0].recv(1) == b""
    finally:
        for line in held:
            line.close()


# -- tabs


def test_three_tabs_follow_and_a_fourth_takes_over(page: Caller, screen: Settings) -> None:
    tabs = [lines(screen, page.secret, "watch") for _ in range(3)]
    for tab in tabs:
        assert next(tab) == {"status": 200}
        assert next(tab)["event"] == "snapshot"
    assert page.ask("watch")[1]["error"]["reason"] == "TOO_MANY_TABS"
    fourth = lines(screen, page.secret, "watch", {"take": True})
    assert next(fourth) == {"status": 200}
    assert next(fourth)["event"] == "snapshot"
    assert next(tabs[0]) == {"event": "taken"}
    for tab in (*tabs, fourth):
        tab.close()


def test_a_tab_hears_of_a_daemon_that_goes_and_comes_back(
    page: Caller, screen: Settings, nexod: Nexod, surroundings: Surroundings
) -> None:
    tab = lines(screen, page.secret, "watch")
    assert [next(tab).get("event") for _ in range(2)] == [None, "snapshot"]
    nexod.kill()
    away = next(tab)
    while away["event"] != "away":
        away = next(tab)
    assert page.ask("providers")[0] == 503
    surroundings.start_nexod()
    assert next(one for one in tab if one["event"] != "away")["event"] == "snapshot"
    tab.close()


# -- an upgrade while it is open

NOTING_IMPORTS = """
import sys
noted = open(sys.argv.pop(1), "w", buffering=1)
sys.addaudithook(lambda event, words: event == "exec" and print(words[0].co_filename, file=noted))
from nexo_settings.__main__ import main
sys.exit(main())
"""


def test_once_it_runs_it_imports_nothing_of_a_newer_version(nexod: Nexod, surroundings: Surroundings) -> None:
    noted = surroundings.home / "imports"
    screen = start_settings(
        surroundings, command=[sys.executable, "-P", "-c", NOTING_IMPORTS, os.fspath(noted)]
    )
    page = Caller(screen)
    assert page.enter() == 200

    def ours() -> set[str]:
        return {path for path in noted.read_text().splitlines() if "/nexo" in path}

    used_later = {os.fspath(path) for path in Path(nexo_sources.__file__).parent.glob("*.py")}
    wait_for(lambda: used_later <= ours(), "it has imported what it uses later")
    assert page.ask("providers")[0] == 200
    before = ours()
    for call in ("import_look", "upkeep", "usage", "backup", "check_store", "export", "auto_lock", "lock"):
        assert page.ask(call)[0] in (200, 400), call
    assert ours() == before


def test_a_newer_version_opens_its_own_page_and_the_open_tabs_stay(
    page: Caller, screen: Settings, surroundings: Surroundings
) -> None:
    newer = start_settings(surroundings, command=[sys.executable, "-P", "-c", NEWER])
    assert newer.port != screen.port
    assert Caller(newer).enter() == 200
    assert page.ask("providers")[0] == 200
    # Later starts find the newer one, of whichever version they are; the older one takes nothing back.
    assert str(newer.port) in str(
        surroundings.run([sys.executable, "-P", "-c", NEWER, "--socket", str(surroundings.socket)]).out
    )
    screen.process.terminate()
    screen.process.wait(PATIENCE_S)
    assert str(newer.port) in str(
        surroundings.run([sys.executable, "-P", "-c", NEWER, "--socket", str(surroundings.socket)]).out
    )


# -- keys


def test_a_key_goes_in_and_never_comes_out(
    page: Caller, screen: Settings, surroundings: Surroundings, provider: ExampleProvider, nexod: Nexod
) -> None:
    draft = {"name": "canary", "provider": "openai", "base_url": f"{provider.origin}/v1", "api_key": KEY}
    told = list(lines(screen, page.secret, "test", {"draft": draft}))
    ticket = told[-1]["result"]["ticket"]
    assert page.ask("create", {"ticket": ticket, "draft": {"base_url": provider.origin}})[0] == 409
    # What was tested is saved without being sent again.
    answers = [str(told), str(page.ask("create", {"ticket": ticket, "draft": {}}))]
    answers += [str(page.ask(call)) for call in ("providers", "workspaces", "check")]
    answers += [str(page.ask(call, {"name": "canary"})) for call in ("models", "handouts")]
    answers.append(str(page.ask("history", {"names": ["canary"], "hours": 24})))
    answers.append(str(list(lines(screen, page.secret, "test", {"name": "canary"}))))
    for wrong in ({"api_key": [KEY]}, {"name": "canary", "api_key": KEY}, {"headers_json": KEY}, {KEY: KEY}):
        answers.append(str(page.ask("create", {"draft": wrong})))
        answers.append(str(page.ask("update", {"name": "canary", "draft": wrong})))
    with nexod.client() as client:
        assert client.reveal("canary").api_key == KEY
    proc = Path(f"/proc/{screen.process.pid}")
    answers += [(proc / "cmdline").read_text(), (proc / "environ").read_text()]
    for answer in answers:
        assert KEY not in answer
        assert page.secret not in answer
        assert screen.token not in answer
    screen.process.terminate()
    said, _ = screen.process.communicate(timeout=PATIENCE_S)
    assert KEY.encode() not in said
    kept = [file for file in surroundings.files() if KEY.encode() in file.read_bytes()]
    assert not kept


@pytest.fixture
def stored(nexod: Nexod, provider: ExampleProvider) -> None:
    """A connection with two secrets."""
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(
                name="canary",
                provider="openai",
                base_url=f"{provider.origin}/v1",
                api_key=KEY,
                headers_json=json.dumps({"X-Team": HEADER}),
            )
        )


@pytest.mark.usefixtures("stored")
def test_a_secret_that_is_asked_for_comes_alone_and_is_recorded_under_the_programs_name(
    page: Caller, nexod: Nexod
) -> None:
    assert page.ask("reveal", {"name": "canary"}) == (200, {"secret": KEY})
    assert page.ask("reveal", {"name": "canary", "header": "x-team"}) == (200, {"secret": HEADER})
    with nexod.client() as client:
        (record,) = client.handouts("canary")
    assert (record.method, record.client.program, record.times) == ("RevealConnection", "nexo_settings", 2)
    # What there is none of is neither told nor recorded.
    for wrong in ({"name": "canary", "header": "X-Other"}, {"name": "other"}, {"name": ["canary"]}, {}):
        assert page.ask("reveal", wrong)[0] in (400, 409)
    with nexod.client() as client:
        assert sum(one.times for one in client.handouts()) == 2


@pytest.mark.usefixtures("stored")
def test_no_other_answer_holds_what_was_revealed(page: Caller, screen: Settings) -> None:
    tab = lines(screen, page.secret, "watch")
    answers = [str([next(tab), next(tab)])]
    assert (
        page.ask("reveal", {"name": "canary"})[0]
        == page.ask("reveal", {"name": "canary", "header": "X-Team"})[0]
    )
    answers.append(str(page.ask("update", {"name": "canary", "draft": {"default_model": "example-small"}})))
    answers.append(str(next(tab)))
    tab.close()
    calls = ("providers", "handouts", "workspaces", "upkeep", "usage", "reveals", "check", "export")
    answers += [str(page.ask(call)) for call in calls]
    answers.append(str(page.ask("history", {"names": ["canary"]})))
    answers += [str(Caller(screen).ask(call, {"name": "canary"})) for call in ("reveal", "providers")]
    for headers, _ in NOT_THE_PAGE:
        raw = page.raw("/api/reveal", b'{"name": "canary"}', **headers)
        assert raw[0] >= 400, headers
        answers.append(str(raw))
    for answer in answers:
        assert KEY not in answer
        assert HEADER not in answer


@pytest.mark.usefixtures("stored")
def test_where_nothing_is_revealed_the_server_refuses_too(nexod: Nexod, surroundings: Surroundings) -> None:
    page = Caller(start_settings(surroundings, "--no-reveal"))
    page.enter()
    assert page.ask("providers")[1]["reveals"] is False
    status, answer = page.ask("reveal", {"name": "canary"})
    assert status == 400
    assert "--no-reveal" in answer["error"]["message"]
    # A later start does not give it back.
    again = another_address(surroundings)
    assert "no_reveal" not in again
    assert page.ask("reveal", {"name": "canary"})[0] == 400
    with nexod.client() as client:
        assert not client.handouts()


@pytest.mark.usefixtures("stored")
def test_a_later_start_takes_it_from_the_tabs_that_are_open(page: Caller, surroundings: Surroundings) -> None:
    assert page.ask("reveal", {"name": "canary"})[0] == 200
    assert "no_reveal" not in another_address(surroundings, "--no-reveal")
    assert page.ask("reveal", {"name": "canary"})[0] == 400


def test_its_memory_is_closed_to_others_as_the_daemons(screen: Settings) -> None:
    status = Path(f"/proc/{screen.process.pid}/limits").read_text()
    assert any(line.split()[4:6] == ["0", "0"] for line in status.splitlines() if "core file" in line)
    assert "Umask:\t0077" in Path(f"/proc/{screen.process.pid}/status").read_text()


def test_the_variable_of_the_shell_it_was_started_in_decides_nothing(
    nexod: Nexod, surroundings: Surroundings, provider: ExampleProvider
) -> None:
    with nexod.client() as client:
        for name in ("one", "two"):
            url = f"{provider.origin}/v1"
            client.create_connection(
                ConnectionDraft(name=name, provider="openai", base_url=url, api_key=WORK.key)
            )
    caller = Caller(start_settings(surroundings, env={"NEXO_CONNECTION": "two"}))
    caller.enter()
    assert caller.ask("explain", {"typed": "/tmp"})[1]["connection"] == "one"


# -- its life


def test_two_starts_are_one_server(screen: Settings, surroundings: Surroundings) -> None:
    address = another_address(surroundings, "--at", "edit", "--name", "a b&c#d")
    second = Served(address)
    assert second.port == screen.port
    assert second.token != screen.token
    assert address.endswith("&at=edit&name=a%20b%26c%23d")
    assert Caller(second).enter() == 200
    assert Caller(screen).enter() == 200


def test_starts_at_the_same_moment_are_one_server(nexod: Nexod, surroundings: Surroundings) -> None:
    from nexo.connections import python

    command = python.of_ours("nexo_settings", "--socket", str(surroundings.socket))
    started = [surroundings.spawn(command) for _ in range(4)]
    said = []
    for process in started:
        assert process.stdout is not None
        said.append(json.loads(process.stdout.readline()))
    ports = {Served(one["address"]).port for one in said}
    assert len(ports) == 1, said
    wait_for(lambda: sum(one.poll() is None for one in started) == 1, "one of them stays")


def test_it_ends_when_nobody_looks(nexod: Nexod, surroundings: Surroundings) -> None:

    def watched() -> tuple[Settings, Iterator[dict[str, object]]] | None:
        screen = start_settings(surroundings, "--idle", "0.5")
        caller = Caller(screen)
        try:
            caller.enter()
            tab = lines(screen, caller.secret, "watch")
            assert next(tab) == {"status": 200}
        except (OSError, http.client.HTTPException):
            # It ended before this process had its turn.
            return None
        return screen, tab

    screen, tab = wait_for(watched, "a tab before it ends")
    begin = time.monotonic()
    wait_for(lambda: time.monotonic() - begin > 1.5, "longer than it stays without a tab")
    assert screen.process.poll() is None
    tab.close()
    assert screen.process.wait(PATIENCE_S) == 0
    # The next start finds neither lock nor socket in its way.
    assert Caller(start_settings(surroundings)).enter() == 200


def test_a_server_that_was_killed_is_in_nobodys_way(screen: Settings, surroundings: Surroundings) -> None:
    screen.process.kill()
    screen.process.wait(PATIENCE_S)
    assert Caller(start_settings(surroundings)).enter() == 200


@pytest.mark.parametrize("lost", [["page.sock"], ["page.lock"], ["page.sock", "page.lock"], []])
def test_a_server_that_cannot_be_asked_keeps_its_tabs_and_the_next_start_is_the_server(
    page: Caller, screen: Settings, surroundings: Surroundings, lost: list[str]
) -> None:
    for name in lost:
        (surroundings.socket.parent / name).unlink()
    if not lost:
        screen.process.send_signal(signal.SIGSTOP)
    second = start_settings(surroundings)
    assert second.port != screen.port
    assert Caller(second).enter() == 200
    screen.process.send_signal(signal.SIGCONT)
    assert page.ask("providers")[0] == 200
    screen.process.terminate()
    screen.process.wait(PATIENCE_S)
    # Its end took nothing from the second one.
    assert Served(another_address(surroundings)).port == second.port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_its_tabs(page: Caller, screen: Settings, number: int) -> None:
    tab = lines(screen, page.secret, "watch")
    assert next(tab) == {"status": 200}
    screen.process.send_signal(number)
    assert screen.process.wait(PATIENCE_S) == 0
    assert all(isinstance(one, dict) for one in tab)


def established(provider: ExampleProvider) -> int:
    """Connections to the provider that its callers have open."""
    port = f":{int(provider.origin.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def test_a_test_that_nobody_waits_for_any_more_is_given_up(
    page: Caller, screen: Settings, provider: ExampleProvider
) -> None:
    from nexo_cli.demo.provider import SLOW

    draft = {"name": "slow", "provider": "openai", "base_url": f"{provider.origin}/v1", "api_key": SLOW.key}
    running = lines(screen, page.secret, "test", {"draft": draft})
    assert next(running) == {"status": 200}
    assert "layer" in next(running)
    wait_for(lambda: provider.waiting, "the provider is asked")
    assert established(provider)
    running.close()
    wait_for(lambda: not established(provider), "the daemon hangs up on the provider")
    assert provider.waiting


def test_a_directory_that_others_can_enter_is_refused(nexod: Nexod, surroundings: Surroundings) -> None:
    from nexo.connections import python

    surroundings.socket.parent.chmod(0o755)
    command = python.of_ours("nexo_settings", "--socket", str(surroundings.socket))
    refused = surroundings.run(command, expect=1)
    assert "other users may enter it" in refused.json["error"]["message"]
