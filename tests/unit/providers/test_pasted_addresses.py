"""What people paste as an address ends at the address they meant, and at no other host."""

import json
import socket
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import probing_help as ask
from answering_server import AnsweringServer, Request, answer
from nexo.connections.errors import InvalidField
from nexo.connections.terms import AuthScheme, Outcome, Provider
from nexo_daemon.domain.pasted import read_address
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.domain.url import normalize_base_url
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.suggestions import MOST_REPAIRS, trials_for
from recorded_answers import LISTS

GOOD = "a-good-key-0123456789"
MEANT = "https://api.example.com/v1"
LOCAL = "http://127.0.0.1:8000/v1"

SLIPS = [
    ('"https://api.example.com/v1"', MEANT),
    ("'https://api.example.com/v1'", MEANT),
    ("“https://api.example.com/v1”", MEANT),
    ("`https://api.example.com/v1`", MEANT),
    ("<https://api.example.com/v1>", MEANT),
    ("(https://api.example.com/v1)", MEANT),
    ("[the API](https://api.example.com/v1)", MEANT),
    ("https:/api.example.com/v1", MEANT),
    ("https:///api.example.com/v1", MEANT),
    ("https//api.example.com/v1", MEANT),
    ("https;//api.example.com/v1", MEANT),
    ("https:api.example.com/v1", MEANT),
    ("htps://api.example.com/v1", MEANT),
    ("https:\\\\api.example.com\\v1", MEANT),
    ("https：//api.example.com/v1", MEANT),
    ("https：／／api．example．com／v1", MEANT),
    ("https://https://api.example.com/v1", MEANT),
    ("http://https://api.example.com/v1", MEANT),
    ("https://api.example.com/v1.", MEANT),
    ("https://api.example.com/v1,", MEANT),
    ("https://api.example.com/v1；", MEANT),
    ("https://api.example.com\n/v1", MEANT),
    ("https://api.example.com/v1\u200b", MEANT),
    ("https://api.example.com/v1/#", MEANT),
    ("https://api.example.com/v1?api-version=2024-10-21", MEANT),
    ("api.example.com/v1", MEANT),
    ("//api.example.com/v1", MEANT),
    ("OPENAI_BASE_URL=https://api.example.com/v1", MEANT),
    ('export OPENAI_BASE_URL="https://api.example.com/v1"', MEANT),
    ('$env:OPENAI_BASE_URL = "https://api.example.com/v1"', MEANT),
    ('"base_url": "https://api.example.com/v1",', MEANT),
    ("base_url: https://api.example.com/v1", MEANT),
    ("curl https://api.example.com/v1", MEANT),
    ("curl -X POST 'https://api.example.com/v1' -H 'Authorization: Bearer sk-1'", MEANT),
    ("the address is https://api.example.com/v1 for us", MEANT),
    ("127.0.0.1:8000/v1", LOCAL),
    ("0.0.0.0:8000/v1", LOCAL),
    ("http://0.0.0.0:8000/v1", LOCAL),
    (":8000/v1", LOCAL),
    ("curl 127.0.0.1:8000/v1", LOCAL),
    ("localhost:11434", "http://localhost:11434"),
    ("192.168.1.20:8080", "http://192.168.1.20:8080"),
    ("box.local:1234/v1", "http://box.local:1234/v1"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("http://[::]:8000", "http://[::1]:8000"),
]


@pytest.mark.parametrize(("pasted", "meant"), SLIPS)
def test_a_slip_is_repaired_before_it_is_refused(pasted: str, meant: str) -> None:
    assert normalize_base_url(read_address(pasted)) == meant


@pytest.mark.parametrize(
    "text",
    [
        "ftp://api.example.com/v1",
        "hello",
        "https://",
        "https://ho st/v1",
        "https://user:password@api.example.com/v1",
        "https://api.example.com/v1?key=sk-1234",
        "https://api.example.com/v1?api-version=1&api_key=sk-1234",
        "http://localhost:43923\\@127.0.0.1:44769/v1",
    ],
)
def test_what_is_no_slip_stays_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        normalize_base_url(read_address(text))


@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                [
                    *'"<>()[]:/\\.@#?&= \n-',
                    "http",
                    "https",
                    "://",
                    "localhost",
                    "127.0.0.1",
                    "a.example",
                    ":80",
                    *("/v1", "curl ", "KEY=", "：", "／", "0.0.0.0", "[::1]", "?key=x", "“"),
                ]
            ),
            max_size=9,
        ).map("".join),
    )
)
def test_reading_and_normalising_is_idempotent(text: str) -> None:
    try:
        once = normalize_base_url(read_address(text))
    except InvalidField:
        return
    assert normalize_base_url(once) == once
    assert normalize_base_url(read_address(once)) == once
    assert urlsplit(once).hostname


@given(
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}", fullmatch=True),
    st.integers(1, 65535),
    st.from_regex(r"(/[a-z0-9][a-z0-9._~-]{0,6}[a-z0-9]){0,3}", fullmatch=True),
)
def test_an_address_that_is_right_is_left_alone(scheme: str, host: str, port: int, path: str) -> None:
    url = f"{scheme}://{host}:{port}{path}"
    assert read_address(url) == url


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("https://open.bigmodel.cn", "https://open.bigmodel.cn/api/paas/v4"),
        ("https://api.z.ai/v1", "https://api.z.ai/api/paas/v4"),
        ("https://ark.cn-beijing.volces.com/v1", "https://ark.cn-beijing.volces.com/api/v3"),
        ("https://dashscope.aliyuncs.com/api/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("https://dashscope-intl.aliyuncs.com", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        (
            "https://generativelanguage.googleapis.com/v1beta",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        ("https://api.cohere.com/v2/chat", "https://api.cohere.com/compatibility/v1"),
        ("https://api.deepinfra.com/v1/inference", "https://api.deepinfra.com/v1/openai"),
        (
            "https://api.cloudflare.com/client/v4/accounts/abc123/ai/run/@cf/meta/llama",
            "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1",
        ),
        ("https://models.github.ai", "https://models.github.ai/inference"),
        (
            "https://me.openai.azure.com/openai/deployments/d/chat/completions",
            "https://me.openai.azure.com/openai/v1",
        ),
        (
            "https://me.services.ai.azure.com/api/projects/p",
            "https://me.services.ai.azure.com/openai/v1",
        ),
        ("https://api.groq.com/v1", "https://api.groq.com/openai/v1"),
        ("https://api.fireworks.ai/v1/chat/completions", "https://api.fireworks.ai/inference/v1"),
        ("https://api.perplexity.ai/v1", "https://api.perplexity.ai"),
        ("https://qianfan.baidubce.com/v1", "https://qianfan.baidubce.com/v2"),
        ("https://openrouter.ai", "https://openrouter.ai/api/v1"),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.NOT_COMPATIBLE, Outcome.AUTH_ERROR, Outcome.PERMISSION])
def test_known_hosts_know_their_own_path(pasted: str, found: str, outcome: Outcome) -> None:
    trials = trials_for(ask.target(Provider.CUSTOM, pasted, GOOD), Verdict(outcome))
    assert next(t.value for t in trials if t.field == "base_url") == found


PASTED = [
    (
        "https://open.bigmodel.cn/api/paas/v4/chat/completions",
        Provider.CUSTOM,
        "https://open.bigmodel.cn/api/paas/v4",
    ),
    ("https://bigmodel.cn/console/apikeys", Provider.CUSTOM, "https://open.bigmodel.cn/api/paas/v4"),
    ("https://docs.bigmodel.cn/cn/api/introduction", Provider.CUSTOM, "https://open.bigmodel.cn/api/paas/v4"),
    (
        "https://open.bigmodel.cn/api/anthropic/v1/messages",
        Provider.ANTHROPIC,
        "https://open.bigmodel.cn/api/anthropic",
    ),
    ("https://open.bigmodel.cn", Provider.ANTHROPIC, "https://open.bigmodel.cn/api/anthropic"),
    ("https://docs.z.ai/guides", Provider.CUSTOM, "https://api.z.ai/api/paas/v4"),
    ("https://ark.cn-beijing.volces.com", Provider.CUSTOM, "https://ark.cn-beijing.volces.com/api/v3"),
    (
        "https://ark.cn-beijing.volces.com/api/v3/chat/completions",
        Provider.CUSTOM,
        "https://ark.cn-beijing.volces.com/api/v3",
    ),
    (
        "https://ark.cn-beijing.volces.com/api/v3/responses",
        Provider.CUSTOM,
        "https://ark.cn-beijing.volces.com/api/v3",
    ),
    (
        "https://console.volcengine.com/ark/region:ark+cn-beijing/apiKey",
        Provider.CUSTOM,
        "https://ark.cn-beijing.volces.com/api/v3",
    ),
    ("https://www.volcengine.com/docs/82379", Provider.CUSTOM, "https://ark.cn-beijing.volces.com/api/v3"),
    (
        "https://dashscope.aliyuncs.com/api/v1/services/aigc/text-generation/generation",
        Provider.CUSTOM,
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://dashscope.aliyuncs.com/compatible-mode",
        Provider.CUSTOM,
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions",
        Provider.CUSTOM,
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://bailian.console.aliyun.com/?tab=model#/api-key",
        Provider.CUSTOM,
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://dashscope.console.aliyun.com/apiKey",
        Provider.CUSTOM,
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://modelstudio.console.alibabacloud.com",
        Provider.CUSTOM,
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        Provider.CUSTOM,
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    (
        "https://generativelanguage.googleapis.com",
        Provider.CUSTOM,
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent",
        Provider.GOOGLE,
        "https://generativelanguage.googleapis.com",
    ),
    (
        "https://generativelanguage.googleapis.com/v1beta",
        Provider.GOOGLE,
        "https://generativelanguage.googleapis.com",
    ),
    ("https://aistudio.google.com/app/apikey", Provider.GOOGLE, "https://generativelanguage.googleapis.com"),
    (
        "https://aistudio.google.com/apikey",
        Provider.CUSTOM,
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    (
        "https://ai.google.dev/gemini-api/docs/openai",
        Provider.CUSTOM,
        "https://generativelanguage.googleapis.com/v1beta/openai",
    ),
    ("https://api.cohere.ai/v1/chat", Provider.CUSTOM, "https://api.cohere.ai/compatibility/v1"),
    ("https://dashboard.cohere.com/api-keys", Provider.CUSTOM, "https://api.cohere.ai/compatibility/v1"),
    (
        "https://docs.cohere.com/docs/compatibility-api",
        Provider.CUSTOM,
        "https://api.cohere.ai/compatibility/v1",
    ),
    ("https://api.deepinfra.com", Provider.CUSTOM, "https://api.deepinfra.com/v1/openai"),
    (
        "https://api.deepinfra.com/v1/openai/chat/completions",
        Provider.CUSTOM,
        "https://api.deepinfra.com/v1/openai",
    ),
    ("https://deepinfra.com/dash/api_keys", Provider.CUSTOM, "https://api.deepinfra.com/v1/openai"),
    (
        "https://gateway.ai.cloudflare.com/v1/acc/gw/openai/chat/completions",
        Provider.CUSTOM,
        "https://gateway.ai.cloudflare.com/v1/acc/gw/openai",
    ),
    (
        "https://gateway.ai.cloudflare.com/v1/acc/gw",
        Provider.CUSTOM,
        "https://gateway.ai.cloudflare.com/v1/acc/gw/compat",
    ),
    (
        "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic/v1/messages",
        Provider.ANTHROPIC,
        "https://gateway.ai.cloudflare.com/v1/acc/gw/anthropic",
    ),
    (
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions",
        Provider.CUSTOM,
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1",
    ),
    (
        "https://api.cloudflare.com/client/v4/accounts/acc/ai",
        Provider.CUSTOM,
        "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1",
    ),
    (
        "https://models.github.ai/inference/chat/completions",
        Provider.CUSTOM,
        "https://models.github.ai/inference",
    ),
    (
        "https://models.inference.ai.azure.com/chat/completions",
        Provider.CUSTOM,
        "https://models.inference.ai.azure.com",
    ),
    ("https://github.com/marketplace/models", Provider.CUSTOM, "https://models.github.ai/inference"),
    (
        "https://me.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2025-01-01-preview",
        Provider.CUSTOM,
        "https://me.openai.azure.com/openai/v1",
    ),
    (
        "https://me.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
        Provider.CUSTOM,
        "https://me.openai.azure.com/openai/v1",
    ),
    (
        "https://me.cognitiveservices.azure.com/openai/deployments/x/chat/completions?api-version=2024-12-01",
        Provider.CUSTOM,
        "https://me.cognitiveservices.azure.com/openai/v1",
    ),
    (
        "https://me.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
        Provider.CUSTOM,
        "https://me.services.ai.azure.com/openai/v1",
    ),
    (
        "https://me.services.ai.azure.com/anthropic/v1/messages",
        Provider.ANTHROPIC,
        "https://me.services.ai.azure.com/anthropic",
    ),
    ("http://localhost:3000", Provider.CUSTOM, "http://localhost:3000/api"),
    ("http://localhost:3000/api/chat/completions", Provider.CUSTOM, "http://localhost:3000/api"),
    ("https://api.fireworks.ai", Provider.CUSTOM, "https://api.fireworks.ai/inference/v1"),
    (
        "https://app.fireworks.ai/settings/users/api-keys",
        Provider.CUSTOM,
        "https://api.fireworks.ai/inference/v1",
    ),
    ("https://docs.fireworks.ai", Provider.CUSTOM, "https://api.fireworks.ai/inference/v1"),
    ("https://api.together.xyz", Provider.CUSTOM, "https://api.together.xyz/v1"),
    ("https://api.together.ai/settings/api-keys", Provider.CUSTOM, "https://api.together.xyz/v1"),
    ("https://docs.together.ai/docs", Provider.CUSTOM, "https://api.together.xyz/v1"),
    ("https://api.groq.com/openai/v1/chat/completions", Provider.CUSTOM, "https://api.groq.com/openai/v1"),
    ("https://console.groq.com/docs/openai", Provider.CUSTOM, "https://api.groq.com/openai/v1"),
    ("https://api.mistral.ai", Provider.CUSTOM, "https://api.mistral.ai/v1"),
    ("https://api.mistral.ai/v1/fim/completions", Provider.CUSTOM, "https://api.mistral.ai/v1"),
    ("https://admin.mistral.ai/organization/api-keys", Provider.CUSTOM, "https://api.mistral.ai/v1"),
    ("https://api.x.ai", Provider.CUSTOM, "https://api.x.ai/v1"),
    ("https://x.ai/api", Provider.CUSTOM, "https://api.x.ai/v1"),
    ("https://console.x.ai/team/default/api-keys", Provider.CUSTOM, "https://api.x.ai/v1"),
    ("https://api.perplexity.ai/chat/completions", Provider.CUSTOM, "https://api.perplexity.ai"),
    ("https://www.perplexity.ai/account/api/keys", Provider.CUSTOM, "https://api.perplexity.ai"),
    ("https://api.moonshot.cn", Provider.CUSTOM, "https://api.moonshot.cn/v1"),
    (
        "https://api.moonshot.ai/anthropic/v1/messages",
        Provider.ANTHROPIC,
        "https://api.moonshot.ai/anthropic",
    ),
    ("https://platform.moonshot.cn/console/api-keys", Provider.CUSTOM, "https://api.moonshot.cn/v1"),
    ("https://platform.moonshot.ai/console/api-keys", Provider.CUSTOM, "https://api.moonshot.ai/v1"),
    ("https://platform.kimi.com/console", Provider.CUSTOM, "https://api.moonshot.cn/v1"),
    ("https://api.kimi.com/coding", Provider.CUSTOM, "https://api.kimi.com/coding/v1"),
    ("https://api.minimaxi.com/v1/text/chatcompletion_v2", Provider.CUSTOM, "https://api.minimaxi.com/v1"),
    ("https://api.minimax.io/anthropic", Provider.ANTHROPIC, "https://api.minimax.io/anthropic"),
    (
        "https://platform.minimax.io/user-center/basic-information/interface-key",
        Provider.CUSTOM,
        "https://api.minimax.io/v1",
    ),
    ("https://api.siliconflow.cn", Provider.CUSTOM, "https://api.siliconflow.cn/v1"),
    ("https://cloud.siliconflow.cn/account/ak", Provider.CUSTOM, "https://api.siliconflow.cn/v1"),
    ("https://cloud.siliconflow.com/account/ak", Provider.CUSTOM, "https://api.siliconflow.com/v1"),
    ("https://qianfan.baidubce.com/v2/chat/completions", Provider.CUSTOM, "https://qianfan.baidubce.com/v2"),
    ("https://qianfan.baidubce.com", Provider.CUSTOM, "https://qianfan.baidubce.com/v2"),
    (
        "https://console.bce.baidu.com/iam/#/iam/apikey/list",
        Provider.CUSTOM,
        "https://qianfan.baidubce.com/v2",
    ),
    ("https://api.hunyuan.cloud.tencent.com", Provider.CUSTOM, "https://api.hunyuan.cloud.tencent.com/v1"),
    (
        "https://console.cloud.tencent.com/hunyuan/start",
        Provider.CUSTOM,
        "https://api.hunyuan.cloud.tencent.com/v1",
    ),
    ("https://hunyuan.tencentcloudapi.com", Provider.CUSTOM, "https://api.hunyuan.cloud.tencent.com/v1"),
    ("https://api.stepfun.com/v1/chat/completions", Provider.CUSTOM, "https://api.stepfun.com/v1"),
    ("https://platform.stepfun.com/interface-key", Provider.CUSTOM, "https://api.stepfun.com/v1"),
    ("https://integrate.api.nvidia.com", Provider.CUSTOM, "https://integrate.api.nvidia.com/v1"),
    ("https://build.nvidia.com/settings/api-keys", Provider.CUSTOM, "https://integrate.api.nvidia.com/v1"),
    ("https://router.huggingface.co", Provider.CUSTOM, "https://router.huggingface.co/v1"),
    ("https://api-inference.huggingface.co/models/x", Provider.CUSTOM, "https://router.huggingface.co/v1"),
    ("https://huggingface.co/settings/tokens", Provider.CUSTOM, "https://router.huggingface.co/v1"),
    ("https://ai-gateway.vercel.sh", Provider.CUSTOM, "https://ai-gateway.vercel.sh/v1"),
    ("https://ai-gateway.vercel.sh/v1/ai", Provider.CUSTOM, "https://ai-gateway.vercel.sh/v1"),
    ("https://vercel.com/docs/ai-gateway", Provider.CUSTOM, "https://ai-gateway.vercel.sh/v1"),
    ("https://openrouter.ai/api/v1/chat/completions", Provider.CUSTOM, "https://openrouter.ai/api/v1"),
    ("https://openrouter.ai/settings/keys", Provider.CUSTOM, "https://openrouter.ai/api/v1"),
    ("https://openrouter.ai/v1", Provider.CUSTOM, "https://openrouter.ai/api/v1"),
    ("https://openrouter.ai/api/v1/messages", Provider.ANTHROPIC, "https://openrouter.ai/api"),
    (
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        Provider.CUSTOM,
        "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1",
    ),
    (
        "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1/chat/completions",
        Provider.CUSTOM,
        "https://bedrock-runtime.us-west-2.amazonaws.com/openai/v1",
    ),
    (
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi/chat/completions",
        Provider.CUSTOM,
        "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/endpoints/openapi",
    ),
    (
        "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global",
        Provider.CUSTOM,
        "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global/endpoints/openapi",
    ),
    ("https://api.deepseek.com", Provider.CUSTOM, "https://api.deepseek.com/v1"),
    ("https://api.deepseek.com/chat/completions", Provider.CUSTOM, "https://api.deepseek.com"),
    (
        "https://api.deepseek.com/anthropic/v1/messages",
        Provider.ANTHROPIC,
        "https://api.deepseek.com/anthropic",
    ),
    ("https://platform.deepseek.com/api_keys", Provider.CUSTOM, "https://api.deepseek.com/v1"),
    ("https://api.openai.com", Provider.OPENAI, "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/chat/completions", Provider.OPENAI, "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/responses", Provider.OPENAI, "https://api.openai.com/v1"),
    ("https://api.openai.com/v1/realtime", Provider.OPENAI, "https://api.openai.com/v1"),
    (
        "https://platform.openai.com/settings/organization/api-keys",
        Provider.OPENAI,
        "https://api.openai.com/v1",
    ),
    ("https://developers.openai.com/api/docs", Provider.OPENAI, "https://api.openai.com/v1"),
    ("https://api.anthropic.com/v1/messages", Provider.ANTHROPIC, "https://api.anthropic.com"),
    ("https://api.anthropic.com/v1", Provider.ANTHROPIC, "https://api.anthropic.com"),
    ("https://console.anthropic.com/settings/keys", Provider.ANTHROPIC, "https://api.anthropic.com"),
    ("https://docs.claude.com/en/api/overview", Provider.ANTHROPIC, "https://api.anthropic.com"),
    ("http://localhost:11434/api/chat", Provider.OLLAMA, "http://localhost:11434"),
    ("http://localhost:11434/v1", Provider.OLLAMA, "http://localhost:11434"),
    ("http://localhost:11434/api", Provider.CUSTOM, "http://localhost:11434/v1"),
    ("http://localhost:1234/api/v0/models", Provider.CUSTOM, "http://localhost:1234/v1"),
    ("http://localhost:8000/docs", Provider.CUSTOM, "http://localhost:8000/v1"),
    ("http://localhost:4000/ui/", Provider.CUSTOM, "http://localhost:4000/v1"),
    ("http://localhost:8080/#/", Provider.CUSTOM, "http://localhost:8080/v1"),
    ("https://cloud.cerebras.ai/platform", Provider.CUSTOM, "https://api.cerebras.ai/v1"),
    ("https://inference-docs.cerebras.ai", Provider.CUSTOM, "https://api.cerebras.ai/v1"),
    ("https://api.sambanova.ai", Provider.CUSTOM, "https://api.sambanova.ai/v1"),
    ("https://cloud.sambanova.ai/apis", Provider.CUSTOM, "https://api.sambanova.ai/v1"),
    ("https://api.novita.ai/v3/openai", Provider.CUSTOM, "https://api.novita.ai/openai/v1"),
    ("https://api.lambda.ai", Provider.CUSTOM, "https://api.lambda.ai/v1"),
    ("https://api.hyperbolic.xyz", Provider.CUSTOM, "https://api.hyperbolic.xyz/v1"),
    (
        "https://spark-api-open.xf-yun.com/v1/chat/completions",
        Provider.CUSTOM,
        "https://spark-api-open.xf-yun.com/v1",
    ),
    ("https://api.baichuan-ai.com", Provider.CUSTOM, "https://api.baichuan-ai.com/v1"),
    ("https://api.lingyiwanwu.com", Provider.CUSTOM, "https://api.lingyiwanwu.com/v1"),
    ("https://api-inference.modelscope.cn", Provider.CUSTOM, "https://api-inference.modelscope.cn/v1"),
    ("https://api.portkey.ai", Provider.CUSTOM, "https://api.portkey.ai/v1"),
    ("https://api.inference.wandb.ai", Provider.CUSTOM, "https://api.inference.wandb.ai/v1"),
    ("https://router.requesty.ai", Provider.CUSTOM, "https://router.requesty.ai/v1"),
    (
        'curl "https://api.groq.com/openai/v1/chat/completions" \\\n -H "Authorization: Bearer $KEY"',
        Provider.CUSTOM,
        "https://api.groq.com/openai/v1",
    ),
    (
        "curl --location 'https://api.moonshot.cn/v1/chat/completions'",
        Provider.CUSTOM,
        "https://api.moonshot.cn/v1",
    ),
]
"""From the consoles, quick starts and references of the vendors, as one copies them."""


@pytest.mark.parametrize(("pasted", "provider", "api"), PASTED)
def test_what_vendors_show_leads_to_their_api(pasted: str, provider: Provider, api: str) -> None:
    url = normalize_base_url(read_address(pasted))
    wanted = ask.target(provider, url, GOOD)
    trials = trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE, "not_found"))[:MOST_REPAIRS]
    assert url == api or api in [t.value for t in trials]
    for trial in trials:
        # The key goes nowhere but to the host that it was entered for.
        same_host = urlsplit(trial.target.base_url).hostname == urlsplit(url).hostname
        assert trial.elsewhere(wanted) is not same_host


def test_a_web_page_leads_to_the_api_of_its_vendor_without_the_key() -> None:
    wanted = ask.target(Provider.OPENAI, "https://platform.openai.com/api-keys", GOOD)
    first = trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE, "not_json"))[0]
    assert first.value == "https://api.openai.com/v1"
    assert first.elsewhere(wanted)


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.base_url])
def test_the_path_of_a_preset_is_among_the_trials(preset: str) -> None:
    own = urlsplit(PRESETS[preset].base_url).path
    wanted = ask.target(Provider.CUSTOM, "http://127.0.0.1:9/somewhere", GOOD, preset=preset)
    tried = [t.value for t in trials_for(wanted, Verdict(Outcome.NOT_COMPATIBLE))]
    assert f"http://127.0.0.1:9{own}" in tried[:MOST_REPAIRS]


@pytest.mark.parametrize("right", ["/v1", "/api/v1", "/openai/v1", "/api", "/engines/v1", "/openai", ""])
@pytest.mark.parametrize(
    "typed", ["/chat/completions", "/v1/messages", "/ui/settings", "/v1beta/models/m:generateContent"]
)
def test_trials_begin_at_the_origin_as_well(right: str, typed: str) -> None:
    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.path != f"{right}/models":
            return answer(404, b'{"detail":"Not Found"}')
        if request.key != GOOD:
            return answer(401, b'{"error":{"message":"Incorrect API key provided"}}')
        return answer(200, LISTS[Provider.CUSTOM])

    with AnsweringServer(script) as server:
        report = ask.run_test(ask.target(Provider.CUSTOM, server.origin + typed, GOOD))
        (found,) = [s for s in report.suggestions if s.field == "base_url"]
        assert (found.value, found.verified) == (server.origin + right, True)


def test_the_router_that_runs_everything_is_green_and_never_asked_to_run_in_a_check() -> None:
    ran: list[Request] = []

    def script(request: Request, _connection: socket.socket) -> bytes:
        if request.method == "POST" and request.path == "/v1/chat/completions":
            ran.append(request)
            return answer(200, json.dumps({"choices": [{"message": {"content": "hi"}}]}).encode())
        return answer(404, b'{"message":"Route not found","error":"Not Found","statusCode":404}')

    with AnsweringServer(script) as server:
        wanted = ask.target(
            Provider.CUSTOM,
            f"{server.origin}/v1",
            None,
            preset="claude-code-router",
            scheme=AuthScheme.BEARER,
        )
        assert ask.check(wanted).ok
        assert not ran
        assert ask.run_test(wanted).verdict.ok
        assert len(ran) == 1
