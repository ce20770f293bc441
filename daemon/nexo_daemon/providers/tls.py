"""TLS contexts for network profiles, created once for each profile and shared.

A context costs about 30 ms of CPU and nearly a megabyte, so a daemon with hundreds of connections cannot
create one for every check (measured in November 2026 with OpenSSL 3).
"""

import contextlib
import ssl
import threading
from pathlib import Path

import certifi

from nexo_daemon.domain.shortages import refuse_lack
from nexo_daemon.domain.thread_pool import ThreadPool
from nexo_daemon.providers.exchange import ConfigFault

_MOST = 64
# The file of a bundle may be on a mount that does not respond.
_THREADS = ThreadPool("certificates", most=8, deadline_s=10.0)

_Key = tuple[str, int, int]
_SYSTEM: _Key = ("", 0, 0)


class TlsContexts:
    """A cache of contexts. A CA bundle that changes on the disk gets a new one."""

    def __init__(self) -> None:
        self._contexts: dict[_Key, ssl.SSLContext] = {}
        self._making = threading.Lock()

    async def for_bundle(self, ca_bundle: str) -> ssl.SSLContext:
        """The context that trusts only the bundle, or for "" the certificates of the system.

        Raises:
            ConfigFault: the bundle cannot be read or contains no certificate.
            DaemonFailed: the daemon lacks what it takes to read it.
        """
        context = None if ca_bundle else self._contexts.get(_SYSTEM)
        if context is not None:
            return context
        try:
            return await _THREADS.join(ca_bundle, lambda: self._present(ca_bundle))
        except TimeoutError:
            raise ConfigFault(
                "network.ca_bundle",
                "ca_bundle",
                f"The CA bundle {ca_bundle} could not be read: its file system does not answer.",
            ) from None

    def _present(self, ca_bundle: str) -> ssl.SSLContext:
        key = _key(ca_bundle)
        # A hundred checks that start together share one context instead of creating a hundred.
        with self._making:
            context = self._contexts.get(key)
            if context is None:
                context = _make(key[0])
                if len(self._contexts) >= _MOST:
                    del self._contexts[next(iter(self._contexts))]
                self._contexts[key] = context
            return context


def _key(ca_bundle: str) -> _Key:
    if not ca_bundle:
        return _SYSTEM
    try:
        status = Path(ca_bundle).stat()
    except OSError as error:
        raise _unreadable(ca_bundle, error) from error
    return (ca_bundle, status.st_mtime_ns, status.st_size)


def _make(ca_bundle: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_bundle or None)
        paths = ssl.get_default_verify_paths()
        if not ca_bundle and paths.cafile and not context.cert_store_stats()["x509_ca"]:
            # OpenSSL skips the system's file if it cannot open it; the context would trust nobody for ever.
            with contextlib.suppress(ssl.SSLError):
                context.load_verify_locations(paths.cafile)
    except ssl.SSLError as error:
        raise ConfigFault(
            "network.ca_bundle",
            "ca_bundle",
            f"The CA bundle {ca_bundle} holds no certificate in PEM form.",
        ) from error
    except OSError as error:
        raise _unreadable(ca_bundle, error) from error
    if not ca_bundle and not (paths.cafile or paths.capath):
        # A Python built without the system's paths (python.org on macOS).
        context.load_verify_locations(certifi.where())
    return context


def _unreadable(ca_bundle: str, error: OSError) -> ConfigFault:
    refuse_lack(error, "read the certificates")
    return ConfigFault(
        "network.ca_bundle", "ca_bundle", f"The CA bundle {ca_bundle} cannot be read: {error.strerror}."
    )
