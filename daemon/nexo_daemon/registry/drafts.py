"""Checks the fields of a draft of a connection; each error says the reason and the next step.

Pure: neither the store nor the network is used, only the files a draft names. `registry` applies drafts.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from nexo.connections import names
from nexo.connections.errors import InvalidField
from nexo.connections.faces import HOP_HEADERS
from nexo.connections.model.change import PlainDraft
from nexo.connections.model.connection import MappedModel
from nexo.connections.ranges import CHECK_INTERVAL_S
from nexo.connections.terms import AuthScheme, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.domain.secret import Secret
from nexo_daemon.domain.url import normalize_base_url, split_proxy_url
from nexo_daemon.vault.references import parse as parse_reference
from nexo_gateway.model_name import ALIAS
from nexo_gateway.model_name import NAME_LIMIT as MODEL_LIMIT

NAME_LIMIT = 64
KEY_LIMIT = 8192
MODEL_MAP_LIMIT = 100
HEADER_COUNT_LIMIT = 64
HEADER_VALUE_LIMIT = 8192

# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_HEADERS = HOP_HEADERS | {"host", "content-length"}
"""Only the HTTP library may set the last two."""

Headers = tuple[tuple[str, Secret], ...]
"""Names and values, in order."""


@frozen(kw_only=True)
class Draft(PlainDraft):
    """A connection as a person entered it. Checked by `check_draft`.

    Attributes:
        api_key: an empty secret removes the key.
        headers: in an edit, they replace all stored ones, or those of the same name.
        keep_other_headers: replace only those of the same name.
        remove_headers: names of stored headers to remove; the others stay.
        proxy_credentials: belongs to `network`; None with a `network` means no credentials.
    """

    provider: Provider | None = None
    auth_scheme: AuthScheme | None = None
    api_key: Secret | None = None
    headers: Headers | None = None
    keep_other_headers: bool = False
    remove_headers: tuple[str, ...] = ()
    proxy_credentials: Secret | None = None
    clear_key_expiry: bool = False


def check_name(text: str) -> str:
    """The name without surrounding white space.

    Raises:
        InvalidField: empty, too long, invisible characters, or a leading dash (it would read as an option).
    """
    name = text.strip()
    if not name:
        raise InvalidField.of("name", "is empty", "give the connection a name, for example 'work'")
    if len(name) > NAME_LIMIT:
        raise InvalidField.of("name", f"has {len(name)} characters", f"use at most {NAME_LIMIT}")
    if problem := names.invisible(name):
        raise InvalidField.of("name", problem, "use letters, digits, spaces, '-' and '_'")
    if name.startswith("-"):
        raise InvalidField.of("name", "starts with a dash", "start it with a letter or digit")
    return name


def check_api_key(secret: Secret) -> Secret:
    """The key, if it can be sent in a header.

    Raises:
        InvalidField: white space, line breaks or characters beyond ASCII. The text never quotes the key.
    """
    text = secret.reveal()
    if len(text) > KEY_LIMIT:
        raise InvalidField.of(
            "api_key", f"has {len(text)} characters", f"keys have at most {KEY_LIMIT}: paste it again"
        )
    if "\n" in text or "\r" in text:
        raise InvalidField.of("api_key", "has a line break in it", "paste the key alone, on one line")
    if text != text.strip():
        raise InvalidField.of(
            "api_key", "has white space around it", "paste it again without the white space"
        )
    if any(character.isspace() for character in text):
        raise InvalidField.of(
            "api_key", "has white space in it", "paste the key alone, without 'Bearer' or other words"
        )
    if not text.isascii():
        raise InvalidField.of(
            "api_key",
            "has a character beyond ASCII in it, such as a typographic quote",
            "copy the key from the provider's page, not from a formatted document",
        )
    if not text.isprintable():
        raise InvalidField.of("api_key", "has a control character in it", "paste the key alone")
    return secret


def check_headers(headers: Headers) -> Headers:
    """Check custom headers one by one. Errors never quote their values.

    Raises:
        InvalidField: a bad or forbidden name, a bad value, two names that differ in case only, too many.
    """
    if len(headers) > HEADER_COUNT_LIMIT:
        raise InvalidField.of("headers", f"{len(headers)} headers", f"give at most {HEADER_COUNT_LIMIT}")
    seen: dict[str, str] = {}
    checked = []
    for raw_name, value in headers:
        name = raw_name.strip()
        if not _TOKEN.fullmatch(name):
            shown = name if name.isprintable() and len(name) <= 80 else "…"
            raise InvalidField.of(
                "headers",
                f"'{shown}' is not a header name",
                "use letters, digits and '-', for example X-Team",
            )
        if name.lower() in _FORBIDDEN_HEADERS:
            raise InvalidField.of(
                "headers",
                f"'{name}' is set by the HTTP library or belongs to a single hop, so it can't be set",
                "leave it out",
            )
        if name.lower() in seen:
            raise InvalidField.of(
                "headers", f"'{seen[name.lower()]}' and '{name}' are the same header", "keep one of them"
            )
        seen[name.lower()] = name
        text = value.reveal().strip(" \t")
        if "\r" in text or "\n" in text:
            raise InvalidField.of(
                "headers", f"the value of '{name}' has a line break in it", "put it on one line"
            )
        if not text.isascii() or any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
            raise InvalidField.of(
                "headers", f"the value of '{name}' has a control character or one beyond ASCII", "remove it"
            )
        if len(text) > HEADER_VALUE_LIMIT:
            raise InvalidField.of(
                "headers",
                f"the value of '{name}' has {len(text)} characters",
                f"use at most {HEADER_VALUE_LIMIT}",
            )
        checked.append((name, Secret(text)))
    return tuple(checked)


def parse_headers_json(text: str) -> Headers:
    """Parse the JSON object of headers that a person pasted.

    Raises:
        InvalidField: not JSON (with line and column), not an object, a value that is not a string.
    """
    if not text.strip():
        return ()
    example = 'write {"X-Custom-Header": "value"}'

    class _Pairs(list[tuple[str, Any]]):
        """Keeps duplicate names, which a dict would swallow."""

    try:
        parsed = json.loads(text, object_pairs_hook=_Pairs)
    except json.JSONDecodeError as error:
        raise InvalidField.of(
            "headers_json", f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})", example
        ) from None
    except RecursionError:
        raise InvalidField.of("headers_json", "is nested too deeply", example) from None
    if not isinstance(parsed, _Pairs):
        raise InvalidField.of("headers_json", "is not a JSON object", example)
    headers = []
    for name, value in parsed:
        if not isinstance(value, str):
            shown = name if name.isprintable() and len(name) <= 80 else "…"
            raise InvalidField.of(
                "headers_json", f"the value of '{shown}' is not a string", 'put it in "quotes"'
            )
        headers.append((name, Secret(value)))
    return tuple(headers)


def check_network(
    *, mode: ProxyMode, proxy_url: str, no_proxy: tuple[str, ...], ca_bundle: str
) -> tuple[NetworkProfile, Secret | None]:
    """Check a network profile; returns it with the credentials from its proxy URL.

    Raises:
        InvalidField: a bad proxy URL, a no_proxy entry with white space, a CA bundle that can't be read.
    """
    credentials = ""
    if mode is ProxyMode.URL:
        proxy_url, credentials = split_proxy_url(proxy_url)
    entries = []
    for raw in no_proxy:
        entry = raw.strip()
        if not entry or any(c.isspace() or not c.isprintable() for c in entry):
            raise InvalidField.of(
                "no_proxy", "an entry is empty or has white space in it", "give host names, comma-separated"
            )
        entries.append(entry)
    bundle = ca_bundle.strip()
    if bundle:
        path = Path(bundle).expanduser()
        if not path.is_absolute():
            raise InvalidField.of("ca_bundle", "the path is not absolute", "give the full path of a PEM file")
        if not path.is_file():
            raise InvalidField.of(
                "ca_bundle", f"there is no file {path}", "give the path of an existing PEM file"
            )
        bundle = str(path)
    profile = NetworkProfile(proxy_url if mode is ProxyMode.URL else str(mode), tuple(entries), bundle)
    return profile, Secret(credentials) if credentials else None


def _check_model(text: str, field: str) -> str:
    model = text.strip()
    if len(model) > MODEL_LIMIT or not model.isprintable():
        raise InvalidField.of(
            field, "is too long or has a control character in it", "see 'nexoctl models NAME'"
        )
    return model


def check_model_map(rows: tuple[MappedModel, ...]) -> tuple[MappedModel, ...]:
    """Check the rows; returns them sorted by the requested model.

    Raises:
        InvalidField: too many rows, an invalid or duplicate name, or Nexo's own alias.
    """
    if len(rows) > MODEL_MAP_LIMIT:
        raise InvalidField.of("model_map", f"has {len(rows)} rows", f"use at most {MODEL_MAP_LIMIT}")
    checked: dict[str, MappedModel] = {}
    for row in rows:
        asked, sent = _check_model(row.asked, "model_map"), _check_model(row.sent, "model_map")
        if not asked or not sent:
            raise InvalidField.of("model_map", "has an empty name", "give the asked model and the sent one")
        if asked == ALIAS:
            raise InvalidField.of(
                "model_map",
                f"'{ALIAS}' stands for the default model",
                "change the default model with --model ID",
            )
        if asked in checked:
            raise InvalidField.of("model_map", f"has '{asked}' twice", "keep one of them")
        checked[asked] = MappedModel(asked, sent)
    return tuple(checked[asked] for asked in sorted(checked))


def check_draft(draft: Draft) -> Draft:
    """Check and normalise every given field of the draft.

    Raises:
        InvalidField: the first field that is wrong.
    """
    changes: dict[str, Any] = {}
    if draft.preset and draft.provider is None:
        # Every preset is one of this provider.
        changes["provider"] = Provider.CUSTOM
    if draft.name is not None:
        changes["name"] = check_name(draft.name)
    if draft.base_url:
        changes["base_url"] = normalize_base_url(draft.base_url)
    if draft.api_key is not None and draft.api_key_ref:
        raise InvalidField.of("api_key_ref", "is given together with an API key", "give one of them")
    if draft.api_key is not None:
        changes["api_key"] = check_api_key(draft.api_key)
    if draft.api_key_ref:
        parse_reference(draft.api_key_ref, "api_key_ref")
        changes["api_key_ref"] = draft.api_key_ref.strip()
    if draft.headers is not None:
        changes["headers"] = check_headers(draft.headers)
    if draft.default_model is not None:
        changes["default_model"] = _check_model(draft.default_model, "default_model")
    if draft.model_map is not None:
        changes["model_map"] = check_model_map(draft.model_map)
    interval = draft.check_interval_s
    if interval and not CHECK_INTERVAL_S[0] <= interval <= CHECK_INTERVAL_S[1]:
        raise InvalidField.of(
            "check_interval",
            f"is {interval:g} s",
            f"use {CHECK_INTERVAL_S[0]} s to {CHECK_INTERVAL_S[1]} s",
        )
    return replace(draft, **changes)
