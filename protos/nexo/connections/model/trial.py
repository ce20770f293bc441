"""What a test found, and what the providers are and offer."""

from dataclasses import field
from datetime import datetime

from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider, ProviderKind
from nexo.connections.values import frozen


@frozen
class LayerResult:
    """How one layer of a test ended, how long it took and what was seen."""

    layer: Layer
    status: LayerStatus
    elapsed_s: float | None = None
    evidence: str = ""


@frozen
class Suggestion:
    """A change of the draft that was tried and works, or a warning about it.

    Attributes:
        field: field of the draft.
        value: proposed value; empty for a warning and for secrets.
        fix: name of a fix that the daemon can apply itself to a secret.
    """

    field: str
    text: str
    value: str = ""
    verified: bool = False
    fix: str = ""


@frozen
class Model:
    """A model that a provider lists."""

    id: str
    display_name: str = ""
    created_at: datetime | None = None
    owner: str = ""
    context_window: int = 0


@frozen
class ModelList:
    """The models of a connection; truncated when the provider has more than the daemon reads."""

    models: tuple[Model, ...]
    truncated: bool = False


@frozen
class TestResult:
    """The verdict of a test.

    Attributes:
        ticket: stands for the draft or edit that was tested in the call that saves it; empty when it was not
            to be kept, or the vault is locked.
    """

    # pytest collects classes by name.
    __test__ = False

    connection: str
    outcome: Outcome
    reason: str
    key: KeyVerdict
    layers: tuple[LayerResult, ...]
    models: tuple[Model, ...] = ()
    http_status: int | None = None
    request_id: str = ""
    retry_at: datetime | None = None
    advice: str = ""
    proven: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    elapsed_s: float | None = None
    price_note: str = ""
    provider_message: str = ""
    ticket: str = field(default="", repr=False)

    @property
    def ok(self) -> bool:
        """Whether every layer that was asked for passed."""
        return self.outcome is Outcome.OK


@frozen
class LastTest:
    """What the last test of a connection said, without its models, and when."""

    result: TestResult
    tested_at: datetime


@frozen
class ProviderInfo:
    """A provider, or a preset of the custom provider.

    Attributes:
        key_prefixes: how its keys usually begin.
        base_url_example: what the address looks like where there is no default; one's own names in capitals.
        header_example: a custom header that people give it, as "Name: value"; may be empty.
    """

    name: str
    display_name: str
    provider: Provider
    is_preset: bool
    default_base_url: str
    auth_scheme: AuthScheme
    key_required: bool
    key_url: str
    note: str
    kind: ProviderKind
    key_prefixes: tuple[str, ...] = ()
    base_url_example: str = ""
    header_example: str = ""
