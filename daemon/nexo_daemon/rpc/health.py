"""HealthService: health, history, checks on request, settings."""

from dataclasses import replace
from datetime import datetime, timedelta

from nexo.connections.codec import duration, seconds, timestamp, write
from nexo.connections.errors import InvalidField
from nexo.connections.model.history import HealthSlice
from nexo.connections.v1 import connection_pb2
from nexo.connections.v1 import health_pb2 as pb
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.model import HealthSettings, StoredConnection, Transition
from nexo_daemon.registry.health_board import HealthBoard
from nexo_daemon.registry.history import Summary, slices, summarize
from nexo_daemon.registry.journal import Journal
from nexo_daemon.registry.registry import Registry

DEFAULT_WINDOW_S = 86_400.0
SLICES_TOGETHER = 100_000
"""Slices of all connections in one answer, about 2 MB."""
TRANSITIONS_TOLD = 500


class HealthService:
    """Answers the calls of health.proto, which describes each."""

    def __init__(self, registry: Registry, health_board: HealthBoard, journal: Journal, clock: Clock) -> None:
        self._registry = registry
        self._health_board = health_board
        self._journal = journal
        self._clock = clock

    def _chosen(self, names: list[str]) -> list[StoredConnection]:
        snapshot = self._registry.snapshot
        return [snapshot.get(name) for name in names] if names else list(snapshot.connections.values())

    def _health(self, connection: StoredConnection) -> pb.ConnectionHealth:
        return pb.ConnectionHealth(
            connection_id=connection.id,
            connection_name=connection.name,
            health=write(connection_pb2.Health, self._health_board.of(connection)),
        )

    async def GetHealth(self, request: pb.GetHealthRequest) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(
            health=[self._health(connection) for connection in self._chosen(list(request.names))],
            offline_since=timestamp(self._health_board.monitor.offline_since),
        )

    async def ListHealthHistory(self, request: pb.ListHealthHistoryRequest) -> pb.ListHealthHistoryResponse:
        connection = self._registry.snapshot.get(request.name)
        await self._journal.flush()
        now = self._clock.now()
        since = now - timedelta(seconds=seconds(request.window) or DEFAULT_WINDOW_S)
        store = self._registry.store
        transitions, samples = await self._registry.on_store_thread(
            lambda: store.history(connection.id, since, now)
        )
        summary = summarize(transitions, samples, self._health_board.of(connection), since, now)
        return pb.ListHealthHistoryResponse(
            transitions=[write(pb.HealthTransition, t, connection_name=connection.name) for t in transitions],
            samples=[write(pb.HealthSample, s) for s in samples],
            uptime=summary.uptime,
            latency_p50=duration(summary.latency_p50_s),
            latency_p95=duration(summary.latency_p95_s),
            latency_p99=duration(summary.latency_p99_s),
        )

    async def ListSlicedHistories(
        self, request: pb.ListSlicedHistoriesRequest
    ) -> pb.ListSlicedHistoriesResponse:
        count, window_s = request.slices or 96, seconds(request.window) or DEFAULT_WINDOW_S
        find = self._registry.snapshot.find
        chosen = [one for name in request.names if (one := find(name))] if request.names else self._chosen([])
        if count * len(chosen) > SLICES_TOGETHER:
            raise InvalidField.of(
                "slices",
                f"is {count} for {len(chosen)} connections",
                f"use at most {SLICES_TOGETHER} for all connections together",
            )
        await self._journal.flush()
        now = self._clock.now()
        # One at a time, so that commands can run on the store thread in between.
        histories = [await self._sliced(one, now, window_s, count) for one in chosen]
        return pb.ListSlicedHistoriesResponse(histories=histories)

    async def _sliced(
        self, connection: StoredConnection, now: datetime, window_s: float, count: int
    ) -> pb.SlicedHistory:
        start, health = now - timedelta(seconds=window_s), self._health_board.of(connection)
        store = self._registry.store

        def work() -> tuple[list[Transition], Summary, tuple[HealthSlice, ...]]:
            transitions, samples = store.history(connection.id, start, now)
            summary = summarize(transitions, samples, health, start, now)
            return transitions[-TRANSITIONS_TOLD:], summary, slices(samples, start, now, count)

        transitions, summary, parts = await self._registry.on_store_thread(work)
        return write(
            pb.SlicedHistory,
            summary,
            connection_name=connection.name,
            start=timestamp(start),
            slice=duration(window_s / count),
            slices=[write(pb.HealthSlice, part) for part in parts],
            transitions=[write(pb.HealthTransition, t, connection_name=connection.name) for t in transitions],
        )

    async def CheckNow(self, request: pb.CheckNowRequest) -> pb.CheckNowResponse:
        chosen = self._chosen(list(request.names))
        await self._health_board.check_now(chosen, seconds(request.timeout))
        return pb.CheckNowResponse(health=[self._health(connection) for connection in chosen])

    def _settings(self) -> pb.HealthSettings:
        settings = self._registry.snapshot.settings.health
        return write(pb.HealthSettings, settings)

    async def GetHealthSettings(self, request: pb.GetHealthSettingsRequest) -> pb.GetHealthSettingsResponse:
        return pb.GetHealthSettingsResponse(settings=self._settings())

    async def UpdateHealthSettings(
        self, request: pb.UpdateHealthSettingsRequest
    ) -> pb.UpdateHealthSettingsResponse:
        settings: HealthSettings = self._registry.snapshot.settings.health
        if (interval := seconds(request.important_interval)) is not None:
            settings = replace(settings, important_interval_s=interval)
        if (interval := seconds(request.other_interval)) is not None:
            settings = replace(settings, other_interval_s=interval)
        if request.HasField("paused"):
            settings = replace(settings, paused=request.paused)
        await self._registry.set_health_settings(settings)
        return pb.UpdateHealthSettingsResponse(settings=self._settings())
