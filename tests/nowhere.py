"""A computer whose network and clock never change."""

from collections.abc import Callable


class Nowhere:
    """A network in which nothing ever happens."""

    def start(self, on_network: Callable[[], None], on_clock: Callable[[], None]) -> None:
        """See `NetworkState`."""

    def stop(self) -> None:
        """See `NetworkState`."""

    def routed(self) -> bool | None:
        """See `NetworkState`."""
        return None

    def asleep_s(self) -> float | None:
        """See `NetworkState`."""
        return None

    def restless_s(self) -> float | None:
        """See `NetworkState`."""
        return None
