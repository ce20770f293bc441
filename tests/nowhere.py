"""A computer whose network and clock never change."""

from collections.abc import Callable


class Nowhere:
    """A network in which nothing ever happens."""

    def start(self, on_network: Callable[[], None], on_clock: Callable[[], None]) -> None:
        """See `SystemEvents`."""

    def stop(self) -> None:
        """See `SystemEvents`."""

    def routed(self) -> bool | None:
        """See `SystemEvents`."""
        return None

    def asleep_s(self) -> float | None:
        """See `SystemEvents`."""
        return None

    def poll_every_s(self) -> float | None:
        """See `SystemEvents`."""
        return None
