"""A program and a daemon of different versions: they work together, and it is said once."""

import sys

from surroundings import Nexod, Surroundings

NEWER = """
import sys
import nexo.connections.version
nexo.connections.version.__version__ = "99.0"
from nexo_cli.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def newer(surroundings: Surroundings, *words: str) -> str:
    """What a nexoctl of a newer version says besides."""
    return surroundings.run([sys.executable, "-c", NEWER, "--no-start", *words]).err


def test_a_difference_is_said_once_for_each_daemon(surroundings: Surroundings, nexod: Nexod) -> None:
    said = newer(surroundings, "list")
    assert "version 99.0" in said
    assert "nexoctl daemon restart" in said
    for command in ("list", "health", "providers"):
        assert "version" not in newer(surroundings, command)
    nexod.stop()
    surroundings.start_nexod()
    assert "version 99.0" in newer(surroundings, "list")


def test_equal_versions_and_programs_are_left_in_peace(surroundings: Surroundings, nexod: Nexod) -> None:
    assert "version" not in surroundings.nexoctl("list").err
    assert newer(surroundings, "list", "--json") == ""
