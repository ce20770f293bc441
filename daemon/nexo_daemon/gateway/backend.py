"""Opens connections for the gateway like those of the checks. Imported when the gateway opens."""

import asyncio
import errno
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from nexo_daemon.providers.dns import resolve
from nexo_daemon.providers.eyeballs import first_of, is_address
from nexo_gateway.streams import Direct


class Backend(Direct):
    """Connects as the probes do: DNS on threads of its own, attempts to several addresses in parallel.

    Args:
        is_own_address: whether an address is the gateway's own; it is never connected to.
    """

    def __init__(self, is_own_address: Callable[[str, int], bool]) -> None:
        self._is_own_address = is_own_address

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """See httpcore2."""

        async def attempt(address: str) -> httpcore2.AsyncNetworkStream:
            return await super(Backend, self).connect_tcp(address, port)

        try:
            async with asyncio.timeout(timeout):
                addresses = [host] if is_address(host) else await resolve(host, port)
                if any(self._is_own_address(address, port) for address in addresses):
                    raise OSError(errno.ELOOP, "the name leads to this gateway")
                return (await first_of(addresses, attempt))[1]
        except TimeoutError:
            raise httpcore2.ConnectTimeout from None
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError from error
