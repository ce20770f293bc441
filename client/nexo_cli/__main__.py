"""Entry point of `nexoctl` and `python -m nexo_cli`."""

import sys


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    if words in (["--version"], ["-V"]):
        # Before argparse: its import costs as much as starting Python.
        from nexo.connections.version import __version__

        try:
            sys.stdout.write(f"nexoctl {__version__}\n")
            sys.stdout.flush()
        except (OSError, AttributeError):
            # A full disk, a reader that went away, no stdout: told below as of every command.
            pass
        else:
            return 0
    from nexo_cli.app import main as run
    from nexo_cli.lazy import put_off

    put_off()

    return run(words)


if __name__ == "__main__":
    sys.exit(main())
