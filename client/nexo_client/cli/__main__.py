"""Entry point of `nexoctl` and `python -m nexo_client.cli`."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words in (["--version"], ["-V"]):
        # Before argparse: its import costs as much as starting Python.
        from nexo_client.version import __version__

        sys.stdout.write(f"nexoctl {__version__}\n")
        return 0
    from nexo_client.cli.app import main as run
    from nexo_client.cli.lazy import put_off

    put_off()

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
