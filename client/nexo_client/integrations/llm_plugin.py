"""Makes connections usable in `llm`, the command line tool: `llm -m nexo …`, `llm -m nexo/work …`.

`nexo` is the connection that the present directory gets, asked for with every prompt, so that a long chat
follows a switch. Each enabled connection is also a model of its own, `nexo/NAME`. They speak the OpenAI
dialect, which every provider has a face for. Without a daemon only `nexo` is there, and says what is wrong.

Install with `pip install 'nexo-connections[llm]'` (or `llm install nexo-connections`).
"""

from collections.abc import Callable
from typing import Any

import llm
import openai
from llm.default_plugins.openai_models import AsyncChat, Chat
from pydantic import Field

from nexo.connections import lock_note, paths
from nexo_client.errors import NexoError
from nexo_client.types import ResolvedConnection

_TIMEOUT_S = 5.0


class _Options(Chat.Options):  # type: ignore[misc]  # llm is not typed
    model: str | None = Field(
        description="Model to ask, instead of the default model of the connection", default=None
    )


class _Connected:
    """What the two kinds of model have in common: whom they ask, and for which model."""

    needs_key = None
    key_env_var = None
    model_name: str | None
    model_id: str
    Options = _Options

    def __init__(self, connection: str = "") -> None:
        self.connection = connection
        super().__init__(  # type: ignore[call-arg]  # the class of llm beside this one takes them
            f"nexo/{connection}" if connection else "nexo",
            vision=True,
            supports_schema=True,
            supports_tools=True,
        )

    def __str__(self) -> str:
        return f"Nexo: {self.model_id}"

    def build_kwargs(self, prompt: Any, stream: bool) -> dict[str, Any]:
        """The parameters of the request; the model is not one of them."""
        kwargs: dict[str, Any] = super().build_kwargs(prompt, stream)  # type: ignore[misc]  # as above
        self.model_name = kwargs.pop("model", None)
        return kwargs

    def get_client(self, key: str | None, *, async_: bool = False) -> Any:
        """A client for this one prompt. `llm` calls it after `build_kwargs`, then reads `model_name`."""
        resolved = self._resolve()
        self.model_name = self.model_name or resolved.model
        if not self.model_name:
            raise llm.ModelError(
                f"the connection '{resolved.name}' has no default model; choose one with -o model NAME, "
                f"or once for all: nexoctl edit '{resolved.name}' --model NAME"
            )
        arguments = resolved.openai(async_client=async_)
        return openai.AsyncOpenAI(**arguments) if async_ else openai.OpenAI(**arguments)

    def _resolve(self) -> ResolvedConnection:
        from nexo_client.client import connect

        try:
            with connect(timeout_s=_TIMEOUT_S) as client:
                return client.resolve(self.connection or None, workspace=".")
        except NexoError as error:
            raise llm.ModelError(f"{error.message}; {error.hint}" if error.hint else error.message) from None


class NexoChat(_Connected, Chat):  # type: ignore[misc]  # llm is not typed
    """A connection as a model."""


class AsyncNexoChat(_Connected, AsyncChat):  # type: ignore[misc]  # llm is not typed
    """The same for programs with an event loop."""


def _names() -> list[str]:
    # `llm` asks every plugin at every start: without a socket not even grpc is imported.
    if not paths.socket_path().exists() and lock_note.living() is None:
        return []
    from nexo_client.client import connect

    try:
        with connect(timeout_s=_TIMEOUT_S) as client:
            return [connection.name for connection in client.list_connections() if connection.enabled]
    except NexoError:
        return []


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Called by `llm` when it starts."""
    for name in ["", *_names()]:
        register(NexoChat(name), AsyncNexoChat(name))
