"""Values of the SDK: what they show, what they accept, and that both directions of the wire agree."""

import copy
import dataclasses
import inspect
import json
import pickle
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from nexo.connections import codec, terms
from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.v1 import connection_pb2, gateway_pb2, workspace_pb2
from nexo_client import adapters, convert, types
from nexo_client.aio import AsyncClient
from nexo_client.client import Client
from nexo_client.errors import InvalidField
from nexo_client.types import ConnectionDraft, Header, Headers, NetworkProfile, ResolvedConnection
from nexo_client.variables import RIVALS

KEY = "sk-canary-in-the-key"
SECRET = "canary-in-a-header"


def resolved(**changes: object) -> ResolvedConnection:
    message = workspace_pb2.ResolvedConnection(
        connection_id="1",
        name="work",
        provider=connection_pb2.PROVIDER_OPENAI,
        base_url="https://api.openai.com/v1",
        auth_scheme=connection_pb2.AUTH_SCHEME_BEARER,
        api_key=KEY,
        headers=[connection_pb2.Header(name="X-Team", value=SECRET)],
    )
    message.network.proxy_url = f"http://user:{SECRET}@proxy:3128"
    return dataclasses.replace(codec.read(types.ResolvedConnection, message), **changes)  # type: ignore[arg-type]  # fields by name


def test_nothing_that_a_program_prints_shows_a_secret() -> None:
    draft = ConnectionDraft(
        api_key=KEY, headers=(Header("X-Team", SECRET),), headers_json=f'{{"a": "{SECRET}"}}'
    )
    for value in (resolved(), resolved().headers, resolved().network, draft):
        for text in (repr(value), str(value), f"{value}"):
            assert "canary" not in text
    assert "X-Team" in repr(resolved().headers)


GATEWAY = types.Gateway(True, False, True, 4321, "/run/gateway.sock")
TOKEN = types.GatewayToken("1", "cursor", None, None, None, None, None)
NOTHING = types.Explanation("", None, (), "", "", 1)


@pytest.mark.parametrize(
    "value",
    [
        resolved(),
        resolved().headers,
        Header("X-Team", SECRET),
        ConnectionDraft(api_key=KEY),
        types.RunToken(KEY, GATEWAY, NOTHING),
        types.NewGatewayToken(TOKEN, KEY, GATEWAY),
        types.RecoveryCode(KEY),
    ],
)
def test_secrets_are_copied_and_compared_but_not_pickled(value: Any) -> None:
    assert copy.copy(value) == copy.deepcopy(value) == value
    assert hash(copy.copy(value)) == hash(value)
    with pytest.raises(TypeError, match="secrets") as refused:
        pickle.dumps([value])
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("value", [Client("/nonexistent/s"), AsyncClient("/nonexistent/s")])
def test_a_client_belongs_to_its_process(value: object) -> None:
    for duplicate in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make one in each process"):
            duplicate(value)


def test_headers_can_be_read_but_not_changed() -> None:
    headers = resolved().headers
    assert headers == {"X-Team": SECRET}
    assert json.loads(json.dumps(headers)) == {"X-Team": SECRET}
    assert dataclasses.asdict(resolved())["headers"] == headers
    for change in (
        lambda: headers.update(a="b"),
        lambda: headers.pop("X-Team"),
        lambda: headers.__setitem__("a", "b"),
        lambda: headers.setdefault("a", "b"),
        headers.clear,
    ):
        with pytest.raises(TypeError, match="copy them first"):
            change()  # type: ignore[no-untyped-call]  # typed as never returning
    assert isinstance(headers, Headers)


ENUMS = [kind for kind in vars(terms).values() if isinstance(kind, type) and issubclass(kind, StrEnum)]


# The one is a text on the wire, the other is read and written by the codec alone.
WITHOUT_NUMBERS = (StrEnum, terms.Reason, terms.Action, terms.ImportAction)

# Their numbers are found once their file is loaded.
assert gateway_pb2.UsageBy


@pytest.mark.parametrize("kind", [k for k in ENUMS if k not in WITHOUT_NUMBERS])
def test_every_word_has_a_number_and_comes_back(kind: type[StrEnum]) -> None:
    for member in kind:
        assert codec.enum_from_wire(kind, codec.enum_to_wire(member)) is member
    assert codec.enum_from_wire(kind, 0) is None
    assert codec.enum_from_wire(kind, 9999) is None


def test_moments_keep_their_microseconds_and_the_unset_one_is_none() -> None:
    moment = datetime(2026, 11, 23, 7, 5, 3, 123456, tzinfo=UTC)
    assert codec.moment(codec.timestamp(moment)) == moment
    assert codec.moment(connection_pb2.Health().since) is None
    before = datetime(1969, 7, 20, 20, 17, 40, 500000, tzinfo=UTC)
    assert codec.moment(codec.timestamp(before)) == before


@pytest.mark.parametrize("proxy", ["system", "direct", "socks5h://user:pw@proxy:1080"])
def test_network_profiles_come_back(proxy: str) -> None:
    profile = NetworkProfile(proxy, ("localhost", ".internal"), "/etc/ca.pem")
    assert convert.network(codec.network_to_wire(profile)) == profile


def test_a_draft_sends_what_was_given_and_nothing_else() -> None:
    message, mask = convert.draft_to_wire(ConnectionDraft())
    assert message == connection_pb2.ConnectionDraft()
    assert list(mask.paths) == []
    message, mask = convert.draft_to_wire(
        ConnectionDraft(api_key="", default_model="", headers=(), model_map=())
    )
    assert sorted(mask.paths) == ["api_key", "default_model", "headers", "model_map"]
    assert message.WhichOneof("key") == "api_key"
    message, mask = convert.draft_to_wire(ConnectionDraft(check_interval_s=0.0, enabled=False))
    assert sorted(mask.paths) == ["check_interval", "enabled"]
    assert message.HasField("check_interval")
    assert message.HasField("enabled")


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (ConnectionDraft(provider="opnai"), "provider"),
        (ConnectionDraft(auth_scheme="basic"), "auth_scheme"),
        (ConnectionDraft(api_key="k", api_key_ref="file:/k"), "api_key"),
    ],
)
def test_a_draft_that_cannot_be_sent_names_the_field(draft: ConnectionDraft, field: str) -> None:
    with pytest.raises(InvalidField) as refused:
        convert.draft_to_wire(draft)
    assert refused.value.field == field
    assert refused.value.hint


BASES = [
    (Provider.OPENAI, "https://api.openai.com/v1", "openai", "https://api.openai.com/v1"),
    (Provider.CUSTOM, "https://api.groq.com/openai/v1", "openai", "https://api.groq.com/openai/v1"),
    (Provider.CUSTOM, "https://api.deepseek.com", "openai", "https://api.deepseek.com"),
    (Provider.ANTHROPIC, "https://api.anthropic.com", "openai", "https://api.anthropic.com/v1"),
    (Provider.ANTHROPIC, "https://api.anthropic.com/v1", "anthropic", "https://api.anthropic.com"),
    (Provider.OLLAMA, "http://127.0.0.1:11434", "openai", "http://127.0.0.1:11434/v1"),
    (Provider.OLLAMA, "http://127.0.0.1:11434/v1", "ollama", "http://127.0.0.1:11434"),
    (Provider.OLLAMA, "http://127.0.0.1:11434/api", "ollama", "http://127.0.0.1:11434"),
    (Provider.OLLAMA, "http://127.0.0.1:11434", "anthropic", "http://127.0.0.1:11434"),
    (Provider.GOOGLE, "https://g.example/v1beta", "google", "https://g.example"),
    (Provider.GOOGLE, "https://g.example", "openai", "https://g.example/v1beta/openai"),
    (Provider.CUSTOM, "https://gateway.example/team/v1", "anthropic", "https://gateway.example/team"),
]


@pytest.mark.parametrize(("provider", "configured", "dialect", "expected"), BASES)
def test_each_dialect_gets_the_base_url_that_its_package_wants(
    provider: Provider, configured: str, dialect: str, expected: str
) -> None:
    connection = resolved(provider=provider, base_url=configured)
    assert adapters.base_of(connection, dialect) == expected


@pytest.mark.parametrize(
    ("provider", "dialect"),
    [
        (Provider.OPENAI, "anthropic"),
        (Provider.OPENAI, "google"),
        (Provider.GOOGLE, "ollama"),
        (Provider.ANTHROPIC, "google"),
    ],
)
def test_a_dialect_that_the_provider_does_not_speak_is_refused(provider: Provider, dialect: str) -> None:
    with pytest.raises(InvalidField) as refused:
        adapters.base_of(resolved(provider=provider), dialect)
    assert refused.value.field == "provider"


def test_a_custom_header_replaces_the_one_made_of_the_key_whatever_its_case() -> None:
    connection = resolved(headers=Headers([("AUTHORIZATION", "Bearer other"), ("X-Team", "blue")]))
    assert adapters.headers_of(connection, "openai") == {"Authorization": "Bearer other", "X-Team": "blue"}


def test_the_environment_of_each_provider() -> None:
    plain = {"headers": Headers(), "network": types.NetworkProfile()}
    openai = resolved(**plain).env()
    assert openai["OPENAI_API_KEY"] == KEY
    assert openai["OPENAI_BASE_URL"] == openai["OPENAI_API_BASE"] == "https://api.openai.com/v1"
    anthropic = resolved(
        provider=Provider.ANTHROPIC,
        base_url="https://a.example",
        auth_scheme=AuthScheme.X_API_KEY,
        **plain,
    ).env()
    assert anthropic["ANTHROPIC_API_KEY"] == KEY
    assert anthropic["ANTHROPIC_BASE_URL"] == "https://a.example"
    assert "ANTHROPIC_AUTH_TOKEN" not in anthropic
    google = resolved(
        provider=Provider.GOOGLE, base_url="https://g.example", auth_scheme=AuthScheme.X_GOOG_API_KEY, **plain
    ).env()
    assert google["GOOGLE_API_KEY"] == google["GEMINI_API_KEY"] == KEY
    assert google["GOOGLE_GEMINI_BASE_URL"] == "https://g.example"
    ollama = resolved(
        provider=Provider.OLLAMA,
        base_url="http://127.0.0.1:11434",
        api_key="",
        auth_scheme=AuthScheme.NONE,
        **plain,
    ).env()
    assert ollama["OLLAMA_HOST"] == "http://127.0.0.1:11434"
    assert "OLLAMA_API_KEY" not in ollama
    for made in (anthropic, google, ollama):
        assert set(made) <= set(RIVALS)


def test_headers_proxy_and_certificates_reach_the_environment_too() -> None:
    variables = resolved(
        network=NetworkProfile("http://proxy:3128", ("localhost", ".internal"), "/etc/ca.pem")
    ).env()
    assert variables["OPENAI_CUSTOM_HEADERS"] == f"X-Team: {SECRET}"
    assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://proxy:3128"
    assert variables["NO_PROXY"] == "localhost,.internal"
    assert variables["SSL_CERT_FILE"] == variables["NODE_EXTRA_CA_CERTS"] == "/etc/ca.pem"
    assert resolved(network=NetworkProfile("direct")).env()["NO_PROXY"] == "*"


def test_a_key_in_another_header_is_not_lost_in_the_environment() -> None:
    variables = resolved(auth_scheme=AuthScheme.API_KEY, headers=Headers()).env()
    assert variables["OPENAI_CUSTOM_HEADERS"] == f"Api-Key: {KEY}"


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(kind: type) -> dict[str, list[inspect.Parameter]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {
            name: list(inspect.signature(function).parameters.values())
            for name, function in found
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)


def test_one_secret_is_picked_from_what_an_older_daemon_sends() -> None:
    headers = [connection_pb2.Header(name="X-Team", value=SECRET)]
    everything = workspace_pb2.ResolvedConnection(name="work", api_key=KEY, headers=headers)
    assert convert.one_secret(everything, "") == KEY
    assert convert.one_secret(everything, "x-team") == SECRET
    for missing, message in (("X-Other", everything), ("", workspace_pb2.ResolvedConnection(name="work"))):
        with pytest.raises(InvalidField, match="there is none") as caught:
            convert.one_secret(message, missing)
        assert KEY not in f"{caught.value} {caught.value.hint}"
