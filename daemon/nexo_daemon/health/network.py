"""Is our own network to blame? Follows what the checks of remote hosts saw, and acts on it.

When one host looks as if our network were gone, others are asked as witnesses, and a failure that would
turn a light red is held until they have answered. Once this computer is off line, all lights of remote hosts
freeze, and one host after another is asked whether the network is back. The weighing of evidence is
`offline`'s.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Final

from nexo_client.terms import HealthState
from nexo_daemon.domain.model import Transition
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.health import policy
from nexo_daemon.health.checks import Launch, OfflineNotice
from nexo_daemon.health.offline import WITNESSES, Evidence, Signal, offline, signal
from nexo_daemon.health.policy import Instant, Light
from nexo_daemon.health.recheck import DEBOUNCE_S
from nexo_daemon.health.slot import Slot
from nexo_daemon.health.turns import Turns
from nexo_daemon.health.watchlist import Watchlist

CANARY_S: Final = 15.0
WITNESS_WAIT_S: Final = 20.0
WITNESS_SEARCH: Final = 200
_OFFLINE_ADVICE: Final = "Checks resume by themselves when this computer is on line again."


@dataclass(frozen=True, slots=True)
class _Held:
    """A failure that would turn a light red, while others are asked whether the network is the cause."""

    verdict: Verdict
    launch: Launch
    since: float


class Network:
    """Whether this computer is on line, as far as its checks tell."""

    routed: bool | None
    """Whether the system has a default route; None when it cannot be told."""

    def __init__(self, watchlist: Watchlist, turns: Turns) -> None:
        self.routed = None
        self._watchlist = watchlist
        self._turns = turns
        self._evidence = Evidence()
        self._answered_at = float("-inf")
        self._witnesses: dict[str, float] = {}
        self._answering: deque[str] = deque(maxlen=4 * WITNESSES)
        self._held: dict[str, _Held] = {}
        self._offline_since: datetime | None = None
        self._canary_turn = 0

    @property
    def offline_since(self) -> datetime | None:
        """Since when this computer is off line; None when it is not."""
        return self._offline_since

    def heard(self, connection_id: str) -> None:
        """A check of the connection ended: as a witness, it need not be waited for."""
        self._witnesses.pop(connection_id, None)

    def let_go(self, connection_id: str) -> None:
        """Hold no failure of the connection any longer: something newer is known."""
        self._held.pop(connection_id, None)

    def clock_set(self, by: timedelta) -> None:
        """The wall clock was set: say since when on the new one."""
        if self._offline_since is not None:
            self._offline_since += by
            self._watchlist.outbox.append(OfflineNotice(self._offline_since))

    # Weighing.

    def weigh(self, slot: Slot, verdict: Verdict, launch: Launch, now: Instant) -> bool:
        """Take a result of a remote host as evidence. False when it must not touch the light."""
        kind = Signal.ANSWERED if verdict.ok else signal(verdict)
        if kind is Signal.ANSWERED:
            return self._take_answer(launch, now)
        if self._offline_since is not None:
            self._withhold(slot, now)
            self.send_canary(now, CANARY_S)
            return False
        if slot.known is HealthState.UNHEALTHY:
            # It is known to be down: that it still is says nothing about our network.
            return True
        first = self._evidence.empty
        self._evidence = self._evidence.with_failure(slot.watched.origin, kind, now.mono)
        witnesses = self._able_witnesses(slot, now)
        if offline(self._evidence, others=len(witnesses), routed=self.routed, now=now.mono):
            self._go_offline(now)
            return False
        if first or slot.light.settled or not self._witnesses_out(now):
            self._call(witnesses, now)
        return not self._holds(slot, verdict, launch, now)

    def _take_answer(self, launch: Launch, now: Instant) -> bool:
        # What was asked before the first failure may have crossed a network that is gone by now.
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

    def _holds(self, slot: Slot, verdict: Verdict, launch: Launch, now: Instant) -> bool:
        """Whether a failure waits for what others see, before it turns the light red."""
        step = policy.judge(launch.id, slot.light, verdict, now, slot.pace)
        if step.light.health.state is not HealthState.UNHEALTHY or self._answered_at >= launch.started:
            return False
        held = self._held.get(launch.id)
        since = now.mono if held is None else held.since
        alone = len(self._evidence.strong | self._evidence.weak) == 1 and not self._witnesses_out(now)
        if alone or now.mono - since >= WITNESS_WAIT_S:
            return False
        # Others see it too, or are being asked; an answer of theirs decides between red and off line.
        self._held[launch.id] = _Held(verdict, launch, since)
        self._turns.arm(slot, now.mono + DEBOUNCE_S, asked=False)
        self._watchlist.tell(slot, now)
        return True

    def _blame_held(self, answered: Launch, now: Instant) -> None:
        """Somebody answered: of what failed at that time or before, the network was not the cause."""
        self.let_go(answered.id)
        for id_, held in list(self._held.items()):
            slot = self._watchlist.slots.get(id_)
            if slot is not None and answered.started >= held.launch.started:
                step = policy.judge(id_, slot.light, held.verdict, now, slot.pace)
                self.let_go(id_)
                self._watchlist.apply(slot, step, held.launch, now, policy.sample(id_, held.verdict, now))

    # Witnesses.

    def _call(self, witnesses: list[Slot], now: Instant) -> None:
        for witness in witnesses:
            # A check that runs already was sent too early to tell.
            if not witness.light.settled or witness.running is not None:
                continue
            self._witnesses[witness.watched.id] = now.mono + WITNESS_WAIT_S
            if not (witness.queued and witness.asked):
                # Ahead of the others: what it sees is decisive for all of them.
                self._turns.arm(witness, now.mono, asked=True)

    def _witnesses_out(self, now: Instant) -> bool:
        self._witnesses = {id_: until for id_, until in self._witnesses.items() if until > now.mono}
        return bool(self._witnesses)

    def _able_witnesses(self, doubted: Slot, now: Instant) -> list[Slot]:
        """Connections of other remote hosts that may be asked now: well ones first, none that is down.

        Important ones before others; when too many of the first are in doubt, those that answered last.
        """
        origins, well, rest = {doubted.watched.origin}, list[Slot](), list[Slot]()
        slots = self._watchlist.slots
        answering = [slot for id_ in self._answering if (slot := slots.get(id_)) and slot.remote]
        for slot in chain(islice(self._watchlist.by_importance(), WITNESS_SEARCH), answering):
            known = slot.known
            if (
                known is HealthState.UNHEALTHY
                or slot.watched.origin in origins
                or not slot.may_be_asked(now.mono)
            ):
                continue
            origins.add(slot.watched.origin)
            if known is HealthState.HEALTHY and slot.light.settled:
                well.append(slot)
                if len(well) == WITNESSES:
                    break
            else:
                rest.append(slot)
        return [*well, *rest][:WITNESSES]

    # Being off line, and coming back.

    def _go_offline(self, now: Instant) -> None:
        self._offline_since = now.wall
        self._witnesses.clear()
        self._watchlist.outbox.append(OfflineNotice(now.wall))
        for slot in self._watchlist.slots.values():
            if slot.remote and not slot.paused:
                self.freeze(slot, now)
        self.send_canary(now, CANARY_S)

    def freeze(self, slot: Slot, now: Instant) -> None:
        """Keep the light of a remote host as it is until this computer is on line again."""
        self._turns.disarm(slot)
        slot.frozen = slot.light
        self._withhold(slot, now)

    def _withhold(self, slot: Slot, now: Instant) -> None:
        self.let_go(slot.watched.id)
        self._watchlist.withhold(slot, policy.OFFLINE, _OFFLINE_ADVICE, now)

    def send_canary(self, now: Instant, delay_s: float) -> None:
        """Ask one remote host after another, the important ones first, whether the network is back."""
        able = [slot for slot in self._watchlist.by_importance() if slot.may_be_asked(now.mono)]
        if not able:
            if delay_s == 0.0 and self.routed is not False:
                self.come_back(now)
            return
        if any(slot.running is not None or slot.due is not None for slot in able) and delay_s > 0.0:
            return
        slot = able[self._canary_turn % min(len(able), WITNESSES + 1)]
        self._canary_turn += 1
        if slot.running is None:
            self._turns.arm(slot, now.mono + delay_s, asked=True)

    def come_back(self, now: Instant) -> None:
        """This computer is on line again: everything that was frozen is checked, in order of importance."""
        self._offline_since = None
        self._evidence = Evidence()
        self._watchlist.outbox.append(OfflineNotice(None))
        for slot in self._watchlist.slots.values():
            frozen, slot.frozen = slot.frozen, None
            if frozen is None or slot.paused:
                continue
            if frozen.stopped or (frozen.not_before or 0.0) > now.mono:
                self._thaw(slot, frozen, now)
            elif slot.running is None:
                self._turns.arm(slot, now.mono + DEBOUNCE_S, asked=False)

    def _thaw(self, slot: Slot, frozen: Light, now: Instant) -> None:
        """Nothing will be asked for a while: what was known before is still what is known."""
        before = slot.light.health
        slot.light = replace(frozen, health=replace(frozen.health, since=now.wall))
        if not frozen.stopped and frozen.not_before is not None:
            self._watchlist.arm_soon_after(slot, frozen.not_before)
        transition = Transition(
            connection_id=slot.watched.id,
            at=now.wall,
            from_state=before.state,
            to_state=frozen.health.state,
            reason=frozen.health.reason,
            lasted_s=None if before.since is None else max(0.0, (now.wall - before.since).total_seconds()),
            advice=frozen.health.advice,
        )
        self._watchlist.tell(slot, now, transition=transition)
