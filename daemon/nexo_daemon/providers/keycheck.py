"""Does the service look at the key at all? Asked at test and save time only.

A list that everybody may read proves nothing about a key. So the same question is asked without the key, and
where that does not tell, a request that can never run is sent with and without it. Where there is no list,
that request is the only witness: it also tells whether anything answers at the address.
"""

from dataclasses import dataclass, replace

from nexo_client.terms import KeyVerdict, Outcome, Provider
from nexo_daemon.domain.model import Fact, Facts
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.completion import answered
from nexo_daemon.providers.inquiry import Inquiry, Reply
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.requests import parse_base, replaced_by, sends_credential

NO_MODELS = "The service lists no models."


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """What was learned about the key.

    Attributes:
        failure: a verdict that overrules the good model list; None when the list stands.
        facts: what checks may rely on from now on.
    """

    key: KeyVerdict
    evidence: str
    failure: Verdict | None = None
    facts: Facts = frozenset()


async def check_key(inquiry: Inquiry) -> KeyFinding:
    """Asks the service as often as needed, at most three times; the model list has answered before."""
    return _of_what_is_sent(inquiry, await _with_list(inquiry))


async def _with_list(inquiry: Inquiry) -> KeyFinding:
    if not sends_credential(inquiry.target):
        return await _without_key(inquiry)
    if inquiry.key_probe is KeyProbe.ENDPOINT:
        return _from_endpoint(await inquiry.own_endpoint())
    facts: Facts = frozenset()
    if inquiry.key_probe is KeyProbe.MODELS:
        control = await inquiry.list_page(inquiry.dialect.check_query, with_credentials=False)
        if _told_apart(control):
            return KeyFinding(KeyVerdict.VERIFIED, f"without the key: HTTP {control.status}")
        if not control.verdict.ok and _at_home(inquiry):
            return KeyFinding(KeyVerdict.VERIFIED, "the provider lists models only for a good key")
        if control.verdict.ok:
            facts = frozenset({Fact.LIST_PUBLIC})
    found = await _second_stage(inquiry)
    return replace(found, facts=found.facts | facts)


async def check_without_list(inquiry: Inquiry) -> KeyFinding | None:
    """Whether calls get through although there is no model list; None when nothing tells that they do.

    Without the key first: a service that guards its calls refuses that before anything could run, and where
    it does run, it is not sent again.
    """
    guarded = sends_credential(inquiry.target)
    control = await inquiry.refused_request(with_credentials=False) if guarded else None
    if control is not None and _ran(inquiry, control):
        facts = frozenset({Fact.NO_LIST, Fact.REFUSED_RAN})
        return KeyFinding(KeyVerdict.NOT_ENFORCED, "the server answers the same without the key", facts=facts)
    if control is not None and control.status in (404, 405):
        return None
    found = _without_list(inquiry, await inquiry.refused_request(), control)
    if found is None:
        return None
    return _of_what_is_sent(inquiry, replace(found, facts=found.facts | {Fact.NO_LIST}))


def _without_list(inquiry: Inquiry, asked: Reply, control: Reply | None) -> KeyFinding | None:
    refused = control is not None and _refuses(control)
    if _rejects(asked):
        key = KeyVerdict.NONE if control is None else KeyVerdict.UNVERIFIED
        evidence = f"a call{' with the key' if control else ''}: HTTP {asked.status}"
        return KeyFinding(key, evidence, asked.verdict, frozenset({Fact.REFUSED_TELLS}))
    if asked.verdict.outcome in (Outcome.QUOTA_EXHAUSTED, Outcome.RATE_LIMITED):
        key = KeyVerdict.VERIFIED if control is not None else KeyVerdict.NONE
        return KeyFinding(key, f"a call: HTTP {asked.status}", asked.verdict)
    ran = _ran(inquiry, asked)
    came_in = asked.verdict.ok and asked.status >= 400
    if not (ran or came_in or (refused and asked.status in (500, 501))):
        return None
    facts = frozenset({Fact.REFUSED_RAN}) if ran else frozenset()
    if control is None:
        return KeyFinding(KeyVerdict.NONE, "no key is set and none was asked for", facts=facts)
    statuses = f"HTTP {asked.status} with the key, {control.status} without"
    if refused:
        return KeyFinding(KeyVerdict.VERIFIED, statuses, facts=facts | {Fact.REFUSED_TELLS})
    if asked.status == control.status:
        evidence = f"the server answers the same without the key ({statuses})"
        return KeyFinding(KeyVerdict.NOT_ENFORCED, evidence, facts=facts)
    return KeyFinding(KeyVerdict.UNVERIFIED, f"no request could tell ({statuses})", facts=facts)


def _of_what_is_sent(inquiry: Inquiry, found: KeyFinding) -> KeyFinding:
    """What a custom header proved says nothing about a key that it is sent in place of."""
    header = replaced_by(inquiry.target)
    if not header or found.key is KeyVerdict.NONE:
        return found
    evidence = f"the API key is not sent: the custom header {header} takes its place; {found.evidence}"
    return replace(found, key=KeyVerdict.UNVERIFIED, evidence=evidence)


def _refuses(control: Reply) -> bool:
    return control.status in (401, 403) and control.verdict.outcome is not Outcome.UNREACHABLE


def _rejects(asked: Reply) -> bool:
    return not asked.judgement.key_accepted and asked.verdict.outcome in (
        Outcome.AUTH_ERROR,
        Outcome.PERMISSION,
    )


def _ran(inquiry: Inquiry, reply: Reply) -> bool:
    """The request that cannot run was answered with a completion."""
    return reply.verdict.ok and 200 <= reply.status <= 299 and answered(inquiry.target, reply.document)


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
        return KeyFinding(
            KeyVerdict.NONE,
            "the model list is public, but calls need a key",
            reply.verdict,
            frozenset({Fact.REFUSED_TELLS, Fact.LIST_PUBLIC}),
        )
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
    ran = frozenset({Fact.REFUSED_RAN}) if 200 <= with_key.status <= 299 else frozenset[Fact]()
    tells = frozenset({Fact.REFUSED_TELLS})
    if with_key.judgement.key_accepted:
        spent = with_key.verdict.outcome is Outcome.QUOTA_EXHAUSTED
        return KeyFinding(
            KeyVerdict.VERIFIED,
            f"with the key: HTTP {with_key.status}",
            with_key.verdict if spent else None,
            tells if spent else frozenset(),
        )
    if _rejects(with_key):
        return KeyFinding(
            KeyVerdict.UNVERIFIED,
            f"the model list is public; a call with the key: HTTP {with_key.status}",
            with_key.verdict,
            tells,
        )
    control = await inquiry.refused_request(with_credentials=False)
    statuses = f"HTTP {with_key.status} with the key, {control.status} without"
    came_in = with_key.verdict.ok or with_key.status in (500, 501)
    if came_in and _refuses(control):
        return KeyFinding(KeyVerdict.VERIFIED, statuses, facts=ran | tells)
    if came_in and with_key.status == control.status:
        evidence = f"the server answers the same without the key ({statuses})"
        return KeyFinding(KeyVerdict.NOT_ENFORCED, evidence, facts=ran)
    return KeyFinding(KeyVerdict.UNVERIFIED, f"no request could tell ({statuses})", facts=ran)
