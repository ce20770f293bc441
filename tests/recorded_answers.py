"""Answers that providers give, transcribed from their documentation, their SDKs and public reports.

They prove that we understand such an answer, not that a provider sends it today. Each is used four times:
with the pure classifier, and through respx, a small real server and nginx.
"""

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from nexo.connections.terms import Outcome, Provider

JSON = (("Content-Type", "application/json"),)
HTML = (("Content-Type", "text/html; charset=utf-8"),)

CANARY = "sk-proj-Canary0123456789abcdefXYZ"
"""The key that every request in these tests carries, and that some of the answers echo."""


@dataclass(frozen=True)
class Recorded:
    """An answer and its correct verdict.

    Attributes:
        row: the row of the table that decides; "" for success and a broken body.
        retry_s: seconds from now to `retry_at`; None if it must be unset.
    """

    name: str
    provider: Provider
    status: int
    body: bytes
    outcome: Outcome
    reason: str
    row: str
    headers: tuple[tuple[str, str], ...] = JSON
    key_accepted: bool = False
    retry_s: float | None = None
    extra: tuple[tuple[str, str], ...] = field(default=())

    @property
    def all_headers(self) -> tuple[tuple[str, str], ...]:
        """What the server sends, its length apart."""
        return self.headers + self.extra


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def _openai(message: str, kind: str | None = "invalid_request_error", code: Any = None) -> bytes:
    return _json({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _anthropic(kind: str, message: str, **details: str) -> bytes:
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    return _json({"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})


def _google(code: int, status: str, message: str, *details: dict[str, Any]) -> bytes:
    return _json({"error": {"code": code, "message": message, "status": status, "details": list(details)}})


def _info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def _quota(quota_id: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaMetric": "generate_content_requests", "quotaId": quota_id, "quotaValue": "20"}],
    }


def _retry(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


OPENAI, ANTHROPIC, GOOGLE, OLLAMA, CUSTOM = Provider
AUTH, PERMISSION = Outcome.AUTH_ERROR, Outcome.PERMISSION
RATE, QUOTA, DOWN = Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED, Outcome.PROVIDER_DOWN
UNREACHABLE, WRONG, OK = Outcome.UNREACHABLE, Outcome.NOT_COMPATIBLE, Outcome.OK

LISTS: dict[Provider, bytes] = {
    OPENAI: _json(
        {"object": "list", "data": [{"id": "gpt-5-nano", "object": "model", "created": 1, "owned_by": "x"}]}
    ),
    ANTHROPIC: _json(
        {
            "data": [
                {
                    "type": "model",
                    "id": "claude-haiku-4-5-20251001",
                    "display_name": "Claude Haiku 4.5",
                    "created_at": "2025-10-01T00:00:00Z",
                }
            ],
            "has_more": False,
            "first_id": "claude-haiku-4-5-20251001",
            "last_id": "claude-haiku-4-5-20251001",
        }
    ),
    GOOGLE: _json(
        {
            "models": [
                {
                    "name": "models/gemini-2.5-flash-lite",
                    "displayName": "Gemini 2.5 Flash-Lite",
                    "inputTokenLimit": 1048576,
                    "supportedGenerationMethods": ["generateContent"],
                }
            ]
        }
    ),
    OLLAMA: _json(
        {
            "models": [
                {
                    "name": "llama3.2:1b",
                    "model": "llama3.2:1b",
                    "modified_at": "2025-10-01T00:00:00.5+02:00",
                    "size": 1,
                    "digest": "a",
                    "details": {},
                }
            ]
        }
    ),
    CUSTOM: _json({"object": "list", "data": [{"id": "local-7b"}]}),
}
"""The right answer of each provider: a list of one model."""

_CLOUDFLARE = (
    b"<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body>x</body></html>"
)

RECORDED: tuple[Recorded, ...] = (
    # --- success
    *(Recorded(f"{p}-list", p, 200, LISTS[p], OK, "", "") for p in Provider),
    Recorded("together-bare-array", CUSTOM, 200, _json([{"id": "a/b"}]), OK, "", ""),
    Recorded("empty-list", OPENAI, 200, _json({"object": "list", "data": []}), OK, "", ""),
    Recorded("ollama-no-models", OLLAMA, 200, _json({"models": []}), OK, "", ""),
    Recorded("list-utf16", CUSTOM, 200, LISTS[CUSTOM].decode().encode("utf-16"), OK, "", ""),
    Recorded("list-with-bom", CUSTOM, 200, b"\xef\xbb\xbf" + LISTS[CUSTOM], OK, "", ""),
    Recorded("list-as-text", CUSTOM, 200, LISTS[CUSTOM], OK, "", "", (("Content-Type", "text/plain"),)),
    Recorded(
        "list-gzip",
        CUSTOM,
        200,
        gzip.compress(LISTS[CUSTOM]),
        OK,
        "",
        "",
        extra=(("Content-Encoding", "gzip"),),
    ),
    # --- OpenAI
    Recorded(
        "openai-missing-key",
        OPENAI,
        401,
        _openai(
            "You didn't provide an API key. You need to provide your API key in an Authorization header."
        ),
        AUTH,
        "missing_key",
        "missing-key-401",
    ),
    Recorded(
        "openai-invalid-key",
        OPENAI,
        401,
        _openai(
            f"Incorrect API key provided: {CANARY}. You can find your API key at …", code="invalid_api_key"
        ),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "openai-invalid-key-masked",
        OPENAI,
        401,
        _openai(f"Incorrect API key provided: {CANARY[:12]}**********fXYZ.", code="invalid_api_key"),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "openai-account-off",
        OPENAI,
        401,
        _openai(
            "The OpenAI account associated with this API key has been deactivated.",
            code="account_deactivated",
        ),
        AUTH,
        "account_deactivated",
        "account-off",
    ),
    Recorded(
        "openai-missing-scope",
        OPENAI,
        401,
        _openai(
            "You have insufficient permissions for this operation. Missing scopes: api.model.read."
            " Check that you have the correct role in your organization."
        ),
        PERMISSION,
        "missing_scope",
        "missing-scope",
        key_accepted=True,
    ),
    Recorded(
        "openai-missing-scope-string",
        OPENAI,
        401,
        _json({"error": "You have insufficient permissions for this operation."}),
        PERMISSION,
        "missing_scope",
        "missing-scope",
        key_accepted=True,
    ),
    Recorded(
        "openai-organization",
        OPENAI,
        401,
        _openai(
            "OpenAI-Organization header should match organization for API key", code="mismatched_organization"
        ),
        PERMISSION,
        "organization",
        "wrong-organization",
        key_accepted=True,
    ),
    Recorded(
        "openai-project",
        OPENAI,
        401,
        _openai("OpenAI-Project header should match project for API key", code="mismatched_project"),
        PERMISSION,
        "organization",
        "wrong-organization",
        key_accepted=True,
    ),
    Recorded(
        "openai-no-member",
        OPENAI,
        401,
        _openai("You must be a member of an organization to use the API."),
        PERMISSION,
        "organization",
        "wrong-organization",
        key_accepted=True,
    ),
    Recorded(
        "openai-address",
        OPENAI,
        401,
        _openai("IP not authorized", code="ip_not_authorized"),
        PERMISSION,
        "address_not_allowed",
        "address-not-allowed",
        key_accepted=True,
    ),
    Recorded(
        "openai-region",
        OPENAI,
        403,
        _openai(
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        PERMISSION,
        "region",
        "region-403",
    ),
    Recorded(
        "openai-rate",
        OPENAI,
        429,
        _openai(
            "Rate limit reached for gpt-5 on requests per min. Please try again in 20s.",
            "requests",
            "rate_limit_exceeded",
        ),
        RATE,
        "rate_limited",
        "rate",
        retry_s=20,
    ),
    Recorded(
        "openai-rate-headers",
        OPENAI,
        429,
        _openai("Rate limit reached", "tokens", "rate_limit_exceeded"),
        RATE,
        "rate_limited",
        "rate",
        retry_s=360,
        extra=(
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6ms"),
        ),
    ),
    Recorded(
        "openai-slow-down",
        OPENAI,
        429,
        _openai("Slow down", "rate_limit_error", "slow_down"),
        RATE,
        "rate_limited",
        "rate",
        retry_s=1.5,
        extra=(("retry-after-ms", "1500"), ("retry-after", "60")),
    ),
    *(
        Recorded(
            f"openai-{code}",
            OPENAI,
            429,
            _openai(
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                code,
            ),
            QUOTA,
            "quota",
            "quota-429",
            key_accepted=True,
        )
        for code in (
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
        )
    ),
    Recorded(
        "openai-overloaded",
        OPENAI,
        503,
        _openai("The server is overloaded", "service_unavailable_error", "server_is_overloaded"),
        DOWN,
        "overloaded",
        "overloaded",
        retry_s=30,
        extra=(("Retry-After", "30"),),
    ),
    # --- Anthropic
    *(
        Recorded(
            f"anthropic-{name}", ANTHROPIC, 401, _anthropic("authentication_error", text), AUTH, reason, row
        )
        for name, text, reason, row in (
            ("missing-key", "x-api-key header is required", "missing_key", "missing-key-401"),
            ("invalid-key", "invalid x-api-key", "invalid_key", "unauthorized"),
            (
                "oauth",
                "OAuth authentication is currently not supported.",
                "wrong_kind_of_key",
                "oauth-token",
            ),
        )
    ),
    Recorded(
        "anthropic-cors",
        ANTHROPIC,
        401,
        _anthropic("authentication_error", "CORS requests are not allowed for this Organization"),
        PERMISSION,
        "origin_header",
        "browser-only",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-credit-400",
        ANTHROPIC,
        400,
        _anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
        QUOTA,
        "no_credit",
        "credit-400",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-own-limit",
        ANTHROPIC,
        400,
        _anthropic("invalid_request_error", "You have reached your specified API usage limits."),
        QUOTA,
        "no_credit",
        "credit-400",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-disabled",
        ANTHROPIC,
        400,
        _anthropic(
            "invalid_request_error", "This organization has been disabled.", error_code="organization_on_hold"
        ),
        PERMISSION,
        "account_disabled",
        "organization-disabled",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-billing",
        ANTHROPIC,
        402,
        _anthropic("billing_error", "There is a problem with your billing."),
        QUOTA,
        "no_credit",
        "payment",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-scope",
        ANTHROPIC,
        403,
        _anthropic("permission_error", "The key may not do this.", error_code="api_key_scope_missing"),
        PERMISSION,
        "missing_scope",
        "missing-scope",
        key_accepted=True,
    ),
    Recorded(
        "anthropic-permission",
        ANTHROPIC,
        403,
        _anthropic("permission_error", "Your API key does not have permission to use the resource."),
        PERMISSION,
        "forbidden",
        "forbidden",
    ),
    Recorded(
        "anthropic-edge",
        ANTHROPIC,
        403,
        _json({"error": {"type": "forbidden", "message": "Request not allowed"}}),
        PERMISSION,
        "request_not_allowed",
        "edge-refusal",
    ),
    Recorded(
        "anthropic-not-found",
        ANTHROPIC,
        404,
        _anthropic("not_found_error", "Not found"),
        WRONG,
        "not_found",
        "not-found",
    ),
    Recorded(
        "anthropic-rate",
        ANTHROPIC,
        429,
        _anthropic("rate_limit_error", "This request would exceed your rate limit."),
        RATE,
        "rate_limited",
        "rate",
        retry_s=45,
        extra=(("retry-after", "45"),),
    ),
    Recorded(
        "anthropic-rate-moment",
        ANTHROPIC,
        429,
        _anthropic(
            "rate_limit_error", "This request would exceed your rate limit.", error_code="ramp_limit_exceeded"
        ),
        RATE,
        "rate_limited",
        "rate",
        retry_s=90,
        extra=(
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T12:01:30Z"),
            ("anthropic-ratelimit-tokens-remaining", "10"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-23T12:00:05Z"),
        ),
    ),
    *(
        Recorded(
            f"anthropic-{code}",
            ANTHROPIC,
            429,
            _anthropic("rate_limit_error", "Spend cap reached.", error_code=code),
            QUOTA,
            "quota",
            "quota-429",
            key_accepted=True,
        )
        for code in ("enforced_spend_limit_reached", "contract_spend_limit_reached")
    ),
    Recorded(
        "anthropic-500",
        ANTHROPIC,
        500,
        _anthropic("api_error", "Internal server error"),
        DOWN,
        "server_error",
        "server-error",
    ),
    Recorded(
        "anthropic-504",
        ANTHROPIC,
        504,
        _anthropic("timeout_error", "Timed out"),
        DOWN,
        "server_timeout",
        "gateway-timeout",
    ),
    Recorded(
        "anthropic-529",
        ANTHROPIC,
        529,
        _anthropic("overloaded_error", "Overloaded"),
        DOWN,
        "overloaded",
        "overloaded",
    ),
    # --- Google
    Recorded(
        "google-missing-key",
        GOOGLE,
        403,
        _google(
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity).",
        ),
        AUTH,
        "missing_key",
        "no-key-403",
    ),
    *(
        Recorded(
            f"google-bad-key-{number}",
            GOOGLE,
            400,
            _google(400, "INVALID_ARGUMENT", text, _info("API_KEY_INVALID")),
            AUTH,
            "invalid_key",
            "bad-key-400",
        )
        for number, text in enumerate(
            (
                "API key not valid. Please pass a valid API key.",
                "API Key not found. Please pass a valid API key.",
            )
        )
    ),
    Recorded(
        "google-expired",
        GOOGLE,
        400,
        _google(
            400, "INVALID_ARGUMENT", "API key expired. Please renew the API key.", _info("API_KEY_INVALID")
        ),
        AUTH,
        "key_expired",
        "expired-key",
    ),
    Recorded(
        "google-bad-auth-key",
        GOOGLE,
        401,
        _google(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials.",
            _info("ACCESS_TOKEN_TYPE_UNSUPPORTED"),
        ),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "google-two-credentials",
        GOOGLE,
        400,
        _google(
            400, "INVALID_ARGUMENT", "Multiple authentication credentials received. Please pass only one."
        ),
        Outcome.CONFIG_ERROR,
        "two_credentials",
        "two-credentials",
    ),
    Recorded(
        "google-leaked",
        GOOGLE,
        403,
        _google(403, "PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
        AUTH,
        "key_leaked",
        "leaked-key",
    ),
    *(
        Recorded(
            f"google-{code}",
            GOOGLE,
            403,
            _google(403, "PERMISSION_DENIED", "Generative Language API is not enabled.", _info(code)),
            PERMISSION,
            "service_disabled",
            "service-off",
            key_accepted=True,
        )
        for code in ("API_KEY_SERVICE_BLOCKED", "SERVICE_DISABLED")
    ),
    Recorded(
        "google-referrer",
        GOOGLE,
        403,
        _google(
            403,
            "PERMISSION_DENIED",
            "Requests from referer <empty> are blocked.",
            _info("API_KEY_HTTP_REFERRER_BLOCKED"),
        ),
        PERMISSION,
        "address_not_allowed",
        "address-not-allowed",
        key_accepted=True,
    ),
    Recorded(
        "google-denied",
        GOOGLE,
        403,
        _google(403, "PERMISSION_DENIED", "Your project has been denied access. Please contact support."),
        PERMISSION,
        "project_denied",
        "project-denied",
        key_accepted=True,
    ),
    Recorded(
        "google-region",
        GOOGLE,
        400,
        _google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        PERMISSION,
        "region",
        "region-400",
    ),
    Recorded(
        "google-per-minute",
        GOOGLE,
        429,
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded. Please retry in 34.07s.",
            _quota("GenerateRequestsPerMinutePerProject"),
            _retry("34.07s"),
        ),
        RATE,
        "rate_limited",
        "rate",
        retry_s=34.07,
    ),
    Recorded(
        "google-per-minute-sentence",
        GOOGLE,
        429,
        _google(429, "RESOURCE_EXHAUSTED", "Quota exceeded. Please retry in 12s."),
        RATE,
        "rate_limited",
        "rate",
        retry_s=12,
    ),
    Recorded(
        "google-per-day",
        GOOGLE,
        429,
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded.",
            _quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            _retry("21s"),
        ),
        QUOTA,
        "quota",
        "quota-429",
        key_accepted=True,
        retry_s=21,
    ),
    Recorded(
        "google-long-delay",
        GOOGLE,
        429,
        _google(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", _retry("40000s")),
        QUOTA,
        "quota",
        "quota-429",
        key_accepted=True,
        retry_s=40000,
    ),
    Recorded(
        "google-prepaid",
        GOOGLE,
        429,
        _google(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Please go to AI Studio."),
        QUOTA,
        "quota",
        "quota-429",
        key_accepted=True,
    ),
    Recorded(
        "google-402",
        GOOGLE,
        402,
        _google(402, "FAILED_PRECONDITION", "Billing"),
        QUOTA,
        "no_credit",
        "payment",
        key_accepted=True,
    ),
    Recorded(
        "google-array",
        CUSTOM,
        400,
        _json(
            [
                {
                    "error": {
                        "code": 400,
                        "message": "API key not valid.",
                        "status": "INVALID_ARGUMENT",
                        "details": [_info("API_KEY_INVALID")],
                    }
                }
            ]
        ),
        AUTH,
        "invalid_key",
        "bad-key-400",
    ),
    # --- Ollama
    *(
        Recorded(
            f"ollama-{status}", OLLAMA, status, _json({"error": "something is wrong"}), outcome, reason, row
        )
        for status, outcome, reason, row in (
            (400, WRONG, "bad_request", "bad-request"),
            (404, WRONG, "not_found", "not-found"),
            (500, DOWN, "server_error", "server-error"),
        )
    ),
    Recorded("ollama-host-guard", OLLAMA, 403, b"", PERMISSION, "host_not_allowed", "host-guard", headers=()),
    Recorded(
        "ollama-cloud-401",
        OLLAMA,
        401,
        _json({"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x&key=y"}),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "ollama-cloud-subscription",
        OLLAMA,
        403,
        _json({"error": "this model requires a subscription, upgrade for access"}),
        PERMISSION,
        "subscription",
        "subscription",
        key_accepted=True,
    ),
    # --- gateways
    *(
        Recorded(
            f"openrouter-{number}",
            CUSTOM,
            401,
            _json({"error": {"code": 401, "message": text}}),
            AUTH,
            reason,
            row,
        )
        for number, (text, reason, row) in enumerate(
            (
                ("No auth credentials found", "missing_key", "missing-key-401"),
                ("User not found.", "invalid_key", "unauthorized"),
                ("No cookie auth credentials found", "missing_key", "missing-key-401"),
            )
        )
    ),
    Recorded(
        "openrouter-402",
        CUSTOM,
        402,
        _json(
            {
                "error": {
                    "code": 402,
                    "message": "Insufficient credits",
                    "metadata": {"limit_source": "account"},
                }
            }
        ),
        QUOTA,
        "no_credit",
        "payment",
        key_accepted=True,
    ),
    Recorded(
        "openrouter-key-limit",
        CUSTOM,
        401,
        _json({"error": {"code": 401, "message": "API key credit limit reached"}}),
        QUOTA,
        "key_limit",
        "credit-401",
        key_accepted=True,
    ),
    Recorded(
        "openrouter-error-in-200",
        CUSTOM,
        200,
        _json({"error": {"code": 401, "message": "User not found."}}),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "openrouter-rate-in-200",
        CUSTOM,
        200,
        _json({"error": {"code": "429", "message": "Slow down"}}),
        RATE,
        "rate_limited",
        "rate",
        retry_s=7,
        extra=(("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1795435207000")),
    ),
    Recorded(
        "groq-401",
        CUSTOM,
        401,
        _openai("Invalid API Key", code="invalid_api_key"),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "xai-400",
        CUSTOM,
        400,
        _json(
            {
                "code": "Client specified an invalid argument",
                "error": "Incorrect API key provided: xx***yy. You can obtain an API key from https://console.x.ai.",
            }
        ),
        AUTH,
        "invalid_key",
        "bad-key-400",
    ),
    Recorded(
        "mistral-401", CUSTOM, 401, _json({"detail": "Unauthorized"}), AUTH, "invalid_key", "unauthorized"
    ),
    *(
        Recorded(
            f"deepseek-401-{number}",
            CUSTOM,
            401,
            _openai(text, "authentication_error", "invalid_request_error"),
            AUTH,
            "invalid_key",
            "unauthorized",
        )
        for number, text in enumerate(
            (
                "Authentication Fails (no such user)",
                f"Authentication Fails, Your api key: ****{CANARY[-4:]} is invalid",
            )
        )
    ),
    Recorded(
        "deepseek-402",
        CUSTOM,
        402,
        _openai("Insufficient Balance", "unknown_error", "invalid_request_error"),
        QUOTA,
        "no_credit",
        "payment",
        key_accepted=True,
    ),
    Recorded("vllm-401", CUSTOM, 401, _json({"error": "Unauthorized"}), AUTH, "invalid_key", "unauthorized"),
    Recorded(
        "llamacpp-401",
        CUSTOM,
        401,
        _json({"error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401}}),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "llamacpp-503",
        CUSTOM,
        503,
        _json({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
        DOWN,
        "starting",
        "loading",
    ),
    Recorded(
        "llama-cpp-python-401",
        CUSTOM,
        401,
        _json({"detail": "Invalid API key"}),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "litellm-no-key",
        CUSTOM,
        401,
        _openai("Authentication Error, No api key passed in.", "auth_error", "401"),
        AUTH,
        "missing_key",
        "missing-key-401",
    ),
    Recorded(
        "litellm-no-db",
        CUSTOM,
        400,
        _openai("No connected db.", "no_db_connection", "400"),
        AUTH,
        "invalid_key",
        "litellm-no-db",
    ),
    Recorded(
        "litellm-not-in-db",
        CUSTOM,
        401,
        _openai("Authentication Error, Invalid proxy server token passed", "token_not_found_in_db", "401"),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "lmstudio-200-anyway",
        CUSTOM,
        200,
        _json({"error": "Unexpected endpoint or method. (GET /models). Returning 200 anyway"}),
        WRONG,
        "unknown_path",
        "unknown-path",
    ),
    Recorded(
        "lmstudio-401",
        CUSTOM,
        401,
        _openai("Invalid API token", "authentication_error", "invalid_api_key"),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "azure-401",
        CUSTOM,
        401,
        _json(
            {
                "error": {
                    "code": "401",
                    "message": "Access denied due to invalid subscription key or wrong API endpoint.",
                }
            }
        ),
        AUTH,
        "invalid_key",
        "unauthorized",
    ),
    Recorded(
        "fastapi-403", CUSTOM, 403, _json({"detail": "Not authenticated"}), AUTH, "missing_key", "no-key-403"
    ),
    Recorded(
        "fastapi-422",
        CUSTOM,
        422,
        _json({"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]}),
        WRONG,
        "bad_request",
        "bad-request",
    ),
    Recorded(
        "problem-json",
        CUSTOM,
        401,
        _json(
            {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "The token has expired"}
        ),
        AUTH,
        "key_expired",
        "expired-key",
        headers=(("Content-Type", "application/problem+json"),),
    ),
    Recorded(
        "message-only", CUSTOM, 401, _json({"message": "Unauthorized"}), AUTH, "invalid_key", "unauthorized"
    ),
    Recorded(
        "key-limit-403",
        CUSTOM,
        403,
        _json({"error": {"code": 403, "message": "Key limit exceeded (monthly limit)."}}),
        QUOTA,
        "key_limit",
        "credit-401",
        key_accepted=True,
    ),
    # --- what stands in between
    *(
        Recorded(
            f"redirect-{status}",
            OPENAI,
            status,
            b"",
            WRONG,
            "redirect",
            "redirect",
            headers=(("Location", f"https://other.example/v1/models?key={CANARY}"),),
        )
        for status in (301, 302, 303, 307, 308)
    ),
    Recorded("cloudflare-403", CUSTOM, 403, _CLOUDFLARE, UNREACHABLE, "waf", "waf", headers=HTML),
    Recorded(
        "cloudflare-moment",
        OPENAI,
        403,
        b"<html><title>Just a moment...</title></html>",
        UNREACHABLE,
        "waf",
        "waf",
        headers=(*HTML, ("cf-mitigated", "challenge")),
    ),
    Recorded(
        "cloudflare-503",
        CUSTOM,
        503,
        b"<html><title>Just a moment...</title></html>",
        UNREACHABLE,
        "waf",
        "waf",
        headers=HTML,
    ),
    Recorded(
        "cloudflare-1010",
        CUSTOM,
        403,
        b"error code: 1010",
        UNREACHABLE,
        "waf",
        "waf",
        headers=(("Content-Type", "text/plain"),),
    ),
    Recorded(
        "cloudflare-1020",
        CUSTOM,
        403,
        b"error code: 1020",
        UNREACHABLE,
        "waf",
        "waf",
        headers=(("Content-Type", "text/plain"),),
    ),
    Recorded(
        "waf-401",
        ANTHROPIC,
        401,
        b"<html><title>Just a moment...</title></html>",
        UNREACHABLE,
        "waf",
        "waf",
        headers=HTML,
    ),
    *(
        Recorded(
            f"gateway-{status}",
            OPENAI,
            status,
            b"<html><h1>Bad gateway</h1></html>",
            DOWN,
            "gateway",
            "gateway-page",
            headers=HTML,
        )
        for status in (502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527)
    ),
    Recorded(
        "html-200",
        CUSTOM,
        200,
        b"<!doctype html><html><title>LiteLLM API - Swagger UI</title></html>",
        WRONG,
        "not_json",
        "error-page",
        headers=HTML,
    ),
    Recorded(
        "html-404",
        OPENAI,
        404,
        b"<html><h1>404 Not Found</h1></html>",
        WRONG,
        "not_json",
        "error-page",
        headers=HTML,
    ),
    Recorded(
        "text-404",
        CUSTOM,
        404,
        b"404 page not found",
        WRONG,
        "not_json",
        "error-page",
        headers=(("Content-Type", "text/plain"),),
    ),
    Recorded(
        "ollama-root",
        OLLAMA,
        200,
        b"Ollama is running",
        WRONG,
        "not_json",
        "error-page",
        headers=(("Content-Type", "text/plain"),),
    ),
    Recorded(
        "https-port",
        CUSTOM,
        400,
        b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>",
        UNREACHABLE,
        "tls_expected",
        "https-port",
        headers=HTML,
    ),
    Recorded(
        "go-https-port",
        CUSTOM,
        400,
        b"Client sent an HTTP request to an HTTPS server.\n",
        UNREACHABLE,
        "tls_expected",
        "https-port",
        headers=(("Content-Type", "text/plain"),),
    ),
    Recorded(
        "proxy-407",
        CUSTOM,
        407,
        b"<html>Proxy Authentication Required</html>",
        UNREACHABLE,
        "proxy_auth",
        "proxy-auth",
        headers=HTML,
    ),
    # --- only the status speaks
    Recorded("empty-object", OPENAI, 200, b"{}", WRONG, "wrong_shape", "wrong-shape"),
    Recorded("empty-200", OPENAI, 200, b"", WRONG, "wrong_shape", "wrong-shape"),
    Recorded("no-content", OPENAI, 204, b"", WRONG, "wrong_shape", "wrong-shape"),
    Recorded("other-json", CUSTOM, 200, _json({"data": [1, 2]}), WRONG, "wrong_shape", "wrong-shape"),
    Recorded("error-word-in-200", CUSTOM, 200, _json({"error": "no"}), WRONG, "wrong_shape", "wrong-shape"),
    *(
        Recorded(f"{a}-is-not-{b}", b, 200, LISTS[a], WRONG, "wrong_shape", "wrong-shape")
        for a, b in ((OPENAI, ANTHROPIC), (GOOGLE, OLLAMA), (OLLAMA, GOOGLE), (OLLAMA, OPENAI))
    ),
    Recorded("plain-400", OPENAI, 400, _openai("Unknown parameter"), WRONG, "bad_request", "bad-request"),
    Recorded("empty-401", OPENAI, 401, b"", AUTH, "invalid_key", "unauthorized", headers=()),
    *(
        Recorded(f"status-{s}", CUSTOM, s, _json({"error": "no"}), WRONG, "not_found", "not-found")
        for s in (404, 405, 410, 501)
    ),
    Recorded("status-408", CUSTOM, 408, _json({"error": "slow"}), DOWN, "server_timeout", "server-timeout"),
    Recorded("status-409", CUSTOM, 409, _json({"error": "busy"}), DOWN, "server_error", "conflict"),
    Recorded(
        "empty-429",
        CUSTOM,
        429,
        b"",
        RATE,
        "rate_limited",
        "rate",
        retry_s=120,
        headers=(("Retry-After", "Mon, 23 Nov 2026 12:02:00 GMT"),),
    ),
    Recorded(
        "retry-capped",
        CUSTOM,
        429,
        b"{}",
        RATE,
        "rate_limited",
        "rate",
        retry_s=3600,
        extra=(("Retry-After", "99999999"),),
    ),
    Recorded(
        "retry-in-the-past",
        CUSTOM,
        429,
        b"{}",
        RATE,
        "rate_limited",
        "rate",
        retry_s=0,
        extra=(("Retry-After", "Mon, 23 Nov 2020 12:02:00 GMT"),),
    ),
    Recorded(
        "latin1-401",
        CUSTOM,
        401,
        '{"error":"Ungültiger Schlüssel"}'.encode("latin-1"),
        AUTH,
        "invalid_key",
        "unauthorized",
        headers=(("Content-Type", "application/json; charset=utf-8"),),
    ),
    Recorded(
        "truncated-json-401", CUSTOM, 401, b'{"error":{"message":"Inval', AUTH, "invalid_key", "unauthorized"
    ),
    Recorded(
        "restricted-org",
        CUSTOM,
        400,
        _openai(
            "Organization has been restricted. Please reach out to support.", code="organization_restricted"
        ),
        PERMISSION,
        "account_disabled",
        "organization-disabled",
        key_accepted=True,
    ),
    # The same refusals under other statuses, in other shapes and another language.
    Recorded(  # MiniMax-AI/MiniMax-01 issues 44 and 69
        "minimax-login",
        CUSTOM,
        200,
        _json(
            {"base_resp": {"status_code": 1004, "status_msg": "login fail: Please carry the API secret key"}}
        ),
        AUTH,
        "invalid_key",
        "key-by-words",
    ),
    Recorded(
        "minimax-balance",
        CUSTOM,
        200,
        _json({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(  # BerriAI/litellm issue 2743
        "billing-not-active",
        OPENAI,
        429,
        _openai(
            "Your account is not active, please check your billing details on our website.",
            "billing_not_active",
            "billing_not_active",
        ),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(  # Moonshot's forum
        "moonshot-suspended",
        CUSTOM,
        429,
        _json(
            {
                "error": {
                    "type": "exceeded_current_quota_error",
                    "message": "Your account is suspended, please check your plan and billing details",
                }
            }
        ),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "xai-no-credits",
        CUSTOM,
        403,
        _json(
            {
                "code": "The caller does not have permission to execute the specified operation",
                "error": "Your newly created team doesn't have any credits or licenses yet.",
            }
        ),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "fireworks-412",
        CUSTOM,
        412,
        _json(
            {
                "error": {
                    "message": "Account acme is suspended, possibly due to reaching the spending limit",
                    "code": "PRECONDITION_FAILED",
                }
            }
        ),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "one-api-quota",
        CUSTOM,
        403,
        _json({"error": {"message": "该令牌额度已用尽", "type": "new_api_error"}}),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "zhipu-arrears",
        CUSTOM,
        400,
        _json({"error": {"code": "1113", "message": "您的账户已欠费，请充值后重试"}}),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "dashscope-arrearage",
        CUSTOM,
        400,
        _json(
            {
                "code": "Arrearage",
                "message": "Access denied, is your account in good standing?",
            }
        ),
        QUOTA,
        "no_credit",
        "money",
        key_accepted=True,
    ),
    Recorded(
        "dashscope-throttling",
        CUSTOM,
        400,
        _json(
            {
                "code": "Throttling.RateQuota",
                "message": "Requests rate limit exceeded, try later.",
            }
        ),
        RATE,
        "rate_limited",
        "rate-by-words",
    ),
    Recorded(
        "rate-inside-a-200",
        CUSTOM,
        200,
        _json({"error": {"message": "您的请求过于频繁，请稍后再试"}}),
        RATE,
        "rate_limited",
        "rate-by-words",
    ),
    Recorded(
        "siliconflow-rpm",
        CUSTOM,
        403,
        _json({"code": 50603, "message": "Request was rejected due to rate limiting: TPM limit reached."}),
        RATE,
        "rate_limited",
        "rate-by-words",
    ),
    Recorded(
        "azure-foundry-403",
        CUSTOM,
        403,
        _json({"Message": "Authentication failed: Please make sure your API Key is valid."}),
        AUTH,
        "invalid_key",
        "key-by-words",
    ),
    Recorded(
        "one-api-token",
        CUSTOM,
        403,
        _json({"error": {"message": "无效的令牌", "type": "new_api_error"}}),
        AUTH,
        "invalid_key",
        "key-by-words",
    ),
    Recorded(
        "lm-proxy-403",
        CUSTOM,
        403,
        _json({"error": {"message": "Incorrect API key provided"}}),
        AUTH,
        "invalid_key",
        "key-by-words",
    ),
    Recorded(
        "gemini-per-minute-and-plan",
        GOOGLE,
        429,
        _google(
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details.",
            _quota("GenerateContentInputTokensPerModelPerMinute-FreeTier"),
            _retry("26s"),
        ),
        RATE,
        "rate_limited",
        "rate",
        retry_s=26,
    ),
    Recorded(
        "cloudflare-json-1010",
        CUSTOM,
        403,
        _json(
            {
                "title": "Error 1010: Access denied",
                "status": 403,
                "error_code": 1010,
                "cloudflare_error": True,
            }
        ),
        UNREACHABLE,
        "waf",
        "waf",
    ),
    Recorded(
        "vercel-checkpoint",
        CUSTOM,
        429,
        b"<html><title>Vercel Security Checkpoint</title></html>",
        UNREACHABLE,
        "waf",
        "waf",
        headers=HTML,
        extra=(("X-Vercel-Mitigated", "challenge"),),
    ),
    Recorded(
        "aws-waf-json",
        CUSTOM,
        403,
        _json({"message": "Forbidden"}),
        UNREACHABLE,
        "waf",
        "waf",
        extra=(("x-amzn-waf-action", "challenge"),),
    ),
    Recorded(
        "ngrok-offline",
        CUSTOM,
        404,
        b"<html>The endpoint is offline. ERR_NGROK_3200</html>",
        DOWN,
        "gateway",
        "tunnel",
        headers=HTML,
        extra=(("Ngrok-Error-Code", "ERR_NGROK_3200"),),
    ),
    Recorded(
        "portal-511", CUSTOM, 511, b"<html>Sign in</html>", UNREACHABLE, "portal", "portal", headers=HTML
    ),
    Recorded(  # an identity-aware proxy, and a captive portal
        "sign-in-redirect",
        CUSTOM,
        302,
        b"",
        UNREACHABLE,
        "portal",
        "sign-in-redirect",
        headers=(("Location", "https://team.cloudflareaccess.com/cdn-cgi/access/login/x"),),
    ),
    Recorded(
        "captive-portal-200",
        CUSTOM,
        200,
        b"<html><title>Hotspot Login</title></html>",
        UNREACHABLE,
        "portal",
        "portal-page",
        headers=HTML,
    ),
    Recorded(
        "squid-denies",
        CUSTOM,
        403,
        b"<html><h1>ERROR</h1>Access Denied.</html>",
        UNREACHABLE,
        "proxy",
        "proxy-answer",
        headers=HTML,
        extra=(("X-Squid-Error", "ERR_ACCESS_DENIED 0"),),
    ),
    Recorded(
        "nginx-client-certificate",
        CUSTOM,
        400,
        b"<html><h1>400 Bad Request</h1>No required SSL certificate was sent</html>",
        UNREACHABLE,
        "tls_client_certificate",
        "client-certificate",
        headers=HTML,
    ),
    Recorded(
        "gateway-without-keys",
        CUSTOM,
        503,
        _json({"error": "Make sure the model is configured with API keys"}),
        DOWN,
        "gateway_unconfigured",
        "gateway-unconfigured",
    ),
    Recorded(
        "one-api-no-token",
        CUSTOM,
        403,
        _json({"error": {"message": "未提供令牌", "type": "new_api_error"}}),
        AUTH,
        "missing_key",
        "no-key-by-words",
    ),
    Recorded(
        "region-in-chinese",
        CUSTOM,
        403,
        _json({"error": {"message": "您所在的地区不支持该服务"}}),
        PERMISSION,
        "region",
        "region-by-words",
    ),
    Recorded(  # Zhipu, code 1121
        "zhipu-account-locked",
        CUSTOM,
        403,
        _json({"error": {"code": "1121", "message": "账户存违规行为，账号已被锁定"}}),
        PERMISSION,
        "account_disabled",
        "account-by-words",
    ),
    Recorded(  # Zhipu, code 1220
        "zhipu-no-permission",
        CUSTOM,
        400,
        _json({"error": {"code": "1220", "message": "您无权访问 glm-4.6"}}),
        PERMISSION,
        "forbidden",
        "permission-by-words",
    ),
    Recorded("legal-451", CUSTOM, 451, b"{}", PERMISSION, "region", "legal"),
)
