"""How is a name resolved without letting a dead name server stop anybody else?

`getaddrinfo` cannot be cancelled and blocks for up to half a minute. asyncio runs it on the shared default
executor (6 threads on 2 cores), where a few dead names starve all others, and whose threads are joined when
the program ends. Here each look-up has a daemon thread of its own, bounded in number, that ends with it.
"""

import asyncio
import socket
import threading

_MOST = 128
_free = threading.BoundedSemaphore(_MOST)


async def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host in the order in which to try them, families alternating (RFC 8305).

    Raises:
        socket.gaierror: the name does not resolve.
        TimeoutError: too many look-ups hang already.
    """
    loop = asyncio.get_running_loop()
    if not _free.acquire(blocking=False):
        raise TimeoutError("too many name look-ups hang")
    done: asyncio.Future[list[str]] = loop.create_future()

    def look_up() -> None:
        addresses: list[str] = []
        error: BaseException | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = _alternate([(entry[0], str(entry[4][0])) for entry in found])
        except (OSError, UnicodeError) as problem:
            error = problem
        finally:
            _free.release()
        try:
            loop.call_soon_threadsafe(_settle, done, addresses, error)
        except RuntimeError:
            # The loop is gone: nobody waits any more.
            return

    try:
        threading.Thread(target=look_up, name=f"resolve-{host[:40]}", daemon=True).start()
    except RuntimeError:
        _free.release()
        raise
    return await done


def _settle(done: asyncio.Future[list[str]], addresses: list[str], error: BaseException | None) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(addresses)


def _alternate(found: list[tuple[socket.AddressFamily, str]]) -> list[str]:
    unique = list(dict.fromkeys(found))
    first_family = unique[0][0] if unique else None
    first = [address for family, address in unique if family == first_family]
    others = [address for family, address in unique if family != first_family]
    mixed: list[str] = []
    while first or others:
        mixed += first[:1] + others[:1]
        first, others = first[1:], others[1:]
    return mixed
