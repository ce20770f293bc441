"""Does the service look at the key at all? Asked at test and save time only, after the model list answered.

A list that everybody may read proves nothing about a key. So the same question is asked without the key, and
where that does not tell, a request that can never run is sent with and without it.
"""

from dataclasses import dataclass

from nexo_client.terms import KeyVerdict, Outcome, Provider
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.inquiry import Inquiry, Reply
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.requests import parse_base, sends_credential


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """What was learned about the key.

    Attributes:
        failure: a verdict that overrules the good model list; None when the list stands.
    """

    key: KeyVerdict
    evidence: str
    failure: Verdict | None = None


async def check_key(inquiry: Inquiry) -> KeyFinding:
    """Asks the service as often as needed, at most three times."""
    if not sends_credential(inquiry.target):
        return await _without_key(inquiry)
    if inquiry.key_probe is KeyProbe.ENDPOINT:
        return _from_endpoint(await inquiry.own_endpoint())
    if inquiry.key_probe is KeyProbe.MODELS:
        control = await inquiry.list_page(inquiry.dialect.check_query, with_credentials=False)
        if _told_apart(control):
            return KeyFinding(KeyVerdict.VERIFIED, f"without the key: HTTP {control.status}")
        if not control.verdict.ok and _at_home(inquiry):
            return KeyFinding(KeyVerdict.VERIFIED, "the provider lists models only for a good key")
    return await _second_stage(inquiry)


def _told_apart(control: Reply) -> bool:
    """The same request failed without the key for a reason that can only be the missing key."""
    if control.verdict.outcome in (Outcome.UNREACHABLE, Outcome.RATE_LIMITED, Outcome.PROVIDER_DOWN):
        return False
    return 300 <= control.status <= 499 and control.status not in (404, 405, 408, 429)


def _at_home(inquiry: Inquiry) -> bool:
    """The provider's own host, which is known to look at keys."""
    home = PROVIDERS[inquiry.target.provider].base_url
    guarded = inquiry.target.provider in (Provider.OPENAI, Provider.ANTHROPIC, Provider.GOOGLE)
    return guarded and inquiry.base.host == parse_base(home).host


async def _without_key(inquiry: Inquiry) -> KeyFinding:
    """The list is open; are the calls as well? Else green would be a lie until the first call."""
    if inquiry.key_probe is KeyProbe.ENDPOINT:
        reply = await inquiry.own_endpoint()
    else:
        reply = await inquiry.refused_request(with_credentials=False)
    if reply.verdict.outcome is Outcome.AUTH_ERROR:
        return KeyFinding(KeyVerdict.NONE, "the model list is public, but calls need a key", reply.verdict)
    if inquiry.target.credentials.api_key:
        return KeyFinding(KeyVerdict.UNVERIFIED, "the connection is set to send no key")
    return KeyFinding(KeyVerdict.NONE, "no key is set and none was asked for")


def _from_endpoint(reply: Reply) -> KeyFinding:
    if reply.verdict.ok:
        return KeyFinding(KeyVerdict.VERIFIED, "the key's own endpoint accepts it" + _allowance(reply))
    if reply.verdict.outcome in (Outcome.AUTH_ERROR, Outcome.PERMISSION, Outcome.QUOTA_EXHAUSTED):
        key = KeyVerdict.VERIFIED if reply.judgement.key_accepted else KeyVerdict.UNVERIFIED
        return KeyFinding(key, reply.verdict.evidence, reply.verdict)
    return KeyFinding(KeyVerdict.UNVERIFIED, f"the key's own endpoint did not tell: {reply.verdict.evidence}")


def _allowance(reply: Reply) -> str:
    data = reply.document.get("data") if isinstance(reply.document, dict) else None
    if not isinstance(data, dict):
        return ""
    left = data.get("limit_remaining")
    if isinstance(left, int | float) and not isinstance(left, bool):
        return f", {left:g} of its spending limit left"
    return ""


async def _second_stage(inquiry: Inquiry) -> KeyFinding:
    with_key = await inquiry.refused_request()
    if with_key.judgement.key_accepted:
        spent = with_key.verdict.outcome is Outcome.QUOTA_EXHAUSTED
        return KeyFinding(
            KeyVerdict.VERIFIED,
            f"with the key: HTTP {with_key.status}",
            with_key.verdict if spent else None,
        )
    if with_key.verdict.outcome in (Outcome.AUTH_ERROR, Outcome.PERMISSION):
        return KeyFinding(
            KeyVerdict.UNVERIFIED,
            f"the model list is public; a call with the key: HTTP {with_key.status}",
            with_key.verdict,
        )
    control = await inquiry.refused_request(with_credentials=False)
    statuses = f"HTTP {with_key.status} with the key, {control.status} without"
    came_in = with_key.verdict.ok or with_key.status in (500, 501)
    if came_in and control.status in (401, 403) and control.verdict.outcome is not Outcome.UNREACHABLE:
        return KeyFinding(KeyVerdict.VERIFIED, statuses)
    if came_in and with_key.status == control.status:
        return KeyFinding(
            KeyVerdict.NOT_ENFORCED, f"the server answers the same without the key ({statuses})"
        )
    return KeyFinding(KeyVerdict.UNVERIFIED, f"no request could tell ({statuses})")
