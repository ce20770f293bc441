"""Facts about providers, and the defaults of a new connection.

For example default base URLs, the header for the key, and where a person finds a key. `dialects` has the
requests; `presets` has the services that use OpenAI's API format.
"""

from nexo.connections.errors import InvalidField
from nexo.connections.model.trial import ProviderInfo
from nexo.connections.similar import most_similar
from nexo.connections.terms import AuthScheme, Provider, ProviderKind
from nexo.connections.values import frozen
from nexo_daemon.providers.presets import PRESETS, Preset


@frozen(kw_only=True)
class ProviderFacts:
    """Facts about a provider.

    Attributes:
        base_url: in the form that the provider's SDK expects; empty if the person has to enter it.
        base_url_example: an example for that case.
        key_prefixes: usual prefixes of its keys; used to warn, never to refuse.
        header_example: a common custom header, as "Name: value".
    """

    provider: Provider
    display_name: str
    base_url: str
    auth_scheme: AuthScheme
    key_required: bool
    kind: ProviderKind = ProviderKind.CLOUD
    base_url_example: str = ""
    key_url: str = ""
    key_prefixes: tuple[str, ...] = ()
    header_example: str = ""
    note: str = ""


PROVIDERS: dict[Provider, ProviderFacts] = {
    facts.provider: facts
    for facts in (
        ProviderFacts(
            provider=Provider.OPENAI,
            display_name="OpenAI",
            base_url="https://api.openai.com/v1",
            auth_scheme=AuthScheme.BEARER,
            key_required=True,
            key_url="https://platform.openai.com/api-keys",
            key_prefixes=("sk-proj-", "sk-svcacct-", "sk-admin-"),
            header_example="OpenAI-Project: proj_abc",
        ),
        ProviderFacts(
            provider=Provider.ANTHROPIC,
            display_name="Anthropic",
            base_url="https://api.anthropic.com",
            auth_scheme=AuthScheme.X_API_KEY,
            key_required=True,
            key_url="https://platform.claude.com/settings/keys",
            key_prefixes=("sk-ant-",),
            note="The base URL has no /v1; the SDK adds it.",
        ),
        ProviderFacts(
            provider=Provider.GOOGLE,
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
        ProviderFacts(
            provider=Provider.OLLAMA,
            display_name="Ollama",
            base_url="http://127.0.0.1:11434",
            auth_scheme=AuthScheme.BEARER,
            key_required=False,
            kind=ProviderKind.LOCAL,
            key_url="https://ollama.com/settings/keys",
            note="A local Ollama needs no key; the base URL has no /v1 and no /api.",
        ),
        ProviderFacts(
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


def preset_of(provider: Provider, preset: str) -> Preset | None:
    """The preset with that name; None if the name is empty.

    Raises:
        InvalidField: the preset does not exist, or does not belong to the provider.
    """
    if not preset:
        return None
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


def defaults_for(provider: Provider, preset: str = "") -> tuple[str, AuthScheme]:
    """Base URL and authentication header of a new connection.

    Returns:
        The base URL, empty if the person has to enter it, and the scheme.

    Raises:
        InvalidField: the preset does not exist or does not fit the provider.
    """
    service = facts_of(provider, preset)
    return service.base_url, service.auth_scheme


def facts_of(provider: Provider, preset: str = "") -> ProviderFacts | Preset:
    """The facts about the preset, or about the provider if there is none. Raises as `preset_of`."""
    return preset_of(provider, preset) or PROVIDERS[provider]


def entries() -> tuple[ProviderInfo, ...]:
    """All providers, then all presets, in the order of display."""
    providers = (_entry(facts.provider.value, facts.provider, facts) for facts in PROVIDERS.values())
    presets = (_entry(preset.name, Provider.CUSTOM, preset) for preset in PRESETS.values())
    return (*providers, *presets)


def _entry(name: str, provider: Provider, facts: ProviderFacts | Preset) -> ProviderInfo:
    return ProviderInfo(
        name=name,
        display_name=facts.display_name,
        provider=provider,
        is_preset=isinstance(facts, Preset),
        default_base_url=facts.base_url,
        auth_scheme=facts.auth_scheme,
        key_required=facts.key_required,
        key_url=facts.key_url,
        note=facts.note,
        kind=facts.kind,
        key_prefixes=facts.key_prefixes,
        base_url_example=facts.base_url_example,
        header_example=facts.header_example,
    )
