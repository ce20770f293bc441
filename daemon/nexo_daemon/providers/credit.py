"""Detects accounts without credit, where a free request shows that. For tests only, not for periodic checks.

A provider may accept a key and refuse every call because the account has no credit. Two providers report that
in free requests.
"""

from nexo.connections.terms import Outcome, Provider
from nexo_daemon.domain.probing import Model, Verdict
from nexo_daemon.providers.probe_session import ProbeSession, as_json


async def without_credit(session: ProbeSession, models: tuple[Model, ...]) -> Verdict | None:
    """A verdict that the quota is spent; None if there is credit, or if that is unknown."""
    if session.target.provider is Provider.ANTHROPIC and models:
        return await _refused_count(session, models[0].id)
    if session.preset is not None and session.preset.balance_path:
        return await _empty_balance(session, session.preset.balance_path)
    return None


async def _refused_count(session: ProbeSession, model: str) -> Verdict | None:
    """Anthropic counts tokens free of charge, but not for an account without credit."""
    body = {"model": model, "messages": [{"role": "user", "content": "OK"}]}
    reply = await session.ask(
        method="POST", path="/v1/messages/count_tokens", body=as_json(body), right=lambda _: True
    )
    return reply.verdict if reply.verdict.outcome is Outcome.QUOTA_EXHAUSTED else None


async def _empty_balance(session: ProbeSession, path: str) -> Verdict | None:
    """DeepSeek reports whether the balance is sufficient for a call."""
    reply = await session.ask(path=path, from_root=True, right=lambda found: "is_available" in found)
    if not reply.verdict.ok or reply.document["is_available"] is not False:
        return None
    return Verdict(
        Outcome.QUOTA_EXHAUSTED,
        reason="no_credit",
        advice=session.subject.fill(
            "The key is good, but the account of {service} has no credit left; top it up."
        ),
        evidence=f"{path} says that the balance does not suffice",
        http_status=reply.status,
        latency_s=reply.elapsed_s,
    )
