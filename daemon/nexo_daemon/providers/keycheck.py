"""Finds out whether a service checks the key. Used when a connection is tested or saved.

A public model list proves nothing about a key. So the list is also requested without the key, and if that is
inconclusive, calls that execute nothing are made with and without it. Without a list, these calls are the
only evidence, also for whether the address is an API at all.
"""

from dataclasses import replace

from nexo.connections.terms import KeyVerdict, Outcome, Provider
from nexo.connections.values import frozen
from nexo_daemon.domain.model import Fact, Facts
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.providers.catalog import PROVIDERS
from nexo_daemon.providers.completion import answered
from nexo_daemon.providers.presets import KeyProbe
from nexo_daemon.providers.probe_session import ProbeSession, Reply
from nexo_daemon.providers.requests import parse_base, replaced_by, sends_credential

NO_MODELS = "The service lists no models."


@frozen
class KeyFinding:
    """The result for the key.

    Attributes:
        failure: a verdict that replaces that of the model list; None if there is none.
        facts: facts for later checks.
    """

    key: KeyVerdict
    evidence: str
    failure: Verdict | None = None
    facts: Facts = frozenset()


async def check_key(session: ProbeSession) -> KeyFinding:
    """Make up to five requests; the model list was received before."""
    return _of_what_is_sent(session, await _with_list(session))


async def _with_list(session: ProbeSession) -> KeyFinding:
    if not sends_credential(session.target):
        return await _without_key(session)
    if session.key_probe is KeyProbe.ENDPOINT:
        return _from_endpoint(await session.own_endpoint())
    facts: Facts = frozenset()
    if session.key_probe is KeyProbe.MODELS:
        control = await session.list_page(session.dialect.check_query, with_credentials=False, most=1)
        if _told_apart(control):
            return KeyFinding(KeyVerdict.VERIFIED, f"without the key: HTTP {control.status}")
        if not control.verdict.ok and _at_home(session):
            return KeyFinding(KeyVerdict.VERIFIED, "the provider lists models only for a good key")
        if control.verdict.ok:
            facts = frozenset({Fact.LIST_PUBLIC})
    found = await _second_stage(session)
    return replace(found, facts=found.facts | facts)


async def check_without_list(session: ProbeSession) -> KeyFinding | None:
    """Whether calls succeed without a model list; None if that cannot be shown."""
    found = _without_list(session, await _by_calls(session))
    if found is None:
        return None
    return _of_what_is_sent(session, replace(found, facts=found.facts | {Fact.NO_LIST}))


@frozen
class _Calls:
    """The answers to calls that execute nothing.

    Attributes:
        witness: the kind of the last call.
        control: the answer without credentials; None if the connection has none.
        asked: the answer with the connection's key and headers.
        elsewhere: the status of the same call at a path that does not exist; 0 if it was not made.
    """

    witness: Fact
    control: Reply | None
    asked: Reply
    elsewhere: int = 0

    @property
    def refused(self) -> bool:
        """Whether the call without the key is refused."""
        control = self.control
        return (
            control is not None
            and control.status in (401, 403)
            and control.verdict.outcome is not Outcome.UNREACHABLE
        )

    @property
    def let_in(self) -> bool:
        """Whether the caller was accepted, so that the form of the call was checked."""
        return self.asked.verdict.ok or self.asked.stumbled

    @property
    def statuses(self) -> str:
        """The statuses, as text for users."""
        without = f", {self.control.status} without" if self.control else ""
        return f"HTTP {self.asked.status} with the key{without}"


async def _by_calls(session: ProbeSession) -> _Calls:
    """Make calls of one kind after the other until one is conclusive, first without credentials.

    A service that checks keys refuses a call without one before it could be executed. If it does not, or if
    the handler fails, no call is made that is more likely to be executed.
    """
    guarded = sends_credential(session.target)
    for witness in session.witnesses:
        reply = await session.call(witness, with_credentials=not guarded)
        calls = _Calls(witness, reply if guarded else None, reply)
        if calls.refused or (not guarded and _rejects(reply)):
            break
        if witness is Fact.GET_TELLS and reply.verdict.outcome is not Outcome.UNREACHABLE:
            continue
        if _ran(session, reply) or reply.status in (404, 405, 422) or not 200 <= reply.status <= 499:
            break
    if calls.refused or (
        guarded and calls.witness is session.witnesses[-1] and reply.status not in (404, 405)
    ):
        calls = replace(calls, asked=await session.call(calls.witness))
    if calls.refused and calls.witness is Fact.GET_TELLS and not _settles(calls.asked):
        # The key is checked before routing; another kind of call tells whether there is an endpoint.
        calls = replace(calls, witness=Fact.NULL_TELLS, asked=await session.call(Fact.NULL_TELLS))
    if calls.witness is Fact.NULL_TELLS and not calls.refused and calls.asked.stumbled:
        nowhere = await session.call(Fact.NULL_TELLS, with_credentials=not guarded, below="/none")
        calls = replace(calls, elsewhere=nowhere.status)
    return calls


def _settles(asked: Reply) -> bool:
    return (asked.verdict.ok and asked.status >= 400) or asked.status not in (200, 404)


def _without_list(session: ProbeSession, calls: _Calls) -> KeyFinding | None:
    asked, control = calls.asked, calls.control
    if _ran(session, asked):
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
    """What an accepted call shows about the key, compared with the call without it."""
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


def _of_what_is_sent(session: ProbeSession, found: KeyFinding) -> KeyFinding:
    """If a custom header replaces the key, the result says nothing about the key."""
    header = replaced_by(session.target)
    if not header or found.key is KeyVerdict.NONE:
        return found
    evidence = f"the API key is not sent: the custom header {header} takes its place; {found.evidence}"
    return replace(found, key=KeyVerdict.UNVERIFIED, evidence=evidence)


def _rejects(asked: Reply) -> bool:
    return not asked.judgement.key_accepted and asked.verdict.outcome in (
        Outcome.AUTH_ERROR,
        Outcome.PERMISSION,
    )


def _ran(session: ProbeSession, reply: Reply) -> bool:
    """Whether the call that cannot be executed was answered with a completion."""
    return reply.verdict.ok and 200 <= reply.status <= 299 and answered(session.target, reply.document)


def _told_apart(control: Reply) -> bool:
    """Whether the request without the key failed for a reason that can only be the missing key."""
    if control.verdict.outcome in (Outcome.UNREACHABLE, Outcome.RATE_LIMITED, Outcome.PROVIDER_DOWN):
        return False
    return 300 <= control.status <= 499 and control.status not in (404, 405, 408, 429)


def _at_home(session: ProbeSession) -> bool:
    """Whether the host is the provider's own, which is known to check keys."""
    home = PROVIDERS[session.target.provider].base_url
    guarded = session.target.provider in (Provider.OPENAI, Provider.ANTHROPIC, Provider.GOOGLE)
    return guarded and session.base.host == parse_base(home).host


async def _without_key(session: ProbeSession) -> KeyFinding:
    """No key is set and the list is public: check that calls are, too, before reporting success."""
    if session.key_probe is KeyProbe.ENDPOINT:
        reply = await session.own_endpoint()
        tells = Fact.REFUSED_TELLS
    else:
        calls = await _by_calls(session)
        reply, tells = calls.asked, calls.witness
    if reply.verdict.outcome is Outcome.AUTH_ERROR:
        return KeyFinding(
            KeyVerdict.NONE,
            "the model list is public, but calls need a key",
            reply.verdict,
            frozenset({tells, Fact.LIST_PUBLIC}),
        )
    if session.target.credentials.api_key:
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


async def _second_stage(session: ProbeSession) -> KeyFinding:
    calls = await _by_calls(session)
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
