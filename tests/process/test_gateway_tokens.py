"""Tokens of the gateway: who has one, how long it is good, and that nothing keeps it."""

import socket
import threading

import pytest

from answering_server import AnsweringServer, Request, answer
from gateway_parts import Caller, add, ask, opened
from nexo.connections.terms import UsageBy
from nexo_client import errors
from nexo_client.types import ConnectionDraft, Workspace
from surroundings import Nexod, Surroundings, wait_for


def test_a_named_token_is_told_once_and_its_digest_is_all_that_is_stored(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with nexod.client() as client:
        client.create_connection(
            ConnectionDraft(name="work", provider="custom", base_url="http://127.0.0.1:9/v1", api_key="sk-x")
        )
        made = client.gateway.create_token("cursor", connection="work", lifetime_s=3600)
        assert made.secret.startswith("nexo_")
        assert made.secret not in repr(made)
        (listed,) = client.gateway.tokens()
        assert (listed.name, listed.connection, listed.workspace) == ("cursor", "work", None)
        assert listed.expires_at is not None
        with pytest.raises(errors.NameTaken):
            client.gateway.create_token("Cursor")
        with pytest.raises(errors.ConnectionNotFound):
            client.gateway.create_token("other", connection="nobody")
        with pytest.raises(errors.InvalidField):
            client.gateway.create_token(" ")
    nexod.stop()
    written = list(surroundings.files())
    assert written
    assert not [path for path in written if made.secret.encode() in path.read_bytes()]


def test_named_tokens_outlive_the_daemon_and_a_revoked_one_does_not_come_back(
    nexod: Nexod, surroundings: Surroundings
) -> None:
    with nexod.client() as client:
        client.gateway.create_token("kept")
        client.gateway.create_token("revoked")
        assert client.gateway.revoke_token("Revoked") == 0
        with pytest.raises(errors.TokenNotFound):
            client.gateway.revoke_token("revoked")
    nexod.stop()
    with surroundings.start_nexod().client() as client:
        assert [token.name for token in client.gateway.tokens()] == ["kept"]


def test_a_request_whose_token_ends_meanwhile_counts_for_its_workspace_and_is_no_longer_open(
    nexod: Nexod,
) -> None:
    finish = threading.Event()

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        finish.wait()
        return b"0\r\n\r\n"

    here = Workspace(name="project")
    with AnsweringServer(script) as server, opened(nexod) as (client, _, port):
        add(client, "a", server.origin + "/v1")
        revoked = client.gateway.create_token("revoked", workspace=here).secret
        expiring = client.gateway.create_token("expiring", workspace=here, lifetime_s=5).secret
        callers = [Caller(port) for _ in range(2)]
        for caller, token in zip(callers, (expiring, revoked), strict=True):
            caller.request("POST", "/openai/v1/x", token, b"{}")
            caller.head()
            assert caller.chunk() == b"x"
        assert client.gateway.revoke_token("revoked") == 1
        wait_for(lambda: ask(port, "/openai/v1/models", expiring, method="GET").status == 401, "it expired")
        finish.set()
        # What began before it expired goes on.
        assert callers[0].chunk() == b""
        assert callers[1].chunk() is None
        wait_for(lambda: not any(user.open for user in client.gateway.status().users), "nothing is open")
        rows = client.gateway.usage(by=[UsageBy.WORKSPACE]).rows
        assert {row.workspace for row in rows} == {str(here)}
