"""A hand-out: what a program needs to talk to its provider, secrets included; and how one is followed."""

import enum
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any, NoReturn

from nexo.connections.model.connection import Endpoint
from nexo.connections.model.health import Health
from nexo.connections.terms import ResolutionSource
from nexo.connections.values import frozen


class Headers(dict[str, str]):
    """Custom headers of a hand-out, read-only; `repr` shows the names alone."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(items)

    def _refuse(self, *_arguments: object, **_keywords: object) -> NoReturn:
        raise TypeError("the headers of a hand-out can't be changed; copy them first: dict(headers)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __repr__(self) -> str:
        return f"Headers({', '.join(f'{name}: …' for name in self)})"

    def __reduce__(self) -> tuple[Callable[..., "Headers"], tuple[tuple[tuple[str, str], ...]]]:
        return Headers, (tuple(self.items()),)


@frozen(kw_only=True)
class ResolvedConnection(Endpoint):
    """A hand-out: everything that a program needs to talk to the provider.

    Attributes:
        api_key: empty when the connection has no key.
        headers: custom headers, names as configured; they override the header made from the key.
        model: the default model; empty for none.
        source: the rule that chose it; `source_detail` says it in words.
        revision: grows with every change that a workspace can notice.
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
        """Keyword arguments for `openai.OpenAI`; with `async_client` for `openai.AsyncOpenAI`."""
        from nexo_client import adapters

        return adapters.openai(self, async_client)

    def anthropic(self, *, async_client: bool = False) -> dict[str, Any]:
        """Keyword arguments for `anthropic.Anthropic`; with `async_client` for `anthropic.AsyncAnthropic`.

        Raises:
            InvalidField: the provider speaks no Anthropic dialect.
        """
        from nexo_client import adapters

        return adapters.anthropic(self, async_client)

    def google(self) -> dict[str, Any]:
        """Keyword arguments for `google.genai.Client`.

        Raises:
            InvalidField: the provider speaks no Gemini dialect.
        """
        from nexo_client import adapters

        return adapters.google(self)

    def ollama(self) -> dict[str, Any]:
        """Keyword arguments for `ollama.Client` and `ollama.AsyncClient`.

        Raises:
            InvalidField: the provider speaks no Ollama dialect.
        """
        from nexo_client import adapters

        return adapters.ollama(self)

    def env(self, *, openai_face: bool = False) -> dict[str, str]:
        """Environment variables that the official SDKs and tools read.

        Args:
            openai_face: those of OpenAI for a connection of Anthropic or Google, too.
        """
        from nexo_client import variables

        return variables.of_connection(self, openai_face=openai_face)


class OnStale(enum.Enum):
    """What `LiveConnection.current` does while the daemon is away."""

    KEEP = "keep"
    """Gives the last known connection; `stale` says that it may be out of date."""
    RAISE = "raise"
    """Raises `DaemonNotRunning`."""
