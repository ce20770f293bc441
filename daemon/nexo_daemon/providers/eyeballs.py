"""Connects to the first address of a host that answers; attempts start a moment apart (RFC 8305)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

STAGGER_S = 0.25


class Closable(Protocol):
    """A connection that can be closed."""

    async def aclose(self) -> None:
        """Close it."""


S = TypeVar("S", bound=Closable)


async def first_of(addresses: list[str], attempt: Callable[[str], Awaitable[S]]) -> tuple[str, S]:
    """The first connection that is established, with its address; the others are closed.

    Raises:
        Exception: all attempts failed; the exception is that of the first failure.
    """

    async def tried(address: str) -> tuple[str, S]:
        return address, await attempt(address)

    if len(addresses) == 1:
        return await tried(addresses[0])
    waiting = list(addresses)
    running: set[asyncio.Task[tuple[str, S]]] = set()
    failure: BaseException | None = None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(tried(waiting.pop(0))))
            done, running = await asyncio.wait(
                running, timeout=STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            winner = None
            for task in done:
                if task.exception() is None and winner is None:
                    winner = task.result()
                elif (error := task.exception()) is not None:
                    # The first failure is more informative than later ones.
                    failure = failure or error
                else:
                    running.add(task)
            if winner is not None:
                return winner
    finally:
        await _discard(running)
    assert failure is not None  # noqa: S101 - there was at least one address
    raise failure


async def _discard(tasks: set[asyncio.Task[tuple[str, S]]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            await result[1].aclose()


def is_address(host: str) -> bool:
    """Whether the host is an IP address: only digits and dots, or with a colon."""
    return ":" in host or host.replace(".", "").isdecimal()
