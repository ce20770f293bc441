"""Has the account any money, as far as a free request tells? Asked in tests only, never on a schedule.

A provider that accepts a key may still refuse every call for want of credit. Two of them say so for nothing.
"""

from nexo.connections.terms import Outcome, Provider
from nexo_daemon.domain.probing import Model, Verdict
from nexo_daemon.providers.inquiry import Inquiry, as_json


async def without_credit(inquiry: Inquiry, models: tuple[Model, ...]) -> Verdict | None:
    """A verdict of spent quota; None when there is credit or nothing can be said."""
    if inquiry.target.provider is Provider.ANTHROPIC and models:
        return await _refused_count(inquiry, models[0].id)
    if inquiry.preset is not None and inquiry.preset.balance_path:
        return await _empty_balance(inquiry, inquiry.preset.balance_path)
    return None


async def _refused_count(inquiry: Inquiry, model: str) -> Verdict | None:
    """Anthropic counts tokens for nothing, but not for an account without credit."""
    body = {"model": model, "messages": [{"role": "user", "content": "OK"}]}
    reply = await inquiry.ask(
        method="POST", path="/v1/messages/count_tokens", body=as_json(body), right=lambda _: True
    )
    return reply.verdict if reply.verdict.outcome is Outcome.QUOTA_EXHAUSTED else None


async def _empty_balance(inquiry: Inquiry, path: str) -> Verdict | None:
    """DeepSeek tells whether the balance suffices for a call."""
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
