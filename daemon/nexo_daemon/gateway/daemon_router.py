"""The daemon's implementation of `Router`: joins tokens, routes, health and usage."""

import functools
from collections.abc import Callable

from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.gateway import UsageCounts, UsageKey
from nexo_daemon.domain.probing import Verdict
from nexo_daemon.gateway.evidence import proven_by
from nexo_daemon.gateway.ledger import Ledger
from nexo_daemon.gateway.routes import Routes
from nexo_daemon.gateway.tokens import RECENT, Bearer, Tokens
from nexo_gateway.router import Asked, CallOutcome, Target, not_known


class DaemonRouter:
    """See `nexo_gateway.router.Router`."""

    def __init__(
        self,
        tokens: Tokens,
        routes: Routes,
        ledger: Ledger,
        witness: Callable[[CallOutcome, Verdict], None],
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._routes = routes
        self._ledger = ledger
        self._witness = witness
        self._clock = clock

    def bearer(self, token: str) -> str:
        """See `Router`."""
        found = self._tokens.bearer(token) if token else None
        if found is None:
            raise not_known()
        return found.id

    async def resolve(self, bearer: str, asked: Asked) -> Target:
        """See `Router`."""
        found = self._known(bearer)
        self._note(found, asked)
        target = await self._routes.target(
            found.question,
            asked.dialect,
            lambda: self._tokens.holder(bearer) is not None,
            # A program that names no conversation is one conversation for as long as it runs.
            asked.conversation or (found.id if found.named is None else ""),
        )
        found.connection_name = target.name
        return target

    def began(self, bearer: str, asked: Asked) -> Callable[[CallOutcome | None], None]:
        """See `Router`."""
        found = self._known(bearer)
        found.open += 1
        found.requests += 1
        self._note(found, asked)
        # The bearer itself: at the end of the request its token may be revoked, expired or read anew.
        return functools.partial(self._ended, found)

    def _ended(self, bearer: Bearer, outcome: CallOutcome | None) -> None:
        bearer.open -= 1
        if outcome is not None:
            verdict = proven_by(outcome, self._clock.now())
            if verdict is not None:
                self._witness(outcome, verdict)
            key = UsageKey(
                self._clock.now(),
                outcome.connection_id,
                outcome.connection_name,
                str(bearer.question.workspace or ""),
                outcome.asked.program,
                outcome.model,
            )
            self._ledger.add(key, _counts(outcome))

    def _known(self, bearer: str) -> Bearer:
        found = self._tokens.holder(bearer)
        if found is None:
            raise not_known()
        return found

    def _note(self, bearer: Bearer, asked: Asked) -> None:
        now = self._clock.now()
        was_idle = bearer.last_at is None or now - bearer.last_at > RECENT
        bearer.last_at = now
        bearer.dialect = asked.dialect
        bearer.program = asked.program or bearer.program
        if asked.model:
            bearer.asked_for(asked.model, now)
        if bearer.named is not None:
            self._ledger.seen(bearer.id)
            if was_idle:
                self._tokens.changed()


def _counts(outcome: CallOutcome) -> UsageCounts:
    usage = outcome.usage
    good = outcome.status is not None and outcome.status < 400 and outcome.ended == "complete"
    failed = outcome.status is not None and outcome.status >= 400
    return UsageCounts(
        requests=1,
        failed=int(failed or bool(outcome.fault)),
        broken=int(outcome.ended == "broken" and not outcome.fault),
        left=int(outcome.ended == "left"),
        input_tokens=(usage.input_tokens or 0) if usage else 0,
        output_tokens=(usage.output_tokens or 0) if usage else 0,
        cached_tokens=(usage.cached_tokens or 0) if usage else 0,
        unreported=int(good and outcome.counts_tokens and usage is None),
    )
