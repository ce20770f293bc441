"""What a check costs beside one bare httpx request with a shared TLS context. Run it by hand:

    python tests/bench/check_cost.py

nginx serves both. The lowest of several rounds is printed, because a busy computer only ever adds time.
"""

import asyncio
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import httpx

import probing_help as ask
from certificates import make_authority
from nexo_client.terms import Provider
from nexo_daemon.domain.clock import SystemClock
from nexo_daemon.domain.model import NetworkProfile, ProxyMode
from nexo_daemon.providers.prober import Prober
from nginx_server import quoted, serving
from recorded_answers import LISTS

CHECKS, ROUNDS = 100, 9
AT_ONCE = (1, 20)

Work = Callable[[], Awaitable[None]]


async def cost(work: Work, at_once: int) -> tuple[float, float]:
    """CPU and wall time of one, in milliseconds."""
    gate = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with gate:
            await work()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(CHECKS)))
    return (time.process_time() - cpu) / CHECKS * 1e3, (time.perf_counter() - wall) / CHECKS * 1e3


async def compare(name: str, url: str, network: NetworkProfile, context: ssl.SSLContext) -> None:
    prober = Prober(SystemClock())
    target = ask.target(Provider.CUSTOM, url, network=network)

    async def ours() -> None:
        assert (await prober.check(target)).ok

    async def bare() -> None:
        async with httpx.AsyncClient(verify=context, trust_env=False) as client:
            answer = await client.get(f"{url}/models", headers={"Authorization": "Bearer x"})
            assert answer.json()["data"]

    await ours()
    await bare()
    for at_once in AT_ONCE:
        rounds = [(await cost(ours, at_once), await cost(bare, at_once)) for _ in range(ROUNDS)]
        for index, unit in enumerate(("CPU", "wall")):
            mine = min(measured[0][index] for measured in rounds)
            theirs = min(measured[1][index] for measured in rounds)
            print(
                f"{name:12} {at_once:3} at once  {unit:4}  check {mine:6.2f} ms"
                f"  bare httpx {theirs:6.2f} ms  ratio {mine / theirs:.2f}"
            )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        authority = make_authority(directory)
        authority.server("good")
        listing = quoted(LISTS[Provider.CUSTOM].decode())
        location = f"location = /v1/models {{ default_type application/json; return 200 {listing}; }}"
        with serving(directory, [location], tls={"good": directory / "good.pem"}) as site:
            trusted = NetworkProfile(proxy=ProxyMode.DIRECT, ca_bundle=authority.bundle)
            context = ssl.create_default_context(cafile=authority.bundle)
            port = site.tls_ports["good"]
            for name, url, network in (
                ("http", f"{site.origin}/v1", ask.DIRECT),
                ("https", f"https://127.0.0.1:{port}/v1", trusted),
                ("https + name", f"https://localhost:{port}/v1", trusted),
            ):
                asyncio.run(compare(name, url, network, context))


if __name__ == "__main__":
    main()
