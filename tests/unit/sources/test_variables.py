"""Variables, keys and addresses: which service is meant, and is that a key at all?"""

import pytest

from nexo.connections.terms import Provider
from nexo_daemon.providers import catalog
from nexo_sources import environment, keys, reading, services


def test_every_service_of_the_daemon_is_known_here_with_the_same_address() -> None:
    theirs = {entry.name: (entry.provider, entry.base_url) for entry in catalog.entries()}
    ours = {one.name: (one.provider, one.base_url) for one in services.SERVICES}
    theirs.pop("custom")
    assert ours == theirs


@pytest.mark.parametrize("variable", [v for one in services.SERVICES for v in one.variables])
def test_each_variable_leads_to_its_service(variable: str) -> None:
    variables = {variable: "a-canary-key"}
    if variable.startswith("AZURE"):
        variables["AZURE_OPENAI_ENDPOINT"] = "https://res.openai.azure.com/"
    found = environment.from_variables(variables, "test")
    assert [one.name for one in found.findings] == [
        one.name for one in services.SERVICES if variable in one.variables
    ]
    assert found.findings[0].api_key == "a-canary-key"


def test_organization_and_project_of_openai_travel_as_headers() -> None:
    found = environment.from_variables(
        {
            "OPENAI_API_KEY": "k-1234567",
            "OPENAI_ORG_ID": "org-1",
            "OPENAI_CUSTOM_HEADERS": "X-A: b\nX-C: d:e",
        },
        "test",
    )
    assert [(one.name, one.value) for one in found.findings[0].headers] == [
        ("X-A", "b"),
        ("X-C", "d:e"),
        ("OpenAI-Organization", "org-1"),
    ]


def test_a_key_without_a_resource_is_named() -> None:
    found = environment.from_variables({"AZURE_OPENAI_API_KEY": "k"}, "test")
    assert "AZURE_OPENAI_ENDPOINT" in found.skipped[0].reason


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("  export A = 1  \r", "1"),
        ("A= # nothing", ""),
        ("A=a#b # c", "a#b"),
        ("A='a # b' # don't", "a # b"),
        ('A="a" # my "main" key', "a"),
        ('A="a\\"b"', 'a\\"b'),
        ("A='a' 'b'", "'a' 'b'"),
        ("A='not closed", "'not closed"),
        ('A="two\nB=lines"', "two\nB=lines"),
        ("B='\nA=no\n'\nA=yes", "yes"),
        ("A=1\n#A=2\n # A=3", "1"),
        ("A=1\nA=2", "2"),
        ("A=a\u2028B=b", "a\u2028B=b"),
    ],
)
def test_a_line_of_an_env_file_is_read_as_programs_read_it(line: str, value: str) -> None:
    # The text behind it is not part of it.
    variables = reading.variables_of(line + "\nZ=z\n")
    assert variables["A"] == value
    assert variables["Z"] == "z"


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        (" key-1 ", "key-1", ""),
        ("os.environ/HAVE", "there", ""),
        ("${HAVE}", "there", ""),
        ("${{ secrets.HAVE }}", "there", ""),
        ("{env:HAVE}", "there", ""),
        ("$LACK", "", "LACK"),
        ("EMPTY", "", ""),
        ("<your key>", "", "placeholder"),
        ("YOUR_API_KEY", "", "placeholder"),
        ("my-key-is-not-your-token-", "", "placeholder"),
        ("your" * 1_000_000, "your" * 1_000_000, ""),
        ("sk-...", "", "placeholder"),
        ("xxxxxx", "", "placeholder"),
        ("sk-ant-oat01-abc", "", "subscription"),
        # A pointer to a pointer is not followed for ever.
        ("${LOOP}", "", "LOOP"),
    ],
)
def test_what_stands_for_a_key(text: str, value: str, problem: str) -> None:
    key = keys.read(text, {"HAVE": "there", "LOOP": "${LOOP}"})
    assert key.value == value
    assert (problem in key.problem) if problem else not key.problem


@pytest.mark.parametrize(
    ("provider", "given", "expected"),
    [
        (Provider.ANTHROPIC, "https://api.anthropic.com/v1/", "https://api.anthropic.com"),
        (
            Provider.GOOGLE,
            "https://generativelanguage.googleapis.com/v1beta/",
            "https://generativelanguage.googleapis.com",
        ),
        (Provider.OLLAMA, "http://localhost:11434/v1", "http://localhost:11434"),
        (Provider.CUSTOM, "https://x.example/v1/chat/completions", "https://x.example/v1"),
    ],
)
def test_addresses_are_brought_into_the_form_of_the_sdk(
    provider: Provider, given: str, expected: str
) -> None:
    assert services.normal_base_url(provider, given) == expected


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://res.openai.azure.com/openai/v1", "azure"),
        ("http://127.0.0.1:8000/v1", None),
        ("https://api.openai.com.evil.example/v1", None),
    ],
)
def test_the_host_says_which_service_it_is(url: str, name: str | None) -> None:
    found = services.by_address(url)
    assert (found.name if found else None) == name


def test_names_of_addresses() -> None:
    assert environment.name_of_address("https://api.gateway.example.com/v1") == "gateway"
    assert environment.name_of_address("http://localhost:8080/v1") == "local-8080"
    assert environment.name_of_address("http://10.0.0.7:9000") == "10.0.0.7"
