"""Reads a whole model list, page by page, within limits."""

from dataclasses import replace

from nexo_daemon.domain.probing import Model, ModelList
from nexo_daemon.providers.dialects import MAX_MODELS
from nexo_daemon.providers.probe_session import ProbeSession, Reply

MAX_PAGES = 20


async def read_pages(session: ProbeSession) -> tuple[Reply, ModelList]:
    """The first reply, and the models of all pages.

    The list is truncated if a later page fails, is repeated or exceeds the limits; duplicate models are
    removed.
    """
    first = reply = await session.list_page(session.dialect.list_query)
    models: dict[str, Model] = {}
    asked: set[str] = set()
    truncated = False
    for _ in range(MAX_PAGES):
        if not reply.verdict.ok:
            truncated = reply is not first
            break
        known = len(models)
        models |= {model.id: model for model in reply.models or ()}
        query = session.dialect.next_query(reply.document)
        if query is None:
            break
        brings_nothing = bool(asked) and len(models) == known
        truncated = query in asked or brings_nothing or len(models) >= MAX_MODELS
        if truncated:
            break
        asked.add(query)
        reply = await session.list_page(query)
    else:
        truncated = True
    kept = tuple(models.values())[:MAX_MODELS]
    return replace(first, models=None), ModelList(kept, truncated or len(models) > len(kept))
