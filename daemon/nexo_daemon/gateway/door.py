"""Does the gateway listen, and where? The wish and the port outlive the daemon.

Programs hold the address, so the port never moves silently. When another program has taken it, the gateway
stays closed and says so: whoever listens there instead would be sent tokens and prompts.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from nexo.connections.errors import GatewayClosed, InvalidField, NexoError
from nexo.connections.proxies import is_loopback
from nexo_daemon.domain.passes import GatewaySetting, Wish
from nexo_daemon.registry.writer import Writer
from nexo_daemon.store import passes
from nexo_gateway.server import PortTaken

log = logging.getLogger(__name__)

PORTS = range(20_000, 32_768)
"""Below what systems give to outgoing connections, above what services are known by."""
_TRIES = 20


class Listening(Protocol):
    """What answers on the port and on the socket."""

    async def start(self, port: int, unix: Path) -> None:
        """Listen.

        Raises:
            PortTaken
            OSError: it cannot listen for another reason.
        """

    async def stop(self, *, for_good: bool) -> None:
        """End what is open, and listen no more. Within seconds.

        Args:
            for_good: callers are refused from now on, and do not wait for the next daemon.
        """


class Door:
    """Opens and closes, one after the other; keeps what a person wished."""

    def __init__(
        self, writer: Writer, listener: Listening, socket: Callable[[], Path], rng: random.Random
    ) -> None:
        self._writer = writer
        self._listener = listener
        self._socket = socket
        self._rng = rng
        self._turn = asyncio.Lock()
        self.setting = GatewaySetting()
        self.listening = False
        self.problem = ""
        self.advice = ""
        writer.listen_to_reload(self.load)

    @property
    def socket(self) -> Path:
        """Of the Unix socket."""
        return self._socket()

    def is_own(self, host: str, port: int) -> bool:
        """Whether a request to that address would come back here; while it is switched off, none does."""
        if port != self.setting.port or self.setting.wish is Wish.OFF:
            return False
        # To the unspecified address a connection is made on loopback.
        return is_loopback(host) or host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound

    async def load(self) -> None:
        """What was wished when the daemon last lived, or in a store that was restored; opens if so."""
        setting: GatewaySetting | None = None
        try:
            setting = await self._writer.on_store_thread(self._read)
        except NexoError as error:
            log.warning("whether the gateway is wanted cannot be read: %s", error.message)
        async with self._turn:
            if self.listening and setting in (None, self.setting):
                return
            await self._close()
            self.setting = setting or self.setting
            if setting is not None and setting.wish is Wish.ON:
                await self._open()
            if not self.listening:
                await self._listener.stop(for_good=True)

    def _read(self) -> GatewaySetting:
        if not self._writer.store.database.is_open:
            return GatewaySetting()
        with self._writer.store.database.reading() as db:
            return passes.setting(db)

    async def require_open(self) -> None:
        """Open at the first use.

        Raises:
            GatewayClosed: a person switched it off, or it cannot listen.
        """
        if self.listening:
            return
        async with self._turn:
            if self.setting.wish is Wish.OFF:
                raise GatewayClosed("the gateway is switched off", hint="nexoctl gateway on")
            if not self.listening:
                await self._open()
                try:
                    await self._keep(replace(self.setting, wish=Wish.ON))
                except NexoError as error:
                    log.warning("the gateway is closed again when the daemon ends: %s", error.message)
            if not self.listening:
                raise GatewayClosed(f"the gateway does not listen: {self.problem}", hint=self.advice)

    async def switch(self, *, on: bool, port: int | None = None) -> None:
        """A person's wish. What it could not do is in `problem`.

        Raises:
            InvalidField: no such port.
            StoreReadOnly, StoreFull, StoreFailed: the wish is not kept; it is done all the same.
        """
        if port is not None and not 1024 <= port <= 65_535:
            raise InvalidField.of(
                "port", f"{port} is not between 1024 and 65535", "leave it out to let the daemon choose one"
            )
        async with self._turn:
            moved = port is not None and port != self.setting.port
            wanted = GatewaySetting(Wish.ON if on else Wish.OFF, port or self.setting.port)
            if moved or not on:
                await self._close()
            self.setting = wanted
            if on and not self.listening:
                await self._open()
            await self._keep(replace(self.setting, wish=wanted.wish))

    async def close(self) -> None:
        """The daemon ends."""
        async with self._turn:
            await self._close(for_good=False)

    async def _close(self, *, for_good: bool = True) -> None:
        self.problem = self.advice = ""
        if self.listening:
            self.listening = False
            await self._listener.stop(for_good=for_good)
            log.info("the gateway is closed")

    async def _open(self) -> None:
        self.problem = self.advice = ""
        chosen = [self.setting.port] if self.setting.port else self._rng.sample(PORTS, _TRIES)
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
            except OSError as error:
                self.problem = error.strerror or str(error)
                self.advice = "see 'nexoctl daemon logs'"
                break
            self.problem = self.advice = ""
            self.listening = True
            self.setting = replace(self.setting, port=port)
            log.info("the gateway listens on 127.0.0.1:%d", port)
            return
        log.warning("the gateway does not listen: %s", self.problem)

    async def _keep(self, setting: GatewaySetting) -> None:
        self.setting = setting
        self._writer.require_writable()

        def work() -> None:
            with self._writer.store.database.begin() as db:
                passes.put_setting(db, setting)

        await self._writer.on_store_thread(work)
