"""Suggests small changes that make a failed connection work. Each is tried first.

A key is tried only at the origin (scheme, host and port) for which it was entered. Another origin is
requested without it, and the suggestion then says that it was not tested.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlsplit

from nexo.connections.proxies import is_loopback
from nexo.connections.terms import AuthScheme, KeyVerdict, Outcome, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Credentials
from nexo_daemon.domain.pasted import read_address
from nexo_daemon.domain.probing import ProbeTarget, Suggestion, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.exchange import ConfigFault
from nexo_daemon.providers.hosts import GATEWAY_PATHS, api_of_page, paths_of
from nexo_daemon.providers.keys import clean, inspect_key
from nexo_daemon.providers.presets import PRESETS
from nexo_daemon.providers.requests import Base, parse_base

MOST_REPAIRS = 18
REPAIR_TIMEOUT_S = 6.0


@frozen
class Tried:
    """The result of a whole test of a changed target."""

    verdict: Verdict
    key: KeyVerdict


Try = Callable[[ProbeTarget], Awaitable[Tried]]


@frozen
class Repair:
    """A changed target, and the text to show if it works."""

    target: ProbeTarget
    field: str
    value: str
    text: str
    fixes: tuple[str, ...] = ()

    def elsewhere(self, entered: ProbeTarget) -> bool:
        """Whether the trial is sent to another origin than the one that the credentials were entered for."""
        if self.target.credentials == Credentials():
            return False
        try:
            return parse_base(self.target.base_url).origin != parse_base(entered.base_url).origin
        except ConfigFault:
            # The entered address is invalid, so the corrected one is what the person meant.
            return False


async def suggest(
    target: ProbeTarget, verdict: Verdict, attempt: Try, *, reached: bool
) -> tuple[Suggestion, ...]:
    """Suggestions for a test result, working ones first; warnings about the key are always included.

    Args:
        attempt: runs the whole test for a changed target.
        reached: whether the address is right, so that no others are tried.
    """
    key = target.credentials.api_key
    warnings = inspect_key(key.reveal(), target.provider, target.preset) if key else ()
    if verdict.ok:
        return warnings
    repairs = [t for t in trials_for(target, verdict) if not (reached and t.field == "base_url")]
    repairs = repairs[:MOST_REPAIRS]
    results = await asyncio.gather(*(attempt(_as_allowed(repair, target)) for repair in repairs))
    found: list[Suggestion] = []
    proven_fixes: set[str] = set()
    for repair, tried in zip(repairs, results, strict=True):
        if not repair.fixes:
            if suggestion := _found(repair, tried, target, verdict):
                found.append(suggestion)
        elif _works(verdict, tried):
            proven_fixes.update(repair.fixes)
    # One address is enough: the first that works, or else the first with an API.
    addresses = [s for s in found if s.field == "base_url"]
    best = next((s for s in addresses if s.verified), addresses[0] if addresses else None)
    kept = [s for s in found if s.field != "base_url" or s is best]
    marked = [replace(w, verified=True) if w.fix in proven_fixes else w for w in warnings]
    return (*sorted(kept, key=lambda s: not s.verified), *marked)


def _found(repair: Repair, tried: Tried, entered: ProbeTarget, before: Verdict) -> Suggestion | None:
    """What the trial of a repair has shown; None if it does not help."""
    nearer = _nearer(before, tried.verdict)
    if repair.elsewhere(entered):
        if not (tried.verdict.ok or nearer):
            return None
        said, verified = "Found, not tested: an API answers there; the key was not sent.", False
    elif _works(before, tried):
        said, verified = "This was tested and works.", True
    elif nearer:
        reason = tried.verdict.reason.replace("_", " ")
        said, verified = f"This was tried: there is an API, which says {reason}.", False
    else:
        return None
    return Suggestion(repair.field, f"{repair.text} {said}", repair.value, verified)


def _works(before: Verdict, tried: Tried) -> bool:
    """Whether the change solves the problem; for a rejected key, an answer that needs no key does not."""
    about_key = before.outcome in (Outcome.AUTH_ERROR, Outcome.PERMISSION)
    return tried.verdict.ok and (not about_key or tried.key is KeyVerdict.VERIFIED)


def _as_allowed(repair: Repair, entered: ProbeTarget) -> ProbeTarget:
    """The changed target to try; secrets are removed if it leads to another origin."""
    return replace(repair.target, credentials=Credentials()) if repair.elsewhere(entered) else repair.target


def _nearer(before: Verdict, after: Verdict) -> bool:
    """Whether the changed request reached an API, but the original did not."""
    met = (Outcome.AUTH_ERROR, Outcome.PERMISSION, Outcome.QUOTA_EXHAUSTED, Outcome.RATE_LIMITED)
    return before.outcome not in met and after.outcome in met


_SCHEME_NAMES = {
    AuthScheme.BEARER: "Authorization: Bearer",
    AuthScheme.API_KEY: "api-key",
    AuthScheme.X_API_KEY: "x-api-key",
}
_AT_PROXY = ("proxy_kind", "protocol", "reset", "timeout")


def trials_for(target: ProbeTarget, verdict: Verdict) -> list[Repair]:
    """The changes to try, best first. Pure."""
    repairs = _cleaned_key(target, verdict)
    try:
        base = parse_base(target.base_url)
    except ConfigFault:
        return repairs + _repaired_url(target)
    if verdict.outcome in (Outcome.AUTH_ERROR, Outcome.PERMISSION):
        repairs += _other_headers(target)
    if verdict.outcome is Outcome.UNREACHABLE and verdict.reason in _AT_PROXY:
        repairs += _other_proxies(target)
    seen = {base.url()}
    for url, text in (*_of_page(base, target.provider), *_other_addresses(base, target, verdict)):
        if url not in seen:
            seen.add(url)
            repairs.append(Repair(replace(target, base_url=url), "base_url", url, text))
    return repairs


def _cleaned_key(target: ProbeTarget, verdict: Verdict) -> list[Repair]:
    key = target.credentials.api_key
    if not key or verdict.outcome not in (Outcome.AUTH_ERROR, Outcome.CONFIG_ERROR):
        return []
    cleaned, fixes = clean(key.reveal())
    if not (cleaned and fixes):
        return []
    credentials = replace(target.credentials, api_key=Secret(cleaned))
    return [Repair(replace(target, credentials=credentials), "api_key", "", "", fixes)]


def _other_headers(target: ProbeTarget) -> list[Repair]:
    """The same key in another header; not at the provider's own host, which reads its own."""
    at_home = target.base_url == PROVIDERS[target.provider].base_url
    takes_others = target.provider is Provider.CUSTOM or (
        target.provider is Provider.ANTHROPIC and not at_home
    )
    if not (target.credentials.api_key and takes_others):
        return []
    return [
        Repair(replace(target, auth_scheme=scheme), "auth_scheme", scheme.value, f"Send the key as {name}.")
        for scheme, name in _SCHEME_NAMES.items()
        if scheme is not target.auth_scheme
    ]


def _other_proxies(target: ProbeTarget) -> list[Repair]:
    """The same proxy with another scheme; a password meant for TLS is not sent in plain text."""
    entered, _, place = target.network.proxy_url.partition("://")
    if not target.network.proxy_url or (
        entered == "https" and target.credentials.proxy_credentials is not None
    ):
        return []
    kind = entered.removesuffix("h")
    urls = [f"{scheme}://{place}" for scheme in ("http", "socks5", "https") if scheme != kind]
    return [
        Repair(
            replace(target, network=replace(target.network, proxy=url)),
            "proxy",
            url,
            f"Enter the proxy as {url} (--proxy).",
        )
        for url in urls
    ]


def _repaired_url(target: ProbeTarget) -> list[Repair]:
    text = read_address(target.base_url)
    try:
        url = parse_base(text).url()
    except ConfigFault:
        return []
    if text == target.base_url:
        return []
    return [Repair(replace(target, base_url=url), "base_url", url, f"Use {url} as base URL.")]


_NO_TLS = ("tls_not_spoken", "tls_handshake", "timeout")


def _other_addresses(base: Base, target: ProbeTarget, verdict: Verdict) -> list[tuple[str, str]]:
    """Addresses to try in place of `base`, with the text to show."""
    if verdict.outcome is Outcome.UNREACHABLE:
        return _other_endpoints(base, verdict.reason)
    if verdict.outcome is Outcome.NOT_COMPATIBLE and not verdict.reason.startswith("model_"):
        urls = _other_paths(base, target)
        if verdict.reason == "redirect" and base.scheme == "http":
            urls.insert(0, (replace(base, scheme="https", port=_https_port(base)).url(), "Use https://."))
        return urls
    known = paths_of(base.host, base.path, target.provider)
    # Such a host answers unknown paths with its own errors, often about the key.
    return _other_paths(base, target)[: len(known)] if known and base.path not in known else []


def _https_port(base: Base) -> int:
    return 443 if base.port == 80 else base.port


def _other_endpoints(base: Base, reason: str) -> list[tuple[str, str]]:
    """Other addresses of the same host."""
    found: list[tuple[str, str]] = []
    if base.host in ("localhost", "127.0.0.1", "::1") and reason in ("refused", "dns", "no_route", "timeout"):
        for host in ("127.0.0.1", "::1"):
            if host != base.host:
                url = replace(base, host=host).url()
                found.append((url, f"Use {url}: the server listens at that address only."))
    if base.scheme == "https" and is_loopback(base.host) and reason in _NO_TLS:
        port = 80 if base.port == 443 else base.port
        url = replace(base, scheme="http", port=port).url()
        found.append((url, f"Use {url}: the server does not speak HTTPS."))
    if base.scheme == "http" and reason in ("tls_expected", "protocol", "reset", "refused", "waf"):
        url = replace(base, scheme="https", port=_https_port(base)).url()
        found.append((url, f"Use {url}: the server speaks HTTPS."))
    return found


# Endings that people paste, although the SDK adds them.
_TAIL = re.compile(
    r"(/chat/completions|/completions|/responses|/embeddings|/messages(/count_tokens)?|/models(/[^/]+:\w+)?|/rerank"
    r"|/images/\w+|/audio/\w+|/api/(tags|chat|generate|version|show)|/openai/deployments/[^/]+)$"
)
_VERSIONS = ("/v1", "/v1beta", "/api")


def _other_paths(base: Base, target: ProbeTarget) -> list[tuple[str, str]]:
    """Other paths on the same origin, as the provider's SDK expects them, the most likely first."""
    path = base.path
    while match := _TAIL.search(path):
        path = path[: match.start()]
    while re.search(r"(/v1|/v1beta|/api)\1$", path):
        path = re.sub(r"(/v1|/v1beta|/api)\1$", r"\1", path)
    bare = path
    while bare.endswith(_VERSIONS):
        bare = bare[: bare.rindex("/")]
    known = paths_of(base.host, base.path, target.provider)
    if target.provider in (Provider.OPENAI, Provider.CUSTOM):
        preset = PRESETS.get(target.preset)
        own = (urlsplit(preset.base_url).path,) if preset and preset.base_url else ()
        above = path.rpartition("/")[0]
        paths = (*known, *own, path, f"{bare}/v1", f"{path}/v1", bare, above, *GATEWAY_PATHS)
        paths += (f"{bare}/api/v1", f"{bare}/openai/v1", f"{above}/v1")
    else:
        paths = (*known, path, bare, "")
    urls = [replace(base, path=candidate, query="").url() for candidate in dict.fromkeys(paths)]
    return [(url, f"Use {url} as base URL.") for url in urls]


def _of_page(base: Base, provider: Provider) -> list[tuple[str, str]]:
    """The API of the vendor whose web page was pasted."""
    url = api_of_page(base.host, provider)
    return [(url, f"Use {url}: {base.host} is a web page, and the API is there.")] if url else []
