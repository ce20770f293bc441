"""Opens and closes the gateway. The switch and the port are stored.

The port never changes silently, because programs are configured with it. If another program uses it, the
gateway stays closed and reports that: the other program would get tokens and prompts. It opens when the port
is free.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nexo.connections.errors import GatewayClosed, InvalidField, NexoError
from nexo.connections.proxies import is_loopback
from nexo.connections.ranges import GATEWAY_PORTS
from nexo_daemon.domain.clock import Clock
from nexo_daemon.domain.gateway import GatewayMode, GatewaySetting
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.logs import StandingFailure
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store import gateway_rows
from nexo_gateway.server import Listener, PartsReplaced, PortTaken

log = logging.getLogger(__name__)

PORTS = range(20_000, 32_768)
"""Ports below those for outgoing connections, and above those of known services."""
_TRIES = 20
LOOK_EVERY_S = 2.0
_THREADS = ThreadPool("gateway-socket", most=1, deadline_s=10.0)


class GatewaySwitch:
    """Opens and closes the gateway, one operation at a time, and stores the switch."""

    def __init__(self, writer: Writer, listener: Listener, socket: Callable[[], Path]) -> None:
        self._writer = writer
        self._listener = listener
        self._socket = socket
        self._turn = asyncio.Lock()
        self._ended = False
        self._failure = StandingFailure(log, "the gateway does not listen")
        self.setting = GatewaySetting()
        self.listening = False
        self.problem = ""
        self.advice = ""
        writer.listen_to_reload(self.load)

    @property
    def socket(self) -> Path:
        """The path of the Unix socket."""
        return self._socket()

    def is_own(self, host: str, port: int) -> bool:
        """Whether the address is the gateway's own; never while it is switched off."""
        if port != self.setting.port or self.setting.mode is GatewayMode.OFF:
            return False
        # Connecting to the unspecified address uses loopback.
        return is_loopback(host) or host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    async def load(self) -> None:
        """Read the stored switch, at start or after a restore; open the gateway if it is on."""
        setting: GatewaySetting | None = None
        try:
            setting = await self._writer.on_store_thread(self._read)
        except NexoError as error:
            log.warning("the setting of the gateway cannot be read: %s", error.message)
        async with self._turn:
            if self.listening and setting in (None, self.setting):
                return
            await self._close()
            self.setting = setting or self.setting
            if setting is not None and setting.mode is GatewayMode.ON:
                await self._open()
            if not self.listening:
                await self._listener.stop(for_good=True)

    def _read(self) -> GatewaySetting:
        if not self._writer.store.database.is_open:
            return GatewaySetting()
        with self._writer.store.database.reading() as db:
            return gateway_rows.setting(db)

    async def require_open(self) -> None:
        """Open the gateway at its first use.

        Raises:
            GatewayClosed: a person switched it off, or it cannot listen.
        """
        if self.listening:
            return
        async with self._turn:
            if self.setting.mode is GatewayMode.OFF:
                raise GatewayClosed("the gateway is switched off", hint="nexoctl gateway on")
            if not self.listening:
                await self._open()
                await self._keep_if_possible(replace(self.setting, mode=GatewayMode.ON))
            if not self.listening:
                raise GatewayClosed(f"the gateway does not listen: {self.problem}", hint=self.advice)

    async def set(self, *, on: bool, port: int | None = None) -> None:
        """Switch it on or off for a person. A failure to listen is reported in `problem`.

        Raises:
            InvalidField: the port is out of range.
            StoreReadOnly, StoreFull, StoreFailed: not saved; it is switched all the same.
        """
        least, most = GATEWAY_PORTS
        if port is not None and not least <= port <= most:
            text = f"{port} is not between {least} and {most}"
            raise InvalidField.of("port", text, "leave it out to let the daemon choose one")
        async with self._turn:
            moved = port is not None and port != self.setting.port
            wanted = GatewaySetting(GatewayMode.ON if on else GatewayMode.OFF, port or self.setting.port)
            if moved or not on:
                await self._close()
            self.setting = wanted
            if on and not self.listening:
                await self._open()
            await self._keep(replace(self.setting, mode=wanted.mode))

    async def stay_open(self, clock: Clock) -> None:
        """Until cancelled, open it again when the port is free, and its Unix socket when that was lost."""
        failure = StandingFailure(log, "programs do not find the Unix socket of the gateway")
        while True:
            await clock.sleep(LOOK_EVERY_S)
            if not self._is_wanted():
                continue
            try:
                unix, lost = await _THREADS.join("look", self._look)
            except TimeoutError:
                failure.came("its file system does not answer")
                continue
            async with self._turn:
                if not self._is_wanted():
                    continue
                if not self.listening:
                    before = self.setting
                    await self._open()
                    if self.setting != before:
                        await self._keep_if_possible(self.setting)
                    continue
                try:
                    # Looked at again, because it may have been closed or opened meanwhile.
                    if lost and self._listener.has_lost(unix):
                        await self._listener.bind_again(unix)
                    failure.is_over()
                except OSError as error:
                    failure.came(error.strerror or type(error).__name__)

    def _is_wanted(self) -> bool:
        return self.setting.mode is GatewayMode.ON and not self._ended

    def _look(self) -> tuple[Path, bool]:
        unix = self._socket()
        return unix, self._listener.has_lost(unix)

    async def close(self) -> None:
        """Close it at the end of the daemon."""
        async with self._turn:
            self._ended = True
            await self._close(for_good=False)

    async def _close(self, *, for_good: bool = True) -> None:
        self.problem = self.advice = ""
        if self.listening:
            self.listening = False
            await self._listener.stop(for_good=for_good)
            log.info("the gateway is closed")

    async def _open(self) -> None:
        if self._ended:
            self.problem, self.advice = "nexod is stopping", "try again when it runs"
            return
        chosen = [self.setting.port] if self.setting.port else random.sample(PORTS, _TRIES)
        for port in chosen:
            try:
                await self._listener.start(port, self._socket())
            except PortTaken as error:
                self.problem = str(error)
                self.advice = (
                    f"end that program, or move the gateway: nexoctl gateway on --port PORT "
                    f"(programs that were told port {port} then have to be told the new one)"
                )
                continue
            except PartsReplaced as error:
                self.problem = str(error)
                self.advice = "nexoctl daemon restart"
                break
            except OSError as error:
                self.problem = error.strerror or str(error)
                self.advice = "see 'nexoctl daemon logs'"
                break
            self.problem = self.advice = ""
            self._failure.is_over()
            self.listening = True
            self.setting = replace(self.setting, port=port)
            log.info("the gateway listens on 127.0.0.1:%d", port)
            return
        self._failure.came(self.problem)

    async def _keep_if_possible(self, setting: GatewaySetting) -> None:
        try:
            await self._keep(setting)
        except NexoError as error:
            log.warning("the setting of the gateway was not saved: %s", error.message)

    async def _keep(self, setting: GatewaySetting) -> None:
        self.setting = setting
        self._writer.require_writable()

        def work() -> None:
            with self._writer.store.database.begin() as db:
                gateway_rows.put_setting(db, setting)

        await self._writer.on_store_thread(work)
