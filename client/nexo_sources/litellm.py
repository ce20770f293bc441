"""LiteLLM's config.yaml: the services behind the proxy, and the proxy itself when it has a master key.

Source: docs.litellm.ai, "Config.yaml" and "Providers" (2026-10). The file has no usual place. The home
directory is searched, files in the current directory are only reported, and `--file` takes any.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexo.connections.terms import Provider
from nexo_client.types import Header
from nexo_sources import accounts, environment, keys, reading, services
from nexo_sources.finding import Finding, Found, Skipped
from nexo_sources.reading import Unreadable, shown, table, tables, word

_NAMES = (
    "litellm_config.yaml",
    "litellm-config.yaml",
    "litellm.config.yaml",
    "litellm_config.yml",
    "config.yaml",
)


def find(file: Path | None = None) -> Found:
    """The model list and the master key."""
    if file is not None:
        return _read(file, keys.NOT_ASKED, asked=True)
    home = [
        Path.home() / name for name in (*_NAMES[:-1], ".litellm/config.yaml", ".config/litellm/config.yaml")
    ]
    found = Found()
    for path in home:
        found += _read(path, reading.environment(), asked=False)
    # The author of a file in the current directory must not choose which variable of the shell is sent where.
    here = [reading.here() / name for name in _NAMES]
    theirs = [path for path in here if path not in home and _read(path, keys.NOT_ASKED, asked=False)]
    return found + accounts.in_this_directory(theirs, "litellm")


def _read(path: Path, shell: Mapping[str, str], *, asked: bool) -> Found:
    try:
        text = reading.text_of(path)
        # Many programs have a config.yaml; LiteLLM's contains this word.
        if text is None or (not asked and "model_list" not in text):
            return Found()
        config = table(reading.yaml_of(text))
    except Unreadable as problem:
        return Found((), (Skipped(path.name, shown(path), str(problem)),))
    variables = {**shell, **_texts(config.get("environment_variables"))}
    found = Found()
    for model in tables(config.get("model_list")):
        params = table(model.get("litellm_params"))
        what = word(model.get("model_name")) or word(params.get("model")) or "unnamed"
        found += _model(what, params, variables, f"{shown(path)}: {what}")
    master = word(table(config.get("general_settings")).get("master_key"))
    if master:
        proxy = Finding(
            name="litellm",
            place=f"{shown(path)}: master_key",
            provider=Provider.CUSTOM,
            preset="litellm",
        )
        found += environment.one(proxy, master, variables)
    return found


def _model(what: str, params: dict[str, Any], variables: Mapping[str, str], place: str) -> Found:
    # Only the first part is LiteLLM's prefix: openrouter/openai/gpt-5 is openai/gpt-5 at OpenRouter.
    prefix, slash, model = word(params.get("model")).partition("/")
    prefix, model = (prefix.casefold(), model) if slash else ("", prefix)
    if prefix in services.CLOUDS:
        reason = f"{services.CLOUDS[prefix]} is reached with cloud credentials, not with an API key"
        return Found((), (Skipped(what, place, reason),))
    url = word(params.get("api_base")) or word(params.get("base_url"))
    if url.startswith("os.environ/"):
        url, variable = variables.get(url.removeprefix("os.environ/"), "").strip(), url
        if not url:
            reason = f"its address is in {keys.absent(variable.removeprefix('os.environ/'), variables)}"
            rest = Finding(name=what, place=place, provider=Provider.CUSTOM, model=model)
            return environment.without_address(
                rest, word(params.get("api_key")), variables, reason, what=what
            )
    service = services.by_word(prefix or services.vendor(model))
    if service is None:
        if not url:
            reason = f"Nexo knows no service '{prefix or model}', and there is no api_base"
            return Found((), (Skipped(what, place, reason),))
        service = services.BY_NAME["openai"]
    key = word(params.get("api_key"))
    if not key:
        # Like LiteLLM, use the variable of the service.
        key = next((variables[name] for name in service.variables if variables.get(name)), "")
    around = {**reading.addresses(), **variables}
    if not url and (beside := environment.address_of(service, around)):
        # LiteLLM reads some of these variables as well; the key is then not for the public host.
        reason = f"{beside} may set its address; add it with --base-url"
        rest = Finding(
            name=service.name, place=place, provider=service.provider, preset=service.preset, model=model
        )
        return environment.without_address(rest, key, variables, reason, what=what)
    if service.name == "azure":
        return environment.azure(url, key, variables, place)
    provider, preset, base_url, name = service.provider, service.preset, "", service.name
    if url and service.provider in (Provider.OPENAI, Provider.CUSTOM):
        provider, preset, base_url, name = environment.openai_like(url)
        if preset == "" and service.preset and services.is_local(url):
            preset, name = service.preset, service.name
    elif url:
        base_url = services.normal_base_url(provider, url)
    headers = table(params.get("extra_headers"))
    finding = Finding(
        name=name,
        place=place,
        provider=provider,
        preset=preset,
        base_url=base_url,
        headers=tuple(Header(header, str(value)) for header, value in headers.items()),
        model=model,
    )
    return environment.one(
        finding,
        key,
        variables,
        needs_key=provider is not Provider.OLLAMA and not headers,
        what=what,
        syntax=keys.POINTER_OF_LITELLM,
    )


def _texts(value: object) -> dict[str, str]:
    return {name: entry for name, entry in table(value).items() if isinstance(entry, str)}
