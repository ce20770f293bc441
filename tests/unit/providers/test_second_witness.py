"""The list is one witness, the request that cannot run is the other; and a suggestion holds when followed.

Servers are generated: what their list does, what their calls do, which header they read, where they live.
Reports behind the shapes: hermes-agent#12220 and #12460, open-webui#21230, FluidVoice#475 (no list),
CLIProxyAPI#3443 (public list, guarded calls), ollama and LM Studio (Anthropic's calls, OpenAI's list).
"""

import itertools
import json
import socket
from dataclasses import dataclass, field, replace

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.terms import AuthScheme, KeyVerdict, Outcome, Provider
from nexo_daemon.domain.model import Fact
from nexo_daemon.domain.probing import ProbeTarget, Suggestion, TestReport
from nexo_daemon.domain.secret import Secret
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
BAD = "a-bad-key-9876543210"
HEADERS = {"authorization": "Bearer ", "x-api-key": "", "api-key": ""}
CALLS = {
    Provider.CUSTOM: "/chat/completions",
    Provider.OPENAI: "/chat/completions",
    Provider.ANTHROPIC: "/v1/messages",
    Provider.GOOGLE: "/v1beta/models/none:countTokens",
    Provider.OLLAMA: "/v1/chat/completions",
}
LISTED = {
    Provider.CUSTOM: "/models",
    Provider.OPENAI: "/models",
    Provider.ANTHROPIC: "/v1/models",
    Provider.GOOGLE: "/v1beta/models",
    Provider.OLLAMA: "/api/tags",
}
REFUSED = (401, {"error": {"message": "Invalid API key", "code": "invalid_api_key"}})
NOT_FOUND = (404, {"error": "Not Found", "success": False})
CANNOT_RUN = (400, {"error": {"message": "messages: expected an array", "type": "invalid_request_error"}})


@dataclass(frozen=True)
class Service:
    """A server in a few words.

    Attributes:
        listing: public, guarded, absent (404), wrong_method (405), other (an object that is no list).
        calls: open, guarded, absent.
        header: in which it looks for the key.
    """

    listing: str
    calls: str
    header: str = "authorization"
    provider: Provider = Provider.CUSTOM
    base: str = "/v1"
    calls_path: str = ""

    def __call__(self, request: Request, _connection: socket.socket) -> bytes:
        status, document = self._answer(request)
        return answer(status, json.dumps(document).encode())

    def _answer(self, request: Request) -> tuple[int, object]:
        known = request.headers.get(self.header) == HEADERS[self.header] + GOOD
        if (request.method, request.path) == ("GET", self.base + LISTED[self.provider]):
            if self.listing == "guarded" and not known:
                return REFUSED
            if self.listing in ("public", "guarded"):
                return 200, json.loads(LISTS[self.provider])
            if self.listing == "other":
                return 200, {"status": "ok"}
            return NOT_FOUND if self.listing == "absent" else (405, {"detail": "Method Not Allowed"})
        if request.method == "POST" and request.path == self.base + (self.calls_path or CALLS[self.provider]):
            if self.calls == "absent":
                return NOT_FOUND
            return CANNOT_RUN if known or self.calls == "open" else REFUSED
        return NOT_FOUND


def followed(wanted: ProbeTarget, suggestion: Suggestion) -> ProbeTarget:
    value: object = suggestion.value
    if suggestion.field == "auth_scheme":
        value = AuthScheme(suggestion.value)
    if suggestion.field == "api_key":
        assert suggestion.fix
        key = wanted.credentials.api_key
        assert key is not None
        return replace(wanted, credentials=replace(wanted.credentials, api_key=Secret(key.reveal().strip())))
    return replace(wanted, **{suggestion.field: value})


def check_promises(wanted: ProbeTarget, report: TestReport) -> None:
    for suggestion in report.suggestions:
        if suggestion.verified and suggestion.field != "default_model":
            again = ask.run_test(followed(wanted, suggestion))
            assert again.verdict.ok, (suggestion, again.verdict)
            if report.verdict.outcome is Outcome.AUTH_ERROR:
                assert again.key is KeyVerdict.VERIFIED, suggestion


@pytest.mark.parametrize("key", [GOOD, BAD, f" {GOOD}"])
@pytest.mark.parametrize("scheme", [AuthScheme.BEARER, AuthScheme.X_API_KEY])
@pytest.mark.parametrize("path", ["", "/v1", "/v1/v1", "/v1/chat/completions"])
@pytest.mark.parametrize(
    ("listing", "calls", "header"),
    list(
        itertools.product(
            ["public", "guarded", "absent"], ["guarded", "open"], ["authorization", "x-api-key"]
        )
    ),
)
def test_what_is_marked_as_tried_works_when_it_is_followed(
    listing: str, calls: str, header: str, path: str, scheme: AuthScheme, key: str
) -> None:
    with AnsweringServer(Service(listing, calls, header)) as server:
        for model in ("", "no-such-model"):
            wanted = ask.target(Provider.CUSTOM, server.origin + path, key, scheme=scheme, model=model)
            report = ask.run_test(wanted)
            check_promises(wanted, report)
            if report.verdict.reason == "model_not_listed":
                assert not [s for s in report.suggestions if s.field == "base_url"]


@pytest.mark.parametrize("provider", list(Provider))
@pytest.mark.parametrize("listing", ["absent", "wrong_method", "other"])
def test_a_service_without_a_list_is_judged_by_its_calls(provider: Provider, listing: str) -> None:
    base = ask.BASE_PATHS[provider]
    service = Service(listing, "guarded", "authorization", provider, base)
    with AnsweringServer(service) as server:
        wanted = ask.target(provider, server.origin + base, GOOD, scheme=AuthScheme.BEARER)
        good = ask.run_test(wanted)
        assert (good.verdict.outcome, good.key) == (Outcome.OK, KeyVerdict.VERIFIED), good
        assert "lists no models" in good.verdict.advice
        assert good.facts is not None
        assert good.facts >= {Fact.NO_LIST, Fact.NULL_TELLS}
        assert ask.check(replace(wanted, facts=good.facts)).ok
        bad = ask.run_test(ask.target(provider, server.origin + base, BAD, scheme=AuthScheme.BEARER))
        assert bad.verdict.outcome is Outcome.AUTH_ERROR
        assert not [s for s in bad.suggestions if s.verified]


@pytest.mark.parametrize(
    ("provider", "path"),
    [(Provider.GOOGLE, "/v1beta/models/none:generateContent"), (Provider.OLLAMA, "/api/chat")],
)
def test_the_other_endpoint_of_a_dialect_is_a_witness_as_well(provider: Provider, path: str) -> None:
    with AnsweringServer(Service("absent", "guarded", "authorization", provider, "", path)) as server:
        report = ask.run_test(ask.target(provider, server.origin, GOOD, scheme=AuthScheme.BEARER))
    assert (report.verdict.outcome, report.key) == (Outcome.OK, KeyVerdict.VERIFIED)


@pytest.mark.parametrize("calls", ["guarded", "open"])
def test_a_check_turns_red_after_a_key_was_revoked_wherever_a_test_could_tell(calls: str) -> None:
    for listing in ("public", "guarded", "absent"):
        with AnsweringServer(Service(listing, calls)) as server:
            wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD)
            report = ask.run_test(wanted)
            assert report.verdict.ok
            assert report.facts is not None
            revoked = ask.target(Provider.CUSTOM, f"{server.origin}/v1", BAD)
            before = len(server.requests)
            verdict = ask.check(replace(revoked, facts=report.facts))
            assert len(server.requests) == before + 1
            expected = Outcome.AUTH_ERROR if report.key is KeyVerdict.VERIFIED else Outcome.OK
            assert verdict.outcome is expected, (listing, calls)


@pytest.mark.parametrize("listing", ["public", "absent"])
@pytest.mark.parametrize("guarded", [True, False])
def test_no_check_sends_what_ran_in_a_test(listing: str, guarded: bool) -> None:
    """claude-code-router, myna, mock-llm: the request that cannot run is answered with a completion."""
    completion = {"id": "c", "object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}
    ran: list[Request] = []

    def script(request: Request, connection: socket.socket) -> bytes:
        if request.method == "POST" and request.path == "/v1/chat/completions":
            if guarded and request.key != GOOD:
                return answer(REFUSED[0], json.dumps(REFUSED[1]).encode())
            ran.append(request)
            return answer(200, json.dumps(completion).encode())
        return Service(listing, "open")(request, connection)

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD)
        report = ask.run_test(wanted)
        assert report.verdict.ok, report
        assert report.key is (KeyVerdict.VERIFIED if guarded else KeyVerdict.NOT_ENFORCED)
        assert report.facts is not None
        assert Fact.REFUSED_RAN in report.facts
        assert len(ran) <= (1 if guarded or listing == "absent" else 2)
        ran.clear()
        for _ in range(3):
            assert ask.check(replace(wanted, facts=report.facts)).ok
        assert not ran


@dataclass(frozen=True)
class Careless:
    """A server that carries out whatever its handler can read, and counts it.

    Attributes:
        guard: where the key is looked at: door (before the routing), route (of the call), handler (after the
            body was parsed), none.
        parser: what it makes of a body that is no object: stumbles (500), refuses (400), validates (422).
    """

    guard: str
    parser: str
    listing: str
    ran: list[bytes] = field(default_factory=list)

    def __call__(self, request: Request, connection: socket.socket) -> bytes:
        if request.method == "GET" and request.path == "/v1/models":
            return Service(self.listing, "open")(request, connection)
        status, document = self._call(request)
        return answer(status, json.dumps(document).encode())

    def _call(self, request: Request) -> tuple[int, object]:
        refused = request.key != GOOD
        if self.guard == "door" and refused:
            return REFUSED
        if request.path != "/v1/chat/completions":
            return NOT_FOUND
        if request.method != "POST":
            # What Express and fastify say; FastAPI says 405.
            return (405, {"detail": "Method Not Allowed"}) if self.parser == "validates" else NOT_FOUND
        if self.guard == "route" and refused:
            return REFUSED
        if not isinstance(json.loads(request.body), dict):
            status = {"stumbles": 500, "refuses": 400, "validates": 422}[self.parser]
            return status, {"error": {"message": "the body is not an object"}}
        if self.guard == "handler" and refused:
            return REFUSED
        if self.parser == "validates":
            return CANNOT_RUN
        self.ran.append(request.body)
        return 200, {"choices": [{"message": {"content": "hi"}}]}


@pytest.mark.parametrize("listing", ["public", "absent"])
@pytest.mark.parametrize("parser", ["stumbles", "refuses", "validates"])
@pytest.mark.parametrize("guard", ["door", "route", "handler", "none"])
def test_a_test_runs_nothing_and_finds_the_bad_key(guard: str, parser: str, listing: str) -> None:
    """Routers that carry out `{"messages":0}`: claude-code-router 2.0, myna, mock-llm."""
    service = Careless(guard, parser, listing)
    with AnsweringServer(service) as server:
        base = f"{server.origin}/v1"
        good = ask.run_test(ask.target(Provider.CUSTOM, base, GOOD))
        bad = ask.run_test(ask.target(Provider.CUSTOM, base, BAD))
        free = ask.run_test(ask.target(Provider.CUSTOM, base, None))
        tested = len(service.ran)
        for report, key in ((good, GOOD), (bad, BAD), (free, None)):
            facts = report.facts or frozenset()
            verdict = ask.check(replace(ask.target(Provider.CUSTOM, base, key), facts=facts))
            if report.key is KeyVerdict.VERIFIED:
                assert verdict.ok
                revoked = replace(ask.target(Provider.CUSTOM, base, BAD), facts=facts)
                assert Fact.REFUSED_RAN in facts or ask.check(revoked).outcome is Outcome.AUTH_ERROR
        assert len(service.ran) == tested, "no check runs anything"
    # Who looks at the key last, after a strict parser, can be asked by what might run alone.
    assert tested == 0 or (guard in ("handler", "none") and parser == "refuses")
    assert good.verdict.ok, good
    if guard in ("door", "route") or (guard == "handler" and parser == "refuses"):
        assert good.key is KeyVerdict.VERIFIED
        assert bad.verdict.outcome is Outcome.AUTH_ERROR
        assert free.verdict.outcome is Outcome.AUTH_ERROR
    elif guard == "none":
        assert good.key in (KeyVerdict.NOT_ENFORCED, KeyVerdict.UNVERIFIED)
        assert free.verdict.ok


def test_a_page_that_answers_everything_is_not_a_service() -> None:
    with AnsweringServer(lambda *_: answer(200, b'{"status":"up"}')) as server:
        assert not ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD)).verdict.ok


def test_a_completion_proves_what_no_free_request_can() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "POST" and request.path == "/v1/chat/completions":
            if not (json.loads(request.body) or {}).get("messages"):
                return answer(500, b'{"error":"internal"}')
            return answer(200, b'{"choices":[{"message":{"content":"hi"}}]}')
        # Like a page that takes whatever is sent to it: an endpoint for calls is told by nothing.
        return answer(404 if request.method == "GET" else 500, b'{"error":"Not Found"}')

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD, model="m")
        assert ask.run_test(wanted).verdict.outcome is Outcome.NOT_COMPATIBLE
        report = ask.run_test(wanted, completion=True)
        assert report.verdict.ok
        assert "completion" in report.proven
        assert report.facts is not None
        assert ask.check(replace(wanted, facts=report.facts)).ok


@pytest.mark.parametrize(
    ("status", "error", "met"),
    [
        (404, {"message": "Not Found", "type": "not_found"}, False),  # ccproxy-api, with the path forgotten
        (401, {"message": "Invalid API key", "code": "invalid_api_key"}, False),
        (404, {"message": "The model m does not exist", "code": "model_not_found"}, True),
        (429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}, True),
    ],
)
@pytest.mark.parametrize("provider", [Provider.CUSTOM, Provider.ANTHROPIC])
def test_a_completion_that_finds_no_way_in_leaves_the_missing_list_a_failure(
    provider: Provider, status: int, error: dict[str, str], met: bool
) -> None:
    """Else the next check would be green: a missing list is none where calls are known to be answered."""

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "POST" and isinstance((json.loads(request.body) or {}).get("messages"), list):
            return answer(status, json.dumps({"error": error}).encode())
        return answer(404, b'{"error":{"message":"Not Found"}}')

    with AnsweringServer(script) as server:
        wanted = ask.target(provider, server.origin + ask.BASE_PATHS[provider], GOOD, model="m")
        report = ask.run_test(wanted, completion=True)
        assert not report.verdict.ok
        assert report.facts is not None
        assert ask.check(replace(wanted, facts=report.facts)).ok is met


@pytest.mark.parametrize("listing", ["public", "guarded", "absent"])
@pytest.mark.parametrize(
    "error", [b"", b'{"error":{"message":"Invalid API key","code":"invalid_api_key"}}'], ids=["mute", "said"]
)
def test_who_sends_no_key_is_not_told_that_it_is_wrong(listing: str, error: bytes) -> None:
    """SGLang's router refuses a call without a key by an empty 401; other servers call no key invalid."""
    service = Service(listing, "guarded")

    def script(request: Request, connection: socket.socket) -> bytes:
        answered = service(request, connection)
        return answer(401, error) if b" 401 " in answered[:15] else answered

    with AnsweringServer(script) as server:
        base = f"{server.origin}/v1"
        keyless = ask.run_test(ask.target(Provider.CUSTOM, base, None)).verdict
        wrong = ask.run_test(ask.target(Provider.CUSTOM, base, BAD)).verdict
    assert (keyless.outcome, keyless.reason) == (Outcome.AUTH_ERROR, "missing_key")
    assert "enter one" in keyless.advice
    assert (wrong.outcome, wrong.reason) == (Outcome.AUTH_ERROR, "invalid_key")


def test_a_router_that_needs_no_key_is_checked_by_its_list() -> None:
    """SGLang's router refuses the form of a call before it looks for a worker; its list needs one."""

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "GET" and request.path == "/v1/models":
            return answer(503, b"No models available", (("Content-Type", "text/plain"),))
        return answer(400, b'{"error":{"message":"Invalid JSON data","type":"invalid_request_error"}}')

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", None, preset="sglang-router")
        assert ask.check(wanted).outcome is Outcome.PROVIDER_DOWN


@pytest.mark.parametrize("header", ["authorization", "x-gateway-token", "cookie"])
def test_a_key_that_nobody_looks_at_is_not_verified(header: str) -> None:
    """A front door reads a header of its own; behind it no key is asked for."""

    def script(request: Request, connection: socket.socket) -> bytes:
        if request.headers.get(header) != "for the door":
            return answer(401, b"<html>401 Authorization Required</html>", (("Content-Type", "text/html"),))
        return Service("public", "open")(request, connection)

    with AnsweringServer(script) as server:
        headers = ((header, "for the door"),)
        report = ask.run_test(
            ask.target(
                Provider.CUSTOM, f"{server.origin}/v1", GOOD, headers=headers, scheme=AuthScheme.X_API_KEY
            )
        )
        assert (report.verdict.outcome, report.key) == (Outcome.OK, KeyVerdict.NOT_ENFORCED)
        replaced = ask.run_test(
            ask.target(
                Provider.CUSTOM, f"{server.origin}/v1", GOOD, headers=(("Authorization", "for the door"),)
            )
        )
    if header == "authorization":
        assert (replaced.verdict.outcome, replaced.key) == (Outcome.OK, KeyVerdict.UNVERIFIED)
        assert any("not sent" in layer.evidence for layer in replaced.layers)


@pytest.mark.parametrize("status", [401, 403])
def test_anthropic_at_a_foreign_host_tries_bearer(status: int) -> None:
    def script(request: Request, connection: socket.socket) -> bytes:
        if request.headers.get("authorization") != f"Bearer {GOOD}":
            return answer(status, b'{"error":{"message":"no"}}')
        return answer(200, LISTS[Provider.ANTHROPIC])

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.ANTHROPIC, server.origin, GOOD))
    assert [(s.value, s.verified) for s in report.suggestions] == [("bearer", True)]


def test_a_key_reaches_no_other_origin_than_the_one_it_was_entered_for() -> None:
    with AnsweringServer(Service("guarded", "guarded")) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"http://[::1]:{server.port}/v1", GOOD))
        assert [(s.value, s.verified) for s in report.suggestions] == [(f"{server.origin}/v1", False)]
        assert server.requests
        assert not [r for r in server.requests if GOOD in repr(r.headers)]


@pytest.mark.parametrize("shape", [Provider.CUSTOM, Provider.ANTHROPIC, Provider.GOOGLE, Provider.OLLAMA])
@pytest.mark.parametrize("provider", [Provider.CUSTOM, Provider.ANTHROPIC, Provider.GOOGLE])
def test_a_list_of_another_dialect_counts_where_calls_let_the_key_in(
    provider: Provider, shape: Provider
) -> None:
    """Seen at Ollama, LM Studio, llama.cpp and vLLM (Anthropic's calls) and LiteLLM (Google's)."""
    service = Service("other", "guarded", provider=provider, base="")

    def script(request: Request, connection: socket.socket) -> bytes:
        if request.method == "GET" and request.path == LISTED[provider]:
            return answer(200, LISTS[shape])
        return service(request, connection)

    with AnsweringServer(script) as server:
        good = ask.target(provider, server.origin, GOOD, scheme=AuthScheme.BEARER)
        report = ask.run_test(good)
        assert report.verdict.ok
        assert report.key is KeyVerdict.VERIFIED
        assert report.models
        assert "lists no models" not in report.verdict.advice
        known = replace(good, facts=report.facts or frozenset())
        assert ask.list_models(known).models == report.models
        revoked = ask.run_test(ask.target(provider, server.origin, BAD, scheme=AuthScheme.BEARER))
        assert revoked.verdict.outcome is Outcome.AUTH_ERROR


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("native", ["wrong method", "not found for want of a model", "absent"])
def test_a_server_without_ollamas_calls_is_said_to_be(native: str, listed: bool) -> None:
    """oai2ollama and vollama have Ollama's list, mlx_lm.server has neither."""

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path == "/api/tags" and listed:
            return answer(200, LISTS[Provider.OLLAMA])
        if request.path == "/v1/chat/completions" and request.method == "POST":
            return answer(400, b'{"error":"Request should be a JSON dictionary"}')
        if request.path == "/api/chat" and native == "wrong method":
            return answer(405 if request.method == "GET" else 400, b'{"error":"method not allowed"}')
        if request.path == "/api/chat" and native.startswith("not found") and request.method == "POST":
            return answer(404, b'{"error":"model \'\' not found"}')
        return answer(404, b"404 page not found")

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.OLLAMA, server.origin, None))
    assert report.verdict.ok
    assert ("has no /api/chat" in report.verdict.advice) is (native == "absent")
    assert (f"{server.origin}/v1" in report.verdict.advice) is (native == "absent")
