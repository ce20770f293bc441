"""The imports of the product have no cycles; pyproject.toml defines their direction.

Before the SDK starts a daemon, it checks for exactly the third-party modules that the daemon imports.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

from nexo.connections.python import DAEMON_NEEDS, missing

REPOSITORY = Path(__file__).parent.parent.parent


def test_no_imports_go_in_a_circle() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = settings["tool"]["importlinter"]["root_packages"]
    graph = grimp.build_graph(*rooms, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 300
    # Raises CycleError, which names the modules.
    TopologicalSorter(imports).prepare()


def _imported(room: str) -> Iterator[str]:
    """What the files of a room import when they are loaded."""
    for file in (REPOSITORY / "daemon" / room).rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module


def test_what_the_daemon_imports_is_looked_for_before_it_is_started() -> None:
    base = {"nexo", "nexo_gateway", "grpc", "google.protobuf"}
    found = {*_imported("nexo_daemon"), *_imported("nexo_gateway")}
    parts = {".".join(name.split(".")[: 2 if name.startswith("google.") else 1]) for name in found}
    assert parts - sys.stdlib_module_names - base <= set(DAEMON_NEEDS)
    assert not missing(DAEMON_NEEDS)
    assert missing(("nexo_daemon", "no_such_module")) == ["no_such_module"]


def test_the_first_answer_waits_for_no_library_that_it_does_not_need() -> None:
    later = {
        *("httpx", "httpcore2", "h11", "anyio", "alembic", "keyring", "uvicorn", "statistics"),
        *("sqlalchemy", "nexo_daemon.store.schema", "nexo_daemon.store.writing"),
        *("nexo_daemon.providers.tester", "nexo_gateway.app", "google.protobuf.descriptor_pb2"),
    }
    code = "import sys, nexo_daemon.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "nexo_daemon.store.tables" in loaded
    assert loaded & later == set()


def test_the_command_line_of_httpx_stays_out_of_the_daemon() -> None:
    code = "import sys; from nexo_daemon.providers.prober import _load; _load(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "httpx" in loaded
    assert loaded & {"rich", "click", "pygments"} == set()
