"""What `nexoctl --json` prints and the settings screen shows: the SDK's values as JSON objects.

A value is written field by field, by name; `LAYOUTS` says what differs, and what the schema that
`nexoctl --json --help` prints says about it. Names and meaning are an interface that scripts rely on; add to
it, never rename. Moments are RFC 3339 in UTC, spans end in `_ms` or `_s`, what is not known is null. Only the
records of a `ResolvedConnection` and a `RecoveryCode` hold secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, NamedTuple, TypedDict, get_type_hints

from nexo.connections.terms import StoreState, VaultState
from nexo_client import types

Record = dict[str, Any]

Make = Callable[[Any, datetime | None], Any]


class Layout(NamedTuple):
    """How a noun is written, and what the schema says about it.

    Attributes:
        name: of its definition in the schema; `about` is the description there.
        notes: what a field means; by the names in JSON, as `words`, `blank`, `first` and `last`.
        words: what a text may be, where its type does not say it.
        without: fields that are not written.
        spread: a field whose own fields stand in its place.
        renamed: names in JSON, by those of the fields.
        blank: null when it is empty or 0.
        made: how it is made of the whole; what a function returns is its type in the schema.
        first, last: what does not stand where its field does.
    """

    name: str
    about: str
    notes: Mapping[str, str] = {}
    words: Mapping[str, tuple[str, ...]] = {}
    without: tuple[str, ...] = ()
    spread: str = ""
    renamed: Mapping[str, str] = {}
    blank: tuple[str, ...] = ()
    made: Mapping[str, Make] = {}
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


class Member(NamedTuple):
    """One name of a JSON object: how its value is had, and where its type stands.

    Attributes:
        layout: of the noun that has the field.
        source: a field of `owner`, or a function of `Layout.made`.
    """

    key: str
    get: Make
    layout: Layout
    owner: type
    source: str | Make


def moment(value: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float | None) -> float | None:
    """Seconds in ms, to the microsecond."""
    return None if seconds is None else round(seconds * 1000, 3)


def plain(value: Any, now: datetime | None = None) -> Any:
    """A value of the SDK as JSON knows it; the age of a check is counted until `now`."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [plain(one, now) for one in value]
    if isinstance(value, dict):
        return {name: plain(one, now) for name, one in value.items()}
    return of(value, now) if is_dataclass(value) else value


def of(value: Any, now: datetime | None = None) -> Record:
    """A noun as its layout says."""
    return {member.key: plain(member.get(value, now), now) for member in members(value.__class__)}


@cache
def members(kind: type) -> tuple[Member, ...]:
    """What the JSON object of a noun has, in its order."""
    layout = LAYOUTS.get(kind.__name__, Layout("", ""))
    found: dict[str, Member] = {}
    for name in (field.name for field in fields(kind)):
        if name == layout.spread:
            found |= {inner.key: _inside(name, inner) for inner in members(get_type_hints(kind)[name])}
        elif name not in layout.without:
            key, get = _field(name, layout)
            found[key] = Member(key, get, layout, kind, name)
    for key, make in layout.made.items():
        found[key] = Member(key, make, layout, kind, make)
    first = {key: found[key] for key in layout.first}
    last = {key: found.pop(key) for key in layout.last}
    return tuple((first | found | last).values())


def _inside(name: str, inner: Member) -> Member:
    return inner._replace(get=lambda value, now: inner.get(getattr(value, name), now))


def _field(name: str, layout: Layout) -> tuple[str, Make]:
    if name.startswith(("latency", "elapsed")):
        key = layout.renamed.get(name, f"{name.removesuffix('_s')}_ms")
        return key, lambda value, _now: milliseconds(getattr(value, name))
    key = layout.renamed.get(name, name)
    if key in layout.blank:
        return key, lambda value, _now: getattr(value, name) or None
    return key, lambda value, _now: getattr(value, name)


def health(name: str, value: types.Health, now: datetime) -> Record:
    """The light of a connection."""
    return of(types.ConnectionHealth("", name, value), now)


def event(value: types.WatchEvent, now: datetime) -> Record:
    """One message of the event stream; `event` says which."""
    record: Record = {"sequence": value.sequence, "revision": value.revision}
    if value.snapshot is not None:
        return record | {"event": "snapshot"} | of(value.snapshot, now)
    if value.removed is not None:
        return record | {"event": "removed", "connection": value.removed}
    for name in ("connection", "bindings", "status", "transition", "handout"):
        if (news := getattr(value, name)) is not None:
            return record | {"event": name, name: plain(news, now)}
    return record | {"event": value.ended or "unknown"}


class NoConnection(TypedDict):
    """Why there is nothing to hand out."""

    reason: str
    message: str


class VaultSummary(TypedDict):
    """What opens the secrets."""

    state: VaultState
    slot: str
    problem: str


class StoreSummary(TypedDict):
    """Where connections are kept."""

    state: StoreState
    problem: str
    advice: Annotated[str, "The end of the problem: what to do."]


class GatewayAddresses(TypedDict):
    """What programs of each dialect are given as base URL."""

    openai: str
    anthropic: str
    google: str
    ollama: str


def _age(light: types.ConnectionHealth, now: datetime | None) -> float | None:
    checked_at = light.health.checked_at
    if checked_at is None:
        return None
    if now is None:
        raise TypeError("the age of a check is counted until `now`, which is not given")
    return round((now - checked_at).total_seconds(), 1)


def _light(
    value: types.Connection | types.ResolvedConnection, _now: datetime | None
) -> types.ConnectionHealth:
    return types.ConnectionHealth("", value.name, value.health)


def _passed(value: types.LayerResult, _now: datetime | None) -> bool | None:
    return {"passed": True, "failed": False}.get(value.status.value)


def _ids(value: types.TestResult, _now: datetime | None) -> tuple[str, ...]:
    return tuple(model.id for model in value.models)


def _why_none(value: types.Explanation, _now: datetime | None) -> NoConnection | None:
    return {"reason": value.problem_reason, "message": value.problem} if value.problem_reason else None


def _not_asked(_value: types.Explanation, _now: datetime | None) -> tuple[types.GatewayUser, ...]:
    return ()


def _switched(value: types.DefaultSwitch, _now: datetime | None) -> str:
    return value.connection.name


def _previous(value: types.DefaultSwitch, _now: datetime | None) -> str | None:
    return value.previous.name if value.previous else None


def _light_switched(value: types.DefaultSwitch, now: datetime | None) -> types.ConnectionHealth:
    return _light(value.connection, now)


def _addresses(value: types.Gateway, _now: datetime | None) -> GatewayAddresses | None:
    if not value.port:
        return None
    return {
        "openai": value.base_url("openai"),
        "anthropic": value.base_url("anthropic"),
        "google": value.base_url("google"),
        "ollama": value.base_url("ollama"),
    }


def _token(value: types.GatewayUser, _now: datetime | None) -> str | None:
    return value.token.name or None


def _running(_value: types.Status, _now: datetime | None) -> bool:
    return True


def _vault(value: types.Status, _now: datetime | None) -> VaultSummary:
    return {"state": value.vault, "slot": value.vault_slot, "problem": value.vault_problem}


def _store(value: types.Status, _now: datetime | None) -> StoreSummary:
    return {"state": value.store, "problem": value.store_problem, "advice": value.store_advice}


def _paused(value: types.Status, _now: datetime | None) -> bool:
    return value.checks.paused


def _span(value: types.HealthSample, _now: datetime | None) -> float:
    return value.span_s or 0.0


def _sound(value: types.CheckResult, _now: datetime | None) -> bool:
    return not value.problems


# By name: a class is made when it is first used, and a command needs three of them.
LAYOUTS: dict[str, Layout] = {
    "ConnectionHealth": Layout(
        "health",
        "The light of a connection: nexoctl health NAME; a list without NAME; one a line with --watch.",
        without=("connection_id",),
        spread="health",
        made={"age_s": _age},
        notes={"age_s": "Seconds since the check."},
    ),
    "Health": Layout(
        "",
        "",
        notes={
            "reason": "Stable word below the state; empty when healthy.",
            "retry_at": "Throttled until then.",
            "last_known": "The last state that was proven, before it became unknown.",
        },
    ),
    "NetworkProfile": Layout(
        "network",
        "How requests of a connection reach the network.",
        notes={"proxy": "system, direct, or a URL."},
    ),
    "KeyInfo": Layout(
        "key",
        "What is known about an API key; never the key.",
        notes={"proven_at": "The last time a provider accepted it."},
    ),
    "ProviderInfo": Layout(
        "provider",
        "A provider or a preset: nexoctl providers (a list of them).",
        notes={
            "key_prefixes": "How its keys usually begin.",
            "base_url_example": "What the address looks like where there is no default.",
            "header_example": "A custom header that people give it, as Name: value; may be empty.",
        },
    ),
    "Connection": Layout(
        "connection",
        "A connection: nexoctl list (a list of them), default.",
        first=("name", "id"),
        made={"health": _light},
    ),
    "Configuration": Layout("", "", without=("id", "revision", "created_at", "updated_at")),
    "LayerResult": Layout(
        "layer",
        "One step of a test.",
        notes={"ok": "null: not reached, or does not apply."},
        renamed={"elapsed_s": "ms"},
        made={"ok": _passed},
        first=("layer", "ok", "ms"),
        last=("status",),
    ),
    "Suggestion": Layout("suggestion", "A change that was tried and works, or a warning."),
    "TestResult": Layout(
        "test",
        "The verdict of a test: nexoctl test NAME; a list of them for several or --all.",
        notes={
            "reason": "Stable word below the outcome.",
            "models": "Ids of the models that were listed.",
            "price_note": "What one completion costs, also when none was made; empty: no model is known.",
            "provider_message": "The provider's own words, redacted and shortened.",
        },
        without=("ticket",),
        blank=("request_id",),
        made={"models": _ids},
    ),
    "LastTest": Layout(
        "last_test",
        "What the last test of a connection said, without its models: nexoctl test NAME --last.",
        spread="result",
    ),
    "Model": Layout("model", "A model.", blank=("context_window",)),
    "ClientInfo": Layout("client", "What a program claims about itself."),
    "Workspace": Layout("workspace", "A directory or a name; the other one is null.", blank=("path", "name")),
    "WorkspaceBinding": Layout(
        "binding",
        "A workspace and what it gets: nexoctl workspace bind.",
        notes={"broken": "The connection is gone or switched off: resolving fails."},
    ),
    "Follower": Layout("follower", "A program that follows right now."),
    "ResolutionStep": Layout("rule", "One rule."),
    "GatewayUser": Layout(
        "gateway_user",
        "A program behind the gateway.",
        notes={
            "program": "what it calls itself; empty before its first request",
            "client": "who asked for the token of a run",
            "token": "the name of its token; null for a run",
            "connection": "of its last request",
            "models": "asked for within the hour",
            "open": "under way now",
        },
        renamed={"connection_name": "connection"},
        blank=("connection",),
        made={"token": _token},
        first=("program", "client", "token", "connection"),
    ),
    "Explanation": Layout(
        "explanation",
        "nexoctl which.",
        without=("problem_reason", "problem_hint"),
        blank=("connection",),
        made={"problem": _why_none, "gateway_programs": _not_asked},
        last=("revision",),
    ),
    "DefaultSwitch": Layout(
        "switch",
        "nexoctl default NAME, and --undo.",
        notes={"followers": "Programs that follow; counted only with --wait."},
        made={"connection": _switched, "previous": _previous, "health": _light_switched},
    ),
    "Handout": Layout(
        "handout",
        "A secret that left the daemon: nexoctl handouts (a list of them).",
        notes={"times": "within the hour after at"},
        blank=("workspace",),
    ),
    "Gateway": Layout(
        "",
        "",
        notes={"switched_off": "by a person; otherwise it opens at its first use"},
        renamed={"socket_path": "socket"},
        blank=("port",),
        made={"addresses": _addresses},
        first=("on", "switched_off", "listening", "port", "addresses"),
    ),
    "GatewayOverview": Layout(
        "gateway",
        "The local gateway: nexoctl gateway status, on, off.",
        spread="gateway",
        renamed={"users": "programs"},
    ),
    "Status": Layout(
        "status",
        "nexoctl status, while the daemon runs.",
        without=(
            *("vault_slot", "vault_problem", "store_problem", "store_advice", "gateway_programs"),
            "checks",
        ),
        renamed={"socket_path": "socket", "database_path": "database", "log_path": "log"},
        blank=("default_connection",),
        made={"running": _running, "vault": _vault, "store": _store, "checks_paused": _paused},
        first=("running",),
    ),
    "ResolvedConnection": Layout(
        "resolved",
        "nexoctl resolve. Holds secrets.",
        notes={"api_key": "Empty when the connection has no key."},
        without=("connection_id",),
        renamed={"name": "connection"},
        made={"health": _light},
    ),
    "HealthTransition": Layout(
        "transition",
        "A change of the light.",
        notes={
            "important": "The default or a bound connection.",
            "source": "Whose request showed it: a check of the daemon, a program's through the gateway, "
            "or nobody's.",
        },
        words={"source": ("probe", "traffic")},
        without=("connection_id",),
        renamed={"from_state": "from", "to_state": "to"},
        blank=("source",),
        last=("from", "to"),
    ),
    "HealthSample": Layout(
        "sample",
        "A check, or the checks of an hour put together.",
        notes={
            "span_s": "0 for a single check.",
            "reason": "Stable word below the outcome.",
            "from_traffic": "So many of the checks were requests of programs through the gateway.",
        },
        # Never null; that it may be was promised.
        blank=("at",),
        made={"span_s": _span},
    ),
    "HealthHistory": Layout(
        "",
        "",
        notes={
            "uptime": "0 to 1; null when nothing was observed.",
            "transitions": "Oldest first.",
            "samples": "Oldest first.",
        },
    ),
    "GatewayToken": Layout(
        "gateway_token",
        "Who may use the gateway: nexoctl token list (a list of them).",
        notes={"connection": "empty when it is gone; null with a null workspace: the default"},
        without=("id",),
    ),
    "Usage": Layout(
        "usage",
        "Requests and tokens that went through the gateway: nexoctl usage (a list of them).\n\n"
        "What they were not added up by is null.",
        notes={
            "at": "the beginning of the day or hour; RFC 3339, UTC",
            "failed": "answered with an error, or not reached",
            "broken": "the answer broke off",
            "left": "the program left before the end",
            "input_tokens": "cached ones included",
            "unreported": "good answers that said nothing of tokens",
        },
        blank=("connection", "workspace", "program", "model"),
    ),
    "Backup": Layout(
        "backup",
        "A backup: nexoctl store backup; nexoctl store backups (a list of them).",
        notes={"reason": "daily, migration, request or rotation."},
    ),
    "CheckResult": Layout(
        "store_check",
        "nexoctl store check.",
        notes={"seals_checked": "false: the vault is locked."},
        made={"ok": _sound},
        first=("ok",),
    ),
    "Restored": Layout(
        "restored",
        "nexoctl store restore.",
        notes={"restored": "false with --dry-run."},
        renamed={"done": "restored"},
    ),
    "ImportStep": Layout(
        "merge_step",
        "An entry of the file.",
        notes={"needs": "Without all of these consents the entry is skipped."},
        words={"kind": ("connection", "binding", "default", "fallback")},
    ),
    "ImportConsent": Layout(
        "consent",
        "What the entry would decide, for a person to agree to.",
        notes={"id": "For --consent."},
        words={
            "kind": (
                *("command", "file", "keyring", "proxy", "ca_bundle", "stored_key"),
                *("binding", "default", "fallback"),
            )
        },
    ),
    "Vault": Layout(
        "vault",
        "nexoctl vault status, unlock, lock, rekey.",
        notes={
            "slot": "What opens it; null while no key was ever made.",
            "problem": "Why it is not unlocked, and what to do; else empty.",
            "recovery_made_at": "null: there is no recovery code.",
        },
    ),
    "AutoLock": Layout(
        "auto_lock",
        "nexoctl vault auto-lock: when the vault locks by itself.",
        notes={
            "idle_s": "Seconds without a hand-out; null: never because of that.",
            "problem": "Why suspend and screen lock are not noticed here, and what to do; else empty.",
        },
    ),
    "RecoveryCode": Layout(
        "recovery_code",
        "nexoctl vault recovery. Holds a secret.",
        notes={"recovery_code": "Told this once."},
        renamed={"code": "recovery_code"},
    ),
}
