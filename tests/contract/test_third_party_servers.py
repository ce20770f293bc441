"""The same verdicts with servers from other projects: nginx and aimock."""

import itertools
from collections.abc import Iterator

import pytest

import probing_help as ask
from certificates import DAY, Authority, make_authority
from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nginx_server import Site, can_serve, location_of, quoted, serving
from recorded_answers import CANARY, LISTS, RECORDED, Recorded
from thirdparty import aimock
from thirdparty.aimock import Aimock

BAD = "a-bad-key-9876543210-xyz"

SERVED = [recorded for recorded in RECORDED if can_serve(recorded)]


@pytest.fixture(scope="module")
def recorded_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    locations = [location_of(recorded, number) for number, recorded in enumerate(SERVED)]
    with serving(tmp_path_factory.mktemp("nginx"), locations) as site:
        yield site


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(("number", "recorded"), list(enumerate(SERVED)), ids=[r.name for r in SERVED])
def test_recorded_answers_from_nginx(recorded_site: Site, number: int, recorded: Recorded) -> None:
    verdict = ask.check(ask.target(recorded.provider, f"{recorded_site.origin}/{number}", CANARY))
    assert (verdict.outcome, verdict.reason) == (recorded.outcome, recorded.reason)
    assert verdict.http_status == recorded.status
    assert CANARY not in repr(verdict)


# -- nginx as a gateway: keys, redirects, hang-ups, TLS

GATEWAY_MAPS = f"""
map $http_authorization $key_is {{ default bad; "" none; "Bearer {CANARY}" good; }}
map $key_is $list_status {{ default 401; good 200; }}
"""
GATEWAY = [
    "location = /v1/models { if ($key_is != good) { return 401 "
    + quoted('{"error":{"message":"Invalid API Key","code":"invalid_api_key"}}')
    + "; } default_type application/json; return 200 "
    + quoted(LISTS[Provider.CUSTOM].decode())
    + "; }",
    "location = /public/v1/models { default_type application/json; return 200 "
    + quoted(LISTS[Provider.CUSTOM].decode())
    + "; }",
    "location = /public/v1/chat/completions { default_type application/json;"
    + " if ($key_is != good) { return 401 "
    + quoted('{"error":"unauthorized"}')
    + "; } return 400 "
    + quoted('{"error":{"message":"messages: expected an array"}}')
    + "; }",
    "location = /moved/v1/models { return 301 /v1/models; }",
    "location = /hangup/v1/models { return 444; }",
    "location = /down/v1/models { proxy_pass http://127.0.0.1:9; }",
    "location / { return 404; }",
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Site]:
    authority.server("good")
    authority.server("expired", starts=-2 * DAY, ends=-DAY)
    authority.server("wrong-host", hosts=("other.example",))
    authority.server("self-signed", self_signed=True)
    files = {
        name: authority.directory / f"{name}.pem" for name in ("good", "expired", "wrong-host", "self-signed")
    }
    with serving(tmp_path_factory.mktemp("nginx"), GATEWAY, maps=GATEWAY_MAPS, tls=files) as site:
        yield site


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(
    ("path", "key", "outcome", "reason", "verdict"),
    [
        ("/v1", CANARY, Outcome.OK, "", KeyVerdict.VERIFIED),
        ("/v1", BAD, Outcome.AUTH_ERROR, "invalid_key", KeyVerdict.UNVERIFIED),
        ("/v1", None, Outcome.AUTH_ERROR, "missing_key", KeyVerdict.NONE),
        ("/public/v1", CANARY, Outcome.OK, "", KeyVerdict.VERIFIED),
        ("/public/v1", BAD, Outcome.AUTH_ERROR, "invalid_key", KeyVerdict.UNVERIFIED),
        ("/public/v1", None, Outcome.AUTH_ERROR, "missing_key", KeyVerdict.NONE),
        ("/moved/v1", CANARY, Outcome.NOT_COMPATIBLE, "redirect", KeyVerdict.UNVERIFIED),
        ("/hangup/v1", CANARY, Outcome.UNREACHABLE, "reset", KeyVerdict.UNVERIFIED),
        ("/down/v1", CANARY, Outcome.PROVIDER_DOWN, "gateway", KeyVerdict.UNVERIFIED),
        ("/nothing/v1", CANARY, Outcome.NOT_COMPATIBLE, "not_json", KeyVerdict.UNVERIFIED),
    ],
)
def test_nginx_as_a_gateway(
    gateway: Site, path: str, key: str | None, outcome: Outcome, reason: str, verdict: KeyVerdict
) -> None:
    report = ask.run_test(ask.target(Provider.CUSTOM, gateway.origin + path, key))
    assert (report.verdict.outcome, report.verdict.reason) == (outcome, reason)
    assert report.key is verdict
    assert BAD not in repr(report)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("good", ""),
        ("expired", "tls_expired"),
        ("wrong-host", "tls_hostname"),
        ("self-signed", "tls_self_signed"),
    ],
)
def test_nginx_with_certificates(gateway: Site, authority: Authority, certificate: str, reason: str) -> None:
    network = NetworkProfile(proxy=ProxyMode.DIRECT, ca_bundle=authority.bundle)
    url = f"https://localhost:{gateway.tls_ports[certificate]}/v1"
    report = ask.run_test(ask.target(Provider.CUSTOM, url, CANARY, network=network))
    assert report.verdict.reason == reason
    assert ask.layer(report, Layer.TLS).status is (LayerStatus.FAILED if reason else LayerStatus.PASSED)


@pytest.mark.needs("nginx")
def test_http_to_the_tls_port_of_nginx(gateway: Site, authority: Authority) -> None:
    network = NetworkProfile(proxy=ProxyMode.DIRECT, ca_bundle=authority.bundle)
    url = f"http://127.0.0.1:{gateway.tls_ports['good']}/v1"
    report = ask.run_test(ask.target(Provider.CUSTOM, url, CANARY, network=network))
    assert report.verdict.reason == "tls_expected"
    # Another scheme is another place for the key: found, and not tried without consent.
    (suggestion,) = report.suggestions
    assert (suggestion.value, suggestion.verified) == (url.replace("http:", "https:"), False)


@pytest.mark.needs("nginx")
def test_https_to_the_plain_port_of_nginx(gateway: Site) -> None:
    report = ask.run_test(ask.target(Provider.CUSTOM, f"https://127.0.0.1:{gateway.port}/v1", CANARY))
    assert report.verdict.reason == "tls_not_spoken"
    (suggestion,) = report.suggestions
    assert (suggestion.value, suggestion.verified) == (f"{gateway.origin}/v1", False)


# -- aimock, alone and with the gaps filled by nginx


@pytest.fixture(scope="module")
def mock() -> Iterator[Aimock]:
    with aimock.running() as server:
        yield server


@pytest.mark.needs("node")
@pytest.mark.parametrize(
    "scheme", [AuthScheme.BEARER, AuthScheme.X_API_KEY, AuthScheme.X_GOOG_API_KEY, AuthScheme.API_KEY]
)
def test_every_auth_style_against_aimock(mock: Aimock, scheme: AuthScheme) -> None:
    good = ask.target(Provider.CUSTOM, f"{mock.origin}/v1", mock.key, scheme=scheme)
    report = ask.run_test(good)
    assert report.verdict.ok, report
    assert report.key is KeyVerdict.VERIFIED
    assert report.models
    bad = ask.run_test(ask.target(Provider.CUSTOM, f"{mock.origin}/v1", BAD, scheme=scheme))
    assert bad.verdict.outcome is Outcome.AUTH_ERROR
    none = ask.run_test(ask.target(Provider.CUSTOM, f"{mock.origin}/v1", None, scheme=scheme))
    assert none.verdict.outcome is Outcome.AUTH_ERROR


@pytest.mark.needs("node")
@pytest.mark.parametrize(
    ("provider", "path", "preset"),
    [
        (Provider.OPENAI, "/v1", ""),
        (Provider.CUSTOM, "/v1", ""),
        (Provider.OLLAMA, "", ""),
        (Provider.CUSTOM, "/api/v1", "openrouter"),
    ],
)
@pytest.mark.parametrize("key", ["good", "bad"])
def test_faces_of_aimock(mock: Aimock, provider: Provider, path: str, preset: str, key: str) -> None:
    wanted = ask.target(provider, mock.origin + path, mock.key if key == "good" else BAD, preset=preset)
    report = ask.run_test(wanted)
    if key == "good":
        assert report.verdict.ok, report
        assert report.key is KeyVerdict.VERIFIED
        assert ask.check(wanted).ok
    else:
        assert report.verdict.outcome is Outcome.AUTH_ERROR
        assert ask.check(wanted).outcome is Outcome.AUTH_ERROR


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, mock: Aimock) -> Iterator[Site]:
    """aimock behind nginx, which adds the two lists that aimock does not have."""
    guard = f"""
    map $http_x_api_key $anthropic {{ default bad; {quoted(mock.key)} good; }}
    map $http_x_goog_api_key $google {{ default bad; {quoted(mock.key)} good; }}
    """
    refused = quoted('{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}')
    invalid = quoted('{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}')
    locations = [
        "location = /v1/models { default_type application/json;"
        f" if ($anthropic != good) {{ return 401 {refused}; }}"
        f" return 200 {quoted(LISTS[Provider.ANTHROPIC].decode())}; }}",
        "location = /v1beta/models { default_type application/json;"
        f" if ($google != good) {{ return 400 {invalid}; }}"
        f" return 200 {quoted(LISTS[Provider.GOOGLE].decode())}; }}",
        f"location / {{ proxy_pass {mock.origin}; }}",
    ]
    with serving(tmp_path_factory.mktemp("filled"), locations, maps=guard) as site:
        yield site


@pytest.mark.needs("node", "nginx")
@pytest.mark.parametrize(
    ("provider", "key"), list(itertools.product((Provider.ANTHROPIC, Provider.GOOGLE), ("good", "bad")))
)
def test_aimock_with_its_gaps_filled(filled: Site, mock: Aimock, provider: Provider, key: str) -> None:
    report = ask.run_test(ask.target(provider, filled.origin, mock.key if key == "good" else BAD))
    if key == "good":
        assert report.verdict.ok, report
        assert report.key is KeyVerdict.VERIFIED
    else:
        assert report.verdict.outcome is Outcome.AUTH_ERROR


@pytest.mark.needs("node", "nginx")
@pytest.mark.parametrize("provider", Provider)
def test_a_completion_by_aimock(
    filled: Site, mock: Aimock, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aimock answers what it was told to; our prompt is not among it.
    monkeypatch.setattr("nexo_daemon.providers.completion.PROMPT", "a question")
    direct = provider in (Provider.OPENAI, Provider.OLLAMA, Provider.CUSTOM)
    origin = mock.origin if direct else filled.origin
    report = ask.run_test(ask.target(provider, origin + ask.BASE_PATHS[provider], mock.key), completion=True)
    assert report.verdict.ok, report
    assert "completion" in report.proven
    assert ask.layer(report, Layer.COMPLETION).status is LayerStatus.PASSED
