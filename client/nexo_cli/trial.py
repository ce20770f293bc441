"""One test shown to a person: layers appear live, then the verdict, then suggestions to accept.

Not for saving; add, edit and test decide about the result.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from nexo.connections.terms import Layer, LayerStatus
from nexo.connections.values import frozen
from nexo_cli import looks
from nexo_cli.format import Busy, Span, Style, ago, duration
from nexo_cli.session import Session
from nexo_client import errors, types

if TYPE_CHECKING:
    from nexo_client.client import Client

COMPLETION_NOTE = (
    "--completion sends one minimal request to a model, which the provider bills; its price class "
    "is printed before it is sent."
)

_CLEAN_UP = "Clean the key up?"

# A person can accept a suggestion for these fields with a yes; secrets have `fix` instead.
_APPLICABLE = ("base_url", "preset", "provider", "auth_scheme", "default_model")


@frozen
class TrialOptions:
    """How to test.

    Attributes:
        keep: the daemon keeps the tested draft, because it may be saved then.
    """

    completion: bool = False
    model: str = ""
    timeout_s: float = 30.0
    keep: bool = False


@frozen(kw_only=True)
class TrialSubject:
    """The tested object: a draft, a saved connection, or an edit of one that is not saved yet.

    Attributes:
        saved: name of the saved connection; empty for a draft.
        draft: the draft, or the changes of the saved connection.
        fixes: clean-ups of the key that the person accepted.
        send_key: consent to send the stored secrets to the new host of an edit.
        ticket: of the test of exactly this draft; empty if there was none.
    """

    saved: str = ""
    draft: types.ConnectionDraft = field(default_factory=types.ConnectionDraft)
    fixes: tuple[str, ...] = ()
    send_key: bool = False
    ticket: str = ""

    @property
    def label(self) -> str:
        """Its display name."""
        return self.saved or self.draft.name or "the draft"

    @property
    def has_changes(self) -> bool:
        """Whether an edit differs from what is saved."""
        return self.draft != types.ConnectionDraft() or bool(self.fixes)

    def test(
        self,
        client: "Client",
        options: TrialOptions,
        on_layer: Callable[[types.LayerResult], None] | None = None,
    ) -> types.TestResult:
        """Let the daemon test it; returns the verdict."""
        if not self.saved:
            return client.test_draft(
                self.draft,
                completion=options.completion,
                model=options.model,
                timeout_s=options.timeout_s,
                on_layer=on_layer,
                fixes=self.fixes,
                keep=options.keep,
            )
        return client.test_connection(
            self.saved,
            self.draft if self.has_changes else None,
            completion=options.completion,
            model=options.model,
            timeout_s=options.timeout_s,
            on_layer=on_layer,
            keep_key_for_new_origin=self.send_key,
            fixes=self.fixes,
            keep=options.keep,
        )

    def save(
        self, client: "Client", *, make_default: bool = False, revision: int = 0
    ) -> types.SavedConnection:
        """Save it; a tested draft is not sent again."""
        draft = types.ConnectionDraft() if self.ticket else self.draft
        fixes = () if self.ticket else self.fixes
        if not self.saved:
            return client.create_connection(draft, make_default=make_default, fixes=fixes, ticket=self.ticket)
        return client.update_connection(
            self.saved,
            draft,
            revision=revision,
            keep_key_for_new_origin=self.send_key,
            fixes=fixes,
            ticket=self.ticket,
        )


def run(session: Session, client: "Client", subject: TrialSubject, options: TrialOptions) -> types.TestResult:
    """Test with live layers (none with `--json`) and print the verdict."""
    if session.json:
        return subject.test(client, options)
    printer = session.printer
    printer.line(Span(f"Testing {subject.label}", Style.STRONG))
    encrypted, under_way = True, "configuration"
    with session.terminal.block(lambda: [Busy(under_way, indent=2)]) as block:

        def on_layer(result: types.LayerResult) -> None:
            nonlocal encrypted, under_way
            if result.layer is Layer.CONFIGURATION:
                encrypted = not result.evidence.startswith("http://")
            if not _is_told(session, result):
                return
            block.above(lambda: printer.line(looks.layer(result)))
            order = [layer for layer in Layer if encrypted or layer is not Layer.TLS]
            following = order[order.index(result.layer) + 1 :] if result.layer in order else []
            under_way = following[0].value.replace("_", " ") if following else ""

        result = subject.test(client, options, on_layer)
    say_verdict(session, result)
    return result


def say_verdict(session: Session, result: types.TestResult) -> None:
    """Print the verdict of one test, with the next step."""
    printer = session.printer
    missed = [
        entry.layer.value.replace("_", " ")
        for entry in result.layers
        if entry.status is LayerStatus.NOT_REACHED and entry.layer is not Layer.COMPLETION
    ]
    if missed:
        printer.line(Span(f"  · not reached: {', '.join(missed)}", Style.FAINT))
    printer.line(_summary(result))
    if not result.ok:
        if result.provider_message and not _is_quoted(result.provider_message, result):
            printer.line(Span("  it says: ", Style.FAINT), result.provider_message)
        if result.request_id:
            printer.line(Span(f"  request id: {result.request_id}", Style.FAINT))
    if result.advice:
        printer.line(Span("  next: " if not result.ok else "  note: ", Style.STRONG), result.advice)
    if result.price_note and _is_billed(result) and not _is_quoted(result.price_note, result):
        printer.line(Span(f"  {result.price_note}", Style.FAINT))
    for suggestion in result.suggestions:
        if not suggestion.fix and not _applies(suggestion):
            printer.line(Span("  hint: ", Style.WARNING), suggestion.text)


def _summary(result: types.TestResult) -> list[Span]:
    parts = [looks.outcome(result)]
    if result.ok:
        parts += [Span(" · "), looks.key_verdict(result.key)]
        if result.models:
            parts.append(Span(f" · {len(result.models)} model{'s' if len(result.models) != 1 else ''}"))
    if result.elapsed_s is not None:
        parts.append(Span(f" · {duration(result.elapsed_s)}", Style.FAINT))
    return parts


def _is_billed(result: types.TestResult) -> bool:
    made = (LayerStatus.PASSED, LayerStatus.FAILED)
    return any(entry.layer is Layer.COMPLETION and entry.status in made for entry in result.layers)


def _is_quoted(text: str, result: types.TestResult) -> bool:
    """Whether the line of a layer has the text already."""
    return any(text in entry.evidence for entry in result.layers)


def say_again(session: Session, last: types.LastTest) -> None:
    """Print the layers and the verdict of an earlier test."""
    tested = f"Tested {last.result.connection} {ago(last.tested_at, session.now)}"
    session.printer.line(Span(tested, Style.STRONG))
    for result in last.result.layers:
        if _is_told(session, result):
            session.printer.line(looks.layer(result))
    say_verdict(session, last.result)


def _is_told(session: Session, result: types.LayerResult) -> bool:
    return result.status is not LayerStatus.NOT_REACHED and (
        result.status is not LayerStatus.SKIPPED or session.verbose
    )


def examine(
    session: Session, client: "Client", subject: TrialSubject, options: TrialOptions
) -> tuple[TrialSubject, types.TestResult]:
    """Test, offer the daemon's suggestions, and test again for as long as the person accepts one.

    Raises:
        KeyOriginChanged: the stored key would go to a new host without consent.
    """
    tested: list[TrialSubject] = []
    while True:
        tested.append(subject)
        try:
            result = run(session, client, subject, options)
        except errors.KeyOriginChanged as problem:
            if not session.interactive:
                raise
            session.printer.note(problem.message)
            if not session.terminal.confirm(send_question(problem)):
                raise
            subject = replace(subject, send_key=True)
            continue
        except errors.InvalidField as problem:
            fixes = tuple(name for name in problem.metadata.get("fixes", "").split(",") if name)
            if not fixes or not session.interactive:
                raise
            session.printer.note(Span("  suggestion: ", Style.WARNING), problem.metadata["fixes_text"])
            if not session.terminal.confirm(_CLEAN_UP, default=True):
                raise
            subject = replace(subject, fixes=(*subject.fixes, *fixes))
            continue
        changed = offer(session, subject, result, tested)
        if changed is None:
            return replace(subject, ticket=result.ticket), result
        subject = changed


def send_question(problem: errors.KeyOriginChanged) -> str:
    """The question to ask before a stored key is sent to a new place."""
    ways = {"proxy": "through the new proxy", "ca_bundle": "to servers trusted by the new CA bundle"}
    return f"Send the stored key {ways.get(problem.metadata.get('field', ''), 'to the new address')}?"


def offer(
    session: Session, subject: TrialSubject, result: types.TestResult, tested: Sequence[TrialSubject] = ()
) -> TrialSubject | None:
    """The subject with the first suggestion that the person accepts; None if there is none.

    A suggestion that was already tested is not offered again, so that the questions come to an end.
    """
    for suggestion in result.suggestions:
        question = _question(suggestion, subject)
        if not question or suggestion.fix in subject.fixes:
            continue
        if any(_same_draft(_accepted(subject, suggestion), earlier) for earlier in tested):
            continue
        if session.json:
            continue
        if not session.interactive:
            session.printer.line(Span("  suggestion: ", Style.WARNING), _how(suggestion, subject))
            continue
        session.printer.note(Span("  suggestion: ", Style.WARNING), suggestion.text)
        if session.terminal.confirm(question, default=suggestion.verified or bool(suggestion.fix)):
            return _accepted(subject, suggestion)
    return None


def _same_draft(one: TrialSubject, other: TrialSubject) -> bool:
    return one.draft == other.draft and one.fixes == other.fixes


def _applies(suggestion: types.Suggestion) -> bool:
    """Whether a yes is enough to apply the change: it was tested, or it is an address where an API was
    found.
    """
    found = suggestion.verified or suggestion.field == "base_url"
    return bool(suggestion.value) and suggestion.field in _APPLICABLE and found


def _question(suggestion: types.Suggestion, subject: TrialSubject) -> str:
    if suggestion.fix:
        return _CLEAN_UP
    if _applies(suggestion):
        field = suggestion.field.replace("base_url", "base URL").replace("_", " ")
        if subject.saved and not subject.has_changes:
            return f"Change the {field} of {subject.saved} to {suggestion.value}?"
        return f"Use the {field} {suggestion.value}?"
    return ""


def _how(suggestion: types.Suggestion, subject: TrialSubject) -> str:
    if not subject.saved or not suggestion.value:
        return suggestion.text
    option = "--" + suggestion.field.replace("default_", "").replace("_", "-")
    command = shlex.join(["nexoctl", "edit", subject.saved, option, suggestion.value])
    return f"{suggestion.text} Apply it with: {command}"


def _accepted(subject: TrialSubject, suggestion: types.Suggestion) -> TrialSubject:
    if suggestion.fix:
        return replace(subject, fixes=(*subject.fixes, suggestion.fix))
    change: dict[str, Any] = {suggestion.field: suggestion.value}
    draft = replace(subject.draft, **change)
    # The question named the new address, so a yes is the consent.
    return replace(subject, draft=draft, send_key=subject.send_key or suggestion.field == "base_url")
