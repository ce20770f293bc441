"""What tests of unsaved drafts have found out, so that saving exactly what was tested does not forget it.

Holds keyed digests, never a secret. Not for verdicts of saved connections; those are in the store.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import astuple, dataclass, replace

from nexo.connections.terms import KeyVerdict
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.probing import ProbeTarget, TestReport
from nexo_daemon.domain.secret import Secret

LIMIT = 64
# A person tests, reads, thinks and saves; a proof from before lunch is worth a new test.
KEPT_S = 900.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What a test found out.

    Attributes:
        verdict: on the key; None when it was not accepted, or none was sent.
        report: the whole of it, without the models.
    """

    verdict: KeyVerdict | None
    report: TestReport


class Proofs:
    """What the tests of drafts found out lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Without this a digest in a core dump could be tried against guessed keys.
        self._salt = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[float, Proof]] = OrderedDict()

    def remember(self, target: ProbeTarget, report: TestReport) -> None:
        """Note what a test of `target` found out; one that failed proves nothing about the key."""
        verdict = report.key if report.verdict.ok and report.key is not KeyVerdict.NONE else None
        digest = self._digest(target)
        self._kept.pop(digest, None)
        self._kept[digest] = (self._clock.monotonic(), Proof(verdict, replace(report, models=())))
        while len(self._kept) > LIMIT:
            self._kept.popitem(last=False)

    def take(self, target: ProbeTarget) -> Proof | None:
        """What was found out about exactly this target; None if nothing, or too long ago. Forgets it."""
        found = self._kept.pop(self._digest(target), None)
        if found is None or self._clock.monotonic() - found[0] > KEPT_S:
            return None
        return found[1]

    def __bool__(self) -> bool:
        return bool(self._kept)

    def _digest(self, target: ProbeTarget) -> bytes:
        """Of all that decides whether a key is accepted: where it is sent, how, and the secrets."""
        credentials = target.credentials

        def plain(secret: Secret | None) -> str | None:
            return None if secret is None else secret.reveal()

        parts = (
            target.provider,
            target.preset,
            target.base_url,
            target.auth_scheme,
            # Its repr does not show the proxy.
            astuple(target.network),
            plain(credentials.api_key),
            tuple((name, value.reveal()) for name, value in credentials.headers),
            plain(credentials.proxy_credentials),
        )
        return hashlib.blake2b(repr(parts).encode(), key=self._salt, digest_size=32).digest()
