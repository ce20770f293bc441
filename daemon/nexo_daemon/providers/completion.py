"""Sends one minimal completion request, as the provider's SDK does. It is billed.

Sent only if a person asks for it. Reaching the token limit counts as success, so the limit is low; a
reasoning model that refuses such a limit gets a higher one.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from nexo.connections.proxies import is_loopback
from nexo.connections.terms import Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.probing import Model, ProbeTarget
from nexo_daemon.providers.classify import Subject
from nexo_daemon.providers.probe_session import ProbeSession, Reply, as_json

PROMPT = "Reply with the word OK."
MAX_TOKENS = 16
"""The minimum of OpenAI's Responses API. A slow server needs half a minute for 512 (2026-11-26)."""
MORE_TOKENS = 512
"""For models that refuse the lower limit."""


@frozen
class CompletionWire:
    """How a completion is requested, and how its answer is recognised."""

    name: str
    path: Callable[[str], str]
    body: Callable[[str], dict[str, Any]]
    answered: Callable[[dict[str, Any]], bool]


def _messages() -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}]


def _filled(key: str) -> Callable[[dict[str, Any]], bool]:
    return lambda document: isinstance(document.get(key), list) and bool(document[key])


RESPONSES = CompletionWire(
    "responses",
    lambda _: "/responses",
    lambda model: {"model": model, "input": PROMPT, "max_output_tokens": MAX_TOKENS, "store": False},
    # The status is "incomplete" if the token limit was reached.
    lambda document: (
        isinstance(document.get("output"), list)
        and document.get("status") in ("completed", "incomplete", None)
    ),
)
CHAT = CompletionWire(
    "chat/completions",
    lambda _: "/chat/completions",
    lambda model: {"model": model, "messages": _messages(), "max_tokens": MAX_TOKENS},
    _filled("choices"),
)
CHAT_OF_REASONING_MODELS = CompletionWire(
    "chat/completions",
    lambda _: "/chat/completions",
    lambda model: {"model": model, "messages": _messages(), "max_completion_tokens": MAX_TOKENS},
    _filled("choices"),
)
MESSAGES = CompletionWire(
    "messages",
    lambda _: "/v1/messages",
    lambda model: {"model": model, "messages": _messages(), "max_tokens": MAX_TOKENS},
    lambda document: document.get("type") == "message" and isinstance(document.get("content"), list),
)
GENERATE_CONTENT = CompletionWire(
    "generateContent",
    lambda model: f"/v1beta/{_google_name(model)}:generateContent",
    lambda _: {
        "contents": [{"role": "user", "parts": [{"text": PROMPT}]}],
        "generationConfig": {"maxOutputTokens": MAX_TOKENS},
    },
    _filled("candidates"),
)
OLLAMA_CHAT = CompletionWire(
    "api/chat",
    lambda _: "/api/chat",
    lambda model: {
        "model": model,
        "messages": _messages(),
        "stream": False,
        "options": {"num_predict": MAX_TOKENS},
    },
    lambda document: isinstance(document.get("message"), dict) and document.get("done") is True,
)

# In the order of trials: a server without the first endpoint answers 404, one without the name of a parameter
# answers 400 with that name.
WIRES: dict[Provider, tuple[CompletionWire, ...]] = {
    Provider.OPENAI: (RESPONSES, CHAT_OF_REASONING_MODELS),
    Provider.ANTHROPIC: (MESSAGES,),
    Provider.GOOGLE: (GENERATE_CONTENT,),
    Provider.OLLAMA: (OLLAMA_CHAT,),
    Provider.CUSTOM: (CHAT, CHAT_OF_REASONING_MODELS),
}


def answered(target: ProbeTarget, document: Any) -> bool:
    """Whether the document is a completion in the target's dialect."""
    return isinstance(document, dict) and any(wire.answered(document) for wire in WIRES[target.provider])


def _google_name(model: str) -> str:
    full = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return quote(full, safe="/")


async def complete(session: ProbeSession, model: str) -> tuple[Reply, str]:
    """Request one completion.

    Returns:
        The reply, OK only if a completion came, and the name of the wire that was used.
    """
    wires = WIRES[session.target.provider]
    for wire in wires[:-1]:
        reply = await _try(session, wire, model)
        if not _worth_another(reply):
            return reply, wire.name
    return await _try(session, wires[-1], model), wires[-1].name


async def _try(session: ProbeSession, wire: CompletionWire, model: str) -> Reply:
    body = wire.body(model)
    reply = await _ask(session, wire, model, body)
    return await _ask(session, wire, model, _with_more_tokens(body)) if _too_few(reply) else reply


async def _ask(session: ProbeSession, wire: CompletionWire, model: str, body: dict[str, Any]) -> Reply:
    # A request on a kept connection may be sent twice, and this one is billed.
    await session.reconnect()
    return await session.ask(
        method="POST",
        path=wire.path(model),
        body=as_json(body),
        right=wire.answered,
    )


def _with_more_tokens(body: dict[str, Any]) -> dict[str, Any]:
    """The same request with the higher token limit."""
    more: dict[str, Any] = {}
    for key, value in body.items():
        more[key] = _with_more_tokens(value) if isinstance(value, dict) else value
        if value == MAX_TOKENS:
            more[key] = MORE_TOKENS
    return more


_TOO_FEW = re.compile(
    r"higher max_|could not finish|below (?:the )?minimum|at least|greater than|too (?:small|low)"
    r"|太小|不能小于|大于"
)


def _too_few(reply: Reply) -> bool:
    """Whether it was refused because the token limit is too low."""
    message = reply.reading.message.lower() if reply.reading else ""
    return reply.status in (400, 422) and "tokens" in message and bool(_TOO_FEW.search(message))


def _worth_another(reply: Reply) -> bool:
    if reply.reading is None or "model" in " ".join(reply.reading.codes):
        return False
    message = reply.reading.message.lower()
    return reply.status in (404, 405) or (reply.status in (400, 422) and "max_tokens" in message)


# --- which model

_CANNOT_CHAT = re.compile(
    r"embed|whisper|tts|audio|speech|voice|image|dall-e|imagen|veo|sora|lyria|moderation|realtime|live|transcri"
    r"|rerank|guard|search|ocr|babbage|davinci|bge|clip|aqa|robotics|computer-use|deep-research|instruct-vision",
    re.IGNORECASE,
)
_CHEAP = (":free", "nano", "flash-lite", "lite", "tiny", "haiku", "mini", "small", "flash", "air", "fast")
_SIZE = re.compile(r"(?<![\w.])e?(\d{1,4}(?:\.\d{1,2})?)b(?![a-z0-9])", re.IGNORECASE)


def cheapest(models: Sequence[Model]) -> str:
    """The model that is probably cheapest, the newest first; "" if none can chat.

    Providers do not list prices, so this relies on the usual names of small models.
    """

    def rank(model: Model) -> tuple[int, float, float, str]:
        name = model.id.lower()
        words = next((place for place, word in enumerate(_CHEAP) if word in name), len(_CHEAP))
        size = _SIZE.search(name)
        age = -(model.created_at.timestamp() if model.created_at else 0.0)
        return (words, float(size.group(1)) if size else 1e4, age, name)

    able = [model for model in models if not _CANNOT_CHAT.search(model.id)]
    return min(able, key=rank).id if able else ""


def price_note(target: ProbeTarget, subject: Subject, host: str, model: str) -> str:
    """An estimate of the cost of a completion with the model; there is no price list."""
    if is_loopback(host):
        return f"One short completion on {model}; it runs on this computer and costs nothing but its time."
    name = model.lower()
    if ":free" in name:
        price = "in the free class"
    elif any(word in name for word in _CHEAP):
        price = "in the class of small models, usually far below one cent"
    else:
        price = "in the price class of this model, usually below one cent and at most a few"
    service = subject.service if target.provider is not Provider.CUSTOM or target.preset else subject.host
    return f"One short completion on {model}, of {MAX_TOKENS} tokens, billed by {service} {price}."
