"""A conversation in a sticky workspace stays on the account where it began; whatever else asks follows."""

import json
from collections.abc import Callable

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Reply, add, ask
from nexo_client.types import ConnectionDraft, Workspace
from surroundings import Nexod, Surroundings

HERE = Workspace(name="project")
HOUR = 3600.0


def serving(status: Callable[[], int] = lambda: 200) -> AnsweringServer:
    def script(request: Request, _: object) -> bytes:
        return answer(status(), b"{}")

    return AnsweringServer(script)


def code_of(reply: Reply) -> tuple[int, str]:
    return reply.status, json.loads(reply.body)["error"]["code"]


def test_what_began_stays_what_begins_follows_and_nothing_moves_to_another_account(nexod: Nexod) -> None:
    with serving() as a, serving() as b, nexod.client() as client:
        add(client, "a", a.origin + "/v1")
        add(client, "b", b.origin + "/v1")
        client.bind(HERE, "a", sticky_s=HOUR)
        token = client.gateway.create_token("editor", workspace=HERE).secret
        run = client.gateway.mint(workspace=HERE)
        port = run.gateway.port

        def asked(bearer: str, header: str = "", body: bytes = b"{}") -> Reply:
            name, _, value = header.partition("=")
            return ask(
                port,
                "/openai/v1/responses",
                bearer,
                body=body,
                headers=((name, value),) if header else (),
            )

        def served(bearer: str, header: str = "", body: bytes = b"{}") -> str:
            return asked(bearer, header, body).headers["x-nexo-connection"]

        begun = [
            ("x-claude-code-session-id=1", b"{}"),
            ("thread-id=1", b"{}"),
            ("session-id=1", b"{}"),
            ("", b'{"model":"m","prompt_cache_key":"1"}'),
        ]
        for header, body in begun:
            assert served(token, header, body) == "a"
        # A run that names no conversation is one.
        assert served(run.secret) == "a"
        client.bind(HERE, "b", sticky_s=HOUR)
        for header, body in begun:
            assert served(token, header, body) == "a"
            # In any program of the workspace: it may be resumed.
            assert served(run.secret, header, body) == "a"
        assert served(run.secret) == "a"
        assert served(token, "thread-id=2") == "b"
        assert served(token, body=b'{"prompt_cache_key":"2"}') == "b"
        # A token of a settings file that names none follows.
        assert served(token) == "b"
        assert served(client.gateway.mint(workspace=HERE).secret) == "b"

        client.update_connection("a", ConnectionDraft(enabled=False))
        refused = asked(token, "thread-id=1")
        assert code_of(refused) == (400, "connection_disabled")
        assert b"began with 'a'" in refused.body
        assert served(token, "thread-id=2") == "b"
        client.delete_connection("a", force=True)
        assert code_of(asked(token, "thread-id=1")) == (400, "connection_not_found")
        assert code_of(asked(run.secret)) == (400, "connection_not_found")
        # As the refusal says: without the flag all go on elsewhere, and do not come back to it.
        client.bind(HERE, "b")
        assert served(token, "thread-id=1") == "b"
        client.bind(HERE, "b", sticky_s=HOUR)
        assert served(token, "thread-id=1") == "b"


def test_a_refused_hand_out_stays_refused_and_an_error_begins_nothing(nexod: Nexod) -> None:
    status = [429]
    with serving(lambda: status[0]) as a, serving() as b, nexod.client() as client:
        add(client, "a", a.origin + "/v1")
        add(client, "b", b.origin + "/v1")
        client.bind(HERE, "a", sticky_s=HOUR)
        run = client.gateway.mint(workspace=HERE)

        def asked(header: str) -> Reply:
            return ask(run.gateway.port, "/openai/v1/x", run.secret, headers=(("thread-id", header),))

        assert asked("throttled").status == 429
        status[0] = 200
        assert asked("good").status == 200
        client.bind(HERE, "b", sticky_s=HOUR)
        assert asked("throttled").headers["x-nexo-connection"] == "b"
        assert asked("good").headers["x-nexo-connection"] == "a"
        client.delete_connection("b", force=True)
        assert code_of(asked("good")) == (400, "binding_broken")


def test_nexoctl_binds_lists_and_exports_it(surroundings: Surroundings, nexod: Nexod) -> None:
    with nexod.client() as client:
        add(client, "a", "http://127.0.0.1:9/v1")

    def listed() -> list[float | None]:
        bindings = surroundings.nexoctl("--json", "workspace", "list").json["bindings"]
        return [one["sticky_s"] for one in bindings]

    surroundings.nexoctl("workspace", "bind", "--workspace", "project", "a")
    assert listed() == [None]
    surroundings.nexoctl("workspace", "bind", "--workspace", "project", "a", "--sticky", "12h")
    assert listed() == [43_200.0]
    assert "sticky for 12 h" in surroundings.nexoctl("workspace", "list").out
    there = str(surroundings.home / "there.json")
    surroundings.nexoctl("export", "--output", there)
    surroundings.nexoctl("workspace", "unbind", "--workspace", "project")
    planned = surroundings.nexoctl("--json", "import", there, "--dry-run").json
    consents = [need["id"] for step in planned["steps"] for need in step["needs"]]
    flags = [flag for one in consents for flag in ("--consent", one)]
    surroundings.nexoctl("import", there, *flags)
    assert listed() == [43_200.0]
    for wrong in ("1s", "31d", "soon"):
        refused = surroundings.nexoctl("workspace", "bind", ".", "a", "--sticky", wrong, expect=2)
        assert "sticky" in refused.err
