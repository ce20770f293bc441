"""The changes that a person makes to connections, and their results."""

from dataclasses import field
from datetime import datetime

from nexo.connections.model.connection import Connection, MappedModel, NetworkProfile
from nexo.connections.model.trial import Suggestion
from nexo.connections.values import frozen, not_pickled


@not_pickled
@frozen
class Header:
    """A custom request header. The value is a secret."""

    name: str
    value: str = field(repr=False)


@frozen(kw_only=True)
class PlainDraft:
    """The public part of a draft; None means not given.

    Attributes:
        preset: the name of a preset, from `Client.list_providers`.
        base_url: empty for the default of the provider or preset.
        api_key_ref: keyring:SERVICE/USER, file:PATH or command:PROGRAM ARGUMENTS; fetched when it is needed.
        check_interval_s: 0 resets it to the global setting.
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


@not_pickled
@frozen(kw_only=True)
class ConnectionDraft(PlainDraft):
    """A connection as a person enters it.

    Every field is optional: None means "not given" (the default when creating, unchanged when editing).
    At most one of `api_key` and `api_key_ref`; an empty `api_key` removes the key.

    Attributes:
        provider: openai, anthropic, google, ollama or custom, also as a `Provider`.
        auth_scheme: the header with the key (see `AuthScheme`); by default that of the provider or preset.
        headers_json: a JSON object of header names and values; added to `headers`.
        headers: for an edit, they replace all stored headers, unless `keep_other_headers`.
        keep_other_headers: stored headers that `headers` and `headers_json` do not name stay.
        remove_headers: names of stored headers to remove; the others stay.
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
    """The saved connection, and warnings about the draft that did not prevent saving."""

    connection: Connection
    warnings: tuple[Suggestion, ...] = ()


@frozen
class DefaultSwitch:
    """The result of `set_default`.

    Attributes:
        previous: the default before; None if there was none.
        warning: the new default is unhealthy or limited, and why; else empty.
        followers: number of programs that follow; 0 without `wait_s`.
        pending_followers: programs that had not applied the switch in time.
    """

    connection: Connection
    previous: Connection | None
    revision: int
    warning: str
    followers: int
    pending_followers: tuple[str, ...]
