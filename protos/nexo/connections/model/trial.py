"""Results of tests, and facts about providers and their models."""

from dataclasses import field
from datetime import datetime

from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider, ProviderKind
from nexo.connections.values import frozen


@frozen
class LayerResult:
    """The result of one layer of a test, its time, and the evidence."""

    layer: Layer
    status: LayerStatus
    elapsed_s: float | None = None
    evidence: str = ""


@frozen
class Suggestion:
    """A tested change that makes the draft work, or a warning about the draft.

    Attributes:
        field: the field of the draft.
        value: the proposed value; empty for a warning and for secrets.
        fix: the name of a fix that the daemon can apply to a secret.
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
    """The models of a connection; `truncated` if the provider has more than the daemon reads."""

    models: tuple[Model, ...]
    truncated: bool = False


@frozen
class TestResult:
    """The result of a test.

    Attributes:
        ticket: identifies the tested draft or edit in the call that saves it; empty if it should not be kept,
            or if the vault is locked.
    """

    # Otherwise pytest would collect the class because of its name.
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
        """Whether all requested layers passed."""
        return self.outcome is Outcome.OK


@frozen
class LastTest:
    """The result of the last test of a connection, without its models, and its time."""

    result: TestResult
    tested_at: datetime


@frozen
class ProviderInfo:
    """A provider, or a preset of the custom provider.

    Attributes:
        key_prefixes: usual prefixes of its keys.
        base_url_example: an example if there is no default; names of the account are in capitals.
        header_example: a common custom header, as "Name: value"; may be empty.
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
