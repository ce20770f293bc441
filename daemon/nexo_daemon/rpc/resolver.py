"""Hand-outs: the answer to "which connection do I get", with its secrets, and the record of it."""

import asyncio
from dataclasses import dataclass, field
from functools import cached_property

from nexo.connections.v1 import workspace_pb2
from nexo_client.terms import ResolutionSource
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.errors import DomainError
from nexo_daemon.domain.model import ClientInfo, Handout
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.lights import Lights
from nexo_daemon.registry.registry import Registry
from nexo_daemon.registry.resolution import Inquiry, Resolution, resolve
from nexo_daemon.rpc import convert
from nexo_daemon.rpc.errors import metadata_of

# A burst of followers that ask the same is answered from one conversion; secrets stay in the clear no longer.
SHARED_FOR_S = 0.5
SIGNATURE_LIMIT = 4096


@dataclass(frozen=True)
class Answer:
    """A hand-out, or why there is none.

    Attributes:
        signature: equal for two answers that say the same; holds no secret.
    """

    inquiry: Inquiry
    resolution: Resolution
    connection: workspace_pb2.ResolvedConnection | None = field(repr=False)
    problem: DomainError | None
    revision: int
    signature: object

    @cached_property
    def handed_out(self) -> bytes:
        """The encoded `ResolveConnectionResponse`."""
        return workspace_pb2.ResolveConnectionResponse(connection=self.connection).SerializeToString()

    @cached_property
    def told(self) -> bytes:
        """The encoded `FollowConnectionResponse` but for its followers, which are another number for each."""
        error = self.problem
        return workspace_pb2.FollowConnectionResponse(
            revision=self.revision,
            connection=self.connection,
            problem=None
            if error is None
            else workspace_pb2.ResolutionProblem(
                reason=error.reason, message=error.message, metadata=metadata_of(error)
            ),
        ).SerializeToString()


class Resolver:
    """Answers and records. Listener of the registry: a change ends the sharing of answers."""

    def __init__(self, registry: Registry, lights: Lights, journal: Journal, clock: Clock) -> None:
        self._registry = registry
        self._lights = lights
        self._journal = journal
        self._clock = clock
        self._shared: dict[Inquiry, Answer] = {}
        self._signatures: dict[Inquiry, object] = {}

    def on_routing(self) -> None:
        """See `RoutingListener`."""
        self._shared.clear()
        self._signatures.clear()

    def explain(self, inquiry: Inquiry) -> Resolution:
        """The rules, without a secret."""
        return resolve(self._registry.snapshot, inquiry, self._lights.stand_ins)

    def present_signature(self, inquiry: Inquiry) -> object:
        """The signature of the present answer: worked out once between two changes, for all who ask."""
        known = self._signatures.get(inquiry)
        if known is None:
            if len(self._signatures) >= SIGNATURE_LIMIT:
                self._signatures.clear()
            known = self._signatures[inquiry] = self.signature(self.explain(inquiry))
        return known

    def signature(self, resolution: Resolution) -> object:
        """What tells an answer from an older one."""
        snapshot = self._registry.snapshot
        connection = resolution.connection
        if connection is None:
            return (repr(resolution.problem), resolution.source, snapshot.routed_at)
        bound_at = resolution.binding.created_at if resolution.binding else None
        return (
            connection.id,
            connection.revision,
            resolution.source,
            resolution.detail,
            bound_at if resolution.source is ResolutionSource.WORKSPACE else snapshot.routed_at,
            self._registry.is_locked(connection),
        )

    def shared(self, inquiry: Inquiry) -> Answer | None:
        """The present answer, if somebody asked the same a moment ago."""
        return self._shared.get(inquiry)

    async def shared_answer(self, inquiry: Inquiry) -> Answer:
        """Like `answer`, made once for all who ask within the same moment."""
        answer = self._shared.get(inquiry)
        if answer is None:
            if not self._shared:
                asyncio.get_running_loop().call_later(SHARED_FOR_S, self._shared.clear)
            answer = await self.answer(inquiry)
            # A key that could not be had may be there the next moment, and nothing would tell us.
            failed = answer.connection is None and answer.resolution.connection is not None
            if answer.revision == self._registry.snapshot.revision and not failed:
                self._shared[inquiry] = answer
        return answer

    async def answer(self, inquiry: Inquiry) -> Answer:
        """The present answer to a question. Never raises a domain error: the answer holds it."""
        return await self._answer(inquiry, self.explain(inquiry))

    async def reveal(self, name: str) -> Answer:
        """A connection for a person who looks at its secrets; disabled or not.

        Raises:
            ConnectionNotFound
        """
        connection = self._registry.snapshot.get(name)
        resolution = Resolution(connection, ResolutionSource.EXPLICIT, "shown to a person", ())
        return await self._answer(Inquiry(connection=connection.name), resolution)

    async def _answer(self, inquiry: Inquiry, resolution: Resolution) -> Answer:
        snapshot = self._registry.snapshot
        signature = self.signature(resolution)
        connection, problem = resolution.connection, resolution.problem
        handed_out: workspace_pb2.ResolvedConnection | None = None
        if connection is not None:
            try:
                credentials = await self._registry.credentials(connection)
            except DomainError as error:
                problem = error
            else:
                handed_out = convert.resolved(
                    connection,
                    credentials,
                    self._lights.of(connection),
                    source=resolution.source,
                    detail=resolution.detail,
                    revision=snapshot.revision,
                )
        return Answer(inquiry, resolution, handed_out, problem, snapshot.revision, signature)

    def record(self, answer: Answer, *, method: str, client: ClientInfo) -> None:
        """Note in the audit record that the answer leaves the daemon."""
        connection = answer.resolution.require()
        workspace = answer.inquiry.workspace
        self._journal.handout(
            Handout(
                at=self._clock.now(),
                connection_id=connection.id,
                connection_name=connection.name,
                method=method,
                client=client,
                workspace=str(workspace) if workspace else "",
                source=answer.resolution.source,
            )
        )
