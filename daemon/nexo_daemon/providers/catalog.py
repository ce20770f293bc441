"""Facts about providers, and the defaults of a new connection.

For example default base URLs, the header for the key, and where a person finds a key. `dialects` has the
requests; `presets` has the services that use OpenAI's API format.
"""

from nexo.connections.errors import InvalidField
from nexo.connections.similar import most_similar
from nexo.connections.terms import AuthScheme, Provider, ProviderKind
from nexo_daemon.providers.presets import PRESETS, ServiceFacts

PROVIDERS: dict[Provider, ServiceFacts] = {
    facts.provider: facts
    for facts in (
        ServiceFacts(
            name="openai",
            provider=Provider.OPENAI,
            kind=ProviderKind.CLOUD,
            display_name="OpenAI",
            base_url="https://api.openai.com/v1",
            auth_scheme=AuthScheme.BEARER,
            key_required=True,
            key_url="https://platform.openai.com/api-keys",
            key_prefixes=("sk-proj-", "sk-svcacct-", "sk-admin-"),
            header_example="OpenAI-Project: proj_abc",
        ),
        ServiceFacts(
            name="anthropic",
            provider=Provider.ANTHROPIC,
            kind=ProviderKind.CLOUD,
            display_name="Anthropic",
            base_url="https://api.anthropic.com",
            auth_scheme=AuthScheme.X_API_KEY,
            key_required=True,
            key_url="https://platform.claude.com/settings/keys",
            key_prefixes=("sk-ant-",),
            note="The base URL has no /v1; the SDK adds it.",
        ),
        ServiceFacts(
            name="google",
            provider=Provider.GOOGLE,
            kind=ProviderKind.CLOUD,
            display_name="Google Gemini",
            base_url="https://generativelanguage.googleapis.com",
            auth_scheme=AuthScheme.X_GOOG_API_KEY,
            key_required=True,
            key_url="https://aistudio.google.com/apikey",
            key_prefixes=("AIza", "AQ."),
            header_example="x-goog-user-project: my-project",
            note="The base URL has no version; the SDK adds it.",
        ),
        # A local Ollama has no authentication; for Ollama Cloud or behind a proxy, the key is a bearer token.
        ServiceFacts(
            name="ollama",
            provider=Provider.OLLAMA,
            display_name="Ollama",
            base_url="http://127.0.0.1:11434",
            auth_scheme=AuthScheme.BEARER,
            key_required=False,
            kind=ProviderKind.LOCAL,
            key_url="https://ollama.com/settings/keys",
            note="A local Ollama needs no key; the base URL has no /v1 and no /api.",
        ),
        ServiceFacts(
            name="custom",
            provider=Provider.CUSTOM,
            display_name="Custom (OpenAI-compatible)",
            base_url="",
            base_url_example="http://127.0.0.1:8000/v1",
            auth_scheme=AuthScheme.BEARER,
            key_required=False,
            kind=ProviderKind.SERVICE,
            header_example="X-Team: blue",
            note="The base URL is what comes before /chat/completions; it usually ends with /v1.",
        ),
    )
}


def service_of(provider: Provider, preset: str = "") -> ServiceFacts:
    """The facts about the preset, or about the provider if the name is empty.

    Raises:
        InvalidField: the preset does not exist, or does not belong to the provider.
    """
    if not preset:
        return PROVIDERS[provider]
    name = preset.strip().lower()
    found = PRESETS.get(name)
    if found is None:
        near = most_similar(name, PRESETS)
        hint = f"did you mean '{near}'?" if near else "see 'nexoctl providers'"
        raise InvalidField.of("preset", f"there is no preset '{preset}'", hint)
    if provider is not Provider.CUSTOM:
        raise InvalidField.of(
            "preset",
            f"'{name}' belongs to the provider 'custom', not to '{provider}'",
            "leave the provider out",
        )
    return found


def entries() -> tuple[ServiceFacts, ...]:
    """All providers, then all presets, in the order of display."""
    return (*PROVIDERS.values(), *PRESETS.values())
