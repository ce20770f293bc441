"""A stream that breaks at the provider is an error for a program, with each of the official packages.

Ended cleanly, all of them would take what came for the whole answer (tried, November 2026): so the break is
passed on, and nothing is put in its place.
"""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from google import genai

from answering_server import AnsweringServer, Request, answer
from gateway_parts import add, opened
from nexo.connections.terms import UsageBy
from nexo_client.types import Gateway
from surroundings import Nexod, wait_for

MESSAGES: Any = [{"role": "user", "content": "hello"}]


def chat(gateway: Gateway, token: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token) as client:
        yield from client.chat.completions.create(model="m", messages=MESSAGES, stream=True)


def responses(gateway: Gateway, token: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=gateway.base_url("openai"), api_key=token) as client:
        yield from client.responses.create(model="m", input="hello", stream=True)


def messages(gateway: Gateway, token: str) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=gateway.base_url("anthropic"), auth_token=token) as client:
        yield from client.messages.create(model="m", max_tokens=5, messages=MESSAGES, stream=True)


def contents(gateway: Gateway, token: str) -> Iterator[Any]:
    options = genai.types.HttpOptions(base_url=gateway.base_url("google"))
    with genai.Client(api_key=token, http_options=options) as client:
        yield from client.models.generate_content_stream(model="m", contents="hello")


def lines(gateway: Gateway, token: str) -> Iterator[Any]:
    headers = {"Authorization": f"Bearer {token}"}
    with ollama.Client(host=gateway.base_url("ollama"), headers=headers) as client:
        yield from client.chat(model="m", messages=MESSAGES, stream=True)


START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
    b'"role":"assistant","content":[],"model":"m","stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
)
STREAMS: dict[str, tuple[Callable[[Gateway, str], Iterator[Any]], bytes, tuple[type[Exception], ...]]] = {
    "openai, chat": (
        chat,
        b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n',
        (openai.APIConnectionError,),
    ),
    "openai, responses": (
        responses,
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x",'
        b'"item_id":"1","output_index":0,"content_index":0,"sequence_number":1}\n\n',
        (openai.APIConnectionError,),
    ),
    "anthropic": (messages, START, (anthropic.APIConnectionError, httpx2.RemoteProtocolError)),
    "google": (
        contents,
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":"x"}]}}]}\n\n',
        (httpx2.RemoteProtocolError, httpx.RemoteProtocolError),
    ),
    "ollama": (
        lines,
        b'{"model":"m","message":{"role":"assistant","content":"x"},"done":false}\n',
        (httpx.RemoteProtocolError,),
    ),
}


@pytest.mark.parametrize("package", STREAMS)
def test_a_break_in_a_stream_is_an_error_of_the_package(nexod: Nexod, package: str) -> None:
    ask, event, errors = STREAMS[package]
    kind = b"application/x-ndjson" if package == "ollama" else b"text/event-stream"

    def script(request: Request, connection: socket.socket) -> bytes | None:
        if request.method == "GET":
            return answer(200, b'{"object":"list","data":[]}')
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % kind
        connection.sendall(head + b"%x\r\n%b\r\n" % (len(event), event))
        return None

    with AnsweringServer(script) as server, opened(nexod) as (client, token, _):
        add(client, "a", server.origin + "/v1")
        stream = ask(client.gateway.status().gateway, token)
        assert next(stream)
        with pytest.raises(errors):
            next(stream)
        (row,) = wait_for(lambda: client.gateway.usage(by=[UsageBy.MODEL]).rows, "it is in the record")
        assert (row.requests, row.broken) == (1, 1)
