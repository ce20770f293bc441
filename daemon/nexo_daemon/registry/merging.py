"""Plans an import, entry by entry, with the consents it needs. Pure; `imports` carries it out.

A document may come from somebody else, even if its passphrase is right. So each entry that decides what is
run or read, where and through what a stored key is sent, or who gets which connection, needs a person's
consent for exactly that. When an entry is left out, those that refer to it are left out too, because the same
name may mean another connection here.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nexo.connections.model.store import ImportConsent, ImportStep
from nexo.connections.names import key as name_key
from nexo.connections.terms import ImportAction
from nexo.connections.values import frozen
from nexo_daemon.domain.model import (
    Credentials,
    NetworkProfile,
    ProxyMode,
    StoredConnection,
    WorkspaceKey,
    proxy_mode,
)
from nexo_daemon.registry.document import Document
from nexo_daemon.registry.drafts import Draft
from nexo_daemon.registry.edits import AS_GIVEN, kept_headers
from nexo_daemon.registry.snapshot import RegistrySnapshot
from nexo_daemon.vault.references import ReferenceKind


@frozen
class MergeStep(ImportStep):
    """One entry of a document, what is done with it, and the data that a command needs for that."""

    draft: Draft | None = None
    binding: tuple[WorkspaceKey, bool, float | None] | None = None
    fallback: tuple[str, ...] = ()

    @property
    def does_something(self) -> bool:
        """Whether the step changes anything."""
        return self.action in (ImportAction.ADD, ImportAction.CHANGE)

    def left_out(self, why: str) -> "MergeStep":
        """The same entry, skipped for a reason that consent cannot change."""
        return replace(self, action=ImportAction.SKIP, text=why, needs=())


Admit = Callable[[MergeStep], MergeStep]


def plan_import(
    document: Document,
    snapshot: RegistrySnapshot,
    stored: Mapping[str, Credentials],
    *,
    overwrite: bool,
    admit: Admit = lambda step: step,
) -> tuple[MergeStep, ...]:
    """Plan what an import would do, entry by entry.

    Args:
        stored: the secrets of existing connections with the same names, by connection id, where they open.
        overwrite: change existing entries; otherwise they stay, and the step lists the differences.
        admit: gets each step that changes something; returns it, or the step as left out. Steps that depend
            on one that was left out are left out too.
    """
    merge = _Merge(document, snapshot, overwrite)
    steps: list[MergeStep] = []
    seen: set[str] = set()
    for draft in document.drafts:
        step = merge.connection(draft, stored)
        if name_key(step.name) in seen:
            step = step.left_out("the document has two connections of that name")
        seen.add(name_key(step.name))
        steps.append(_admitted(step, admit))
    reasons = {
        name_key(step.name): f"'{step.name}' of the document is left out"
        for step in steps
        if step.action is ImportAction.SKIP
    }
    arriving = {name_key(step.name) for step in steps if step.action is not ImportAction.SKIP}

    def missing(name: str) -> str:
        if name_key(name) in arriving:
            return ""
        return reasons.get(name_key(name), f"the document has no connection '{name}'")

    routing = [*merge.bindings(missing), *merge.default(missing), *merge.fallback(missing)]
    return tuple(steps + [_admitted(step, admit) for step in routing])


def _admitted(step: MergeStep, admit: Admit) -> MergeStep:
    return admit(step) if step.does_something else step


Missing = Callable[[str], str]
"""Why a connection with that name is not imported; empty if it is."""


@frozen
class _Merge:
    document: Document
    snapshot: RegistrySnapshot
    overwrite: bool

    def _consent(self, kind: str, text: str, present: StoredConnection | None = None) -> ImportConsent:
        now = [present.id, present.revision] if present is not None else []
        bound = json.dumps([self.document.digest, kind, text, now]).encode()
        return ImportConsent(hashlib.sha256(bound).hexdigest()[:24], kind, text)

    def connection(self, draft: Draft, stored: Mapping[str, Credentials]) -> MergeStep:
        name = draft.name or ""
        # Not `find`, which also accepts ids.
        present = self.snapshot.connections.get(self.snapshot.ids_by_name.get(name_key(name), ""))
        keyless = draft.api_key is None and not draft.api_key_ref
        needs = tuple(
            self._consent(kind, f"'{name}': {text}", present) for kind, text in _decided(draft, present)
        )
        if present is None:
            text = "without an API key" if keyless else ""
            return MergeStep(ImportAction.ADD, "connection", name, text, needs, draft)
        differences = _differences(draft, present, stored.get(present.id))
        if not differences:
            return MergeStep(ImportAction.KEEP, "connection", name)
        text = "differs in " + ", ".join(differences)
        if not self.overwrite:
            return MergeStep(ImportAction.SKIP, "connection", name, f"is here already and {text}")
        return MergeStep(ImportAction.CHANGE, "connection", name, text, needs, replace(draft, name=None))

    def _routed(self, step: MergeStep, text: str) -> MergeStep:
        # Without any configuration there is no existing use that a document could change.
        if not (self.snapshot.connections or self.snapshot.bindings):
            return step
        return replace(step, needs=(self._consent(step.kind, text),))

    def bindings(self, missing: Missing) -> list[MergeStep]:
        steps: list[MergeStep] = []
        seen: set[WorkspaceKey] = set()
        for workspace, target, allow, sticky_s in self.document.bindings:
            step = self._binding(workspace, target, allow, sticky_s, missing(target))
            if workspace in seen:
                step = step.left_out("the document binds it twice")
            seen.add(workspace)
            steps.append(step)
        return steps

    def _binding(
        self, workspace: WorkspaceKey, target: str, allow: bool, sticky_s: float | None, missing: str
    ) -> MergeStep:
        binding = (workspace, allow, sticky_s)
        step = MergeStep(ImportAction.ADD, "binding", str(workspace), target, binding=binding)
        present = self.snapshot.bindings.get(workspace)
        others = ", or one that stands in for it" if allow else ""
        if present is not None and (
            name_key(present.connection_name),
            present.allow_fallback,
            present.sticky_s,
        ) == (name_key(target), allow, sticky_s):
            return replace(step, action=ImportAction.KEEP)
        if missing:
            return step.left_out(missing)
        if present is None:
            return self._routed(step, f"programs in {workspace} get '{target}'{others}")
        if not self.overwrite:
            return step.left_out(f"is bound to '{present.connection_name}' here")
        text = f"programs in {workspace} get '{target}'{others} instead of '{present.connection_name}'"
        return self._routed(replace(step, action=ImportAction.CHANGE), text)

    def default(self, missing: Missing) -> list[MergeStep]:
        name = self.document.default
        if not name:
            return []
        step = MergeStep(ImportAction.ADD, "default", name)
        present = self.snapshot.default
        if present is not None and name_key(present.name) == name_key(name):
            return [replace(step, action=ImportAction.KEEP)]
        if why := missing(name):
            return [step.left_out(why)]
        if present is None:
            return [self._routed(step, f"'{name}' becomes the default")]
        if not self.overwrite:
            return [step.left_out(f"'{present.name}' stays the default")]
        text = f"'{name}' becomes the default instead of '{present.name}'"
        return [self._routed(replace(step, action=ImportAction.CHANGE), text)]

    def fallback(self, missing: Missing) -> list[MergeStep]:
        names = self.document.fallback
        if not names:
            return []
        kept = tuple(name for name in names if not missing(name))
        left_out = "; ".join(filter(None, map(missing, names)))
        step = MergeStep(ImportAction.ADD, "fallback", ", ".join(kept or names), left_out, fallback=kept)
        stored = map(self.snapshot.connections.get, self.snapshot.settings.fallback_ids)
        present = [one.name for one in stored if one is not None]
        if not kept:
            return [step.left_out(left_out)]
        if list(map(name_key, kept)) == list(map(name_key, present)):
            return [replace(step, action=ImportAction.KEEP)]
        if present and not self.overwrite:
            return [step.left_out(f"{', '.join(present)} stay the fall-back")]
        action = ImportAction.CHANGE if present else ImportAction.ADD
        text = f"{', '.join(kept)} stand in for a connection that fails"
        return [self._routed(replace(step, action=action), text)]


def _decided(draft: Draft, present: StoredConnection | None) -> list[tuple[str, str]]:
    """The decisions about keys that the draft would newly make: their kinds and texts."""
    url = draft.base_url or ""
    network = draft.network or NetworkProfile()
    before = present.network if present is not None else NetworkProfile()
    found = []
    if draft.api_key_ref and (
        present is None or (draft.api_key_ref, url) != (present.key_reference, present.base_url)
    ):
        found.append(_reference(draft.api_key_ref, url))
    if replace(network, ca_bundle="") != replace(before, ca_bundle=""):
        found.append(("proxy", _route(network, before, url)))
    if network.ca_bundle != before.ca_bundle:
        whom = f"servers with certificates from {network.ca_bundle}" if network.ca_bundle else ""
        found.append(("ca_bundle", f"trusts {whom or 'the certificates of this computer again'} to be {url}"))
    if present is not None and url != present.base_url:
        kept = _kept(draft, present)
        if kept:
            found.append(("stored_key", f"the stored {kept} go to {url} instead of {present.base_url}"))
    return found


def _kept(draft: Draft, present: StoredConnection) -> str:
    replaced = draft.api_key is not None or draft.api_key_ref is not None
    kept = (
        ("API key", not replaced and (bool(present.key_reference) or present.key_added_at is not None)),
        ("header values", bool(kept_headers(present, draft))),
    )
    return " and ".join(what for what, is_kept in kept if is_kept)


def _reference(reference: str, url: str) -> tuple[str, str]:
    scheme, _, rest = reference.partition(":")
    texts = {
        ReferenceKind.COMMAND: f"runs the command {rest} and sends its output to {url}",
        ReferenceKind.FILE: f"reads the file {rest} and sends its content to {url}",
        ReferenceKind.KEYRING: f"reads {rest} from your keyring and sends it to {url}",
    }
    kind = ReferenceKind(scheme)
    return str(kind), texts[kind]


def _route(network: NetworkProfile, before: NetworkProfile, url: str) -> str:
    instead = f" instead of the proxy {before.proxy_url}" if before.proxy_url else ""
    ways = {
        ProxyMode.URL: f"sends requests for {url}, including the key, through the proxy {network.proxy_url}",
        ProxyMode.DIRECT: f"sends requests for {url} without any proxy",
        ProxyMode.SYSTEM: f"sends requests for {url} through the proxy settings of this computer",
    }
    past = f", except for {', '.join(network.no_proxy)}" if network.no_proxy else ""
    return ways[proxy_mode(network)] + instead + past


def _differences(draft: Draft, present: StoredConnection, stored: Credentials | None) -> list[str]:
    pairs: Sequence[tuple[str, object, object]] = (
        ("provider", draft.provider, present.provider),
        ("preset", draft.preset or "", present.preset),
        ("base URL", draft.base_url, present.base_url),
        ("auth scheme", draft.auth_scheme, present.auth_scheme),
        ("network", draft.network, present.network),
        ("key reference", draft.api_key_ref or "", present.key_reference),
        ("check interval", draft.check_interval_s or None, present.check_interval_s),
        *((name.replace("_", " "), getattr(draft, name), getattr(present, name)) for name in AS_GIVEN),
    )
    names = [name for name, new, old in pairs if new != old]
    if stored is not None:
        if draft.api_key is not None and draft.api_key != stored.api_key:
            names.append("API key")
        if draft.headers is not None and draft.headers != stored.headers:
            names.append("headers")
    return names
