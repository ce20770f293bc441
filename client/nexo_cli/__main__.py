"""Entry point of `nexoctl` and `python -m nexo_cli`."""

import os
import sys

LATER = (
    "asyncio",
    "google.protobuf.internal.python_message",
    "grpc.aio",
    "ipaddress",
    "nexo.connections.v1.error_pb2",
)
"""Libraries import these and most commands never use them; together they cost more than nexoctl itself."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if "_ARGCOMPLETE" in os.environ:
        # A completion script has started it. Nothing else may run then, even if argcomplete is missing.
        from nexo_cli.completing import complete

        complete()
    words = sys.argv[1:] if argv is None else argv
    if words in (["--version"], ["-V"]):
        # Before argparse: its import costs as much as starting Python.
        from nexo.connections.version import __version__

        try:
            sys.stdout.write(f"nexoctl {__version__}\n")
            sys.stdout.flush()
        except (OSError, AttributeError):
            # The output failed (a full disk, a closed pipe, no stdout): `main` reports it as for every
            # command.
            pass
        else:
            return 0
    from nexo.connections.lazy import put_off
    from nexo_cli.app import main as run

    put_off(LATER)
    return run(words)


if __name__ == "__main__":
    sys.exit(main())
