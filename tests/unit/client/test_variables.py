"""The environment of a program: a key never stands there without the address that belongs to it."""

import json
from pathlib import Path

import pytest

from nexo.connections import run_marks
from nexo.connections.terms import AuthScheme, Provider
from nexo_cli.cmds.run import environment_for
from nexo_client import addresses, variables
from nexo_client.types import Gateway, Headers, NetworkProfile, ResolvedConnection
from nexo_client.variables import VARIABLES, Role
from unit.client.test_values import KEY, resolved

VENDORS = {
    Provider.OPENAI: "https://api.openai.com/v1",
    Provider.ANTHROPIC: "https://api.anthropic.com",
    Provider.GOOGLE: "https://generativelanguage.googleapis.com",
}
OWN = {
    Provider.OPENAI: "https://gateway.example/v1",
    Provider.CUSTOM: "https://gateway.example/team/v1",
    Provider.ANTHROPIC: "http://127.0.0.1:4000",
    Provider.GOOGLE: "https://gateway.example/gemini/v1beta",
    Provider.OLLAMA: "http://gpu.lan:11434",
}
SCHEMES = {
    Provider.ANTHROPIC: (AuthScheme.X_API_KEY, AuthScheme.BEARER),
    Provider.GOOGLE: (AuthScheme.X_GOOG_API_KEY,),
}
CASES = [
    (provider, url, scheme)
    for urls in (VENDORS, OWN)
    for provider, url in urls.items()
    for scheme in SCHEMES.get(provider, (AuthScheme.BEARER, AuthScheme.API_KEY))
]

# Which addresses does a program look at that reads this key? From the programs themselves (docs/programs.md).
READ_WITH = {
    "OPENAI_API_KEY": {
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "OPENAI_API_BASE_URL",
        "OPENAI_API_ENDPOINT",
    },
    "COPILOT_PROVIDER_API_KEY": {"COPILOT_PROVIDER_BASE_URL"},
    "ANTHROPIC_API_KEY": {
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_URL",
        "ANTHROPIC_API_BASE",
        "ANTHROPIC_API_BASE_URL",
        "ANTHROPIC_API_ENDPOINT",
        "ANTHROPIC_HOST",
    },
    "ANTHROPIC_AUTH_TOKEN": {"ANTHROPIC_BASE_URL"},
    "GOOGLE_API_KEY": {"GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE", "GOOGLE_HOST"},
    "GEMINI_API_KEY": {"GOOGLE_GEMINI_BASE_URL", "GEMINI_API_BASE", "GEMINI_API_ENDPOINT"},
    "OLLAMA_API_KEY": {"OLLAMA_HOST", "OLLAMA_API_BASE"},
    "GOOGLE_GENERATIVE_AI_API_KEY": set(),
    "LLM_GEMINI_KEY": set(),
}


def connection(provider: Provider, url: str, scheme: AuthScheme, **more: object) -> ResolvedConnection:
    given = {"headers": Headers(), "network": NetworkProfile(), "model": "m"} | more
    return resolved(provider=provider, base_url=url, auth_scheme=scheme, **given)


def test_every_key_of_the_table_has_its_readers_here() -> None:
    assert {one.name for one in VARIABLES if one.role is Role.KEY} == set(READ_WITH)


@pytest.mark.parametrize("openai_face", [False, True])
@pytest.mark.parametrize(("provider", "url", "scheme"), CASES)
def test_a_key_is_set_with_every_address_that_its_readers_know(
    provider: Provider, url: str, scheme: AuthScheme, openai_face: bool
) -> None:
    given = connection(provider, url, scheme)
    made = given.env(openai_face=openai_face)
    host = url.split("/")[2]
    for name, value in made.items():
        if value != KEY:
            continue
        own = name in {one.name for one in VARIABLES if one.dialect == provider.value}
        if variables.is_vendors(given) and own:
            # Without an address those programs use the vendor's, which it is.
            continue
        assert READ_WITH[name], f"{name} is set, and its readers know no address"
        for address in READ_WITH[name]:
            assert made[address].split("/")[2] == host, f"{name} without {address}"


@pytest.mark.parametrize(("provider", "url", "scheme"), CASES)
def test_no_variable_of_another_vendor_is_set_unless_it_is_asked_for(
    provider: Provider, url: str, scheme: AuthScheme
) -> None:
    made = connection(provider, url, scheme).env()
    allowed = {"openai", "custom", "ollama"}
    assert any(name.startswith("OPENAI_") for name in made) is (provider.value in allowed)
    for prefix, owner in (("ANTHROPIC_", Provider.ANTHROPIC), ("G", Provider.GOOGLE)):
        assert any(name.startswith(prefix) for name in made) is (provider is owner)


@pytest.mark.parametrize(("provider", "url", "scheme"), CASES)
def test_whatever_is_set_is_a_rival_when_it_is_inherited(
    provider: Provider, url: str, scheme: AuthScheme
) -> None:
    given = connection(provider, url, scheme)
    inherited = dict.fromkeys(variables.RIVALS, "of-somebody-else") | {"PATH": "/bin"}
    environment = environment_for(inherited, given)
    assert "of-somebody-else" not in environment.values()
    assert environment["PATH"] == "/bin"
    assert set(given.env()) <= set(variables.RIVALS)


@pytest.mark.parametrize(
    "name",
    [
        "LLM_PROXY_URL",
        "GPTME_OPENAI_API_KEY",
        "AIDER_OPENAI_API_KEY",
        "CRUSH_ANTHROPIC_API_KEY",
        "OPENAI_HOST",
    ],
)
def test_what_one_program_prefers_to_the_variables_is_not_inherited(name: str) -> None:
    given = connection(Provider.OPENAI, OWN[Provider.OPENAI], AuthScheme.BEARER)
    assert name not in environment_for({name: "of-somebody-else"}, given)


def test_side_traffic_to_the_vendor_is_off_where_the_key_is_not_the_vendors() -> None:
    own = connection(Provider.ANTHROPIC, OWN[Provider.ANTHROPIC], AuthScheme.BEARER).env()
    assert own["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    vendors = connection(Provider.ANTHROPIC, VENDORS[Provider.ANTHROPIC], AuthScheme.X_API_KEY).env()
    assert "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" not in vendors


def test_gemini_cli_starts_with_the_vendors_address() -> None:
    made = connection(Provider.GOOGLE, VENDORS[Provider.GOOGLE], AuthScheme.X_GOOG_API_KEY).env()
    assert "GOOGLE_GEMINI_BASE_URL" not in made


A = NetworkProfile("http://proxy-of-a:3128", ("internal",), "/ca/of-a.pem")


def test_a_run_inside_of_a_run_has_nothing_of_the_first_connections_network() -> None:
    shell = {"PATH": "/bin", "HTTPS_PROXY": "http://company:8080", "no_proxy": "localhost"}
    of_a = connection(Provider.OPENAI, OWN[Provider.OPENAI], AuthScheme.BEARER, network=A)
    first = environment_for(shell, of_a)
    assert first["HTTPS_PROXY"] == A.proxy
    second = environment_for(first, connection(Provider.CUSTOM, OWN[Provider.CUSTOM], AuthScheme.BEARER))
    assert second["HTTPS_PROXY"] == "http://company:8080"
    assert second["no_proxy"] == "localhost"
    assert not [name for name, value in second.items() if "of-a" in value and name != run_marks.NAME]


@pytest.mark.parametrize("note", [None, "", "no json", "[]", "null"])
def test_a_run_that_does_not_say_what_stood_before_leaves_no_network_of_it(note: str | None) -> None:
    environment = {"HTTPS_PROXY": "http://proxy-of-a:3128", "SSL_CERT_FILE": "/ca", run_marks.NAME: "a"}
    if note is not None:
        environment[run_marks.BEFORE] = note
    run_marks.take_back(environment)
    assert environment == {}


def test_outside_of_a_run_the_network_of_the_system_stays() -> None:
    environment = {"HTTPS_PROXY": "http://company:8080"}
    run_marks.take_back(environment)
    assert environment == {"HTTPS_PROXY": "http://company:8080"}


def test_the_note_of_a_run_holds_network_variables_only() -> None:
    environment = environment_for(
        {"OPENAI_API_KEY": "sk-of-the-shell", "HTTP_PROXY": "http://company:8080"},
        connection(Provider.OPENAI, OWN[Provider.OPENAI], AuthScheme.BEARER, network=A),
    )
    assert set(json.loads(environment[run_marks.BEFORE])) <= set(run_marks.NETWORK)
    assert "sk-of-the-shell" not in str(environment)


COVERED = [
    ("https://api.openai.com/v1", "https://api.openai.com/v1", True),
    ("https://api.openai.com/v1", "https://api.openai.com", True),
    ("https://api.openai.com/v1", "https://API.openai.com:443/v1/responses", True),
    ("https://gw.example/team-a/v1", "https://gw.example/team-a", True),
    ("https://gw.example/team-a/v1", "https://gw.example/team-b/v1", False),
    ("https://gw.example/team-a/v1", "https://gw.example/team-ab/v1", False),
    ("https://gw.example/team-a/v1", "https://gw.example", False),
    ("https://api.openai.com/v1", "http://api.openai.com/v1", False),
    ("https://api.openai.com/v1", "https://api.openai.com.evil.example/v1", False),
    ("https://api.openai.com/v1", "https://api.openai.com@evil.example/v1", False),
    ("https://api.openai.com/v1", "https://evil.example\\@api.openai.com/v1", False),
    ("https://gw.example/team-a/v1", "https://gw.example/team-a/../team-b", False),
    ("https://gw.example/team-a/v1", "https://gw.example/team-a/%2e%2E/team-b", False),
    ("https://api.openai.com:8443/v1", "https://api.openai.com/v1", False),
    ("https://api.openai.com/v1", "api.openai.com/v1", False),
    ("https://api.openai.com/v1", "", False),
]


@pytest.mark.parametrize(("ours", "theirs", "covered"), COVERED)
def test_a_key_is_given_for_its_own_address_alone(ours: str, theirs: str, covered: bool) -> None:
    assert addresses.covers(ours, theirs) is covered


def test_what_a_run_sets_for_the_network_is_what_is_taken_back() -> None:
    for profile in (
        A,
        NetworkProfile(),
        NetworkProfile("direct"),
        NetworkProfile("socks5://p:1", (), "/ca.pem"),
    ):
        of = connection(Provider.OPENAI, "http://127.0.0.1:9/v1", AuthScheme.BEARER, network=profile)
        assert set(variables.of_network(of, {"ALL_PROXY": "http://p"})) <= set(run_marks.NETWORK)


@pytest.mark.parametrize(
    ("environment", "network", "expected"),
    [
        ({}, NetworkProfile(), None),
        ({"HTTPS_PROXY": "http://p"}, NetworkProfile(), None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "other"}, NetworkProfile(), None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, NetworkProfile(), "10.0.0.0/8,10.1.2.3"),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "10.1.2.3"}, NetworkProfile(), None),
        ({"HTTPS_PROXY": "http://p", "NO_PROXY": "*"}, NetworkProfile(), None),
        ({}, NetworkProfile("http://p", ("10.0.0.0/8",)), "10.0.0.0/8,10.1.2.3"),
        ({}, NetworkProfile("http://p", ("11.0.0.0/8",)), "11.0.0.0/8"),
    ],
)
def test_a_host_that_takes_no_proxy_is_named_for_libraries_that_read_the_list_otherwise(
    environment: dict[str, str], network: NetworkProfile, expected: str | None
) -> None:
    of = connection(Provider.OPENAI, "https://10.1.2.3/v1", AuthScheme.BEARER, network=network)
    assert variables.of_network(of, environment).get("NO_PROXY") == expected


def test_the_page_names_every_variable() -> None:
    page = (Path(__file__).parents[3] / "docs" / "programs.md").read_text(encoding="utf-8")
    missing = [one.name for one in VARIABLES if one.name not in page]
    assert missing == []


GATEWAY = Gateway(on=True, switched_off=False, listening=True, port=21212, socket_path="/run/gateway.sock")
TOKEN = "nexo_a-token"


@pytest.mark.parametrize("openai_face", [False, True])
@pytest.mark.parametrize("provider", list(Provider))
def test_behind_the_gateway_every_key_is_the_token_and_every_address_is_on_this_computer(
    provider: Provider, openai_face: bool
) -> None:
    made = variables.of_gateway(GATEWAY, TOKEN, provider, "m", {}, openai_face=openai_face)
    kinds = {one.name: one.role for one in VARIABLES}
    keys = {name for name in made if kinds.get(name) is Role.KEY}
    assert keys
    assert {made[name] for name in keys} == {TOKEN}
    for name in keys:
        for address in READ_WITH[name]:
            assert made[address].startswith("http://127.0.0.1:21212/"), f"{name} without {address}"
    assert not [name for name in made if kinds.get(name) is Role.HEADERS]
    assert set(made) <= {*variables.RIVALS, "NO_PROXY", "no_proxy"}


def test_claude_code_gets_a_token_about_which_it_does_not_ask() -> None:
    made = variables.of_gateway(GATEWAY, TOKEN, Provider.ANTHROPIC, "", {})
    assert made["ANTHROPIC_AUTH_TOKEN"] == TOKEN
    assert "ANTHROPIC_API_KEY" not in made


@pytest.mark.parametrize(
    ("inherited", "bypass"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a, b"}, "a,b,127.0.0.1,localhost,::1"),
        # The spelling that is there must not be shadowed by the one that is added.
        ({"NO_PROXY": "a", "no_proxy": "localhost,c"}, "a,localhost,c,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*,127.0.0.1,localhost,::1"),
    ],
)
def test_the_way_to_the_gateway_takes_no_proxy_and_the_list_of_the_person_stays(
    inherited: dict[str, str], bypass: str
) -> None:
    made = variables.of_gateway(GATEWAY, TOKEN, Provider.OPENAI, "", inherited)
    assert (made["NO_PROXY"], made["no_proxy"]) == (bypass, bypass)
    assert not [name for name in made if name.lower() in ("http_proxy", "https_proxy", "all_proxy")]
