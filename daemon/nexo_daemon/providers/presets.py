"""Facts about services that use OpenAI's API format.

A preset has the URL and the peculiarities of a service. Sources: the services' documentation, and for public
model lists reports by users; facts marked [unverified] can only weaken a verdict.
"""

import enum

from nexo.connections.terms import AuthScheme, Provider, ProviderKind
from nexo.connections.values import frozen


class KeyProbe(enum.Enum):
    """The request that shows whether a service accepts the key."""

    MODELS = "models"
    """The model list, compared with the same request without the key."""
    ENDPOINT = "endpoint"
    """A request that the service answers only for a valid key; the model list is public."""
    REFUSED_CHAT = "refused_chat"
    """A chat call that cannot be executed, with and without the key; the model list is public."""


@frozen(kw_only=True)
class ServiceFacts:
    """Facts about a provider, or about a preset: a service that uses OpenAI's API format.

    Attributes:
        base_url: in the form that the provider's SDK expects; empty if the person has to enter it.
        base_url_example: an example for that case, with the account name in capitals.
        header_example: a common custom header, as "Name: value".
        key_path: below the base URL, for KeyProbe.ENDPOINT. Always on the origin of the base URL, because a
            key is never sent to another host, even one of the same company.
        balance_path: below the origin; a free request that shows whether the account has credit.
        has_model_list: False if GET {base}/models does not exist.
        lists_every_model: False if unlisted names may work (deployments,
            aliases, dedicated endpoints, servers that take any name).
        key_prefixes: usual prefixes of its keys; used to warn, never to refuse.
    """

    name: str
    display_name: str
    base_url: str
    provider: Provider = Provider.CUSTOM
    kind: ProviderKind = ProviderKind.SERVICE
    base_url_example: str = ""
    auth_scheme: AuthScheme = AuthScheme.BEARER
    key_required: bool = True
    key_url: str = ""
    key_probe: KeyProbe = KeyProbe.MODELS
    key_path: str = ""
    balance_path: str = ""
    has_model_list: bool = True
    lists_every_model: bool = True
    key_prefixes: tuple[str, ...] = ()
    header_example: str = ""
    note: str = ""

    @property
    def preset(self) -> str:
        """Its name as a preset of the provider custom; empty for a provider."""
        return "" if self.name == self.provider else self.name


_ALL = (
    ServiceFacts(
        name="openrouter",
        display_name="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        key_url="https://openrouter.ai/keys",
        key_probe=KeyProbe.ENDPOINT,
        key_path="/key",
        key_prefixes=("sk-or-v1-",),
        header_example="X-Title: my program",
        note="The model list is public, so the key is checked at its own endpoint.",
    ),
    ServiceFacts(
        name="ollama-cloud",
        display_name="Ollama Cloud",
        base_url="https://ollama.com/v1",
        key_url="https://ollama.com/settings/keys",
        key_probe=KeyProbe.REFUSED_CHAT,
        note="The model list is public; the key is checked with a request that cannot run.",
    ),
    ServiceFacts(
        name="nvidia",
        display_name="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        key_url="https://build.nvidia.com/settings/api-keys",
        key_probe=KeyProbe.REFUSED_CHAT,
        lists_every_model=False,
        key_prefixes=("nvapi-",),
        note="The model list is public and can take ten seconds.",
    ),
    ServiceFacts(
        name="huggingface",
        display_name="Hugging Face",
        base_url="https://router.huggingface.co/v1",
        key_url="https://huggingface.co/settings/tokens",
        key_probe=KeyProbe.REFUSED_CHAT,
        lists_every_model=False,
        key_prefixes=("hf_",),
    ),
    ServiceFacts(
        name="perplexity",
        display_name="Perplexity",
        base_url="https://api.perplexity.ai",
        key_url="https://www.perplexity.ai/account/api",
        key_probe=KeyProbe.REFUSED_CHAT,
        has_model_list=False,
        lists_every_model=False,
        key_prefixes=("pplx-",),
        note="There is no model list; the key is checked with a request that cannot run.",
    ),
    ServiceFacts(
        name="groq",
        display_name="Groq",
        base_url="https://api.groq.com/openai/v1",
        key_url="https://console.groq.com/keys",
        key_prefixes=("gsk_",),
    ),
    ServiceFacts(
        name="deepseek",
        display_name="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_url="https://platform.deepseek.com/api_keys",
        balance_path="/user/balance",
    ),
    ServiceFacts(
        name="mistral",
        display_name="Mistral",
        base_url="https://api.mistral.ai/v1",
        key_url="https://console.mistral.ai/api-keys",
    ),
    ServiceFacts(
        name="xai",
        display_name="xAI",
        base_url="https://api.x.ai/v1",
        key_url="https://console.x.ai",
        key_prefixes=("xai-",),
        note="A bad key is answered with status 400.",
    ),
    ServiceFacts(
        name="together",
        display_name="Together",
        base_url="https://api.together.xyz/v1",
        key_url="https://api.together.ai/settings/api-keys",
        lists_every_model=False,
        key_prefixes=("tgp_v1_",),
    ),
    ServiceFacts(
        name="fireworks",
        display_name="Fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        key_url="https://fireworks.ai/account/api-keys",
        lists_every_model=False,
        key_prefixes=("fw_",),
        note="Only models of the account are listed; others can be used by name.",
    ),
    ServiceFacts(
        name="cerebras",
        display_name="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        key_url="https://cloud.cerebras.ai",
        key_prefixes=("csk-",),
    ),
    ServiceFacts(
        name="azure",
        display_name="Azure OpenAI",
        base_url="",
        base_url_example="https://RESOURCE.openai.azure.com/openai/v1",
        auth_scheme=AuthScheme.API_KEY,
        key_url="https://portal.azure.com",
        lists_every_model=False,
        note="The list names base models, not deployments: a deployment name cannot be checked with the key.",
    ),
    ServiceFacts(
        name="lmstudio",
        display_name="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        note="No key unless authentication is switched on in LM Studio.",
    ),
    ServiceFacts(
        name="vllm",
        display_name="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        note="A key only if vLLM was started with --api-key.",
    ),
    ServiceFacts(
        name="llamacpp",
        display_name="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        lists_every_model=False,
        note="A key only if the server was started with --api-key; some versions list models without it.",
    ),
    ServiceFacts(
        name="litellm",
        display_name="LiteLLM",
        base_url="http://127.0.0.1:4000/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        lists_every_model=False,
        note="Without a database a wrong key is answered with status 400 (No connected db).",
    ),
    ServiceFacts(
        name="claude-code-router",
        display_name="claude-code-router",
        base_url="http://127.0.0.1:3456/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        has_model_list=False,
        lists_every_model=False,
        note="There is no model list. It runs whatever it is sent, so checks see only whether it answers.",
    ),
    ServiceFacts(
        name="portkey",
        display_name="Portkey gateway",
        base_url="http://127.0.0.1:8787/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        lists_every_model=False,
        header_example="x-portkey-provider: openai",
        note="A custom header says which provider it forwards to.",
    ),
    ServiceFacts(
        name="sglang-router",
        display_name="SGLang router",
        base_url="http://127.0.0.1:30000/v1",
        kind=ProviderKind.LOCAL,
        key_required=False,
        key_probe=KeyProbe.REFUSED_CHAT,
        lists_every_model=False,
        note="The model list is public; the key is checked with a request that cannot run.",
    ),
)

PRESETS: dict[str, ServiceFacts] = {preset.name: preset for preset in _ALL}
