"""Helpers for tests to make a target and to call a prober, with one event loop for each call."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Iterator, Sequence

from nexo.connections.terms import AuthScheme, Layer, LayerStatus, Provider
from nexo_daemon.domain.clock import Clock, SystemClock
from nexo_daemon.domain.model import Credentials, NetworkProfile, ProxyMode
from nexo_daemon.domain.probing import LayerResult, ModelList, ProbeTarget, TestReport, Verdict
from nexo_daemon.domain.secret import Secret
from nexo_daemon.providers.catalog import service_of
from nexo_daemon.providers.prober import Prober

DIRECT = NetworkProfile(proxy=ProxyMode.DIRECT)

BASE_PATHS = {
    Provider.OPENAI: "/v1",
    Provider.ANTHROPIC: "",
    Provider.GOOGLE: "",
    Provider.OLLAMA: "",
    Provider.CUSTOM: "/v1",
}
"""The path in the base URL that each provider's own SDK expects."""


def target(
    provider: Provider,
    base_url: str,
    key: str | None = "a-good-key-0123456789",
    *,
    headers: Sequence[tuple[str, str]] = (),
    preset: str = "",
    scheme: AuthScheme | None = None,
    model: str = "",
    network: NetworkProfile = DIRECT,
    proxy_credentials: str = "",
) -> ProbeTarget:
    """A target with the defaults of its provider."""
    return ProbeTarget(
        name="tested",
        provider=provider,
        base_url=base_url,
        auth_scheme=scheme or service_of(provider, preset).auth_scheme,
        credentials=Credentials(
            api_key=Secret(key) if key is not None else None,
            headers=tuple((name, Secret(value)) for name, value in headers),
            proxy_credentials=Secret(proxy_credentials) if proxy_credentials else None,
        ),
        preset=preset,
        default_model=model,
        network=network,
    )


def check(wanted: ProbeTarget, *, timeout_s: float = 10.0, clock: Clock | None = None) -> Verdict:
    """`Prober.check`, waited for."""
    return asyncio.run(Prober(clock or SystemClock()).check(wanted, timeout_s=timeout_s))


def run_test(
    wanted: ProbeTarget,
    *,
    completion: bool = False,
    model: str = "",
    timeout_s: float = 10.0,
    seen: list[LayerResult] | None = None,
) -> TestReport:
    """`Prober.test`, waited for; `seen` collects the layers as they are announced."""
    prober = Prober(SystemClock())
    on_layer = None if seen is None else seen.append
    return asyncio.run(
        prober.test(wanted, completion=completion, model=model, timeout_s=timeout_s, on_layer=on_layer)
    )


def list_models(wanted: ProbeTarget, *, timeout_s: float = 10.0) -> ModelList:
    """`Prober.list_models`, waited for."""
    return asyncio.run(Prober(SystemClock()).list_models(wanted, timeout_s=timeout_s))


def layer(report: TestReport, wanted: Layer) -> LayerResult:
    """The one report of a layer."""
    (found,) = [reported for reported in report.layers if reported.layer is wanted]
    return found


def statuses(report: TestReport) -> dict[Layer, LayerStatus]:
    """How each layer ended."""
    return {reported.layer: reported.status for reported in report.layers}


@contextlib.contextmanager
def no_file_can_be_opened() -> Iterator[None]:
    """In this process, as at its limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0] + 1, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for one in held:
            os.close(one)
