"""The classification table for answers: status and body → outcome, reason, advice. Data, no behaviour.

Tiers are tried in order (`EDGE`, `SPECIFIC`, `BY_MEANING`, `BY_STATUS`), and within a tier no answer that a
provider is known to send reaches two rows. Sources of the rows: the providers' documentation and SDKs, and
bodies that users pasted in public; where a fact is not documented the row only ever chooses the milder
outcome. A message is compared only where the provider sends no code for the case.
"""

from dataclasses import dataclass, field

from nexo_client.terms import Outcome
from nexo_daemon.providers.bodies import LONG_RETRY_CODE, Form
from nexo_daemon.providers.meaning import Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row: it matches when the status fits and, if any are given, one of codes or words is present.

    Attributes:
        statuses: inclusive ranges.
        codes: words in code, type, status or reason fields, lower case, compared as a whole.
        words: parts of the message or of codes, lower case.
        headers: names of headers whose presence suffices, lower case.
        unless: words or names of headers that belong to another row of the tier.
        forms: kinds of body; empty for any.
        advice: one sentence; may use {service}, {host}, {keys_at}.
        key_accepted: the answer proves that the provider knows the key.
        meaning: what the error has to be about.
    """

    name: str
    statuses: tuple[tuple[int, int], ...]
    outcome: Outcome
    reason: str
    advice: str
    codes: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    forms: frozenset[Form] = field(default_factory=frozenset)
    key_accepted: bool = False
    meaning: Meaning | None = None


def _on(*statuses: int) -> tuple[tuple[int, int], ...]:
    return tuple((status, status) for status in statuses)


_NOT_JSON = frozenset({Form.HTML, Form.TEXT, Form.EMPTY})
_PAGE = frozenset({Form.HTML, Form.TEXT})
_FILTER_WORDS = (
    "just a moment",
    "attention required! | cloudflare",
    "error code: 1010",
    "error code: 1020",
    "error 1010",
    "error 1020",
)
_FILTER_HEADERS = ("cf-mitigated", "x-vercel-mitigated", "x-amzn-waf-action", "x-datadome", "x-sucuri-block")
_TUNNEL_WORDS = ("err_ngrok_", "error 1033", "error code: 1033")
_TUNNEL_HEADERS = ("ngrok-error-code",)
_HTTPS_WORDS = (
    "plain http request was sent to https port",
    "client sent an http request to an https server",
)

EDGE: tuple[Row, ...] = (
    Row(
        name="redirect",
        statuses=((300, 399),),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="redirect",
        advice=(
            "{host} sends requests elsewhere. Redirects are not followed, because they carry keys to other"
            " hosts; use the final address as base URL if you trust it."
        ),
    ),
    Row(
        name="proxy-auth",
        statuses=_on(407),
        outcome=Outcome.UNREACHABLE,
        reason="proxy_auth",
        advice="The proxy asks for a user name and password; put them into the proxy URL of the connection.",
    ),
    Row(
        name="https-port",
        statuses=_on(400),
        forms=_PAGE,
        words=_HTTPS_WORDS,
        outcome=Outcome.UNREACHABLE,
        reason="tls_expected",
        advice="This port speaks HTTPS; use https:// in the base URL.",
    ),
    Row(
        name="portal",
        statuses=_on(511),
        outcome=Outcome.UNREACHABLE,
        reason="portal",
        advice="This network wants you to sign in first; open a web page in a browser.",
    ),
    Row(
        name="tunnel",
        statuses=((400, 406), (408, 510), (512, 599)),
        headers=_TUNNEL_HEADERS,
        words=_TUNNEL_WORDS,
        unless=_HTTPS_WORDS,
        outcome=Outcome.PROVIDER_DOWN,
        reason="gateway",
        advice="The tunnel of {host} is up, and the server behind it is not; start it, or check its address.",
    ),
    Row(
        name="waf",
        statuses=((400, 406), (408, 510), (512, 599)),
        headers=_FILTER_HEADERS,
        words=_FILTER_WORDS,
        unless=_HTTPS_WORDS + _TUNNEL_WORDS + _TUNNEL_HEADERS,
        outcome=Outcome.UNREACHABLE,
        reason="waf",
        advice=(
            "A protective filter in front of {host} stopped the request before the provider saw it; this says"
            " nothing about the key. Try without VPN or proxy, or later."
        ),
    ),
    Row(
        name="gateway-page",
        unless=_FILTER_WORDS + _FILTER_HEADERS + _TUNNEL_WORDS + _TUNNEL_HEADERS,
        statuses=((502, 504), (520, 527)),
        forms=_NOT_JSON,
        outcome=Outcome.PROVIDER_DOWN,
        reason="gateway",
        advice="The server behind {host} does not answer its own gateway; try again later.",
    ),
    Row(
        name="loading",
        unless=_FILTER_WORDS + _FILTER_HEADERS + _TUNNEL_WORDS + _TUNNEL_HEADERS,
        statuses=_on(503),
        forms=frozenset({Form.JSON}),
        words=("loading model",),
        outcome=Outcome.PROVIDER_DOWN,
        reason="starting",
        advice="The server is still loading its model; try again in a moment.",
    ),
    Row(
        name="host-guard",
        unless=_FILTER_HEADERS + _TUNNEL_HEADERS,
        statuses=_on(403),
        forms=frozenset({Form.EMPTY}),
        outcome=Outcome.PERMISSION,
        reason="host_not_allowed",
        advice=(
            "The server refuses requests under the name {host}. An Ollama that listens"
            " on its own computer only"
            " does so: use http://127.0.0.1:11434 there, or set OLLAMA_HOST on the server."
        ),
    ),
    Row(
        name="error-page",
        unless=_FILTER_WORDS + _FILTER_HEADERS + _TUNNEL_WORDS + _TUNNEL_HEADERS,
        statuses=((200, 299), (404, 406), (410, 428), (430, 499), (501, 501)),
        forms=_PAGE,
        outcome=Outcome.NOT_COMPATIBLE,
        reason="not_json",
        advice="{host} answered with a page, not with an API; check the path of the base URL.",
    ),
)

_MONEY_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "enforced_spend_limit_reached",
        "contract_spend_limit_reached",
        LONG_RETRY_CODE,
    }
)
_EXPIRED_WORDS = ("api key expired", "key has expired", "token has expired")
_QUOTA_ADVICE = (
    "The key is good, but the account of {service} has no credit or has reached its spending limit; check the"
    " billing page."
)
_REJECTED_ADVICE = "{service} rejects the key. Copy it again, or make a new one{keys_at}."

SPECIFIC: tuple[Row, ...] = (
    # --- the key is bad
    Row(
        name="bad-key-400",
        statuses=_on(400),
        codes=frozenset({"api_key_invalid"}),
        words=("incorrect api key provided", "api key not valid", "api key not found", "invalid api key"),
        unless=_EXPIRED_WORDS,
        outcome=Outcome.AUTH_ERROR,
        reason="invalid_key",
        advice=_REJECTED_ADVICE,
    ),
    Row(
        name="expired-key",
        statuses=_on(400, 401),
        words=_EXPIRED_WORDS,
        outcome=Outcome.AUTH_ERROR,
        reason="key_expired",
        advice="The key has expired; make a new one{keys_at}.",
    ),
    Row(
        name="litellm-no-db",
        statuses=_on(400),
        codes=frozenset({"no_db_connection"}),
        outcome=Outcome.AUTH_ERROR,
        reason="invalid_key",
        advice=(
            "The gateway does not know the key: LiteLLM without a database accepts only its master key and"
            " answers any other like this."
        ),
    ),
    Row(
        name="two-credentials",
        statuses=_on(400),
        words=("multiple authentication credentials",),
        outcome=Outcome.CONFIG_ERROR,
        reason="two_credentials",
        advice="The request carries two credentials; remove the custom header that holds a key, or the key.",
    ),
    Row(
        name="no-key-403",
        statuses=_on(403),
        words=("unregistered callers", "not authenticated"),
        outcome=Outcome.AUTH_ERROR,
        reason="missing_key",
        advice="No key arrived at {service}; enter one, and check that no custom header replaces it.",
    ),
    Row(
        name="leaked-key",
        statuses=_on(403),
        words=("reported as leaked",),
        outcome=Outcome.AUTH_ERROR,
        reason="key_leaked",
        advice="The key was found in public and is blocked for ever; delete it and make a new one{keys_at}.",
    ),
    Row(
        name="missing-key-401",
        statuses=_on(401),
        words=(
            "didn't provide an api key",
            "x-api-key header is required",
            "no auth credentials found",
            "no cookie auth credentials",
            "no api key passed in",
            "missing api key",
        ),
        outcome=Outcome.AUTH_ERROR,
        reason="missing_key",
        advice="No key arrived at {service}; enter one, and check that no custom header replaces it.",
    ),
    Row(
        name="account-off",
        statuses=_on(401),
        codes=frozenset({"account_deactivated"}),
        outcome=Outcome.AUTH_ERROR,
        reason="account_deactivated",
        advice=(
            "The account of this key is deactivated; write to the support of {service} or"
            " use another account."
        ),
    ),
    Row(
        name="oauth-token",
        statuses=_on(401),
        words=("oauth authentication is currently not supported",),
        outcome=Outcome.AUTH_ERROR,
        reason="wrong_kind_of_key",
        advice="This is a login token, not an API key; make an API key{keys_at}.",
    ),
    # --- the key is good, but
    Row(
        name="missing-scope",
        statuses=_on(401, 403),
        codes=frozenset({"api_key_scope_missing"}),
        words=("missing scopes", "insufficient permissions"),
        outcome=Outcome.PERMISSION,
        reason="missing_scope",
        advice=(
            "The key is valid but may not list models; add the scope that the message"
            " names (api.model.read for"
            " OpenAI), or use a key without restrictions. Calls to a model may work all the same."
        ),
        key_accepted=True,
    ),
    Row(
        name="wrong-organization",
        statuses=_on(401),
        codes=frozenset({"mismatched_organization", "mismatched_project"}),
        words=("should match organization for api key", "must be a member of an organization"),
        outcome=Outcome.PERMISSION,
        reason="organization",
        advice=(
            "The key belongs to another organisation or project than the headers name; correct or remove the"
            " headers OpenAI-Organization and OpenAI-Project."
        ),
        key_accepted=True,
    ),
    Row(
        name="address-not-allowed",
        statuses=_on(401, 403),
        codes=frozenset({"ip_not_authorized", "api_key_ip_address_blocked", "api_key_http_referrer_blocked"}),
        words=(
            "ip not authorized",
            "ip address is not authorized",
            "ip address restriction",
            "referer restriction",
        ),
        outcome=Outcome.PERMISSION,
        reason="address_not_allowed",
        advice="The key may not be used from this network address; add it to the allow-list of the key.",
        key_accepted=True,
    ),
    Row(
        name="browser-only",
        statuses=_on(401),
        words=("cors requests",),
        outcome=Outcome.PERMISSION,
        reason="origin_header",
        advice="A custom header makes the request look like one of a web page; remove the Origin header.",
        key_accepted=True,
    ),
    Row(
        name="region-403",
        statuses=_on(403),
        codes=frozenset({"unsupported_country_region_territory"}),
        outcome=Outcome.PERMISSION,
        reason="region",
        advice=(
            "{service} is not offered in the country that your network address belongs to;"
            " check VPN and proxy."
        ),
    ),
    Row(
        name="region-400",
        statuses=_on(400),
        words=("user location is not supported",),
        outcome=Outcome.PERMISSION,
        reason="region",
        advice=(
            "{service} is not offered in the country that your network address belongs to;"
            " check VPN and proxy."
        ),
    ),
    Row(
        name="edge-refusal",
        statuses=_on(403),
        words=("request not allowed",),
        outcome=Outcome.PERMISSION,
        reason="request_not_allowed",
        advice=(
            "The edge of {service} refused the request before it looked at the key; this"
            " happens with valid keys"
            " in blocked regions and networks. Try without VPN or proxy."
        ),
    ),
    Row(
        name="organization-disabled",
        statuses=_on(400, 403),
        codes=frozenset({"organization_on_hold"}),
        words=("organization has been disabled", "has been restricted", "organization has been restricted"),
        outcome=Outcome.PERMISSION,
        reason="account_disabled",
        advice="The organisation of this key is disabled; write to the support of {service}.",
        key_accepted=True,
    ),
    Row(
        name="service-off",
        statuses=_on(403),
        codes=frozenset({"api_key_service_blocked", "service_disabled"}),
        outcome=Outcome.PERMISSION,
        reason="service_disabled",
        advice=(
            "The project of this key has the API switched off or blocked for the key; enable"
            " it in the console."
        ),
        key_accepted=True,
    ),
    Row(
        name="project-denied",
        statuses=_on(403),
        words=("project has been denied access",),
        outcome=Outcome.PERMISSION,
        reason="project_denied",
        advice=(
            "The provider has denied access to the project of this key; use another project"
            " or ask its support."
        ),
        key_accepted=True,
    ),
    Row(
        name="subscription",
        statuses=_on(403),
        words=("requires a subscription",),
        outcome=Outcome.PERMISSION,
        reason="subscription",
        advice="The account needs a subscription for this; choose another model or upgrade.",
        key_accepted=True,
    ),
    # --- money
    Row(
        name="credit-400",
        statuses=_on(400),
        words=("credit balance is too low", "spend limit", "spending limit", "usage limit", "usage limits"),
        outcome=Outcome.QUOTA_EXHAUSTED,
        reason="no_credit",
        advice=_QUOTA_ADVICE,
        key_accepted=True,
    ),
    Row(
        name="credit-401",
        statuses=_on(401, 403),
        words=("credit limit", "key limit exceeded"),
        outcome=Outcome.QUOTA_EXHAUSTED,
        reason="key_limit",
        advice="The spending limit of this key is used up; raise it in the settings of the key.",
        key_accepted=True,
    ),
    Row(
        name="quota-429",
        statuses=_on(429),
        codes=_MONEY_CODES,
        words=("prepayment credits are depleted", "perday"),
        outcome=Outcome.QUOTA_EXHAUSTED,
        reason="quota",
        advice=_QUOTA_ADVICE,
        key_accepted=True,
    ),
    # --- the wrong place
    Row(
        name="unknown-path",
        statuses=((200, 299),),
        words=("unexpected endpoint or method",),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="unknown_path",
        advice="The server runs, but there is no API under this path; the base URL probably lacks /v1.",
    ),
)

_ODD = ((200, 299), *_on(400, 403, 412))
"""Statuses under which providers send refusals of every kind."""

BY_MEANING: tuple[Row, ...] = (
    Row(
        name="money",
        statuses=(*_ODD, *_on(401, 429)),
        forms=frozenset({Form.JSON}),
        meaning=Meaning.MONEY,
        outcome=Outcome.QUOTA_EXHAUSTED,
        reason="no_credit",
        advice=_QUOTA_ADVICE,
        key_accepted=True,
    ),
    Row(
        name="rate-by-words",
        statuses=_ODD,
        forms=frozenset({Form.JSON}),
        meaning=Meaning.RATE,
        outcome=Outcome.RATE_LIMITED,
        reason="rate_limited",
        advice="Too many requests; {service} takes the next one later. The key itself was not refused.",
    ),
    Row(
        name="key-by-words",
        statuses=_ODD,
        forms=frozenset({Form.JSON}),
        meaning=Meaning.KEY,
        outcome=Outcome.AUTH_ERROR,
        reason="invalid_key",
        advice=_REJECTED_ADVICE,
    ),
)

BY_STATUS: tuple[Row, ...] = (
    Row(
        name="informational",
        statuses=((0, 199), (600, 999)),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="protocol",
        advice="{host} does not speak HTTP as a provider does; check host and port.",
    ),
    # Reached only when the body is not what was asked for; see classify().
    Row(
        name="wrong-shape",
        statuses=((200, 299),),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="wrong_shape",
        advice="{host} answers, but not as {service} does; check the provider and the path of the base URL.",
    ),
    Row(
        name="other-redirect",
        statuses=((300, 399),),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="redirect",
        advice="Use the final address as base URL if you trust it.",
    ),
    Row(
        name="bad-request",
        statuses=_on(400, 413, 415, 422),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="bad_request",
        advice="{host} does not understand the request; check the provider and the path of the base URL.",
    ),
    Row(
        name="unauthorized",
        statuses=_on(401),
        outcome=Outcome.AUTH_ERROR,
        reason="invalid_key",
        advice=_REJECTED_ADVICE,
    ),
    Row(
        name="payment",
        statuses=_on(402),
        outcome=Outcome.QUOTA_EXHAUSTED,
        reason="no_credit",
        advice=_QUOTA_ADVICE,
        key_accepted=True,
    ),
    Row(
        name="forbidden",
        statuses=_on(403),
        outcome=Outcome.PERMISSION,
        reason="forbidden",
        advice=(
            "{service} understands the request and refuses it; check what the key, the"
            " project and the plan allow."
        ),
    ),
    Row(
        name="not-found",
        statuses=(
            (404, 406),
            (410, 412),
            (414, 414),
            (416, 421),
            (423, 428),
            (430, 450),
            (452, 499),
            (501, 501),
        ),
        outcome=Outcome.NOT_COMPATIBLE,
        reason="not_found",
        advice="{host} has no such path; add or remove /v1 at the end of the base URL.",
    ),
    Row(
        name="legal",
        statuses=_on(451),
        outcome=Outcome.PERMISSION,
        reason="region",
        advice=(
            "{service} is not offered in the country that your network address belongs to;"
            " check VPN and proxy."
        ),
    ),
    Row(
        name="proxy-auth-late",
        statuses=_on(407),
        outcome=Outcome.UNREACHABLE,
        reason="proxy_auth",
        advice="The proxy asks for a user name and password; put them into the proxy URL of the connection.",
    ),
    Row(
        name="server-timeout",
        statuses=_on(408),
        outcome=Outcome.PROVIDER_DOWN,
        reason="server_timeout",
        advice="{service} was too slow for itself; try again later.",
    ),
    Row(
        name="conflict",
        statuses=_on(409),
        outcome=Outcome.PROVIDER_DOWN,
        reason="server_error",
        advice="{service} has an internal conflict; try again later.",
    ),
    Row(
        name="rate",
        statuses=_on(429),
        outcome=Outcome.RATE_LIMITED,
        reason="rate_limited",
        advice="Too many requests; {service} takes the next one later. The key itself was not refused.",
    ),
    Row(
        name="server-error",
        statuses=((500, 500), (502, 502), (505, 528), (530, 599)),
        outcome=Outcome.PROVIDER_DOWN,
        reason="server_error",
        advice="{service} has a problem of its own; try again later.",
    ),
    Row(
        name="overloaded",
        statuses=_on(503, 529),
        outcome=Outcome.PROVIDER_DOWN,
        reason="overloaded",
        advice="{service} is overloaded or under maintenance; try again later.",
    ),
    Row(
        name="gateway-timeout",
        statuses=_on(504),
        outcome=Outcome.PROVIDER_DOWN,
        reason="server_timeout",
        advice="{service} did not answer in time behind its own gateway; try again later.",
    ),
)
