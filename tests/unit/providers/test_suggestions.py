"""What is suggested was tried, on the host that the key was meant for."""

import json
import socket

import pytest

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.terms import Outcome, Provider
from nexo_daemon.domain.probing import Suggestion, TestReport, Verdict
from nexo_daemon.providers.suggestions import trials_for
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
LIST_PATHS = {
    Provider.OPENAI: "/v1/models",
    Provider.CUSTOM: "/v1/models",
    Provider.ANTHROPIC: "/v1/models",
    Provider.GOOGLE: "/v1beta/models",
    Provider.OLLAMA: "/api/tags",
}


def service_of(provider: Provider, list_path: str = "") -> AnsweringServer:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path != (list_path or LIST_PATHS[provider]):
            return answer(404, b"404 page not found", (("Content-Type", "text/plain"),))
        if request.key != GOOD:
            return answer(401, b'{"error":{"message":"Incorrect API key provided"}}')
        return answer(200, LISTS[provider])

    return AnsweringServer(script)


def only(report: TestReport, field: str) -> Suggestion:
    (found,) = [suggestion for suggestion in report.suggestions if suggestion.field == field]
    return found


@pytest.mark.parametrize(
    ("provider", "typed", "right"),
    [
        (Provider.OPENAI, "", "/v1"),
        (Provider.OPENAI, "/v1/v1", "/v1"),
        (Provider.OPENAI, "/v1/chat/completions", "/v1"),
        (Provider.OPENAI, "/v1/models", "/v1"),
        (Provider.OPENAI, "/v1/models/", "/v1"),
        (Provider.OPENAI, "/nonsense", "/v1"),
        (Provider.CUSTOM, "", "/v1"),
        (Provider.CUSTOM, "/v1/responses", "/v1"),
        (Provider.ANTHROPIC, "/v1", ""),
        (Provider.ANTHROPIC, "/v1/messages", ""),
        (Provider.GOOGLE, "/v1beta", ""),
        (Provider.GOOGLE, "/v1", ""),
        (Provider.GOOGLE, "/v1beta/models", ""),
        (Provider.OLLAMA, "/v1", ""),
        (Provider.OLLAMA, "/api", ""),
        (Provider.OLLAMA, "/api/tags", ""),
    ],
)
def test_the_right_path_is_found(provider: Provider, typed: str, right: str) -> None:
    with service_of(provider) as server:
        report = ask.run_test(ask.target(provider, server.origin + typed, GOOD))
        suggestion = only(report, "base_url")
        assert report.verdict.outcome is Outcome.NOT_COMPATIBLE
        assert suggestion.value == server.origin + right
        assert suggestion.verified
        assert ask.check(ask.target(provider, suggestion.value, GOOD)).ok


@pytest.mark.parametrize("right", ["/api/v1", "/openai/v1"])
def test_the_paths_of_well_known_gateways_are_tried(right: str) -> None:
    with service_of(Provider.CUSTOM, f"{right}/models") as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, server.origin, GOOD))
        assert only(report, "base_url").value == server.origin + right


def test_a_right_path_with_a_wrong_key_is_offered_as_unproven() -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, server.origin, "a-bad-key-9876543210"))
        suggestion = only(report, "base_url")
        assert suggestion.value == f"{server.origin}/v1"
        assert not suggestion.verified
        assert "invalid key" in suggestion.text


def test_lm_studio_without_v1() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path.startswith("/v1/"):
            return answer(200, LISTS[Provider.CUSTOM])
        error = f"Unexpected endpoint or method. (GET {request.path}). Returning 200 anyway"
        return answer(200, json.dumps({"error": error}).encode())

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, server.origin, None, preset="lmstudio"))
        assert report.verdict.reason == "unknown_path"
        assert only(report, "base_url").value == f"{server.origin}/v1"


@pytest.mark.parametrize(
    ("pasted", "fixes"),
    [
        (f'"{GOOD}"', ["strip_quotes"]),
        (f"Bearer {GOOD}", ["strip_auth_prefix"]),
        (f" {GOOD}\n", ["strip_white_space"]),
        (f"OPENAI_API_KEY={GOOD}", ["strip_assignment"]),
    ],
)
def test_a_cleaned_key_is_tried(pasted: str, fixes: list[str]) -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", pasted))
    assert not report.verdict.ok
    assert [(s.fix, s.verified, s.value) for s in report.suggestions] == [(fix, True, "") for fix in fixes]
    assert GOOD not in repr(report)


def test_a_cleaned_key_that_is_still_wrong_is_not_called_verified() -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", '"another-key-00000"'))
    assert [(s.fix, s.verified) for s in report.suggestions] == [("strip_quotes", False)]


def test_a_foreign_key_is_a_warning_beside_the_verdict() -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", "sk-ant-api03-0123456789"))
    assert report.verdict.outcome is Outcome.AUTH_ERROR
    assert "Anthropic" in only(report, "api_key").text


def test_another_header_for_the_key_is_tried() -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.headers.get("api-key") == GOOD:
            return answer(200, LISTS[Provider.CUSTOM])
        return answer(
            401, b'{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}'
        )

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, f"{server.origin}/v1", GOOD))
    suggestion = only(report, "auth_scheme")
    assert suggestion.value == "api-key"
    assert suggestion.verified


def test_localhost_that_listens_on_one_family_only() -> None:
    """[::1] was typed, the server listens on 127.0.0.1."""
    with service_of(Provider.OLLAMA) as server:
        report = ask.run_test(ask.target(Provider.OLLAMA, f"http://[::1]:{server.port}", GOOD))
        assert report.verdict.reason in ("refused", "no_route")
        assert only(report, "base_url").value == server.origin


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("127.0.0.1:{port}/v1", "http://127.0.0.1:{port}/v1"),
        ("http:/127.0.0.1:{port}/v1", "http://127.0.0.1:{port}/v1"),
        (" http://127.0.0.1:{port} /v1", "http://127.0.0.1:{port}/v1"),
        ("http://http://127.0.0.1:{port}/v1", "http://127.0.0.1:{port}/v1"),
        ('"http://127.0.0.1:{port}/v1"', "http://127.0.0.1:{port}/v1"),
    ],
)
def test_a_mistyped_url_is_repaired(typed: str, right: str) -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, typed.format(port=server.port), GOOD))
        assert report.verdict.outcome is Outcome.CONFIG_ERROR
        suggestion = only(report, "base_url")
        assert suggestion.value == right.format(port=server.port)
        assert suggestion.verified


def test_nothing_is_suggested_when_all_is_well() -> None:
    with service_of(Provider.OPENAI) as server:
        assert ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", GOOD)).suggestions == ()


@pytest.mark.parametrize("reason", ["tls_not_spoken", "tls_handshake", "timeout", "refused", "reset", "dns"])
@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "https://10.0.0.8:8443/v1", "http://api.example/v1"]
)
def test_a_key_is_never_tried_elsewhere_or_in_the_clear(url: str, reason: str) -> None:
    wanted = ask.target(Provider.CUSTOM, url, GOOD)
    for trial in trials_for(wanted, Verdict(Outcome.UNREACHABLE, reason=reason)):
        assert trial.target.base_url.startswith("https://")
        assert trial.target.base_url.split("/")[2].split(":")[0] == url.split("/")[2].split(":")[0]


def test_a_redirect_to_another_host_is_not_tried() -> None:
    wanted = ask.target(Provider.CUSTOM, "http://api.example/v1", GOOD)
    for trial in trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE, reason="redirect")):
        assert "//api.example" in trial.target.base_url


def test_the_model_that_was_meant() -> None:
    with service_of(Provider.OPENAI) as server:
        report = ask.run_test(ask.target(Provider.OPENAI, f"{server.origin}/v1", GOOD, model="gpt5-nano"))
    assert (report.verdict.outcome, report.verdict.reason) == (Outcome.NOT_COMPATIBLE, "model_not_listed")
    suggestion = only(report, "default_model")
    assert suggestion.value == "gpt-5-nano"
    assert suggestion.verified
