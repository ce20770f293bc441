"""Detects accounts without credit, where a free request shows that. For tests only, not for periodic checks.

A provider may accept a key and refuse every call because the account has no credit. Two providers report that
in free requests.
"""

from nexo.connections.terms import Outcome, Provider
from nexo_daemon.domain.probing import Model, Verdict
from nexo_daemon.providers.inquiry import Inquiry, as_json


async def without_credit(inquiry: Inquiry, models: tuple[Model, ...]) -> Verdict | None:
    """A verdict that the quota is spent; None if there is credit, or if that is unknown."""
    if inquiry.target.provider is Provider.ANTHROPIC and models:
        return await _refused_count(inquiry, models[0].id)
    if inquiry.preset is not None and inquiry.preset.balance_path:
        return await _empty_balance(inquiry, inquiry.preset.balance_path)
    return None


async def _refused_count(inquiry: Inquiry, model: str) -> Verdict | None:
    """Anthropic counts tokens free of charge, but not for an account without credit."""
    body = {"model": model, "messages": [{"role": "user", "content": "OK"}]}
    reply = await inquiry.ask(
        method="POST", path="/v1/messages/count_tokens", body=as_json(body), right=lambda _: True
    )
    return reply.verdict if reply.verdict.outcome is Outcome.QUOTA_EXHAUSTED else None


async def _empty_balance(inquiry: Inquiry, path: str) -> Verdict | None:
    """DeepSeek reports whether the balance is sufficient for a call."""
    reply = await inquiry.ask(path=path, from_root=True, right=lambda found: "is_available" in found)
    if not reply.verdict.ok or reply.document["is_available"] is not False:
        return None
    return Verdict(
        Outcome.QUOTA_EXHAUSTED,
        reason="no_credit",
        advice=inquiry.subject.fill(
            "The key is good, but the account of {service} has no credit left; top it up."
        ),
        evidence=f"{path} says that the balance does not suffice",
        http_status=reply.status,
        latency_s=reply.elapsed_s,
    )
