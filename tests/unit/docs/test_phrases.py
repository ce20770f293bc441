"""Every reason that the daemon can give has a phrase in the module that terminal and tray use."""

import ast
from pathlib import Path

from nexo.connections.phrases import PHRASES
from nexo.connections.terms import Outcome
from nexo_cli import looks
from nexo_daemon.providers.faults import FAULTS
from nexo_daemon.providers.table import BY_MEANING, BY_STATUS, EDGE, SPECIFIC
from nexo_tray import model

ROOT = Path(__file__).parents[3]


def literal_reasons() -> set[str]:
    """What the source passes as `reason=`, or as the reason of a ConfigFault."""
    given: list[ast.expr] = []
    for room in ("providers", "health"):
        for path in (ROOT / "daemon/nexo_daemon" / room).rglob("*.py"):
            calls = (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call))
            for call in calls:
                given += [word.value for word in call.keywords if word.arg == "reason"]
                if isinstance(call.func, ast.Name) and call.func.id == "ConfigFault":
                    given += call.args[1:2]
    values = {node.value for node in given if isinstance(node, ast.Constant)}
    return {value for value in values if isinstance(value, str) and value}


def test_every_reason_has_a_phrase() -> None:
    reasons = literal_reasons()
    reasons |= {row.reason for tier in (EDGE, SPECIFIC, BY_MEANING, BY_STATUS) for row in tier}
    reasons |= {row.reason for row in FAULTS}
    # What stands in for a reason where there is none.
    reasons |= {outcome.value for outcome in Outcome if outcome is not Outcome.OK}
    assert len(reasons) > 55
    assert reasons - PHRASES.keys() == set()


def test_terminal_and_tray_say_it_alike() -> None:
    for reason, said in PHRASES.items():
        assert model.phrase(reason) == said
        assert looks.phrase(reason) == said
        assert len(said) <= 34
        assert not said.endswith(".")
