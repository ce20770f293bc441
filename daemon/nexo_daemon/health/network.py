"""Finds out whether the local network is the cause of failures, from the checks of remote hosts.

When a failure looks like one of the local network, other hosts are checked as witnesses, and a failure that
would make a connection unhealthy is held until they have answered. Once the computer is offline, the health
of all remote connections is frozen, and one host after the other is tried until the network is back.

A failure that looks local (no route, temporary failure of name resolution) is *strong* evidence, a time-out
is *weak*. Where a network asks people to sign in first, something else answers in place of every host: it
refuses, or shows a foreign certificate; such failures count if a second host fails as well. Any answer from a
remote host proves that the network works. Hosts on this computer and in the local network prove nothing, nor
does a check that sent nothing.
"""

from collections import deque
from datetime import datetime, timedelta
from enum import Enum, auto
from itertools import chain, islice
from typing import Final

from nexo.connections.terms import HealthState, Outcome
from nexo.connections.values import frozen
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.clocks import Instant
from nexo_daemon.health.watch_list import Launch, WatchedConnection, WatchList

WITNESSES: Final = 2
"""The number of other hosts that are checked as witnesses."""

INTERCEPTED_LEAST: Final = 2
"""A single host that refuses or has a foreign certificate is itself the cause."""

STRONG_AFTER_S: Final = 5.0
WEAK_AFTER_S: Final = 5.0
_WEAK_REASONS: Final = frozenset({"connection", "dns", "timeout"})
# Not the expired certificates: if every host seems to have one, the clock of this computer is wrong.
_INTERCEPTED_REASONS: Final = frozenset(
    {
        "portal",
        "protocol",
        "refused",
        "reset",
        "tls_certificate",
        "tls_handshake",
        "tls_hostname",
        "tls_not_spoken",
        "tls_self_signed",
        "tls_unknown_ca",
    }
)


class Signal(Enum):
    """What a result says about the local network."""

    ANSWERED = auto()
    NOTHING = auto()
    WEAK = auto()
    INTERCEPTED = auto()
    STRONG = auto()


def signal(verdict: Verdict) -> Signal:
    """The signal of a result."""
    if verdict.network_suspect:
        return Signal.STRONG
    if verdict.outcome is Outcome.CONFIG_ERROR:
        return Signal.NOTHING
    if verdict.outcome is Outcome.UNREACHABLE:
        if verdict.reason in _WEAK_REASONS:
            return Signal.WEAK
        if verdict.reason in _INTERCEPTED_REASONS:
            return Signal.INTERCEPTED
    return Signal.ANSWERED


@frozen
class Evidence:
    """The failures since the last answer from a remote host.

    Attributes:
        strong: origins whose last check failed as if there was no network.
        intercepted: origins whose last check failed as if something else had answered.
        weak: origins whose last check timed out.
        since: monotonic time of the first of these failures, in seconds.
    """

    strong: frozenset[str] = frozenset()
    intercepted: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    since: float | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no evidence of being offline."""
        return self.since is None

    @property
    def origins(self) -> frozenset[str]:
        """All origins whose last check failed."""
        return self.strong | self.intercepted | self.weak

    def with_failure(self, origin: str, kind: Signal, now: float) -> "Evidence":
        """Add a failure."""

        def after(origins: frozenset[str], of: Signal) -> frozenset[str]:
            return origins | {origin} if kind is of else origins - {origin}

        return Evidence(
            strong=after(self.strong, Signal.STRONG),
            intercepted=after(self.intercepted, Signal.INTERCEPTED),
            weak=after(self.weak, Signal.WEAK),
            since=now if self.since is None else self.since,
        )


def offline(evidence: Evidence, *, others: int, routed: bool | None, now: float) -> bool:
    """Whether the evidence is sufficient for being offline.

    Args:
        evidence: the failures so far.
        others: how many other remote hosts can be checked, up to `WITNESSES`.
        routed: whether the system has a default route; None if unknown.
        now: monotonic time in seconds.
    """
    if evidence.since is None:
        return False
    if routed is False:
        return True
    lasted = now - evidence.since
    asked = min(others, WITNESSES) + 1
    local = len(evidence.strong) >= asked or (
        len(evidence.strong | evidence.intercepted) >= max(asked, INTERCEPTED_LEAST)
    )
    if local and lasted >= STRONG_AFTER_S:
        return True
    return len(evidence.origins) > WITNESSES and lasted >= WEAK_AFTER_S


CANARY_S: Final = 15.0
DEBOUNCE_S: Final = 2.0
"""Seconds to wait after a change of the network, so that a series of changes is handled once."""

WITNESS_WAIT_S: Final = 20.0
WITNESS_SEARCH: Final = 200
_OFFLINE_ADVICE: Final = "Checks resume automatically when this computer is online again."
_SIGN_IN_ADVICE: Final = (
    "Something else answers in place of the services: sign in with a browser if this network requires it, or"
    " give the root certificate of your company's proxy with --ca-bundle. Checks resume automatically."
)


@frozen
class _Held:
    """A failure that would make a connection unhealthy, held until the witnesses have answered."""

    verdict: Verdict
    launch: Launch
    since: float


class Network:
    """Whether this computer is online, according to its checks."""

    routed: bool | None
    """Whether the system has a default route; None if unknown."""

    def __init__(self, watch_list: WatchList) -> None:
        self.routed = None
        self._watch_list = watch_list
        self._evidence = Evidence()
        self._answered_at = float("-inf")
        self._witnesses: dict[str, float] = {}
        self._answering: deque[str] = deque(maxlen=4 * WITNESSES)
        self._held: dict[str, _Held] = {}
        self._offline_since: datetime | None = None
        self._offline_advice = _OFFLINE_ADVICE
        self._canary_turn = 0

    @property
    def offline_since(self) -> datetime | None:
        """Since when the computer is offline; None if it is online."""
        return self._offline_since

    def heard(self, connection_id: str) -> None:
        """A check of the connection ended, so it is no longer awaited as a witness."""
        self._witnesses.pop(connection_id, None)

    def let_go(self, connection_id: str) -> None:
        """Drop the held failure of the connection, because something newer is known."""
        self._held.pop(connection_id, None)

    def clock_set(self, by: timedelta) -> None:
        """The wall clock was set: convert the time since when the computer is offline."""
        if self._offline_since is not None:
            self._offline_since += by
            self._watch_list.tell_offline(self._offline_since)

    # Evidence.

    def weigh(self, entry: WatchedConnection, verdict: Verdict, launch: Launch, now: Instant) -> bool:
        """Use the result of a remote host as evidence. False if it must not change the health."""
        kind = Signal.ANSWERED if verdict.ok else signal(verdict)
        if kind is Signal.ANSWERED:
            return self._take_answer(launch, now)
        if self._offline_since is not None:
            self._withhold(entry, now)
            self.send_canary(now, CANARY_S)
            return False
        if kind is Signal.NOTHING:
            return True
        if entry.known is HealthState.UNHEALTHY:
            # The connection was unhealthy before, so this failure says nothing about the network.
            return True
        first = self._evidence.empty
        self._evidence = self._evidence.with_failure(entry.watched.origin, kind, now.mono)
        witnesses = self._able_witnesses(entry, now)
        if offline(self._evidence, others=len(witnesses), routed=self.routed, now=now.mono):
            self._go_offline(now)
            return False
        if first or entry.tracked.settled or not self._witnesses_out(now):
            self._call(witnesses, now)
        return not self._holds(entry, verdict, launch, now)

    def _take_answer(self, launch: Launch, now: Instant) -> bool:
        # A request sent before the first failure may have passed before the network failed.
        self._answered_at = max(self._answered_at, launch.started)
        self._answering.append(launch.id)
        if self._held:
            self._blame_held(launch, now)
        since = self._evidence.since
        if since is None or launch.started < since:
            return self._offline_since is None
        self._evidence = Evidence()
        self._witnesses.clear()
        if self._offline_since is not None:
            self.come_back(now)
        return True

    def _holds(self, entry: WatchedConnection, verdict: Verdict, launch: Launch, now: Instant) -> bool:
        """Whether a failure is held until the witnesses have answered."""
        if not policy.believed(entry.tracked, verdict, now.mono) or self._answered_at >= launch.started:
            return False
        held = self._held.get(launch.id)
        since = now.mono if held is None else held.since
        alone = len(self._evidence.origins) == 1 and not self._witnesses_out(now)
        if alone or now.mono - since >= WITNESS_WAIT_S:
            return False
        # Other hosts fail, too, or are being checked; their answers decide between unhealthy and offline.
        self._held[launch.id] = _Held(verdict, launch, since)
        self._watch_list.arm(entry, now.mono + DEBOUNCE_S, asked=False)
        self._watch_list.tell(entry, now)
        return True

    def _blame_held(self, answered: Launch, now: Instant) -> None:
        """A host answered: earlier failures were not caused by the network, so they are applied."""
        self.let_go(answered.id)
        for id_, held in list(self._held.items()):
            entry = self._watch_list.get(id_)
            if entry is not None and answered.started >= held.launch.started:
                self.let_go(id_)
                self._watch_list.answer(entry, held.verdict, held.launch, now)

    # Witnesses.

    def _call(self, witnesses: list[WatchedConnection], now: Instant) -> None:
        for witness in witnesses:
            # A running check was sent too early to be a witness.
            if not witness.tracked.settled or witness.running is not None:
                continue
            self._witnesses[witness.watched.id] = now.mono + WITNESS_WAIT_S
            if not (witness.queued and witness.asked):
                # Urgent, because its result is decisive for all others.
                self._watch_list.arm(witness, now.mono, asked=True)

    def _witnesses_out(self, now: Instant) -> bool:
        self._witnesses = {id_: until for id_, until in self._witnesses.items() if until > now.mono}
        return bool(self._witnesses)

    def _able_witnesses(self, doubted: WatchedConnection, now: Instant) -> list[WatchedConnection]:
        """Connections to other remote hosts that may be checked now: healthy ones first, no unhealthy ones.

        Important ones come before others; if too many of these are suspected, those that answered last are
        used.
        """
        origins, well, rest = {doubted.watched.origin}, list[WatchedConnection](), list[WatchedConnection]()
        answering = [
            entry for id_ in self._answering if (entry := self._watch_list.get(id_)) and entry.remote
        ]
        for entry in chain(islice(self._watch_list.by_importance(), WITNESS_SEARCH), answering):
            known = entry.known
            if (
                known is HealthState.UNHEALTHY
                or entry.watched.origin in origins
                or not entry.may_be_asked(now.mono)
            ):
                continue
            origins.add(entry.watched.origin)
            if known is HealthState.HEALTHY and entry.tracked.settled:
                well.append(entry)
                if len(well) == WITNESSES:
                    break
            else:
                rest.append(entry)
        return [*well, *rest][:WITNESSES]

    # Going offline, and coming back.

    def _go_offline(self, now: Instant) -> None:
        self._offline_since = now.wall
        self._offline_advice = _SIGN_IN_ADVICE if self._evidence.intercepted else _OFFLINE_ADVICE
        self._witnesses.clear()
        self._watch_list.tell_offline(now.wall)
        for entry in self._watch_list:
            if entry.remote and not entry.paused:
                self.freeze(entry, now)
        self.send_canary(now, CANARY_S)

    def freeze(self, entry: WatchedConnection, now: Instant) -> None:
        """Freeze the health of a remote connection until the computer is online again."""
        self._watch_list.freeze(entry)
        self._withhold(entry, now)

    def _withhold(self, entry: WatchedConnection, now: Instant) -> None:
        self.let_go(entry.watched.id)
        self._watch_list.withhold(entry, policy.OFFLINE, self._offline_advice, now)

    def send_canary(self, now: Instant, delay_s: float) -> None:
        """Check one remote host after the other, important ones first, to see whether the network is back."""
        able = [entry for entry in self._watch_list.by_importance() if entry.may_be_asked(now.mono)]
        if not able:
            if delay_s == 0.0 and self.routed is not False:
                self.come_back(now)
            return
        if any(entry.running is not None or entry.due is not None for entry in able) and delay_s > 0.0:
            return
        entry = able[self._canary_turn % min(len(able), WITNESSES + 1)]
        self._canary_turn += 1
        if entry.running is None:
            self._watch_list.arm(entry, now.mono + delay_s, asked=True)

    def come_back(self, now: Instant) -> None:
        """The computer is online again: check everything that was frozen, important ones first."""
        self._offline_since = None
        self._evidence = Evidence()
        self._watch_list.tell_offline(None)
        for entry in self._watch_list:
            frozen = self._watch_list.unfreeze(entry)
            if frozen is None or entry.paused:
                continue
            if frozen.stopped or (frozen.not_before or 0.0) > now.mono:
                self._watch_list.restore(entry, frozen, now)
            elif entry.running is None:
                self._watch_list.arm(entry, now.mono + DEBOUNCE_S, asked=False)
