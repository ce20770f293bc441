"""Finds the address that a person meant in pasted text, and repairs slips of typing and copying.

Pure. The result is a proposal: `domain.url` checks it strictly, and the person is told how the text was read.
A valid address is not changed.
"""

import ipaddress
import re
from urllib.parse import parse_qsl, urlsplit

QUOTES = "\"'`“”‘’«»"
_WIDE = str.maketrans("：／．＃？＆＝＠", ":/.#?&=@")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
# export NAME=, $env:NAME =, "base_url": , base_url =
_ASSIGNMENT = re.compile(
    r"^(?:export\s+|set\s+|setx\s+|\$env:)?([\"']?)[A-Za-z_][\w.-]*\1\s*(?:=|:(?=\s|[\"'<]))\s*", re.ASCII
)
_CURL = re.compile(r"^(?:\$\s+)?(?:curl|wget|http|https|httpie)\s+", re.IGNORECASE)
_MARKDOWN = re.compile(r"^!?\[[^\]]*\]\(\s*([^)\s]+)[^)]*\)")
_IN_TEXT = re.compile(r"\bht{1,3}ps{0,2}[:：;]?[/\\]{1,3}[^\s\"'`<>|]+", re.IGNORECASE)
# http:/x, http:///x, https//x, http:\\x, htp://x, https://https://x: the last part is the pasted address.
_SCHEME = re.compile(r"^(?:h?t{1,3}p(s{0,2})(?:[:;]+[/\\]*|[/\\]{2,}))(?=(.*))", re.IGNORECASE | re.DOTALL)
_EVERY_INTERFACE = re.compile(r"^(https?://)(0\.0\.0\.0|\[::\])(?=[:/?#]|$)")
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - it is replaced
_HARMLESS = frozenset(
    {
        *("api-version", "alt", "beta", "stream", "limit", "pagesize"),
        *("tab", "lang", "hl", "ref", "region", "utm_source", "utm_medium", "utm_campaign"),
    }
)
# "#/iam/apikey/list" is a route in a web page, "#key=…" may hold a key.
_PLACE_IN_PAGE = re.compile(r"!?/[a-z0-9/_-]{0,60}$", re.IGNORECASE)
_END = ".,;:!)]}>；，。、）】》」" + QUOTES


def read_address(text: str) -> str:
    """The address in a text, with a scheme; the text itself if no address is found."""
    # There can be several slips; each step shortens the text, so the loop ends.
    for _ in range(len(text) + 1):
        before, text = text, _read(text)
        if text == before:
            break
    return text


def _read(text: str) -> str:
    found = _INVISIBLE.sub("", text).strip()
    found = _out_of_command(_without_wrapping(found))
    narrow = found.translate(_WIDE)
    if _SCHEME.match(narrow) or re.match(r"[\w.-]+(:\d+)?(/|$)", narrow):
        found = narrow
    # White space beside a separator comes from a line break; other white space is not removed.
    found = _with_scheme(re.sub(r"\s+(?=[/:?.])|(?<=[/:.])\s+", "", found))
    if not found:
        return text.strip()
    # A server's listening address 0.0.0.0 or [::] cannot be called, so it is replaced by the loopback
    # address.
    found = _without_harmless_query(_EVERY_INTERFACE.sub(lambda m: m[1] + _LOOPBACK[m[2]], found))
    return re.sub(r"\.(?=(:\d+)?/*$)", "", found).rstrip("/") or found


def _without_wrapping(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = text.strip().strip(QUOTES).strip()
        if match := _MARKDOWN.match(text):
            text = match[1]
        text = text.strip("<>").lstrip("(").strip()
        if not _SCHEME.match(text.translate(_WIDE)) and (match := _ASSIGNMENT.match(text)):
            text = text[match.end() :]
        # A closing bracket may end an IPv6 address.
        if text and text[-1] in _END and not re.search(r"\[[0-9a-f:.]+\]$", text, re.IGNORECASE):
            text = text[:-1]
    return text


def _out_of_command(text: str) -> str:
    """The address in a curl command or in a sentence."""
    match = _IN_TEXT.search(text)
    if _CURL.match(text):
        words = [word.strip(QUOTES) for word in text.split()[1:]]
        bare = next((w for w in words if not w.startswith("-") and re.search(r"\w[.:]\w", w)), text)
        return _without_wrapping(match[0]) if match else bare
    # Text after an address at the beginning may belong to it.
    return _without_wrapping(match[0]) if match and match.start() and re.search(r"\s", text) else text


def _with_scheme(text: str) -> str:
    scheme = ""
    while match := _SCHEME.match(text):
        scheme = "https" if match[1] else "http"
        rest = text[match.end() :]
        text = rest.replace("\\", "/") if text[: match.end()].endswith("\\") else rest
    if scheme:
        return f"{scheme}://{text.lstrip('/')}" if text else ""
    if "://" in text:
        return text
    text = text.removeprefix("//")
    if re.match(r":\d+(/|$)", text):
        text = f"127.0.0.1{text}"
    host = re.match(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:[/?#].*)?$", text, re.IGNORECASE)
    if host is None or not re.search(r"[.:\]]|^localhost", text):
        return text
    return f"{'http' if _is_near(host[1]) else 'https'}://{text}"


def _is_near(host: str) -> bool:
    """Whether the host is this computer or in the local network, where servers seldom use TLS."""
    name = host.strip("[]").lower()
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith((".localhost", ".local", ".lan", ".internal", ".home.arpa"))
    return address.is_private or address.is_loopback or address.is_link_local


def _without_harmless_query(url: str) -> str:
    """The URL without its fragment, and without a query that certainly holds no key."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.query and not parts.fragment:
        return url.rstrip("?#")
    named = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    told = re.search(r"key|token|secret", parts.fragment, re.IGNORECASE)
    if named <= _HARMLESS and (not told or _PLACE_IN_PAGE.match(parts.fragment)):
        return url.partition("#")[0].partition("?")[0]
    return url
