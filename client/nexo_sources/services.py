"""Identifies a service by a variable, by another program's name for it, or by the host of an address.

The daemon's catalogue knows more about each service; a test checks that the two agree.
"""

import re
from urllib.parse import urlsplit

from nexo.connections.terms import Provider
from nexo.connections.values import frozen


@frozen(kw_only=True)
class Service:
    """A provider, or a preset of the custom provider.

    Attributes:
        name: as in the catalogue of the daemon.
        variables: the environment variables with its key; the first one that is set is used.
        words: other programs' names for it.
    """

    name: str
    provider: Provider
    base_url: str
    variables: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def preset(self) -> str:
        """The name of the preset; empty for a provider."""
        return self.name if self.provider is Provider.CUSTOM else ""


def _preset(name: str, base_url: str, variables: tuple[str, ...], words: tuple[str, ...]) -> Service:
    return Service(name=name, provider=Provider.CUSTOM, base_url=base_url, variables=variables, words=words)


SERVICES: tuple[Service, ...] = (
    Service(
        name="openai",
        provider=Provider.OPENAI,
        base_url="https://api.openai.com/v1",
        variables=("OPENAI_API_KEY",),
        words=("openai", "text-completion-openai"),
    ),
    Service(
        name="anthropic",
        provider=Provider.ANTHROPIC,
        base_url="https://api.anthropic.com",
        variables=("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
        words=("anthropic", "claude"),
    ),
    Service(
        name="google",
        provider=Provider.GOOGLE,
        base_url="https://generativelanguage.googleapis.com",
        variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        words=("google", "gemini", "google_ai_studio"),
    ),
    Service(
        name="ollama",
        provider=Provider.OLLAMA,
        base_url="http://127.0.0.1:11434",
        words=("ollama", "ollama_chat"),
    ),
    _preset("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",), ("openrouter",)),
    _preset("ollama-cloud", "https://ollama.com/v1", ("OLLAMA_API_KEY",), ("ollama-cloud",)),
    _preset(
        "nvidia",
        "https://integrate.api.nvidia.com/v1",
        ("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        ("nvidia", "nvidia_nim"),
    ),
    _preset(
        "huggingface",
        "https://router.huggingface.co/v1",
        ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        ("huggingface", "huggingface-inference-api"),
    ),
    _preset("perplexity", "https://api.perplexity.ai", ("PERPLEXITY_API_KEY",), ("perplexity",)),
    _preset("groq", "https://api.groq.com/openai/v1", ("GROQ_API_KEY",), ("groq",)),
    _preset("deepseek", "https://api.deepseek.com/v1", ("DEEPSEEK_API_KEY",), ("deepseek",)),
    _preset("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), ("mistral",)),
    _preset("xai", "https://api.x.ai/v1", ("XAI_API_KEY",), ("xai", "grok")),
    _preset(
        "together",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        ("together", "together_ai", "togetherai"),
    ),
    _preset(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"),
        ("fireworks", "fireworks_ai", "fireworks-ai"),
    ),
    _preset("cerebras", "https://api.cerebras.ai/v1", ("CEREBRAS_API_KEY",), ("cerebras",)),
    _preset("azure", "", ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"), ("azure", "azure_ai")),
    _preset("lmstudio", "http://127.0.0.1:1234/v1", (), ("lmstudio", "lm_studio")),
    _preset("vllm", "http://127.0.0.1:8000/v1", (), ("vllm", "hosted_vllm")),
    _preset("llamacpp", "http://127.0.0.1:8080/v1", (), ("llamacpp", "llama.cpp", "llamafile")),
    _preset("litellm", "http://127.0.0.1:4000/v1", (), ("litellm", "litellm_proxy")),
    _preset("claude-code-router", "http://127.0.0.1:3456/v1", (), ("claude-code-router", "ccr")),
    _preset("portkey", "http://127.0.0.1:8787/v1", (), ("portkey",)),
    _preset("sglang-router", "http://127.0.0.1:30000/v1", (), ("sglang", "sglang-router")),
)

BY_NAME = {service.name: service for service in SERVICES}
_BY_WORD = {word: service for service in SERVICES for word in (service.name, *service.words)}

# Other programs' names for services that need cloud credentials instead of API keys.
CLOUDS = {
    "bedrock": "Amazon Bedrock",
    "sagemaker": "Amazon SageMaker",
    "vertex_ai": "Google Vertex AI",
    "vertexai": "Google Vertex AI",
    "watsonx": "IBM watsonx",
    "github_copilot": "GitHub Copilot",
}


def by_word(word: str) -> Service | None:
    """The service that other programs call `word`; None if it is unknown."""
    return _BY_WORD.get(word.strip().casefold())


def host_of(url: str) -> str:
    """The host of an address in lower case; empty if the text is not an address."""
    try:
        return (urlsplit(url).hostname or "").casefold()
    except ValueError:
        return ""


def by_address(url: str) -> Service | None:
    """The public service at this address; None for other addresses and for local ones."""
    host = host_of(url)
    if not host or is_local(url):
        return None
    if host.endswith((".openai.azure.com", ".services.ai.azure.com")):
        return BY_NAME["azure"]
    if host.endswith(".api.openai.com"):
        return BY_NAME["openai"]
    return next((one for one in SERVICES if urlsplit(one.base_url).hostname == host), None)


def vendor(model: str) -> str:
    """The vendor of a model, guessed from its name; empty if unknown."""
    if model.startswith("claude"):
        return "anthropic"
    return "openai" if model.startswith(("gpt-", "o1", "o3", "o4", "chatgpt-")) else ""


def default_base_url(provider: Provider, preset: str) -> str:
    """The default address of a preset or provider; empty if there is none."""
    service = BY_NAME.get(preset or provider.value)
    return service.base_url if service else ""


def is_local(url: str) -> bool:
    """Whether the address is on this computer."""
    host = host_of(url)
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")  # noqa: S104 - only compared


def normal_base_url(provider: Provider, url: str) -> str:
    """`url` in the form that the provider's SDK takes, without the version and path that the SDK adds."""
    url = url.strip().rstrip("/")
    endings = {
        Provider.ANTHROPIC: ("/v1/messages", "/v1"),
        Provider.GOOGLE: ("/v1beta/openai", "/v1beta", "/v1"),
        Provider.OLLAMA: ("/v1", "/api"),
        Provider.OPENAI: ("/chat/completions", "/responses"),
        Provider.CUSTOM: ("/chat/completions", "/responses"),
    }
    for ending in endings[provider]:
        if url.endswith(ending):
            return url.removesuffix(ending)
    return url


def holds_password(url: str) -> bool:
    """Whether the address contains a user name or a password."""
    try:
        return urlsplit(url).username is not None or urlsplit(url).password is not None
    except ValueError:
        return False


# Programs' words for a choice of models, and their suffix for a longer context.
_WORDS = frozenset({"auto", "default", "opus", "sonnet", "haiku", "opusplan", "best", "inherit"})
_SUFFIX = re.compile(r"\[[^\]]*\]$")


# Prefixes of model names: "models/gemini-…" in Google's own list, "anthropic/claude-…" in LiteLLM and others.
_OWNERS = {
    Provider.OPENAI: ("openai/",),
    Provider.ANTHROPIC: ("anthropic/",),
    Provider.GOOGLE: ("models/", "gemini/", "google/"),
}


def whole_model(text: str, provider: Provider) -> str:
    """The service's name for a model that a program names; empty for an alias of that program."""
    model = _SUFFIX.sub("", text.strip())
    for owner in _OWNERS.get(provider, ()):
        model = model.removeprefix(owner)
    if model.casefold() in _WORDS or model.startswith("auto-"):
        return ""
    # The providers' names begin with a letter and have a digit or a dash; "4o" and "flash" are aliases of
    # aider and llm.
    own = re.match(r"[a-zA-Z]", model) and re.search(r"[\d-]", model)
    return model if own or provider not in _OWNERS else ""
