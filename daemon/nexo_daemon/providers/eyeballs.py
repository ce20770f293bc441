"""Which address of a name is connected to? The first that answers, tried a moment apart (RFC 8305)."""

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
    """The first connection that is made, with its address; the others are closed.

    Raises:
        Exception: what the first attempt to fail raised; all of them failed.
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
                    # The first refusal says more than what follows it.
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
    """Whether it is no name: what is all digits and dots, or holds a colon, can only be an address."""
    return ":" in host or host.replace(".", "").isdecimal()
