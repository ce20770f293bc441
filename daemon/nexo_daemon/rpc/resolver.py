"""Hand-outs: the connection for a program, with its secrets, and the record that it was handed out.

An answer is made without an await, from the state at that moment. A key that is kept outside the store is
fetched first; everything that was found out before a fetch is found out again after it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nexo.connections.codec import enum_to_wire, write
from nexo.connections.errors import NexoError, RetryLater
from nexo.connections.terms import ResolutionSource
from nexo.connections.v1 import workspace_pb2
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.expiring_cache import ExpiringCache
from nexo_daemon.domain.model import ClientInfo, HandoutRecord
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Question, Resolution, resolve
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.errors import metadata_of

# Followers that ask the same at the same time share one conversion; plain-text secrets are not kept longer.
# Without it a resolve takes a quarter longer, and a switch of 1 000 followers twice the CPU (2026-11-27).
SHARED_FOR_S = 0.5
SHARED_LIMIT = 1024
SIGNATURE_LIMIT = 4096
# Each fetch after the first means that the connection or the vault changed during the one before.
LOOK_UPS_FOR_AN_ANSWER = 8
# An fsync takes milliseconds; a disk that hangs must not keep a program waiting.
RECORDED_WITHIN_S = 0.5


@dataclass(frozen=True)
class ResolvedAnswer:
    """A hand-out, or the reason why there is none.

    Attributes:
        signature: equal for equal answers; holds no secret.
        generation: of the configuration when the answer was made.
    """

    question: Question
    resolution: Resolution
    connection: workspace_pb2.ResolvedConnection | None = field(repr=False)
    problem: NexoError | None
    revision: int
    signature: object
    generation: int

    @cached_property
    def handed_out(self) -> bytes:
        """The encoded `ResolveConnectionResponse`."""
        return workspace_pb2.ResolveConnectionResponse(connection=self.connection).SerializeToString()

    def told(self, followers: list[int]) -> workspace_pb2.FollowConnectionResponse:
        """The message to those followers of a stream."""
        return workspace_pb2.FollowConnectionResponse(
            followers=followers,
            revision=self.revision,
            connection=self.connection,
            problem=_problem(self.problem),
        )


def changes_too_fast() -> RetryLater:
    """The error when every answer was outdated before it could be sent."""
    return RetryLater("the configuration changes faster than keys are looked up", hint="try again")


class Resolver:
    """Makes and records answers. Listens to the registry: a change ends the sharing of answers.

    Attributes:
        used_at: when the last question was asked, on the clock that advances while the computer sleeps.
    """

    def __init__(self, registry: Registry, health_board: HealthBoard, journal: Journal, clock: Clock) -> None:
        self._registry = registry
        self._health_board = health_board
        self._journal = journal
        self._clock = clock
        self.used_at = clock.elapsed()
        self._generation = 0
        self._shared: ExpiringCache[Question, ResolvedAnswer] = ExpiringCache(
            clock, lifetime_s=SHARED_FOR_S, limit=SHARED_LIMIT
        )
        self._signatures: dict[Question, object] = {}

    def on_routing(self) -> None:
        """See `Writer.listen_to_routing`."""
        self._generation += 1
        self._shared.clear()
        self._signatures.clear()

    @property
    def revision(self) -> int:
        """The store revision of the present answers."""
        return self._registry.snapshot.revision

    def explain(self, question: Question) -> Resolution:
        """The connection and the rules that chose it, without secrets."""
        return resolve(self._registry.snapshot, question, self._health_board.stand_ins.chosen)

    def present_signature(self, question: Question) -> object:
        """The signature of the present answer, computed once between two changes.

        Saves a sixth of the CPU of a switch of 1 000 followers (2026-11-27).
        """
        known = self._signatures.get(question)
        if known is None:
            if len(self._signatures) >= SIGNATURE_LIMIT:
                self._signatures.clear()
            known = self._signatures[question] = self.signature(self.explain(question))
        return known

    def signature(self, resolution: Resolution) -> object:
        """A value that differs for different answers."""
        snapshot = self._registry.snapshot
        connection = resolution.connection
        if connection is None:
            return (repr(resolution.problem), resolution.source, snapshot.routed_at)
        # Differs after a switch there and back, so that followers are told about it.
        chosen_at: object = None
        if resolution.source is ResolutionSource.WORKSPACE and resolution.binding is not None:
            chosen_at = resolution.binding.created_at
        elif resolution.source in (ResolutionSource.DEFAULT, ResolutionSource.FALLBACK):
            chosen_at = snapshot.routed_at
        return (
            connection.id,
            connection.revision,
            resolution.source,
            resolution.detail,
            chosen_at,
            self._registry.is_locked(connection),
        )

    def is_present(self, answer: ResolvedAnswer) -> bool:
        """Whether nothing has changed since the answer was made. Check again after every await."""
        if answer.generation != self._generation:
            return False
        # A vault that another thread locked reports that a moment later.
        connection = answer.resolution.connection
        return answer.connection is None or connection is None or not self._registry.is_locked(connection)

    def at_once(self, question: Question) -> ResolvedAnswer | None:
        """The present answer, shared for a moment; None if its key has to be fetched."""
        answer = self._shared.get(question)
        if answer is not None and self.is_present(answer):
            return answer
        answer = self._made(question, self.explain(question), {})
        # Not shared if a key could not be had: it may be available the next moment, without any event.
        if answer is not None and (answer.connection is not None or answer.resolution.connection is None):
            self._shared.put(question, answer)
        return answer

    async def answer(self, question: Question) -> ResolvedAnswer:
        """Like `at_once`, but fetches the key if necessary.

        Raises:
            RetryLater: the configuration changed during each fetch. Other errors are in the answer.
        """
        self.used_at = self._clock.elapsed()
        return self.at_once(question) or await self._looked_up(question, lambda: self.explain(question))

    async def reveal(self, name: str) -> ResolvedAnswer:
        """The answer for a person who wants to see the secrets of a connection, which may be disabled.

        Raises:
            ConnectionNotFound
            RetryLater: as `answer`.
        """

        def named() -> Resolution:
            connection = self._registry.snapshot.get(name)
            return Resolution(connection, ResolutionSource.EXPLICIT, "shown to a person", ())

        question = Question(connection=named().require().name)
        return self._made(question, named(), {}) or await self._looked_up(question, named)

    async def _looked_up(self, question: Question, resolution: Callable[[], Resolution]) -> ResolvedAnswer:
        failures: dict[str, NexoError] = {}
        for _ in range(LOOK_UPS_FOR_AN_ANSWER):
            answer = self._made(question, resolution(), failures)
            if answer is not None:
                return answer
            connection = resolution().require()
            try:
                await self._registry.look_up(connection)
            except NexoError as error:
                failures[connection.key_reference] = error
        raise changes_too_fast()

    def _made(
        self, question: Question, resolution: Resolution, failures: Mapping[str, NexoError]
    ) -> ResolvedAnswer | None:
        """The answer at this moment; None if its key has to be fetched.

        Args:
            failures: of fetches that were just made, by reference.
        """
        connection, problem = resolution.connection, resolution.problem
        handed_out: workspace_pb2.ResolvedConnection | None = None
        if connection is not None:
            try:
                credentials = self._registry.credentials_at_hand(connection)
                if credentials is None and connection.key_reference in failures:
                    raise failures[connection.key_reference]
            except NexoError as error:
                problem = error
            else:
                if credentials is None:
                    return None
                handed_out = convert.resolved(
                    connection,
                    credentials,
                    self._health_board.of(connection),
                    source=resolution.source,
                    detail=resolution.detail,
                    revision=self._registry.snapshot.revision,
                )
        return ResolvedAnswer(
            question,
            resolution,
            handed_out,
            problem,
            self._registry.snapshot.revision,
            self.signature(resolution),
            self._generation,
        )

    async def record(self, answer: ResolvedAnswer, *, method: str, client: ClientInfo) -> bool:
        """Write in the audit record that the answer leaves the daemon, before it does.

        Waits only briefly for a slow disk: the record is then written later.

        Returns:
            Whether the answer is still the present one.
        """
        written = self.note(answer, method=method, client=client)
        if written is None:
            return True
        await asyncio.wait((written,), timeout=RECORDED_WITHIN_S)
        return self.is_present(answer)

    def note(
        self, answer: ResolvedAnswer, *, method: str, client: ClientInfo
    ) -> "asyncio.Future[None] | None":
        """Like `record`, for callers that wait for several records at once; returns as `Journal.handout`."""
        self.used_at = self._clock.elapsed()
        connection = answer.resolution.require()
        workspace = answer.question.workspace
        return self._journal.handout(
            HandoutRecord(
                at=self._clock.now(),
                connection_id=connection.id,
                connection_name=connection.name,
                method=method,
                client=client,
                workspace=str(workspace) if workspace else "",
                source=answer.resolution.source,
            )
        )


def _problem(error: NexoError | None) -> workspace_pb2.ResolutionProblem | None:
    if error is None:
        return None
    return workspace_pb2.ResolutionProblem(
        reason=error.reason, message=error.message, metadata=metadata_of(error)
    )


def explained(resolution: Resolution, revision: int) -> workspace_pb2.ExplainResolutionResponse:
    """The rules and their results, without secrets."""
    return workspace_pb2.ExplainResolutionResponse(
        connection_name=resolution.connection.name if resolution.connection else "",
        source=enum_to_wire(resolution.source),
        steps=[write(workspace_pb2.ResolutionStep, step) for step in resolution.steps],
        problem=_problem(resolution.problem),
        revision=revision,
    )
