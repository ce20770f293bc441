"""Does the service look at the key at all? Asked at test and save time only.

A list that everybody may read proves nothing about a key. So the same question is asked without the key, and
where that does not tell, calls that run nothing are sent with and without it. Where there is no list,
they are the only witnesses: they also tell whether anything answers at the address.
"""

from dataclasses import replace

from nexo.connections.terms import KeyVerdict, Outcome, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Fact, Facts
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.completion import answered
from nexo_daemon.providers.inquiry import Inquiry, Reply
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.requests import parse_base, replaced_by, sends_credential

NO_MODELS = "The service lists no models."


@frozen
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
    """Asks the service as often as needed, at most five times; the model list has answered before."""
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
    """Whether calls get through although there is no model list; None when nothing tells that they do."""
    found = _without_list(inquiry, await _by_calls(inquiry))
    if found is None:
        return None
    return _of_what_is_sent(inquiry, replace(found, facts=found.facts | {Fact.NO_LIST}))


@frozen
class _Calls:
    """What calls that run nothing were answered with.

    Attributes:
        witness: the form of the last one.
        control: the answer without the credential; None when the connection has none.
        asked: the answer to all that the connection sends.
        elsewhere: the status of the same call where nothing is; 0 when it was not asked.
    """

    witness: Fact
    control: Reply | None
    asked: Reply
    elsewhere: int = 0

    @property
    def refused(self) -> bool:
        """Whether it is refused without the key."""
        control = self.control
        return (
            control is not None
            and control.status in (401, 403)
            and control.verdict.outcome is not Outcome.UNREACHABLE
        )

    @property
    def let_in(self) -> bool:
        """Whether the call came as far as its form."""
        return self.asked.verdict.ok or self.asked.stumbled

    @property
    def statuses(self) -> str:
        """What was seen, for a person."""
        without = f", {self.control.status} without" if self.control else ""
        return f"HTTP {self.asked.status} with the key{without}"


async def _by_calls(inquiry: Inquiry) -> _Calls:
    """Asks in one form after the other until one tells, each without the credential first.

    A service that guards its calls refuses that before anything could run; where it is not refused, and where
    the handler stumbles over it, nothing that could rather run is sent.
    """
    guarded = sends_credential(inquiry.target)
    for witness in inquiry.witnesses:
        reply = await inquiry.call(witness, with_credentials=not guarded)
        calls = _Calls(witness, reply if guarded else None, reply)
        if calls.refused or (not guarded and _rejects(reply)):
            break
        if witness is Fact.GET_TELLS and reply.verdict.outcome is not Outcome.UNREACHABLE:
            continue
        if _ran(inquiry, reply) or reply.status in (404, 405, 422) or not 200 <= reply.status <= 499:
            break
    if calls.refused or (
        guarded and calls.witness is inquiry.witnesses[-1] and reply.status not in (404, 405)
    ):
        calls = replace(calls, asked=await inquiry.call(calls.witness))
    if calls.refused and calls.witness is Fact.GET_TELLS and not _settles(calls.asked):
        # The guard stands at the door; whether there is an endpoint behind it, a call tells.
        calls = replace(calls, witness=Fact.NULL_TELLS, asked=await inquiry.call(Fact.NULL_TELLS))
    if calls.witness is Fact.NULL_TELLS and not calls.refused and calls.asked.stumbled:
        nowhere = await inquiry.call(Fact.NULL_TELLS, with_credentials=not guarded, below="/none")
        calls = replace(calls, elsewhere=nowhere.status)
    return calls


def _settles(asked: Reply) -> bool:
    return (asked.verdict.ok and asked.status >= 400) or asked.status not in (200, 404)


def _without_list(inquiry: Inquiry, calls: _Calls) -> KeyFinding | None:
    asked, control = calls.asked, calls.control
    if _ran(inquiry, asked):
        facts = frozenset({Fact.REFUSED_RAN})
        return _of_control(calls, facts)
    if _rejects(asked):
        key = KeyVerdict.NONE if control is None else KeyVerdict.UNVERIFIED
        evidence = f"a call{' with the key' if control else ''}: HTTP {asked.status}"
        return KeyFinding(key, evidence, asked.verdict, frozenset({calls.witness}))
    if asked.verdict.outcome in (Outcome.QUOTA_EXHAUSTED, Outcome.RATE_LIMITED):
        key = KeyVerdict.VERIFIED if control is not None else KeyVerdict.NONE
        return KeyFinding(key, f"a call: HTTP {asked.status}", asked.verdict)
    came_in = asked.verdict.ok and asked.status >= 400
    if came_in or (calls.let_in and (calls.refused or calls.elsewhere in (404, 405))):
        return _of_control(calls, frozenset())
    return None


def _of_control(calls: _Calls, facts: Facts) -> KeyFinding:
    """What a call that was let in says about the key, beside the one without it."""
    if calls.control is None:
        return KeyFinding(KeyVerdict.NONE, "no key is set and none was asked for", facts=facts)
    if calls.refused:
        return KeyFinding(KeyVerdict.VERIFIED, calls.statuses, facts=facts | {calls.witness})
    if calls.asked is calls.control and calls.asked.stumbled:
        return KeyFinding(
            KeyVerdict.UNVERIFIED, f"no request could tell (HTTP {calls.control.status})", facts=facts
        )
    if calls.asked.status == calls.control.status:
        evidence = f"the server answers the same without the key (HTTP {calls.control.status})"
        return KeyFinding(KeyVerdict.NOT_ENFORCED, evidence, facts=facts)
    return KeyFinding(KeyVerdict.UNVERIFIED, f"no request could tell ({calls.statuses})", facts=facts)


def _of_what_is_sent(inquiry: Inquiry, found: KeyFinding) -> KeyFinding:
    """What a custom header proved says nothing about a key that it is sent in place of."""
    header = replaced_by(inquiry.target)
    if not header or found.key is KeyVerdict.NONE:
        return found
    evidence = f"the API key is not sent: the custom header {header} takes its place; {found.evidence}"
    return replace(found, key=KeyVerdict.UNVERIFIED, evidence=evidence)


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
        tells = Fact.REFUSED_TELLS
    else:
        calls = await _by_calls(inquiry)
        reply, tells = calls.asked, calls.witness
    if reply.verdict.outcome is Outcome.AUTH_ERROR:
        return KeyFinding(
            KeyVerdict.NONE,
            "the model list is public, but calls need a key",
            reply.verdict,
            frozenset({tells, Fact.LIST_PUBLIC}),
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
    calls = await _by_calls(inquiry)
    asked, control = calls.asked, calls.control
    tells = frozenset({calls.witness})
    if asked.judgement.key_accepted:
        spent = asked.verdict.outcome is Outcome.QUOTA_EXHAUSTED
        return KeyFinding(
            KeyVerdict.VERIFIED,
            f"with the key: HTTP {asked.status}",
            asked.verdict if spent else None,
            tells if spent else frozenset(),
        )
    if asked is not control and _rejects(asked):
        return KeyFinding(
            KeyVerdict.UNVERIFIED,
            f"the model list is public; a call with the key: HTTP {asked.status}",
            asked.verdict,
            tells,
        )
    if calls.let_in:
        ran = frozenset({Fact.REFUSED_RAN}) if 200 <= asked.status <= 299 else frozenset[Fact]()
        return _of_control(calls, ran)
    return KeyFinding(KeyVerdict.UNVERIFIED, f"no request could tell ({calls.statuses})")
