"""What the gateway answers itself, as the official packages of the four dialects take it.

A package that is told to wait or to try again hides for half a minute what a person has to mend. So each
answer is counted: how many requests the package sent before it gave up, and whether its error shows our text.
The packages have their defaults, retries included.
"""

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from google import genai
from google.genai import errors as google

from answering_server import AnsweringServer, answer, reset
from certificates import make_authority
from gateway_parts import Caller, add, ask, opened
from nexo.connections.terms import Provider
from nexo_client import Client
from nexo_client.types import ConnectionDraft, Gateway, NetworkProfile, Workspace
from ports import free_port
from proxy_servers import HttpProxy
from surroundings import Nexod

Failure = tuple[str, int, int]
"""The class of the error that a program gets, the status in it, and how many requests that took."""

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def ask_openai(gateway: Gateway, token: str) -> None:
    with openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)


def ask_anthropic(gateway: Gateway, token: str) -> None:
    with anthropic.Anthropic(base_url=gateway.base_url("anthropic"), auth_token=token) as client:
        client.messages.create(model="m", max_tokens=5, messages=MESSAGES)


def ask_google(gateway: Gateway, token: str) -> None:
    options = genai.types.HttpOptions(base_url=gateway.base_url("google"))
    with genai.Client(api_key=token, http_options=options) as client:
        client.models.generate_content(model="m", contents="hello")


def ask_ollama(gateway: Gateway, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with ollama.Client(host=gateway.base_url("ollama"), headers=headers) as client:
        client.chat(model="m", messages=MESSAGES)


PACKAGES: dict[str, Callable[[Gateway, str], None]] = {
    "openai": ask_openai,
    "anthropic": ask_anthropic,
    "google": ask_google,
    "ollama": ask_ollama,
}

# The classes that programs catch, by our status; what ollama raises is one class for all.
CLASSES: dict[int, dict[str, type[Exception]]] = {
    400: {
        "openai": openai.BadRequestError,
        "anthropic": anthropic.BadRequestError,
        "google": google.ClientError,
        "ollama": ollama.ResponseError,
    },
    401: {
        "openai": openai.AuthenticationError,
        "anthropic": anthropic.AuthenticationError,
        "google": google.ClientError,
        "ollama": ollama.ResponseError,
    },
    502: {
        "openai": openai.InternalServerError,
        "anthropic": anthropic.InternalServerError,
        "google": google.ServerError,
        "ollama": ollama.ResponseError,
    },
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets of the requests that packages send in this process."""
    targets: list[str] = []
    for library in (httpx, httpx2):
        real = library.HTTPTransport.handle_request

        def noted(transport: Any, request: Any, real: Any = real) -> Any:
            targets.append(str(request.url))
            return real(transport, request)

        monkeypatch.setattr(library.HTTPTransport, "handle_request", noted)
    return targets


def failing(
    dialect: str, gateway: Gateway, token: str, status: int, sent: list[str], text: str
) -> tuple[bool, int]:
    """Whether the package raises the class of the status with our text, and after how many requests."""
    sent.clear()
    with pytest.raises(CLASSES[status][dialect]) as raised:
        PACKAGES[dialect](gateway, token)
    code = next(
        getattr(raised.value, name) for name in ("status_code", "code") if hasattr(raised.value, name)
    )
    return (code == status and text in str(raised.value), len(sent))


def in_all(gateway: Gateway, token: str, status: int, sent: list[str], text: str) -> dict[str, Any]:
    """What the four packages make of it."""
    return {dialect: failing(dialect, gateway, token, status, sent, text) for dialect in PACKAGES}


ONCE = dict.fromkeys(PACKAGES, (True, 1))
AGAIN = {"openai": (True, 3), "anthropic": (True, 3), "google": (True, 1), "ollama": (True, 1)}
"""These two try what may pass twice more."""


@contextlib.contextmanager
def nobody_chosen(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    run = client.gateway.mint()
    yield run.gateway, run.secret, "there is no default connection"


@contextlib.contextmanager
def disabled(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    add(client, "a", url)
    client.update_connection("a", ConnectionDraft(enabled=False))
    run = client.gateway.mint()
    yield run.gateway, run.secret, "disabled"


@contextlib.contextmanager
def bound_to_nothing(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    add(client, "other", url)
    add(client, "gone", url)
    client.bind(Workspace(name="project"), "gone")
    client.delete_connection("gone", force=True)
    run = client.gateway.mint(workspace=Workspace(name="project"))
    yield run.gateway, run.secret, "gone"


@contextlib.contextmanager
def removed(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    add(client, "other", url)
    add(client, "gone", url)
    made = client.gateway.create_token("cursor", connection="gone")
    client.delete_connection("gone", force=True)
    yield client.gateway.switch(True), made.secret, "nexo: "


@contextlib.contextmanager
def locked(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    add(client, "a", url)
    run = client.gateway.mint()
    client.vault.lock()
    yield run.gateway, run.secret, "locked"


@contextlib.contextmanager
def key_elsewhere(client: Client, url: str) -> Iterator[tuple[Gateway, str, str]]:
    draft = ConnectionDraft(name="a", provider="custom", base_url=url, api_key_ref="file:/nowhere/key")
    client.create_connection(draft)
    run = client.gateway.mint()
    yield run.gateway, run.secret, "nexo: "


MENDED_BY_A_PERSON = {
    "no default": nobody_chosen,
    "disabled": disabled,
    "binding broken": bound_to_nothing,
    "the connection of the token is gone": removed,
    "vault locked": locked,
    "key reference failed": key_elsewhere,
}


@pytest.mark.parametrize("state", MENDED_BY_A_PERSON.values(), ids=MENDED_BY_A_PERSON.keys())
def test_what_a_person_has_to_mend_is_shown_by_every_package_after_one_request(
    nexod: Nexod, sent: list[str], state: Any
) -> None:
    with AnsweringServer(lambda *_: answer(200, b"{}")) as server, nexod.client() as client:
        with state(client, server.origin + "/v1") as (gateway, token, text):
            assert in_all(gateway, token, 400, sent, text) == ONCE
        assert [request for request in server.requests if request.method == "POST"] == []


@pytest.mark.parametrize("dialect", ["anthropic", "google", "ollama"])
def test_a_connection_of_another_dialect_is_named_with_what_to_choose(
    nexod: Nexod, sent: list[str], dialect: str
) -> None:
    with nexod.client() as client:
        add(client, "work", "http://127.0.0.1:9/v1", provider=Provider.OPENAI)
        run = client.gateway.mint()
        text = f"'work' speaks openai, and this program speaks {dialect}"
        assert failing(dialect, run.gateway, run.secret, 400, sent, text) == (True, 1)
        assert failing(dialect, run.gateway, run.secret, 400, sent, "nexoctl default NAME") == (True, 1)


def test_after_the_repair_the_next_request_is_served(nexod: Nexod, sent: list[str]) -> None:
    body = json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []})
    with (
        AnsweringServer(lambda *_: answer(200, body.encode())) as server,
        opened(nexod) as (client, token, _),
    ):
        gateway = client.gateway.status().gateway
        with openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token) as sdk:
            with pytest.raises(openai.BadRequestError):
                sdk.chat.completions.create(model="m", messages=MESSAGES)
            add(client, "a", server.origin + "/v1")
            assert sdk.chat.completions.create(model="m", messages=MESSAGES).id == "1"
        assert len(sent) == 2


def test_bad_tokens_look_the_same_and_are_not_tried_again(nexod: Nexod, sent: list[str]) -> None:
    with opened(nexod) as (client, good, port):
        add(client, "a", "http://127.0.0.1:9/v1")
        gateway = client.gateway.status().gateway
        revoked = client.gateway.create_token("revoked").secret
        client.gateway.revoke_token("revoked")
        expired = client.gateway.create_token("expired", lifetime_s=1).secret
        answers = set()
        for token in ("nexo_" + "x" * 43, revoked, "", good[:-1], good + "x"):
            assert token == "" or in_all(gateway, token, 401, sent, "does not know this token") == ONCE
            reply = ask(port, "/openai/v1/chat/completions", token)
            answers.add((reply.status, reply.headers["x-should-retry"], reply.body))
        while ask(port, "/openai/v1/chat/completions", expired).status != 401:
            pass
        reply = ask(port, "/openai/v1/chat/completions", expired)
        answers.add((reply.status, reply.headers["x-should-retry"], reply.body))
        assert len(answers) == 1
        for header in ("x-api-key", "x-goog-api-key", "api-key"):
            assert ask(port, "/anthropic/v1/messages", headers=((header, good),)).status == 502
            assert ask(port, "/anthropic/v1/messages", headers=((header, "no"),)).status == 401


@contextlib.contextmanager
def refused() -> Iterator[tuple[str, NetworkProfile | None, str]]:
    yield f"http://127.0.0.1:{free_port()}/v1", None, "refused the connection"


@contextlib.contextmanager
def not_trusted(tmp_path: Path) -> Iterator[tuple[str, NetworkProfile | None, str]]:
    made = make_authority(tmp_path)
    with AnsweringServer(lambda *_: None, tls=made.server("good")) as server:
        yield server.origin + "/v1", None, "certificate that is not trusted"


@contextlib.contextmanager
def no_tls() -> Iterator[tuple[str, NetworkProfile | None, str]]:
    with AnsweringServer(lambda *_: None) as server:
        yield server.origin.replace("http", "https") + "/v1", None, "does not speak TLS there"


@contextlib.contextmanager
def proxy_refuses(tmp_path: Path) -> Iterator[tuple[str, NetworkProfile | None, str]]:
    made = make_authority(tmp_path)
    with (
        HttpProxy(password="user:secret") as proxy,
        AnsweringServer(lambda *_: None, tls=made.server("good")) as server,
    ):
        network = NetworkProfile(proxy=proxy.origin, ca_bundle=made.bundle)
        yield server.origin + "/v1", network, "the proxy refused"


@contextlib.contextmanager
def closed_before_an_answer() -> Iterator[tuple[str, NetworkProfile | None, str]]:
    def script(_: object, connection: socket.socket) -> None:
        reset(connection)

    with AnsweringServer(script) as server:
        yield server.origin + "/v1", None, "closed the connection before it answered"


@contextlib.contextmanager
def no_http() -> Iterator[tuple[str, NetworkProfile | None, str]]:
    def script(_: object, connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    with AnsweringServer(script) as server:
        yield server.origin + "/v1", None, "nexo: 'a'"


@pytest.mark.parametrize(
    "way", ["refused", "not_trusted", "no_tls", "proxy_refuses", "closed_before_an_answer", "no_http"]
)
def test_what_may_pass_by_itself_is_a_502_that_says_what_it_was(
    nexod: Nexod, sent: list[str], tmp_path: Path, way: str
) -> None:
    make: Any = globals()[way]
    arguments = [tmp_path] if way in ("not_trusted", "proxy_refuses") else []
    with make(*arguments) as (url, network, text), nexod.client() as client:
        draft = ConnectionDraft(
            name="a", provider="custom", base_url=url, api_key="sk-real-key-1", network=network
        )
        client.create_connection(draft)
        run = client.gateway.mint()
        assert in_all(run.gateway, run.secret, 502, sent, text) == AGAIN


def test_what_only_a_browser_does_is_a_403_in_plain_text(nexod: Nexod) -> None:
    with opened(nexod) as (_, token, port):
        for headers in ((("Origin", "http://evil.example"),), (("Origin", "null"),)):
            reply = ask(port, "/openai/v1/models", token, headers=headers)
            assert (reply.status, reply.headers["content-type"]) == (403, "text/plain; charset=utf-8")
            assert not [name for name in reply.headers if name.startswith("access-control")]
        caller = Caller(port)
        caller.send(
            f"GET /openai/v1/models HTTP/1.1\r\nHost: evil.example:{port}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        reply = caller.reply()
        assert (reply.status, reply.headers["content-type"]) == (403, "text/plain; charset=utf-8")
        # Node's fetch sends it, and so does Gemini CLI.
        fetch = (("Sec-Fetch-Mode", "cors"),)
        assert ask(port, "/google/v1beta/models", token, headers=fetch).status == 400


def test_an_upgrade_is_a_426_in_the_dialect_of_the_program(nexod: Nexod) -> None:
    upgrade = (("Connection", "Upgrade"), ("Upgrade", "WebSocket"), ("Sec-WebSocket-Key", "eA=="))
    with opened(nexod) as (_, token, port):
        reply = ask(port, "/openai/v1/responses", token, method="GET", body=None, headers=upgrade)
        assert reply.status == 426
        assert json.loads(reply.body)["error"]["code"] == "no_websocket"


def test_an_address_without_a_dialect_is_a_404_that_names_the_four(nexod: Nexod) -> None:
    with opened(nexod) as (_, token, port):
        for target in (
            "/",
            "/v1/chat/completions",
            "/OpenAI/v1/models",
            f"/t/{token}/v1/models",
            "/openaiv1",
        ):
            reply = ask(port, target, token)
            assert reply.status == 404, target
            for prefix in (b"/openai", b"/anthropic", b"/google", b"/ollama"):
                assert prefix in reply.body


def test_ssl_is_not_spoken_here_and_that_is_no_fault_of_ours(nexod: Nexod) -> None:
    """A program that was told https for http gets an answer at once, and the gateway goes on."""
    with opened(nexod) as (_, token, port):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", port), 30) as line, pytest.raises(ssl.SSLError):
            context.wrap_socket(line)
        assert ask(port, "/openai/v1/models", token).status == 400
        assert "Traceback" not in nexod.output
