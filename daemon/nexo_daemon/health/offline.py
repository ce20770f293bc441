"""Is this computer off line, or is that provider down? Weighs what the checks of all connections saw.

Pure. A failure that looks like our own network (no route, names that cannot be resolved for now) is *strong*
evidence, a time-out is *weak*; any answer from any remote host ends the case. Hosts on this computer and in
the local network say nothing about it, either way.
"""

import ipaddress
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

from nexo_client.terms import Outcome
from nexo_daemon.domain.probing import Verdict

WITNESSES: Final = 2
"""How many other hosts are asked when one looks as if our network were gone."""

STRONG_AFTER_S: Final = 5.0
WEAK_AFTER_S: Final = 5.0
_LOCAL_SUFFIXES: Final = (".localhost", ".local", ".lan", ".internal", ".home.arpa")
_WEAK_REASONS: Final = frozenset({"timeout", "dns"})


class Signal(Enum):
    """What one result says about our own network."""

    ANSWERED = auto()
    WEAK = auto()
    STRONG = auto()


def signal(verdict: Verdict) -> Signal:
    """What a result says about our own network."""
    if verdict.network_suspect:
        return Signal.STRONG
    if verdict.outcome is Outcome.UNREACHABLE and verdict.reason in _WEAK_REASONS:
        return Signal.WEAK
    return Signal.ANSWERED


def is_remote(origin: str) -> bool:
    """Whether a host (given as scheme://host:port) is beyond the local network, as far as its name tells."""
    host = (urlsplit(origin).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)
    return address.is_global


@dataclass(frozen=True, slots=True)
class Evidence:
    """What has been seen since the last answer of any remote host.

    Attributes:
        strong: origins whose last check failed as if our network were gone.
        weak: origins whose last check timed out.
        since: monotonic second of the first of those failures.
    """

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    since: float | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing speaks for being off line."""
        return self.since is None

    def with_failure(self, origin: str, kind: Signal, now: float) -> "Evidence":
        """Add a failure."""
        since = now if self.since is None else self.since
        if kind is Signal.STRONG:
            return replace(self, strong=self.strong | {origin}, weak=self.weak - {origin}, since=since)
        return replace(self, weak=self.weak | {origin}, strong=self.strong - {origin}, since=since)


def offline(evidence: Evidence, *, others: int, routed: bool | None, now: float) -> bool:
    """Whether the evidence suffices.

    Args:
        evidence: see there.
        others: how many further remote hosts could be asked, up to `WITNESSES`.
        routed: whether the system has a default route; None when it cannot be told.
        now: monotonic seconds.
    """
    if evidence.since is None:
        return False
    if routed is False:
        return True
    lasted = now - evidence.since
    if len(evidence.strong) >= min(others, WITNESSES) + 1 and lasted >= STRONG_AFTER_S:
        return True
    return len(evidence.strong | evidence.weak) > WITNESSES and lasted >= WEAK_AFTER_S
