"""Plans the connection that results from a draft: pure, before anything is tested or stored."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from nexo.connections.errors import InvalidField, KeyOriginChanged, SecretTampered
from nexo.connections.model.change import PlainDraft
from nexo.connections.model.connection import Configuration, Endpoint
from nexo.connections.proxies import bypasses, destination, is_loopback
from nexo.connections.terms import Action, AuthScheme, KeyVerdict, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Credentials, Facts, NetworkProfile, SecretKind, StoredConnection
from nexo_daemon.domain.pasted import read_address
from nexo_daemon.domain.probing import ProbeTarget, Suggestion
from nexo_daemon.domain.secret import Secret, sendable
from nexo_daemon.domain.url import normalize_base_url, origin
from nexo_daemon.providers import catalog, keys
from nexo_daemon.providers.presets import ServiceFacts
from nexo_daemon.registry.drafts import Draft, Headers, check_draft, check_headers

PREVIOUS_KEY_GRACE = timedelta(hours=24)


@frozen
class Plan:
    """A connection as it will be stored, and its secrets; None keeps the sealed secrets unchanged."""

    connection: StoredConnection
    credentials: Credentials | None
    warnings: tuple[Suggestion, ...] = ()
    notes: tuple[Suggestion, ...] = ()


def _checked(raw: Draft, fixes: Sequence[str]) -> Draft:
    """The corrected and checked draft; the error for a malformed key lists the possible `fixes`."""
    draft = raw
    if draft.api_key is not None and fixes:
        text = draft.api_key.reveal()
        for fix in fixes:
            try:
                text = keys.apply_fix(fix, text)
            except (KeyError, ValueError):
                raise InvalidField.of(
                    "fixes", f"there is no fix '{fix}'", "use one that a test suggested"
                ) from None
        draft = replace(draft, api_key=Secret(text))
    if draft.base_url:
        draft = replace(draft, base_url=read_address(draft.base_url))
    try:
        return check_draft(draft)
    except InvalidField as problem:
        if problem.field == "api_key" and draft.api_key is not None:
            text = draft.api_key.reveal()
            cleaned, names = keys.clean(text)
            if names and cleaned and sendable(cleaned):
                found = keys.inspect_key(text, draft.provider or Provider.CUSTOM)
                problem.action = Action.CLEAN_UP_KEY
                problem.metadata = {
                    **problem.metadata,
                    "fixes": ",".join(names),
                    "fixes_text": " ".join(entry.text for entry in found if entry.fix),
                }
        raise


def _scheme(given: AuthScheme | None, fallback: AuthScheme, *, has_key: bool) -> AuthScheme:
    if given is not None:
        return given
    # Ollama needs no key by default, but behind a gateway it may have one, which has to be sent.
    return AuthScheme.BEARER if has_key and fallback is AuthScheme.NONE else fallback


def _planned(
    connection: StoredConnection,
    credentials: Credentials | None,
    raw: Draft,
    draft: Draft,
    *,
    has_secret: bool,
) -> Plan:
    """The plan, with notes on how the address was read, and warnings."""
    notes: tuple[Suggestion, ...] = ()
    if raw.base_url:
        typed = raw.base_url.strip().rstrip("/")
        with suppress(InvalidField):
            typed = normalize_base_url(typed)
        if typed != connection.base_url:
            notes = (Suggestion("base_url", f"The address was read as {connection.base_url}."),)
    warnings = [*notes]
    if draft.api_key:
        warnings.extend(keys.inspect_key(draft.api_key.reveal(), connection.provider, connection.preset))
    parts = urlsplit(connection.base_url)
    if has_secret and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        warnings.append(
            Suggestion(
                "base_url",
                "Over http:// the secrets travel unencrypted to another computer; use https:// if you can.",
            )
        )
    return Plan(connection, credentials, tuple(warnings), notes)


def _base_url(given: str | None, fallback: str, service: ServiceFacts) -> str:
    url = given or fallback
    if not url:
        of = "preset" if service.preset else "provider"
        raise InvalidField.of(
            "base_url",
            f"is needed: the {of} '{service.name}' has no address of its own",
            f"for example {service.base_url_example}",
        )
    return url


ENDPOINT = tuple(f.name for f in fields(Endpoint) if f.name != "name")
"""The fields that decide where and how requests are sent."""
_DECIDED = {"name", "preset", "base_url", "network", "check_interval_s"}
_CONFIGURED = {f.name for f in fields(Configuration)} - _DECIDED
AS_GIVEN = tuple(f.name for f in fields(PlainDraft) if f.name in _CONFIGURED)
"""The fields that are taken over from a draft unchanged."""


def _as_given(draft: Draft) -> dict[str, Any]:
    return {name: given for name in AS_GIVEN if (given := getattr(draft, name)) is not None}


def _gives_key(draft: Draft) -> bool:
    return bool(draft.api_key) or bool(draft.api_key_ref)


def _of_new_key(draft: Draft, now: datetime) -> dict[str, Any]:
    """The fields that describe the key of the draft."""
    has_key = _gives_key(draft)
    return {
        "key_reference": draft.api_key_ref or "",
        "key_verdict": KeyVerdict.UNVERIFIED if has_key else KeyVerdict.NONE,
        "key_added_at": now if has_key else None,
        "key_proven_at": None,
        "key_expires_at": draft.key_expires_at,
    }


def plan_new(raw: Draft, *, connection_id: str, now: datetime, fixes: Sequence[str] = ()) -> Plan:
    """Plan the connection that a draft describes.

    Raises:
        InvalidField: the first field that is wrong or missing.
    """
    draft = _checked(raw, fixes)
    if draft.remove_headers:
        raise InvalidField.of("remove_headers", "is given for a new connection", "leave it out")
    if draft.name is None:
        raise InvalidField.of("name", "is empty", "give the connection a name, for example 'work'")
    if draft.provider is None:
        raise InvalidField.of(
            "provider", "is not one of openai, anthropic, google, ollama, custom", "see 'nexoctl providers'"
        )
    service = catalog.service_of(draft.provider, draft.preset or "")
    has_key = _gives_key(draft)
    credentials = Credentials(
        api_key=draft.api_key or None, headers=draft.headers or (), proxy_credentials=draft.proxy_credentials
    )
    connection = StoredConnection(
        id=connection_id,
        name=draft.name,
        provider=draft.provider,
        preset=service.preset,
        base_url=_base_url(draft.base_url, service.base_url, service),
        auth_scheme=_scheme(draft.auth_scheme, service.auth_scheme, has_key=has_key),
        network=draft.network or NetworkProfile(),
        check_interval_s=draft.check_interval_s or None,
        created_at=now,
        updated_at=now,
        **_of_new_key(draft, now),
        **_as_given(draft),
    )
    return _planned(connection, credentials, raw, draft, has_secret=has_key or bool(draft.headers))


def plan_edit(
    old: StoredConnection,
    raw: Draft,
    *,
    unseal: Callable[[StoredConnection], Credentials],
    now: datetime,
    keep_key_for_new_origin: bool = False,
    fixes: Sequence[str] = (),
) -> Plan:
    """Plan the connection after an edit.

    Args:
        unseal: opens the stored secrets; called only if the edit needs them.

    Raises:
        InvalidField: the first field that is wrong.
        KeyOriginChanged: without consent, a stored secret would be sent to another scheme, host or port,
            through another proxy, or to servers that another CA bundle certifies.
        VaultLocked: secrets have to be sealed again, and the vault is locked.
    """
    draft = _checked(raw, fixes)
    replaces_key = draft.api_key is not None or draft.api_key_ref is not None
    had_key = bool(old.key_reference) or old.key_added_at is not None
    has_key = _gives_key(draft) if replaces_key else had_key
    connection = _configured(old, draft, has_key=has_key, now=now)

    keeps_key = had_key and not replaces_key
    staying = kept_headers(old, draft)
    moved = new_stations(old, connection.base_url, connection.network)
    if moved and (keeps_key or staying) and not keep_key_for_new_origin:
        raise _moves(moved, old, keeps_key=keeps_key, keeps_headers=bool(staying))
    if replaces_key:
        connection = replace(connection, **_of_new_key(draft, now))
    elif moved and has_key:
        connection = replace(connection, key_verdict=KeyVerdict.UNVERIFIED, key_proven_at=None)

    changes_headers = draft.headers is not None or bool(draft.remove_headers)
    elsewhere = _endpoint(connection) != _endpoint(old)
    if changes_headers or elsewhere:
        connection = replace(connection, facts=frozenset())

    # Secrets are sealed with the endpoint as associated data, so a new endpoint needs them opened.
    reseals = replaces_key or changes_headers or draft.network is not None or elsewhere
    credentials: Credentials | None = None
    if reseals:
        stored = _stored(old, draft, unseal, replaces_key=replaces_key, keeps_headers=bool(staying))
        credentials = Credentials(
            api_key=(draft.api_key or None) if replaces_key else stored.api_key,
            headers=_merged(stored.headers, staying, draft.headers or ()),
            proxy_credentials=_proxy_credentials(old, draft, stored),
            # Kept for a roll-back only if it would go to the same place.
            previous_api_key=None if moved else _previous_key(draft, stored, replaces_key=replaces_key),
        )
        until = now + PREVIOUS_KEY_GRACE if replaces_key else old.previous_key_until
        connection = replace(
            connection, previous_key_until=None if credentials.previous_api_key is None else until
        )
    has_secret = has_key or bool(draft.headers) or bool(staying)
    return _planned(connection, credentials, raw, draft, has_secret=has_secret)


def _configured(old: StoredConnection, draft: Draft, *, has_key: bool, now: datetime) -> StoredConnection:
    """The connection with the settings of the draft; its key and its facts are still the old ones."""
    provider = draft.provider or old.provider
    known = service = catalog.service_of(old.provider, old.preset)
    if provider is not old.provider or draft.preset is not None:
        service = catalog.service_of(provider, draft.preset or "")
    untouched_url = old.base_url if old.base_url != known.base_url else service.base_url
    scheme = old.auth_scheme
    if draft.auth_scheme is not None or old.auth_scheme is known.auth_scheme:
        scheme = _scheme(draft.auth_scheme, service.auth_scheme, has_key=has_key)
    interval_s = old.check_interval_s if draft.check_interval_s is None else draft.check_interval_s or None
    return replace(
        old,
        name=draft.name or old.name,
        provider=provider,
        preset=service.preset,
        base_url=_base_url(draft.base_url, untouched_url or old.base_url, service),
        auth_scheme=scheme,
        network=draft.network or old.network,
        key_expires_at=None if draft.clear_key_expiry else draft.key_expires_at or old.key_expires_at,
        check_interval_s=interval_s,
        updated_at=now,
        **_as_given(draft),
    )


def _proxy_credentials(old: StoredConnection, draft: Draft, stored: Credentials) -> Secret | None:
    if draft.network is None:
        return stored.proxy_credentials
    same_proxy = bool(draft.network.proxy_url) and draft.network.proxy_url == old.network.proxy_url
    return draft.proxy_credentials or (stored.proxy_credentials if same_proxy else None)


def _previous_key(draft: Draft, stored: Credentials, *, replaces_key: bool) -> Secret | None:
    if not replaces_key:
        return stored.previous_api_key
    return stored.api_key if draft.api_key else None


def kept_headers(old: StoredConnection, draft: Draft) -> tuple[str, ...]:
    """The names of the stored headers that the draft keeps.

    Raises:
        InvalidField: a header to be removed does not exist.
    """
    there = {name.lower() for name in old.header_names}
    removed = {name.strip().lower() for name in draft.remove_headers}
    if removed - there:
        known = ", ".join(old.header_names) or "none"
        raise InvalidField.of(
            "remove_headers", "a header of that name is not there", f"the stored ones are: {known}"
        )
    if draft.headers is not None and not (draft.keep_other_headers or removed):
        return ()
    gone = removed | {name.lower() for name, _ in draft.headers or ()}
    return tuple(name for name in old.header_names if name.lower() not in gone)


def _merged(stored: Headers, kept: Sequence[str], given: Headers) -> Headers:
    """Stored headers keep their place, new ones follow. Raises as `check_headers`."""
    fresh = {name.lower(): (name, value) for name, value in given}
    merged = [
        fresh.pop(name.lower(), (name, value))
        for name, value in stored
        if name in kept or name.lower() in fresh
    ]
    return check_headers((*merged, *fresh.values()))


def _endpoint(connection: StoredConnection) -> tuple[object, ...]:
    """The fields that the facts from tests depend on; a new key does not change the facts."""
    return tuple(getattr(connection, name) for name in ENDPOINT)


def _stations(base_url: str, network: NetworkProfile) -> dict[str, str]:
    """The parties that see requests, by the field that chooses them; empty if nothing is chosen."""
    _, host, port = destination(base_url)
    proxied = network.proxy_url and not bypasses(host, port, network.no_proxy)
    return {
        "base_url": origin(base_url),
        "proxy": network.proxy_url if proxied else "",
        "ca_bundle": network.ca_bundle,
    }


def new_stations(old: StoredConnection, base_url: str, network: NetworkProfile) -> dict[str, str]:
    """The changed parties that would see the stored secrets of `old`: host, proxy, CA bundle."""
    before = _stations(old.base_url, old.network)
    after = _stations(base_url, network)
    return {field: place for field, place in after.items() if place and place != before[field]}


def _moves(
    moved: dict[str, str], old: StoredConnection, *, keeps_key: bool, keeps_headers: bool
) -> KeyOriginChanged:
    what = " and ".join(w for w, kept in (("API key", keeps_key), ("header values", keeps_headers)) if kept)
    ways = {
        "base_url": "from {} to {}",
        "proxy": "through the proxy {1}",
        "ca_bundle": "to servers trusted by the CA bundle {1}",
    }
    before = _stations(old.base_url, old.network)
    said = ", and ".join(ways[field].format(before[field], place) for field, place in moved.items())
    field = next(iter(moved))
    return KeyOriginChanged(
        f"{field}: the stored {what} would go {said}",
        hint="give the new key with the edit, or confirm that the stored one may go there "
        "(--send-key-to-new-host)",
        metadata={
            "field": field,
            "old_origin": before["base_url"],
            "new_origin": moved.get("base_url", before["base_url"]),
        },
    )


def _stored(
    old: StoredConnection,
    draft: Draft,
    unseal: Callable[[StoredConnection], Credentials],
    *,
    replaces_key: bool,
    keeps_headers: bool,
) -> Credentials:
    try:
        return unseal(old)
    except SecretTampered:
        # Secrets that no longer open have to be entered again completely, or some would be lost.
        entered_proxy = draft.network is not None or not old.has(SecretKind.PROXY_CREDENTIALS)
        if replaces_key and not keeps_headers and entered_proxy:
            return Credentials()
        raise


def learned(
    connection: StoredConnection,
    *,
    verdict: KeyVerdict | None,
    proven_at: datetime | None,
    facts: Facts | None,
) -> StoredConnection:
    """The connection with facts from a test or a check; None keeps the known value."""
    return replace(
        connection,
        key_verdict=verdict or connection.key_verdict,
        key_proven_at=proven_at or connection.key_proven_at,
        facts=connection.facts if facts is None else facts,
    )


def target_of(connection: StoredConnection, credentials: Credentials) -> ProbeTarget:
    """The data that a probe of the connection needs."""
    return ProbeTarget(
        **{name: getattr(connection, name) for name in ENDPOINT},
        name=connection.name,
        credentials=credentials,
        default_model=connection.default_model,
        facts=connection.facts,
    )
