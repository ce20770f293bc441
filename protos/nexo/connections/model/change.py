"""What a person changes, and what came of it."""

from dataclasses import field
from datetime import datetime

from nexo.connections.model.connection import Connection, MappedModel, NetworkProfile
from nexo.connections.model.trial import Suggestion
from nexo.connections.values import frozen


@frozen
class Header:
    """A custom request header. The value is a secret."""

    name: str
    value: str = field(repr=False)


@frozen(kw_only=True)
class PlainDraft:
    """What is no secret of a connection as written down; None: not given.

    Attributes:
        check_interval_s: 0 goes back to the global setting.
    """

    name: str | None = None
    preset: str | None = None
    base_url: str | None = None
    api_key_ref: str | None = None
    default_model: str | None = None
    enabled: bool | None = None
    network: NetworkProfile | None = None
    key_expires_at: datetime | None = None
    check_interval_s: float | None = None
    checks_paused: bool | None = None
    model_map: tuple[MappedModel, ...] | None = None


@frozen(kw_only=True)
class ConnectionDraft(PlainDraft):
    """A connection as a person writes it down.

    Every field is optional: None means "not given" (the default when creating, unchanged when editing).
    At most one of `api_key` and `api_key_ref`; an empty `api_key` removes the key.

    Attributes:
        headers: of an edit, they take the place of all that are stored, unless `keep_other_headers`.
        keep_other_headers: those that `headers` and `headers_json` do not name stay.
        remove_headers: names of stored headers that go; the others stay.
    """

    provider: str | None = None
    auth_scheme: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: tuple[Header, ...] | None = None
    headers_json: str | None = field(default=None, repr=False)
    keep_other_headers: bool | None = None
    remove_headers: tuple[str, ...] | None = None


@frozen
class SavedConnection:
    """What was saved, and warnings about the draft that did not block it."""

    connection: Connection
    warnings: tuple[Suggestion, ...] = ()


@frozen
class DefaultSwitch:
    """What `set_default` did."""

    connection: Connection
    previous: Connection | None
    revision: int
    warning: str
    followers: int
    pending_followers: tuple[str, ...]
