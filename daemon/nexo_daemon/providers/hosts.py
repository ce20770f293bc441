"""API addresses of known hosts, and of vendors' web pages that people paste. Facts as data.

Sources: the vendors' documentation of their OpenAI-compatible and Anthropic-compatible APIs (quick starts,
"base_url" in examples), and the defaults in the documentation of local servers. Every address is tried before
it is suggested, so an outdated entry only means that none is found.
"""

from nexo.connections.terms import Provider

_OPENAI = (Provider.OPENAI, Provider.CUSTOM)

# The end of a host name, and the paths of its OpenAI-compatible API, the usual one first.
OPENAI_PATHS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("open.bigmodel.cn", ("/api/paas/v4", "/api/coding/paas/v4")),
    ("api.z.ai", ("/api/paas/v4", "/api/coding/paas/v4")),
    (".volces.com", ("/api/v3", "/api/coding/v3")),
    (".bytepluses.com", ("/api/v3",)),
    ("dashscope.aliyuncs.com", ("/compatible-mode/v1",)),
    ("dashscope-intl.aliyuncs.com", ("/compatible-mode/v1",)),
    ("dashscope-us.aliyuncs.com", ("/compatible-mode/v1",)),
    ("generativelanguage.googleapis.com", ("/v1beta/openai",)),
    ("api.cohere.ai", ("/compatibility/v1",)),
    ("api.cohere.com", ("/compatibility/v1",)),
    ("api.deepinfra.com", ("/v1/openai",)),
    ("models.github.ai", ("/inference",)),
    ("models.inference.ai.azure.com", ("",)),
    (".openai.azure.com", ("/openai/v1",)),
    (".services.ai.azure.com", ("/openai/v1",)),
    (".cognitiveservices.azure.com", ("/openai/v1",)),
    ("api.groq.com", ("/openai/v1",)),
    ("api.fireworks.ai", ("/inference/v1",)),
    ("api.perplexity.ai", ("",)),
    ("qianfan.baidubce.com", ("/v2",)),
    ("api.hunyuan.cloud.tencent.com", ("/v1",)),
    ("api.lkeap.cloud.tencent.com", ("/v1",)),
    ("spark-api-open.xf-yun.com", ("/v1", "/v2")),
    ("api.moonshot.cn", ("/v1",)),
    ("api.moonshot.ai", ("/v1",)),
    ("api.minimax.io", ("/v1",)),
    ("api.minimaxi.com", ("/v1",)),
    ("api.minimax.chat", ("/v1",)),
    ("api.siliconflow.cn", ("/v1",)),
    ("api.siliconflow.com", ("/v1",)),
    ("api.stepfun.com", ("/v1",)),
    ("api.mistral.ai", ("/v1",)),
    ("router.huggingface.co", ("/v1",)),
    ("integrate.api.nvidia.com", ("/v1",)),
    ("ai-gateway.vercel.sh", ("/v1",)),
    (".databricks.com", ("/serving-endpoints",)),
    (".azuredatabricks.net", ("/serving-endpoints",)),
    ("openrouter.ai", ("/api/v1",)),
    ("api.novita.ai", ("/openai/v1", "/v3/openai")),
    ("api.sambanova.ai", ("/v1",)),
    ("api.friendli.ai", ("/serverless/v1",)),
    ("api.venice.ai", ("/api/v1",)),
    ("inference.baseten.co", ("/v1",)),
    (".amazonaws.com", ("/openai/v1",)),
    ("api.kimi.com", ("/coding/v1",)),
    ("api-inference.modelscope.cn", ("/v1",)),
    ("api.studio.nebius.com", ("/v1",)),
    ("api.tokenfactory.nebius.com", ("/v1",)),
)

ANTHROPIC_PATHS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("api.deepseek.com", ("/anthropic",)),
    ("open.bigmodel.cn", ("/api/anthropic",)),
    ("api.z.ai", ("/api/anthropic",)),
    ("api.moonshot.cn", ("/anthropic",)),
    ("api.moonshot.ai", ("/anthropic",)),
    ("api.minimax.io", ("/anthropic",)),
    ("api.minimaxi.com", ("/anthropic",)),
    ("openrouter.ai", ("/api",)),
    ("dashscope.aliyuncs.com", ("/apps/anthropic",)),
    ("dashscope-intl.aliyuncs.com", ("/apps/anthropic",)),
    (".services.ai.azure.com", ("/anthropic",)),
)

GATEWAY_PATHS = ("/v1", "/api/v1", "/openai/v1", "/api", "/openai", "/engines/v1", "/inference/v1", "")
"""Usual paths of the OpenAI dialect on gateways and local servers: most of them; OpenRouter's; Groq's; Open
WebUI's; of proxies in front of OpenAI; Docker Model Runner's; Fireworks'."""

# Web pages whose address people paste, and the address of the API.
API_OF_PAGES: dict[str, tuple[Provider, str]] = {
    "platform.openai.com": (Provider.OPENAI, "https://api.openai.com/v1"),
    "openai.com": (Provider.OPENAI, "https://api.openai.com/v1"),
    "chatgpt.com": (Provider.OPENAI, "https://api.openai.com/v1"),
    "console.anthropic.com": (Provider.ANTHROPIC, "https://api.anthropic.com"),
    "platform.claude.com": (Provider.ANTHROPIC, "https://api.anthropic.com"),
    "docs.anthropic.com": (Provider.ANTHROPIC, "https://api.anthropic.com"),
    "claude.ai": (Provider.ANTHROPIC, "https://api.anthropic.com"),
    "aistudio.google.com": (Provider.GOOGLE, "https://generativelanguage.googleapis.com"),
    "ai.google.dev": (Provider.GOOGLE, "https://generativelanguage.googleapis.com"),
    "console.groq.com": (Provider.CUSTOM, "https://api.groq.com/openai/v1"),
    "platform.deepseek.com": (Provider.CUSTOM, "https://api.deepseek.com/v1"),
    "api-docs.deepseek.com": (Provider.CUSTOM, "https://api.deepseek.com/v1"),
    "chat.deepseek.com": (Provider.CUSTOM, "https://api.deepseek.com/v1"),
    "console.mistral.ai": (Provider.CUSTOM, "https://api.mistral.ai/v1"),
    "docs.mistral.ai": (Provider.CUSTOM, "https://api.mistral.ai/v1"),
    "console.x.ai": (Provider.CUSTOM, "https://api.x.ai/v1"),
    "docs.x.ai": (Provider.CUSTOM, "https://api.x.ai/v1"),
    "www.perplexity.ai": (Provider.CUSTOM, "https://api.perplexity.ai"),
    "docs.perplexity.ai": (Provider.CUSTOM, "https://api.perplexity.ai"),
    "cloud.cerebras.ai": (Provider.CUSTOM, "https://api.cerebras.ai/v1"),
    "build.nvidia.com": (Provider.CUSTOM, "https://integrate.api.nvidia.com/v1"),
    "huggingface.co": (Provider.CUSTOM, "https://router.huggingface.co/v1"),
    "fireworks.ai": (Provider.CUSTOM, "https://api.fireworks.ai/inference/v1"),
    "app.fireworks.ai": (Provider.CUSTOM, "https://api.fireworks.ai/inference/v1"),
    "bigmodel.cn": (Provider.CUSTOM, "https://open.bigmodel.cn/api/paas/v4"),
    "z.ai": (Provider.CUSTOM, "https://api.z.ai/api/paas/v4"),
    "platform.moonshot.cn": (Provider.CUSTOM, "https://api.moonshot.cn/v1"),
    "platform.moonshot.ai": (Provider.CUSTOM, "https://api.moonshot.ai/v1"),
    "bailian.console.aliyun.com": (Provider.CUSTOM, "https://dashscope.aliyuncs.com/compatible-mode/v1"),
    "console.volcengine.com": (Provider.CUSTOM, "https://ark.cn-beijing.volces.com/api/v3"),
    "cloud.siliconflow.cn": (Provider.CUSTOM, "https://api.siliconflow.cn/v1"),
    "platform.stepfun.com": (Provider.CUSTOM, "https://api.stepfun.com/v1"),
    "platform.minimaxi.com": (Provider.CUSTOM, "https://api.minimaxi.com/v1"),
    "dashboard.cohere.com": (Provider.CUSTOM, "https://api.cohere.ai/compatibility/v1"),
    "developers.openai.com": (Provider.OPENAI, "https://api.openai.com/v1"),
    "docs.claude.com": (Provider.ANTHROPIC, "https://api.anthropic.com"),
    "x.ai": (Provider.CUSTOM, "https://api.x.ai/v1"),
    "admin.mistral.ai": (Provider.CUSTOM, "https://api.mistral.ai/v1"),
    "mistral.ai": (Provider.CUSTOM, "https://api.mistral.ai/v1"),
    "groq.com": (Provider.CUSTOM, "https://api.groq.com/openai/v1"),
    "perplexity.ai": (Provider.CUSTOM, "https://api.perplexity.ai"),
    "inference-docs.cerebras.ai": (Provider.CUSTOM, "https://api.cerebras.ai/v1"),
    "docs.fireworks.ai": (Provider.CUSTOM, "https://api.fireworks.ai/inference/v1"),
    "api.together.ai": (Provider.CUSTOM, "https://api.together.xyz/v1"),
    "docs.together.ai": (Provider.CUSTOM, "https://api.together.xyz/v1"),
    "www.together.ai": (Provider.CUSTOM, "https://api.together.xyz/v1"),
    "api-inference.huggingface.co": (Provider.CUSTOM, "https://router.huggingface.co/v1"),
    "docs.cohere.com": (Provider.CUSTOM, "https://api.cohere.ai/compatibility/v1"),
    "vercel.com": (Provider.CUSTOM, "https://ai-gateway.vercel.sh/v1"),
    "cloud.sambanova.ai": (Provider.CUSTOM, "https://api.sambanova.ai/v1"),
    "docs.bigmodel.cn": (Provider.CUSTOM, "https://open.bigmodel.cn/api/paas/v4"),
    "docs.z.ai": (Provider.CUSTOM, "https://api.z.ai/api/paas/v4"),
    "www.volcengine.com": (Provider.CUSTOM, "https://ark.cn-beijing.volces.com/api/v3"),
    "dashscope.console.aliyun.com": (Provider.CUSTOM, "https://dashscope.aliyuncs.com/compatible-mode/v1"),
    "help.aliyun.com": (Provider.CUSTOM, "https://dashscope.aliyuncs.com/compatible-mode/v1"),
    "modelstudio.console.alibabacloud.com": (
        Provider.CUSTOM,
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    "bailian.console.alibabacloud.com": (
        Provider.CUSTOM,
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    "platform.kimi.com": (Provider.CUSTOM, "https://api.moonshot.cn/v1"),
    "platform.kimi.ai": (Provider.CUSTOM, "https://api.moonshot.ai/v1"),
    "platform.minimax.io": (Provider.CUSTOM, "https://api.minimax.io/v1"),
    "cloud.siliconflow.com": (Provider.CUSTOM, "https://api.siliconflow.com/v1"),
    "console.bce.baidu.com": (Provider.CUSTOM, "https://qianfan.baidubce.com/v2"),
    "aip.baidubce.com": (Provider.CUSTOM, "https://qianfan.baidubce.com/v2"),
    "console.cloud.tencent.com": (Provider.CUSTOM, "https://api.hunyuan.cloud.tencent.com/v1"),
    "hunyuan.tencentcloudapi.com": (Provider.CUSTOM, "https://api.hunyuan.cloud.tencent.com/v1"),
    "deepinfra.com": (Provider.CUSTOM, "https://api.deepinfra.com/v1/openai"),
    "github.com": (Provider.CUSTOM, "https://models.github.ai/inference"),
}

OPENAI_FACES = {
    "https://generativelanguage.googleapis.com": "https://generativelanguage.googleapis.com/v1beta/openai"
}
"""APIs of another dialect that also support OpenAI's."""


def api_of_page(host: str, provider: Provider) -> str:
    """The API of the vendor with that web page; "" if none is known for the dialect."""
    belongs, url = API_OF_PAGES.get(host, (provider, ""))
    if belongs is provider or {belongs, provider} <= set(_OPENAI):
        return url
    return OPENAI_FACES.get(url, "") if provider in _OPENAI else ""


def paths_of(host: str, path: str, provider: Provider) -> tuple[str, ...]:
    """The paths of the API on a known host; empty for an unknown host."""
    if provider in _OPENAI:
        return _with_account(host, path) or _matching(OPENAI_PATHS, host)
    return _matching(ANTHROPIC_PATHS, host) if provider is Provider.ANTHROPIC else ()


def _matching(table: tuple[tuple[str, tuple[str, ...]], ...], host: str) -> tuple[str, ...]:
    return next(
        (
            paths
            for known, paths in table
            if host == known or (known.startswith(".") and host.endswith(known))
        ),
        (),
    )


def _with_account(host: str, path: str) -> tuple[str, ...]:
    """Hosts whose path includes an account name; it is taken from the pasted address."""
    parts = path.strip("/").split("/")
    if host == "api.cloudflare.com" and parts[:3] == ["client", "v4", "accounts"] and len(parts) > 3:
        return (f"/client/v4/accounts/{parts[3]}/ai/v1",)
    if host == "gateway.ai.cloudflare.com" and parts[0] == "v1" and len(parts) > 2:
        gateway = "/".join(parts[:3])
        return (f"/{gateway}/compat", f"/{gateway}/openai")
    if host.endswith("aiplatform.googleapis.com") and parts[1:2] == ["projects"] and len(parts) > 4:
        place = "/".join(parts[:5])
        return (f"/{place}/endpoints/openapi",)
    if host.endswith(".services.ai.azure.com") and parts[:2] == ["api", "projects"] and len(parts) > 2:
        return ("/openai/v1", f"/api/projects/{parts[2]}/openai/v1")
    return ()
