"""What would an import do, entry by entry? A document compared with what is there. Pure; commands do it."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from nexo_daemon.domain.model import Connection, Credentials, WorkspaceKey
from nexo_daemon.registry.document import Document
from nexo_daemon.registry.drafts import Draft, name_key
from nexo_daemon.registry.snapshot import Snapshot


class Action(enum.StrEnum):
    """What an import does with an entry."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of a document, and what becomes of it.

    Attributes:
        kind: connection, binding, default or fallback.
        draft, binding, fallback: what a command needs to do it.
    """

    action: Action
    kind: str
    name: str
    text: str = ""
    draft: Draft | None = None
    binding: tuple[WorkspaceKey, bool] | None = None
    fallback: tuple[str, ...] = ()


def plan_import(
    document: Document, snapshot: Snapshot, stored: Mapping[str, Credentials], *, overwrite: bool
) -> tuple[Step, ...]:
    """What an import would do, entry by entry.

    Args:
        stored: the secrets of the connections of the same names, by connection id, where they open.
        overwrite: change what exists; otherwise it stays and the step says how it differs.
    """
    steps = [_connection_step(draft, snapshot, stored, overwrite=overwrite) for draft in document.drafts]
    arriving = {name_key(step.name) for step in steps if step.action is not Action.SKIP}
    known = arriving | set(snapshot.ids_by_name)
    for workspace, target, allow in document.bindings:
        present = snapshot.bindings.get(workspace)
        same = present is not None and name_key(present.connection_name) == name_key(target)
        if name_key(target) not in known:
            steps.append(Step(Action.SKIP, "binding", str(workspace), f"there is no connection '{target}'"))
        elif present is not None and same and present.allow_fallback == allow:
            steps.append(Step(Action.KEEP, "binding", str(workspace), target))
        elif present is not None and not overwrite:
            text = f"is bound to '{present.connection_name}' here"
            steps.append(Step(Action.SKIP, "binding", str(workspace), text))
        else:
            action = Action.ADD if present is None else Action.CHANGE
            steps.append(Step(action, "binding", str(workspace), target, binding=(workspace, allow)))
    steps += _default_steps(document, snapshot, known, overwrite=overwrite)
    return tuple(steps)


def _connection_step(
    draft: Draft, snapshot: Snapshot, stored: Mapping[str, Credentials], *, overwrite: bool
) -> Step:
    name = draft.name or ""
    present = snapshot.find(name)
    keyless = draft.api_key is None and not draft.api_key_ref
    if present is None:
        return Step(Action.ADD, "connection", name, "without an API key" if keyless else "", draft)
    differences = _differences(draft, present, stored.get(present.id))
    if not differences:
        return Step(Action.KEEP, "connection", name)
    text = "differs in " + ", ".join(differences)
    if not overwrite:
        return Step(Action.SKIP, "connection", name, f"is here already and {text}")
    return Step(Action.CHANGE, "connection", name, text, replace(draft, name=None))


def _default_steps(document: Document, snapshot: Snapshot, known: set[str], *, overwrite: bool) -> list[Step]:
    steps = []
    if document.default:
        present = snapshot.default
        if name_key(document.default) not in known:
            steps.append(Step(Action.SKIP, "default", document.default, "there is no such connection"))
        elif present is not None and name_key(present.name) == name_key(document.default):
            steps.append(Step(Action.KEEP, "default", document.default))
        elif present is not None and not overwrite:
            steps.append(
                Step(Action.SKIP, "default", document.default, f"'{present.name}' stays the default")
            )
        else:
            action = Action.ADD if present is None else Action.CHANGE
            steps.append(Step(action, "default", document.default))
    if document.fallback and (overwrite or not snapshot.settings.fallback_ids):
        names = tuple(name for name in document.fallback if name_key(name) in known)
        action = Action.ADD if names else Action.SKIP
        text = "" if names else "there are no such connections"
        steps.append(Step(action, "fallback", ", ".join(names or document.fallback), text, fallback=names))
    return steps


def _differences(draft: Draft, present: Connection, stored: Credentials | None) -> list[str]:
    pairs: Sequence[tuple[str, object, object]] = (
        ("provider", draft.provider, present.provider),
        ("preset", draft.preset or "", present.preset),
        ("base URL", draft.base_url, present.base_url),
        ("auth scheme", draft.auth_scheme, present.auth_scheme),
        ("default model", draft.default_model, present.default_model),
        ("enabled", draft.enabled, present.enabled),
        ("network", draft.network, present.network),
        ("key reference", draft.api_key_ref or "", present.key_reference),
        ("check interval", draft.check_interval_s or None, present.check_interval_s),
        ("paused", draft.checks_paused, present.checks_paused),
    )
    names = [name for name, new, old in pairs if new != old]
    if stored is not None:
        if draft.api_key is not None and draft.api_key != stored.api_key:
            names.append("API key")
        if draft.headers is not None and draft.headers != stored.headers:
            names.append("headers")
    return names
