"""The form on a terminal: asks for missing fields in the order name, provider, key, base URL, headers.

Not for flags (see `drafting`), and not for testing or saving.
"""

import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from nexo.connections.names import key as name_key
from nexo.connections.similar import most_similar
from nexo.connections.values import frozen
from nexo_cli.format import Span, Style
from nexo_cli.parser import UsageError
from nexo_cli.session import Session
from nexo_client.types import ConnectionDraft, ProviderInfo


@frozen
class Wizard:
    """Asks a person for missing fields in the order of the form: name, provider, key, URL, headers."""

    session: Session
    catalogue: Sequence[ProviderInfo]
    taken: Sequence[str]

    def complete(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The draft, with answers for every field that was not given."""
        if draft.name is None:
            draft = replace(draft, name=self.ask_name())
        if not (draft.provider or draft.preset):
            draft = self.ask_provider(draft)
        if draft.api_key is None and draft.api_key_ref is None:
            draft = self.ask_key(draft)
        if draft.base_url is None:
            draft = self.ask_base_url(draft)
        if draft.headers is None and draft.headers_json is None:
            draft = self.ask_headers(draft)
        return draft

    def again(self, draft: ConnectionDraft, field: str) -> ConnectionDraft | None:
        """Ask again for the field that was refused; None if the form has no such field."""
        questions: dict[str, Callable[[], ConnectionDraft]] = {
            "name": lambda: replace(draft, name=self.ask_name()),
            "provider": lambda: self.ask_provider(draft),
            "preset": lambda: self.ask_provider(draft),
            "api_key": lambda: self.ask_key(draft),
            "base_url": lambda: self.ask_base_url(draft),
            "headers": lambda: self.ask_headers(draft),
            "headers_json": lambda: self.ask_headers(draft),
            # The daemon forgot the test while the person thought, so the same draft is tested again.
            "ticket": lambda: draft,
        }
        question = questions.get(field)
        return question() if question else None

    def ask_name(self) -> str:
        """A name that is not taken."""
        taken = {name_key(name) for name in self.taken}

        def check(answer: str) -> str:
            if not answer:
                return "Give the connection a name, for example: work"
            if name_key(answer) in taken:
                return f"There is a connection '{answer}' already; choose another name."
            return ""

        return self.session.terminal.ask("Name", check=check)

    def ask_provider(self, draft: ConnectionDraft, default: str = "openai") -> ConnectionDraft:
        """A provider or a preset, by name or number."""
        say = self.session.printer.note
        choices = [entry.name for entry in self.catalogue]
        providers = [entry for entry in self.catalogue if not entry.is_preset]
        presets = [entry.name for entry in self.catalogue if entry.is_preset]
        for number, entry in enumerate(providers, start=1):
            say(Span(f"  {number}  {entry.name.ljust(10)}", Style.NAME), f" {entry.display_name}")
        if presets:
            text = f"or a service by name: {', '.join(presets)}"
            width = max(self.session.terminal.err_width - 4, 20)
            for line in textwrap.wrap(text, width, break_on_hyphens=False):
                say(Span(f"  {line}", Style.FAINT))

        def check(answer: str) -> str:
            if answer.casefold() in choices or (answer.isdecimal() and 1 <= int(answer) <= len(providers)):
                return ""
            near = most_similar(answer, choices)
            return f"'{answer}' is unknown; did you mean {near}?" if near else "Choose a number or a name."

        answer = self.session.terminal.ask("Provider", default, check=check)
        name = providers[int(answer) - 1].name if answer.isdecimal() else answer.casefold()
        chosen = next(entry for entry in self.catalogue if entry.name == name)
        preset = chosen.name if chosen.is_preset else None
        return replace(draft, provider=chosen.provider.value, preset=preset)

    def ask_key(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The key, hidden; Enter for none."""
        entry = entry_of(draft, self.catalogue)
        if entry is not None and entry.key_url:
            self.session.printer.note(Span(f"  keys are made at {entry.key_url}", Style.FAINT))
        required = entry is not None and entry.key_required
        question = "API key (hidden)" if required else "API key (hidden; Enter for none)"
        while True:
            # White space around a pasted key never belongs to it.
            key = self.session.terminal.ask_secret(question).strip()
            if key or not required or self.session.terminal.confirm("Really without a key?"):
                return replace(draft, api_key=key, api_key_ref=None)

    def ask_base_url(self, draft: ConnectionDraft) -> ConnectionDraft:
        """The base URL, filled in where the provider has one."""
        entry = entry_of(draft, self.catalogue)
        default = entry.default_base_url if entry else ""

        def check(answer: str) -> str:
            if not answer:
                example = f", e.g. {entry.base_url_example}" if entry and entry.base_url_example else ""
                return f"Give the address that comes before /chat/completions{example}"
            if urlsplit(answer).scheme not in ("http", "https"):
                return "It begins with https:// or http://"
            return ""

        return replace(draft, base_url=self.session.terminal.ask("Base URL", default, check=check))

    def ask_headers(self, draft: ConnectionDraft) -> ConnectionDraft:
        """Custom headers as JSON; Enter for none."""
        answer = self.session.terminal.ask("Custom headers as JSON (Enter for none)", check=headers_problem)
        return replace(draft, headers=None, headers_json=answer or None)


def headers_problem(text: str) -> str:
    """The error in headers as a person typed them; empty if there is none."""
    if not text:
        return ""
    try:
        parsed = json.loads(text)
    except json.JSONDecodeError as error:
        return f'Not JSON: {error.msg} (column {error.colno}). Write {{"X-Team": "blue"}}'
    return "" if isinstance(parsed, dict) else 'Write an object: {"X-Team": "blue"}'


def entry_of(draft: ConnectionDraft, catalogue: Iterable[ProviderInfo]) -> ProviderInfo | None:
    """The provider or preset that a draft chooses."""
    wanted = draft.preset or draft.provider
    return next((entry for entry in catalogue if entry.name == wanted), None)


def missing_field(draft: ConnectionDraft, catalogue: Sequence[ProviderInfo]) -> str:
    """The first required field that is missing: name, provider, api_key or base_url; empty if none is."""
    if not draft.name:
        return "name"
    if not (draft.provider or draft.preset):
        return "provider"
    entry = entry_of(draft, catalogue)
    if entry is None:
        return ""
    if entry.key_required and draft.api_key is None and draft.api_key_ref is None:
        return "api_key"
    return "" if entry.default_base_url or draft.base_url else "base_url"


_MISSING_HINTS = {
    "name": "give it a name: nexoctl add NAME --provider PROVIDER",
    "provider": "give --provider; `nexoctl providers` lists them",
    "api_key": "give --api-key-stdin, --api-key-env VAR or --api-key-ref REF; or say --no-key",
    "base_url": "give --base-url, for example http://127.0.0.1:8000/v1",
}


def missing(field: str) -> UsageError:
    """The error for a required field that a script did not give."""
    return UsageError(f"{field}: is missing", _MISSING_HINTS[field])
