"""`ResolvedConnection`: everything that a program needs to use its provider, including secrets."""

import enum
from collections.abc import Iterable
from dataclasses import field
from typing import Any, NoReturn

from nexo.connections.model.connection import Endpoint
from nexo.connections.model.health import Health
from nexo.connections.terms import ResolutionSource
from nexo.connections.values import frozen, not_pickled


@not_pickled
class Headers(dict[str, str]):
    """Custom headers, read-only; `repr` shows only the names."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(items)

    def _refuse(self, *_arguments: object, **_keywords: object) -> NoReturn:
        raise TypeError("the headers of a ResolvedConnection are read-only; copy them first: dict(headers)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __repr__(self) -> str:
        return f"Headers({', '.join(f'{name}: …' for name in self)})"

    def __hash__(self) -> int:  # type: ignore[override]  # unlike a dict, it cannot be changed
        return hash(frozenset(self.items()))


@not_pickled
@frozen(kw_only=True)
class ResolvedConnection(Endpoint):
    """Everything that a program needs to use the provider, including secrets.

    Attributes:
        api_key: empty if the connection has no key.
        headers: custom headers; they override the header with the key.
        model: the default model; empty if there is none.
        source: the rule that selected the connection; `source_detail` is its description.
        revision: increases with every change that can affect a workspace.
        health: the health when it was resolved.
    """

    connection_id: str
    api_key: str = field(repr=False)
    headers: Headers
    model: str
    source: ResolutionSource
    source_detail: str
    revision: int
    health: Health

    def openai(self, *, async_client: bool = False) -> dict[str, Any]:
        """Keyword arguments for `openai.OpenAI`; with `async_client` for `openai.AsyncOpenAI`.

        Raises:
            InvalidField: the CA bundle of the connection cannot be read.
            ImportError: an object of the SDK is needed (for a proxy, a CA bundle, custom headers), and it is
                not installed.
        """
        from nexo_client import adapters

        return adapters.openai(self, async_client)

    def anthropic(self, *, async_client: bool = False) -> dict[str, Any]:
        """Keyword arguments for `anthropic.Anthropic`; with `async_client` for `anthropic.AsyncAnthropic`.

        Raises:
            InvalidField: the provider does not support the Anthropic dialect, or the CA bundle cannot be
                read.
            ImportError: the SDK is not installed.
        """
        from nexo_client import adapters

        return adapters.anthropic(self, async_client)

    def google(self) -> dict[str, Any]:
        """Keyword arguments for `google.genai.Client`.

        Raises:
            InvalidField: the provider does not support the Gemini dialect, or the CA bundle cannot be read.
        """
        from nexo_client import adapters

        return adapters.google(self)

    def ollama(self) -> dict[str, Any]:
        """Keyword arguments for `ollama.Client` and `ollama.AsyncClient`.

        Raises:
            InvalidField: the provider does not support the Ollama dialect, or the CA bundle cannot be read.
        """
        from nexo_client import adapters

        return adapters.ollama(self)

    def env(self, *, openai_face: bool = False) -> dict[str, str]:
        """Environment variables that the official SDKs and tools read.

        Args:
            openai_face: also set OpenAI's variables for a connection to Anthropic or Google.
        """
        from nexo_client import variables

        return variables.of_connection(self, openai_face=openai_face)


class OnStale(enum.Enum):
    """The behaviour of `LiveConnection.current` while the daemon cannot be reached."""

    KEEP = "keep"
    """Return the last known connection; `stale` is true."""
    RAISE = "raise"
    """Raise `DaemonNotRunning`."""
