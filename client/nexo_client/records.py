"""Converts the SDK's values into JSON objects, for `nexoctl --json` and the settings screen.

Fields are written under their names; `LAYOUTS` has the exceptions, and the descriptions for the schema that
`nexoctl --json --help` prints. Scripts rely on names and meaning: add fields, never rename them. Times are
RFC 3339 in UTC, names of durations end in `_ms` or `_s`, unknown values are null. Only the records of a
`ResolvedConnection` and a `RecoveryCode` contain secrets.
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
    """How a class is written as JSON, and how the schema describes it.

    `notes`, `words`, `blank`, `made`, `first` and `last` use the names in JSON.

    Attributes:
        name: the name of its definition in the schema.
        about: its description in the schema.
        notes: descriptions of fields that the docstring of the class does not describe, or not for JSON.
        words: the possible values of a string, if its type does not list them.
        without: fields that are not written.
        spread: a field that is replaced by its own fields.
        renamed: field -> name in JSON.
        blank: fields that are null if the value is empty or 0.
        made: computed fields; the return type of the function is the type in the schema.
        first, last: fields that are moved to the beginning or the end.
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
    """One member of a JSON object.

    Attributes:
        key: its name in JSON.
        get: computes its value.
        layout: the layout of `owner`.
        owner: the class that has the field.
        source: a field of `owner`, or a function from `Layout.made`; gives the type in the schema.
    """

    key: str
    get: Make
    layout: Layout
    owner: type
    source: str | Make


def moment(value: datetime | None) -> str | None:
    """A time as RFC 3339 in UTC, in milliseconds."""
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(seconds: float | None) -> float | None:
    """Seconds converted to milliseconds, rounded to microseconds."""
    return None if seconds is None else round(seconds * 1000, 3)


def plain(value: Any, now: datetime | None = None) -> Any:
    """Any value of the SDK as a JSON value; `now` is needed for the age of a health check."""
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
    """The JSON object for a value, according to its layout."""
    return {member.key: plain(member.get(value, now), now) for member in members(value.__class__)}


@cache
def members(kind: type) -> tuple[Member, ...]:
    """The members of the JSON object for a class, in order."""
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
    """The health of a connection."""
    return of(types.ConnectionHealth("", name, value), now)


def event(value: types.WatchEvent, now: datetime) -> Record:
    """One message of the event stream; `event` is its kind."""
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
    """Why there is no usable connection."""

    reason: str
    message: str


class VaultSummary(TypedDict):
    """The state of the vault."""

    state: VaultState
    slot: str
    problem: str


class StoreSummary(TypedDict):
    """The state of the store."""

    state: StoreState
    problem: str
    advice: Annotated[str, "What to do; also the end of the problem."]


class GatewayAddresses(TypedDict):
    """The base URL for programs of each dialect."""

    openai: str
    anthropic: str
    google: str
    ollama: str


def _age(light: types.ConnectionHealth, now: datetime | None) -> float | None:
    checked_at = light.health.checked_at
    if checked_at is None:
        return None
    if now is None:
        raise TypeError("`now` is required to compute the age of a check")
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


# The keys are names, because the classes are imported when they are first used.
LAYOUTS: dict[str, Layout] = {
    "ConnectionHealth": Layout(
        "health",
        "The health of a connection: nexoctl health NAME; a list without NAME; one per line with --watch.",
        without=("connection_id",),
        spread="health",
        made={"age_s": _age},
        notes={"age_s": "Seconds since the check."},
    ),
    "NetworkProfile": Layout(
        "network",
        "The proxy and the certificates of a connection.",
    ),
    "KeyInfo": Layout(
        "key",
        "Information about an API key; never the key.",
    ),
    "ProviderInfo": Layout(
        "provider",
        "A provider or a preset: nexoctl providers (a list of them).",
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
        notes={"ok": "null: not reached or not applicable."},
        renamed={"elapsed_s": "ms"},
        made={"ok": _passed},
        first=("layer", "ok", "ms"),
        last=("status",),
    ),
    "Suggestion": Layout("suggestion", "A change that was tried and works, or a warning."),
    "TestResult": Layout(
        "test",
        "The result of a test: nexoctl test NAME; a list of them for several or --all.",
        notes={
            "models": "The ids of the models that the provider listed.",
        },
        without=("ticket",),
        blank=("request_id",),
        made={"models": _ids},
    ),
    "LastTest": Layout(
        "last_test",
        "The result of the last test of a connection, without its models: nexoctl test NAME --last.",
        spread="result",
    ),
    "Model": Layout("model", "A model.", blank=("context_window",)),
    "ClientInfo": Layout("client", "A program, as it describes itself."),
    "Workspace": Layout("workspace", "A directory or a name; the other one is null.", blank=("path", "name")),
    "WorkspaceBinding": Layout(
        "binding",
        "A workspace and its connection: nexoctl workspace bind.",
        notes={"broken": "The connection was deleted or disabled; resolving fails."},
    ),
    "Follower": Layout("follower", "A program that follows a connection now."),
    "ResolutionStep": Layout("rule", "One rule for selecting a connection."),
    "GatewayUser": Layout(
        "gateway_user",
        "A program that uses the gateway.",
        notes={
            "token": "The name of its token; null for a run.",
            "connection": "The connection of its last request.",
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
        notes={"followers": "The number of programs that follow; counted only with --wait."},
        made={"connection": _switched, "previous": _previous, "health": _light_switched},
    ),
    "Handout": Layout(
        "handout",
        "A handed out secret: nexoctl handouts (a list of them).",
        blank=("workspace",),
    ),
    "Gateway": Layout(
        "",
        "",
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
        "nexoctl resolve. Contains secrets.",
        without=("connection_id",),
        renamed={"name": "connection"},
        made={"health": _light},
    ),
    "HealthTransition": Layout(
        "transition",
        "A change of the health.",
        notes={
            "source": "The request that showed it: a check of the daemon, a program's request through the "
            "gateway, or none.",
        },
        words={"source": ("probe", "traffic")},
        without=("connection_id",),
        renamed={"from_state": "from", "to_state": "to"},
        blank=("source",),
        last=("from", "to"),
    ),
    "HealthSample": Layout(
        "sample",
        "A check, or the combined checks of an hour.",
        notes={
            "span_s": "0 for a single check.",
            "reason": "A stable identifier that refines the outcome.",
        },
        # It is never null, but the published schema allows null.
        blank=("at",),
        made={"span_s": _span},
    ),
    "HealthHistory": Layout(
        "",
        "",
        notes={
            "uptime": "0 to 1; null if there was no check.",
            "transitions": "Oldest first.",
            "samples": "Oldest first.",
        },
    ),
    "GatewayToken": Layout(
        "gateway_token",
        "A token for the gateway: nexoctl token list (a list of them).",
        notes={"connection": "Empty if it was deleted. If this and the workspace are null: the default."},
        without=("id", "fingerprint"),
    ),
    "Usage": Layout(
        "usage",
        "Requests and tokens that went through the gateway: nexoctl usage (a list of them).\n\n"
        "Fields that were not used for grouping are null.",
        blank=("connection", "workspace", "program", "model"),
    ),
    "Backup": Layout(
        "backup",
        "A backup: nexoctl store backup; nexoctl store backups (a list of them).",
        notes={"reason": "Why it was made: daily, migration, request or rotation."},
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
        "An entry of an imported file.",
        words={"kind": ("connection", "binding", "default", "fallback")},
    ),
    "ImportConsent": Layout(
        "consent",
        "An effect of the entry to which the user has to agree.",
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
    ),
    "AutoLock": Layout(
        "auto_lock",
        "nexoctl vault auto-lock: when the vault locks automatically.",
    ),
    "RecoveryCode": Layout(
        "recovery_code",
        "nexoctl vault recovery. Contains a secret.",
        notes={"recovery_code": "It is shown only once."},
        renamed={"code": "recovery_code"},
    ),
}
