"""Money, rate, key, permission, network and path are told by what an answer says, whatever its status."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

import probing_help as ask
from nexo.connections.terms import Outcome, Provider
from nexo_daemon.providers import bodies
from nexo_daemon.providers.classify import Classification, Subject, judge
from nexo_daemon.providers.exchange import HttpAnswer
from nexo_daemon.providers.probe_session import subject_of
from nexo_daemon.providers.redact import Redactor
from nexo_daemon.providers.requests import parse_base

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

MONEY, RATE, KEY = Outcome.QUOTA_EXHAUSTED, Outcome.RATE_LIMITED, Outcome.AUTH_ERROR
PERMISSION, NETWORK = Outcome.PERMISSION, Outcome.UNREACHABLE


def judged(status: int, body: Any, headers: dict[str, str] | None = None) -> Classification:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/html" if isinstance(body, str) else "application/json"
    answer = HttpAnswer(status, httpx.Headers({"content-type": kind, **(headers or {})}), raw)
    return judge(
        bodies.read(answer),
        right_shape=False,
        subject=Subject("Example", "api.example"),
        redact=Redactor(()),
        now=NOW,
    )


def error(message: str, kind: str = "", code: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


def violation(quota: str, delay: str) -> dict[str, Any]:
    return {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": "You exceeded your current quota, please check your plan and billing details.",
            "details": [{"violations": [{"quotaId": quota}]}, {"retryDelay": delay}],
        }
    }


SAID: list[tuple[int, Any, Outcome]] = [
    (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail: carry the API secret key"}}, KEY),
    (200, {"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}}, KEY),
    (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, MONEY),
    (200, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, RATE),
    (
        429,
        error("Your account is not active, please check your billing details.", "billing_not_active"),
        MONEY,
    ),
    (
        429,
        error(
            "Your account is suspended, please check your plan and billing", "exceeded_current_quota_error"
        ),
        MONEY,
    ),
    (403, {"code": "No permission", "error": "Your team doesn't have any credits or licenses yet."}, MONEY),
    (
        412,
        error("Account acme is suspended, possibly due to reaching the monthly spending limit", "", "X"),
        MONEY,
    ),
    (429, violation("GenerateContentInputTokensPerModelPerMinute-FreeTier", "26s"), RATE),
    (429, violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "26s"), MONEY),
    (403, {"Message": "Authentication failed: Please make sure your API Key is valid."}, KEY),
    (429, {"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试"}}, MONEY),
    (429, {"error": {"code": "1302", "message": "您当前使用该API的并发数过高，请降低并发"}}, RATE),
    (
        400,
        {"code": "Arrearage", "message": "Access denied, make sure your account is in good standing."},
        MONEY,
    ),
    (400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, RATE),
    (403, error("The account has an overdue balance.", "Forbidden", "AccountOverdueError"), MONEY),
    (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}, MONEY),
    (403, error("用户额度不足, 剩余额度: $0.00", "new_api_error", "insufficient_user_quota"), MONEY),
    (401, error("该令牌额度已用尽", "one_api_error"), MONEY),
    (400, error("Budget has been exceeded! Current cost: 5, Max budget: 1", "budget_exceeded", "400"), MONEY),
    (403, error("API rate limit exceeded for user"), RATE),
    (400, {"msg": "无效的令牌"}, KEY),
    (403, {"msg": "API密钥不正确"}, KEY),
    (412, error("Incorrect API key provided"), KEY),
    (402, error("Invalid API key"), KEY),
    (200, error("Unauthorized: invalid API key"), KEY),
    (200, error("Insufficient credits"), MONEY),
    (451, error("This model is not available in your country"), PERMISSION),
    (403, error("您所在的地区不支持该服务"), PERMISSION),
    (429, error("请求过于频繁，请稍后再试"), RATE),
    (403, error("请求过于频繁，请稍后再试"), RATE),
    # Volcengine Ark, docs 82379/1299023
    (403, error("The request failed because your account has an overdue balance.", "Forbidden"), MONEY),
    (
        401,
        error(
            "The API key or AK/SK in the request is missing or invalid.",
            "Unauthorized",
            "AuthenticationError",
        ),
        KEY,
    ),
    (403, error("The request failed because you do not have access to the requested resource."), PERMISSION),
    # Zhipu, docs.bigmodel.cn/cn/api/api-code
    (401, error("身份验证失败", "", "1000"), KEY),
    (200, error("Authentication Token 非法，请确认 Authentication Token 正确传递", "", "1002"), KEY),
    (200, error("Authentication Token 已过期，请重新生成/获取", "", "1003"), KEY),
    (400, error("Header 中未收到 Authentication 参数，无法进行身份验证", "", "1001"), KEY),
    (429, error("该 API 已达今日调用次数限额，如有更多需求，请联系客服购买", "", "1304"), MONEY),
    (429, error("您的 GLM Coding Plan 套餐已到期，暂无法使用", "", "1309"), MONEY),
    (400, error("您当前使用该 API 的频率过高，请降低频率", "", "1303"), RATE),
    (400, error("您的账户已被锁定，请联系客服解锁", "", "1112"), PERMISSION),
    # SiliconFlow, FoundationAgents/OpenManus#438
    (403, {"code": 30011, "message": "The selected model requires paid balance. Please top up."}, MONEY),
    # DeepSeek through a gateway, Aider-AI/aider#4851: the status is the gateway's
    (400, error("Insufficient Balance", "unknown_error", "invalid_request_error"), MONEY),
    # iFlow, platform.iflow.cn/en/docs/error-codes: all inside of a 200
    (200, {"success": False, "code": "60400", "message": "Insufficient credits"}, MONEY),
    (200, {"success": False, "code": "90402", "message": "Invalid API Key"}, KEY),
    (200, {"success": False, "code": "40303", "message": "Rate limited"}, RATE),
    # Baidu Qianfan's first interface: errors inside of a 200
    (200, {"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, KEY),
    (200, {"error_code": 18, "error_msg": "Open api qps request limit reached"}, RATE),
    # Tencent Hunyuan's codes
    (403, error("资源包余量已用尽", "", "FailedOperation.ResourcePackExhausted"), MONEY),
    (400, error("x", "", "FailedOperation.EngineServerLimitExceeded"), RATE),
    # Moonshot's and DeepSeek's words under another status
    (400, error("Invalid Authentication", "invalid_authentication_error"), KEY),
    (403, error("Authentication Fails, Your api key: ****1234 is invalid", "authentication_error"), KEY),
    # The same type is given to much; the sentence tells.
    (401, error("账户余额不足", "authentication_error"), MONEY),
    (403, error("Access to this service is blocked in your region"), PERMISSION),
    (400, error("Your organization has been suspended"), PERMISSION),
    (200, error("您没有权限访问该模型"), PERMISSION),
]


@pytest.mark.parametrize(("status", "body", "outcome"), SAID)
def test_what_an_error_says_comes_before_its_status(status: int, body: Any, outcome: Outcome) -> None:
    judgement = judged(status, body)
    assert judgement.verdict.outcome is outcome
    assert judgement.verdict.provider_message


@pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 412, 429, 451])
@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (error("Your balance is not enough, please recharge"), MONEY),
        (error("账户余额不足"), MONEY),
        (error("", "", "insufficient_balance"), MONEY),
        (error("The API key you sent is invalid"), KEY),
        (error("Rate limit reached, slow down"), RATE),
    ],
)
def test_the_same_words_mean_the_same_under_every_status(
    status: int, said: dict[str, Any], outcome: Outcome
) -> None:
    if (status, outcome) in {(402, RATE), (429, KEY)}:
        return
    assert judged(status, said).verdict.outcome is outcome


@pytest.mark.parametrize(
    ("status", "body", "headers", "reason"),
    [
        (
            403,
            {"title": "Error 1010: Access denied", "error_code": 1010, "cloudflare_error": True},
            {},
            "waf",
        ),
        (429, "<html>Vercel Security Checkpoint</html>", {"x-vercel-mitigated": "challenge"}, "waf"),
        (403, {"message": "Forbidden"}, {"x-amzn-waf-action": "captcha"}, "waf"),
        (403, "<html>Access Denied https://errors.edgesuite.net/18.1</html>", {}, "waf"),
        (403, "<html>Blocked by Zscaler policy</html>", {}, "waf"),
        (404, "<html>offline ERR_NGROK_3200</html>", {"ngrok-error-code": "ERR_NGROK_3200"}, "gateway"),
        (530, "error code: 1033", {}, "gateway"),
        (511, "<html>Sign in</html>", {}, "portal"),
        (403, "<html><title>Internet Security by Zscaler</title>", {"server": "Zscaler/5.6"}, "waf"),
        (403, {"error": "blocked"}, {"server": "Zscaler/6.2"}, "waf"),
        (403, "<h1>Access Denied</h1>Reference #18.1", {"server": "AkamaiGHost"}, "waf"),
        (403, {"detail": "denied"}, {"server": "AkamaiGHost"}, "waf"),
        (403, "<iframe src=/_Incapsula_Resource?x>Request unsuccessful. Incapsula incident ID: 1", {}, "waf"),
        (403, "<h1>403 ERROR</h1>Request blocked. Generated by cloudfront (CloudFront)", {}, "waf"),
        (200, "<html><title>Web Filter Violation</title>Powered by FortiGuard</html>", {}, "waf"),
        (403, "<html>FortiGuard Intrusion Prevention - Access Blocked</html>", {}, "waf"),
        (403, "<html>Your request was blocked by Netskope</html>", {}, "waf"),
        (503, "<html>Web Page Blocked</html>", {}, "waf"),
        (405, "<html>很抱歉，由于您访问的URL有可能对网站造成安全威胁，您的访问被阻断。</html>", {}, "waf"),
        (403, {"status": 403}, {"cf-mitigated": "challenge"}, "waf"),
        (502, {"error": "bad"}, {"ngrok-error-code": "ERR_NGROK_8012"}, "gateway"),
        (503, "503 - Tunnel Unavailable", {"x-localtunnel-status": "Tunnel Unavailable"}, "gateway"),
        (200, "<html><title>Captive Portal</title></html>", {}, "portal"),
        (302, "", {"location": "http://10.0.0.1:8002/hotspot?redirect=x"}, "portal"),
        (302, "", {"location": "/login?next=/v1/models"}, "portal"),
        (403, "<html>Access Denied</html>", {"x-squid-error": "ERR_ACCESS_DENIED 0"}, "proxy"),
        (500, "<html>Unable to connect</html>", {"server": "tinyproxy/1.11.1"}, "proxy"),
        (400, "Client sent an HTTP request to an HTTPS server.", {}, "tls_expected"),
        (400, {"error": "Client sent an HTTP request to an HTTPS server."}, {}, "tls_expected"),
        (497, "<html>The plain HTTP request was sent to HTTPS port</html>", {}, "tls_expected"),
        (400, "Bad Request: This combination of host and port requires TLS.", {}, "tls_expected"),
        (400, "<html>The SSL certificate error</html>", {}, "tls_client_certificate"),
        (511, {"error": "network authentication required"}, {}, "portal"),
    ],
)
def test_what_stands_before_the_provider_is_never_blamed_on_key_or_plan(
    status: int, body: Any, headers: dict[str, str], reason: str
) -> None:
    verdict = judged(status, body, headers).verdict
    outcome = Outcome.PROVIDER_DOWN if reason == "gateway" else NETWORK
    assert "key" not in verdict.advice or "about the key" in verdict.advice or "accepts" in verdict.advice
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_a_refusal_without_a_known_cause_shows_the_words_and_guesses_nothing() -> None:
    verdict = judged(403, {"error": "The moon is full."}).verdict
    assert verdict.outcome is PERMISSION
    assert verdict.advice == "api.example refuses the request and says: “The moon is full”."
    assert judged(403, {"x": {}}).verdict.advice == "api.example refuses the request without a reason."


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "Invalid type for 'messages': expected an array"), (400, "max_tokens is too large: token limit")],
)
def test_a_faulty_request_is_neither_key_nor_money(status: int, message: str) -> None:
    assert judged(status, error(message)).verdict.outcome is Outcome.NOT_COMPATIBLE


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (error("Please wait 57829 seconds before retrying"), 3600),
        (error("Please wait 59 seconds before retrying"), 59),
        (error("Rate limit reached. Please try again in 6m0s."), 360),
        (error("Rate limit reached. Try again in 1 minute and 30 seconds"), 90),
        (error("Your limit will reset at 2026-11-26 12:10:00 UTC"), 600),
        (error("Too many requests; resets at 2026-11-26T12:05:00Z"), 300),
        (error("Rate limit: reset at 1795694460000"), 60),
        (error("请求过于频繁，请在 30 秒后重试"), 30),
        (error("请等待2分钟后再试"), 120),
        ({"error": {"code": 429, "metadata": {"headers": {"X-RateLimit-Reset": "1795694460000"}}}}, 60),
        ({"error": {"message": "x", "retry_after": 7}}, 7),
    ],
)
def test_a_time_to_retry_is_read_from_the_body(body: Any, seconds: int) -> None:
    assert judged(429, body).verdict.retry_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("provider", "preset", "url", "service"),
    [
        (Provider.OPENAI, "", "https://api.openai.com/v1", "OpenAI"),
        (Provider.OPENAI, "", "https://eu.api.openai.com/v1", "OpenAI"),
        (Provider.OPENAI, "", "https://api.deepseek.com/v1", "api.deepseek.com"),
        (Provider.ANTHROPIC, "", "http://127.0.0.1:4000", "127.0.0.1:4000"),
        (Provider.ANTHROPIC, "", "https://api.anthropic.com.example", "api.anthropic.com.example"),
        (Provider.GOOGLE, "", "https://gateway.example:8443", "gateway.example:8443"),
        (Provider.OLLAMA, "", "http://127.0.0.1:11434", "Ollama"),
        (Provider.OLLAMA, "", "https://ollama.example", "ollama.example"),
        (Provider.CUSTOM, "", "https://llm.example/v1", "llm.example"),
        (Provider.CUSTOM, "deepseek", "https://api.deepseek.com/v1", "DeepSeek"),
        (Provider.CUSTOM, "openrouter", "https://openrouter.ai/api/v1", "OpenRouter"),
        (Provider.CUSTOM, "openrouter", "https://proxy.example/api/v1", "proxy.example"),
        (Provider.CUSTOM, "azure", "https://acme.openai.azure.com/openai/v1", "Azure OpenAI"),
        (Provider.CUSTOM, "xai", "https://api.x.ai/v1", "xAI"),
        (Provider.CUSTOM, "vllm", "http://127.0.0.1:8001/v1", "vLLM"),
        (Provider.CUSTOM, "llamacpp", "http://localhost:8080/v1", "llama.cpp server"),
        (Provider.CUSTOM, "lmstudio", "http://127.0.0.1:1234/v1", "LM Studio"),
        (Provider.CUSTOM, "litellm", "http://127.0.0.1:4000/v1", "LiteLLM"),
    ],
)
def test_advice_names_whom_was_asked_and_as_its_owner_writes_it(
    provider: Provider, preset: str, url: str, service: str
) -> None:
    subject = subject_of(ask.target(provider, url, preset=preset), parse_base(url))
    assert subject.service == service
    assert subject.fill("{service} rejects it.").startswith(service)
    assert not subject.key_url or service != subject.host
