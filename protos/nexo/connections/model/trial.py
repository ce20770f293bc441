"""The results of tests, the models that a provider lists, and the known providers."""

from dataclasses import field
from datetime import datetime

from nexo.connections.terms import AuthScheme, KeyVerdict, Layer, LayerStatus, Outcome, Provider, ProviderKind
from nexo.connections.values import frozen


@frozen
class LayerResult:
    """The result of one layer of a test.

    Attributes:
        evidence: an observation, such as an address, a protocol version or a status line; never a secret.
    """

    layer: Layer
    status: LayerStatus
    elapsed_s: float | None = None
    evidence: str = ""


@frozen
class Suggestion:
    """A proposed change of the draft, or a warning about it.

    Attributes:
        field: field of the draft.
        value: proposed value; empty for a warning and for secrets.
        verified: the proposed value was tried and works.
        fix: name of a correction that the daemon itself can make to a secret.
    """

    field: str
    text: str
    value: str = ""
    verified: bool = False
    fix: str = ""


@frozen
class Model:
    """A model that a provider lists.

    Attributes:
        context_window: in tokens; 0 if unknown.
    """

    id: str
    display_name: str = ""
    created_at: datetime | None = None
    owner: str = ""
    context_window: int = 0


@frozen
class ModelList:
    """The models of a connection; truncated if the provider lists more than the daemon reads."""

    models: tuple[Model, ...]
    truncated: bool = False


@frozen
class TestResult:
    """The result of a test.

    Attributes:
        reason: a stable word that explains the outcome.
        http_status: None if no answer arrived.
        request_id: the provider's identifier of the request.
        retry_at: the provider asked to send nothing before this time.
        advice: one sentence on what to do.
        proven: of reachable, key_verified, key_accepted, model_listed and completion, those that are proven.
        price_note: the price of the completion that was made, or could be made; empty if no model is known.
        provider_message: the provider's error message, redacted and shortened.
        ticket: identifies the tested draft or edit in the call that saves it; empty if the test was not asked
            to keep it, or if the vault is locked.
    """

    # Without this, pytest would take the class for a test case because of its name.
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
    """The result of the last test of a connection, without its models."""

    result: TestResult
    tested_at: datetime


@frozen
class ProviderInfo:
    """A provider, or a preset of the custom provider.

    Attributes:
        key_prefixes: usual beginnings of its keys.
        base_url_example: an example of the address if there is no default; placeholders are in capitals.
        header_example: a custom header that is often set for it, as "Name: value"; may be empty.
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
