"""What people paste as an address ends at the address they meant, and at no other host."""

import json
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo_client.terms import AuthScheme, Outcome, Provider
from nexo_daemon.domain.errors import InvalidField
from nexo_daemon.domain.pasted import read_address
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.domain.url import normalize_base_url
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.suggestions import MOST_TRIALS, trials_for
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
MEANT = "https://api.example.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"

SLIPS = [
    ('"https://api.example.com/v1"', MEANT),
    ("'https://api.example.com/v1'", MEANT),
    ("“https://api.example.com/v1”", MEANT),
    ("`https://api.example.com/v1`", MEANT),
    ("<https://api.example.com/v1>", MEANT),
    ("(https://api.example.com/v1)", MEANT),
    ("[the API](https://api.example.com/v1)", MEANT),
    ("https:/api.example.com/v1", MEANT),
    ("https:///api.example.com/v1", MEANT),
    ("https//api.example.com/v1", MEANT),
    ("https;//api.example.com/v1", MEANT),
    ("https:api.example.com/v1", MEANT),
    ("htps://api.example.com/v1", MEANT),
    ("https:\\\\api.example.com\\v1", MEANT),
    ("https：//api.example.com/v1", MEANT),
    ("https：／／api．example．com／v1", MEANT),
    ("https://https://api.example.com/v1", MEANT),
    ("http://https://api.example.com/v1", MEANT),
    ("https://api.example.com/v1.", MEANT),
    ("https://api.example.com/v1,", MEANT),
    ("https://api.example.com/v1；", MEANT),
    ("https://api.example.com\n/v1", MEANT),
    ("https://api.example.com/v1\u200b", MEANT),
    ("https://api.example.com/v1/#", MEANT),
    ("https://api.example.com/v1?api-version=2024-10-21", MEANT),
    ("api.example.com/v1", MEANT),
    ("//api.example.com/v1", MEANT),
    ("OPENAI_BASE_URL=https://api.example.com/v1", MEANT),
    ('export OPENAI_BASE_URL="https://api.example.com/v1"', MEANT),
    ('$env:OPENAI_BASE_URL = "https://api.example.com/v1"', MEANT),
    ('"base_url": "https://api.example.com/v1",', MEANT),
    ("base_url: https://api.example.com/v1", MEANT),
    ("curl https://api.example.com/v1", MEANT),
    ("curl -X POST 'https://api.example.com/v1' -H 'Authorization: Bearer sk-1'", MEANT),
    ("the address is https://api.example.com/v1 for us", MEANT),
    ("127.0.0.1:8000/v1", LOCAL),
    ("0.0.0.0:8000/v1", LOCAL),
    ("http://0.0.0.0:8000/v1", LOCAL),
    (":8000/v1", LOCAL),
    ("curl 127.0.0.1:8000/v1", LOCAL),
    ("localhost:11434", "http://localhost:11434"),
    ("192.168.1.20:8080", "http://192.168.1.20:8080"),
    ("box.local:1234/v1", "http://box.local:1234/v1"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("http://[::]:8000", "http://[::1]:8000"),
]


@pytest.mark.parametrize(("pasted", "meant"), SLIPS)
def test_a_slip_is_repaired_before_it_is_refused(pasted: str, meant: str) -> None:
    assert normalize_base_url(read_address(pasted)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "ftp://api.example.com/v1",
        "hello",
        "https://",
        "https://ho st/v1",
        "https://user:password@api.example.com/v1",
        "https://api.example.com/v1?key=sk-1234",
        "https://api.example.com/v1?api-version=1&api_key=sk-1234",
        "http://localhost:43923\\@127.0.0.1:44769/v1",
    ],
)
def test_what_is_no_slip_stays_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        normalize_base_url(read_address(text))


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    *'"<>()[]:/\\.@#?&= \n-',
                    "http",
                    "https",
                    "://",
                    "localhost",
                    "127.0.0.1",
                    "a.example",
                    ":80",
                    *("/v1", "curl ", "KEY=", "：", "／", "0.0.0.0", "[::1]", "?key=x", "“"),
                ]
            ),
            max_size=9,
        ).map("".join),
    )
)
def test_reading_and_normalising_is_idempotent(text: str) -> None:
    try:
        once = normalize_base_url(read_address(text))
    except InvalidField:
        return
    assert normalize_base_url(once) == once
    assert normalize_base_url(read_address(once)) == once
    assert urlsplit(once).hostname


@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True),
    st.integers(1, 65535),
    st.from_regex(r"(/[a-z0-9][a-z0-9._~-]{0,6}[a-z0-9]){0,3}", fullmatch=True),
)
def test_an_address_that_is_right_is_left_alone(scheme: str, host: str, port: int, path: str) -> None:
    url = f"{scheme}://{host}:{port}{path}"
    assert read_address(url) == url


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("https://open.bigmodel.cn", "https://open.bigmodel.cn/api/paas/v4"),
        ("https://api.z.ai/v1", "https://api.z.ai/api/paas/v4"),
        ("https://ark.cn-beijing.volces.com/v1", "https://ark.cn-beijing.volces.com/api/v3"),
        ("https://dashscope.aliyuncs.com/api/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("https://dashscope-intl.aliyuncs.com", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        (
            "https://generativelanguage.googleapis.com/v1beta",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        ("https://api.cohere.com/v2/chat", "https://api.cohere.com/compatibility/v1"),
        ("https://api.deepinfra.com/v1/inference", "https://api.deepinfra.com/v1/openai"),
        (
            "https://api.cloudflare.com/client/v4/accounts/abc123/ai/run/@cf/meta/llama",
            "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1",
        ),
        ("https://models.github.ai", "https://models.github.ai/inference"),
        (
            "https://me.openai.azure.com/openai/deployments/d/chat/completions",
            "https://me.openai.azure.com/openai/v1",
        ),
        (
            "https://me.services.ai.azure.com/api/projects/p",
            "https://me.services.ai.azure.com/openai/v1",
        ),
        ("https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("https://api.fireworks.ai/v1/chat/completions", "https://api.fireworks.ai/inference/v1"),
        ("https://api.perplexity.ai/v1", "https://api.perplexity.ai"),
        ("https://qianfan.baidubce.com/v1", "https://qianfan.baidubce.com/v2"),
        ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.NOT_COMPATIBLE, Outcome.AUTH_ERROR, Outcome.PERMISSION])
def test_known_hosts_know_their_own_path(pasted: str, found: str, outcome: Outcome) -> None:
    trials = trials_for(ask.target(Provider.CUSTOM, pasted, GOOD), Verdict(outcome))
    assert next(t.value for t in trials if t.field == "base_url") == found


def test_a_web_page_leads_to_the_api_of_its_vendor_without_the_key() -> None:
    wanted = ask.target(Provider.OPENAI, "https://platform.openai.com/api-keys", GOOD)
    first = trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE, "not_json"))[0]
    assert first.value == "https://api.openai.com/v1"
    assert first.elsewhere(wanted)


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.base_url])
def test_the_path_of_a_preset_is_among_the_trials(preset: str) -> None:
    own = urlsplit(PRESETS[preset].base_url).path
    wanted = ask.target(Provider.CUSTOM, "http://127.0.0.1:9/somewhere", GOOD, preset=preset)
    tried = [t.value for t in trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE))]
    assert f"http://127.0.0.1:9{own}" in tried[:MOST_TRIALS]


@pytest.mark.parametrize("right", ["/v1", "/api/v1", "/openai/v1", "/api", "/engines/v1", "/openai", ""])
@pytest.mark.parametrize(
    "typed", ["/chat/completions", "/v1/messages", "/ui/settings", "/v1beta/models/m:generateContent"]
)
def test_trials_begin_at_the_origin_as_well(right: str, typed: str) -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path != f"{right}/models":
            return answer(404, b'{"detail":"Not Found"}')
        if request.key != GOOD:
            return answer(401, b'{"error":{"message":"Incorrect API key provided"}}')
        return answer(200, LISTS[Provider.CUSTOM])

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, server.origin + typed, GOOD))
        (found,) = [s for s in report.suggestions if s.field == "base_url"]
        assert (found.value, found.verified) == (server.origin + right, True)


def test_the_router_that_runs_everything_is_green_and_never_asked_to_run_in_a_check() -> None:
    ran: list[Request] = []

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "POST" and request.path == "/v1/chat/completions":
            ran.append(request)
            return answer(200, json.dumps({"choices": [{"message": {"content": "hi"}}]}).encode())
        return answer(404, b'{"message":"Route not found","error":"Not Found","statusCode":404}')

    with AnsweringServer(script) as server:
        wanted = ask.target(
            Provider.CUSTOM,
            f"{server.origin}/v1",
            None,
            preset="claude-code-router",
            scheme=AuthScheme.BEARER,
        )
        assert ask.check(wanted).ok
        assert not ran
        assert ask.run_test(wanted).verdict.ok
        assert len(ran) == 1
