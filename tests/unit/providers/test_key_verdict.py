"""Green means proven: what a test says about the key of services that guard different things."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.errors import ProviderFailed
from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.model import Credentials
from nexo_daemon.domain.probing import TestReport
from nexo_daemon.domain.secret import Secret
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
BAD = "a-bad-key-9876543210"

Rule = Callable[[str], tuple[int, object]]
"""From the key that arrived to status and document."""


def _list(_key: str) -> tuple[int, object]:
    return 200, json.loads(LISTS[Provider.CUSTOM])


def always(status: int, document: object = None) -> Rule:
    return lambda _key: (status, {"error": {"message": "no"}} if document is None else document)


def guarded(inside: Rule, outside: Rule) -> Rule:
    return lambda key: inside(key) if key == GOOD else outside(key)


NO = always(401, {"error": {"message": "Invalid API key", "code": "invalid_api_key"}})
CANNOT_RUN = always(400, {"error": {"message": "messages: expected an array"}})


MISSING = always(404)


@dataclass(frozen=True)
class Service:
    """What a service does with its list, with a chat that cannot run, and at its key endpoint."""

    models: Rule = _list
    chat: Rule = MISSING
    endpoint: Rule = MISSING

    def __call__(self, request: Request, _connection: socket.socket) -> bytes:
        rule = {"/v1/models": self.models, "/v1/chat/completions": self.chat, "/v1/key": self.endpoint}.get(
            request.path, always(404)
        )
        if request.path == "/v1/chat/completions":
            if request.method == "GET":
                return answer(405, b"{}")
            assert json.loads(request.body) in (None, {"messages": 0}), "nothing that could run may be sent"
        status, document = rule(request.key)
        return answer(status, json.dumps(document).encode())


def outcome_of(service: Service, key: str | None, preset: str = "", **options: object) -> TestReport:
    with AnsweringServer(service) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", key, preset=preset, **options)  # type: ignore[arg-type]  # passed through
        report = ask.run_test(wanted)
        assert len(server.requests) <= 8
    return report


GUARDED_LIST = Service(models=guarded(_list, NO))
PUBLIC_LIST = Service(chat=guarded(CANNOT_RUN, NO))
PUBLIC_LIST_500 = Service(chat=guarded(always(500), NO))
OPEN = Service(chat=CANNOT_RUN)
NO_CHAT = Service()
LITELLM = Service(
    models=guarded(_list, always(400, {"error": {"message": "No connected db.", "type": "no_db_connection"}}))
)
XAI = Service(
    models=guarded(_list, always(400, {"code": "x", "error": "Incorrect API key provided: xx***yy."}))
)
LOGIN_PAGE = Service(models=guarded(_list, always(302)))
FORBIDDEN = Service(models=guarded(_list, always(403)))
KEY_ENDPOINT = Service(endpoint=guarded(always(200, {"data": {"limit_remaining": 4.25}}), NO))
SPENT = Service(chat=guarded(always(402), NO))


@pytest.mark.parametrize(
    ("service", "preset", "verdict", "status"),
    [
        (GUARDED_LIST, "", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (PUBLIC_LIST, "", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (PUBLIC_LIST_500, "", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (PUBLIC_LIST, "nvidia", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (OPEN, "", KeyVerdict.NOT_ENFORCED, LayerStatus.SKIPPED),
        (OPEN, "llamacpp", KeyVerdict.NOT_ENFORCED, LayerStatus.SKIPPED),
        (NO_CHAT, "", KeyVerdict.UNVERIFIED, LayerStatus.SKIPPED),
        (LITELLM, "litellm", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (XAI, "xai", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (LOGIN_PAGE, "", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (FORBIDDEN, "", KeyVerdict.VERIFIED, LayerStatus.PASSED),
        (KEY_ENDPOINT, "openrouter", KeyVerdict.VERIFIED, LayerStatus.PASSED),
    ],
)
def test_a_good_key(service: Service, preset: str, verdict: KeyVerdict, status: LayerStatus) -> None:
    report = outcome_of(service, GOOD, preset)
    assert report.verdict.ok, report
    assert report.key is verdict
    assert ask.layer(report, Layer.AUTHENTICATED).status is status
    assert ("key_verified" in report.proven) is (verdict is KeyVerdict.VERIFIED)
    assert "reachable" in report.proven


@pytest.mark.parametrize(
    ("service", "preset"),
    [
        (GUARDED_LIST, ""),
        (PUBLIC_LIST, ""),
        (PUBLIC_LIST_500, ""),
        (PUBLIC_LIST, "huggingface"),
        (LITELLM, "litellm"),
        (XAI, "xai"),
        (KEY_ENDPOINT, "openrouter"),
    ],
)
def test_a_bad_key_is_never_green(service: Service, preset: str) -> None:
    with AnsweringServer(service) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", BAD, preset=preset)
        assert ask.run_test(replace(wanted, credentials=Credentials(api_key=Secret(GOOD)))).verdict.ok
    report = outcome_of(service, BAD, preset)
    assert report.verdict.outcome is Outcome.AUTH_ERROR
    assert report.key is KeyVerdict.UNVERIFIED
    assert ask.layer(report, Layer.AUTHENTICATED).status is LayerStatus.FAILED
    assert ask.layer(report, Layer.MODEL_LISTED).status is LayerStatus.NOT_REACHED
    assert not {"key_verified", "key_accepted"} & set(report.proven)


@pytest.mark.parametrize(("service", "preset"), [(PUBLIC_LIST, ""), (KEY_ENDPOINT, "openrouter")])
def test_no_key_where_only_the_list_is_public_is_not_green(service: Service, preset: str) -> None:
    report = outcome_of(service, None, preset)
    assert report.verdict.outcome is Outcome.AUTH_ERROR
    assert report.key is KeyVerdict.NONE


@pytest.mark.parametrize("service", [OPEN, NO_CHAT])
def test_no_key_where_none_is_asked_for_is_green(service: Service) -> None:
    report = outcome_of(service, None)
    assert report.verdict.ok
    assert report.key is KeyVerdict.NONE
    assert ask.layer(report, Layer.AUTHENTICATED).status is LayerStatus.SKIPPED


def test_a_key_that_is_not_sent_is_not_verified() -> None:
    report = outcome_of(OPEN, GOOD, scheme=AuthScheme.NONE)
    assert report.verdict.ok
    assert report.key is KeyVerdict.UNVERIFIED


def test_a_credential_in_a_custom_header_is_a_key_as_well() -> None:
    with AnsweringServer(GUARDED_LIST) as server:
        headers = (("Authorization", f"Bearer {GOOD}"),)
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", None, headers=headers))
    assert report.verdict.ok
    assert report.key is KeyVerdict.VERIFIED


def test_an_empty_account_is_found_by_the_request_that_cannot_run() -> None:
    report = outcome_of(SPENT, GOOD)
    assert report.verdict.outcome is Outcome.QUOTA_EXHAUSTED
    assert report.key is KeyVerdict.VERIFIED
    assert "key_accepted" in report.proven


def test_the_key_endpoint_tells_what_is_left() -> None:
    assert "4.25" in ask.layer(outcome_of(KEY_ENDPOINT, GOOD, "openrouter"), Layer.AUTHENTICATED).evidence


def test_a_control_that_meets_a_rate_limit_proves_nothing() -> None:
    service = Service(models=guarded(_list, always(429)))
    assert outcome_of(service, GOOD).key is KeyVerdict.UNVERIFIED


def test_a_missing_scope_proves_the_key() -> None:
    scope = always(401, {"error": {"message": "Missing scopes: api.model.read", "code": None}})
    report = outcome_of(Service(models=scope), GOOD)
    assert report.verdict.outcome is Outcome.PERMISSION
    assert report.key is KeyVerdict.VERIFIED


@pytest.mark.parametrize(
    ("service", "preset", "key", "outcome"),
    [
        (KEY_ENDPOINT, "openrouter", GOOD, Outcome.OK),
        (KEY_ENDPOINT, "openrouter", BAD, Outcome.AUTH_ERROR),
        (PUBLIC_LIST, "ollama-cloud", GOOD, Outcome.OK),
        (PUBLIC_LIST, "ollama-cloud", BAD, Outcome.AUTH_ERROR),
        (Service(models=always(404), chat=guarded(CANNOT_RUN, NO)), "perplexity", GOOD, Outcome.OK),
        (Service(models=always(404), chat=guarded(CANNOT_RUN, NO)), "perplexity", BAD, Outcome.AUTH_ERROR),
    ],
)
def test_a_periodic_check_of_a_public_list_asks_where_the_key_counts(
    service: Service, preset: str, key: str, outcome: Outcome
) -> None:
    with AnsweringServer(service) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", key, preset=preset)
        assert ask.check(wanted).outcome is outcome
        assert len(server.requests) == 1
        assert ask.run_test(wanted).verdict.outcome is outcome


@pytest.mark.parametrize("preset", ["openrouter", "nvidia"])
def test_a_stand_in_without_the_special_path_is_checked_by_its_list(preset: str) -> None:
    with AnsweringServer(GUARDED_LIST) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD, preset=preset)
        assert ask.check(wanted).ok
        bad = ask.target(Provider.CUSTOM, f"{server.origin}/v1", BAD, preset=preset)
        assert ask.check(bad).outcome is Outcome.AUTH_ERROR


def test_a_service_without_a_list_says_so() -> None:
    with pytest.raises(ProviderFailed, match="has no model list"):
        ask.list_models(ask.target(Provider.CUSTOM, "http://127.0.0.1:9/v1", GOOD, preset="perplexity"))


def test_anthropic_credit_is_seen_without_spending() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path == "/v1/messages/count_tokens":
            body = {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"},
            }
            return answer(400, json.dumps(body).encode())
        if request.key != GOOD:
            return answer(
                401, b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}'
            )
        return answer(200, LISTS[Provider.ANTHROPIC])

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.ANTHROPIC, server.origin, GOOD))
        assert all("generate" not in r.path and r.path != "/v1/messages" for r in server.requests)
    assert report.verdict.outcome is Outcome.QUOTA_EXHAUSTED
    assert report.key is KeyVerdict.VERIFIED


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ({"is_available": True, "balance_infos": []}, Outcome.OK),
        ({"is_available": False, "balance_infos": []}, Outcome.QUOTA_EXHAUSTED),
        ({"something": "else"}, Outcome.OK),
        (None, Outcome.OK),
    ],
)
def test_the_balance_of_deepseek_is_looked_at(document: object, outcome: Outcome) -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.key != GOOD:
            return answer(401, b"{}")
        if request.path == "/user/balance" and document is not None:
            return answer(200, json.dumps(document).encode())
        return answer(*((200, LISTS[Provider.CUSTOM]) if request.path == "/v1/models" else (404, b"{}")))

    with AnsweringServer(script) as server:
        wanted = ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD, preset="deepseek")
        report = ask.run_test(wanted)
        assert report.verdict.outcome is outcome
        assert report.key is KeyVerdict.VERIFIED
        assert ask.check(wanted).ok, "a periodic check does not ask for money"


def test_layers_are_announced_once_each_and_in_order() -> None:
    seen: list[ask.LayerResult] = []
    with AnsweringServer(GUARDED_LIST) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD), seen=seen)
    assert tuple(seen) == report.layers
    assert [reported.layer for reported in seen] == list(Layer)
    timed = [reported for reported in seen if reported.elapsed_s is not None]
    assert sum(reported.elapsed_s or 0.0 for reported in timed) <= report.elapsed_s * 1.5
