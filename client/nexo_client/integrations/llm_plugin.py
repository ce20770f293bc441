"""A plugin for the command line tool `llm`: `llm -m nexo …`, `llm -m nexo/work …`.

The model `nexo` is the connection of the current directory. It is resolved for every prompt, so a long chat
follows switches. Each enabled connection is also a model, `nexo/NAME`. The plugin uses the OpenAI dialect,
which every provider supports. Without a daemon there is only `nexo`, which reports the error.

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
    """The common part of both kinds of models: the client and the name of the model."""

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
        """The parameters of the request, without the model."""
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
                f"or set one: nexoctl edit '{resolved.name}' --model NAME"
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
    """As `NexoChat`, for asyncio."""


def _names() -> list[str]:
    # `llm` calls every plugin at every start, so grpc is not imported without a socket.
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
