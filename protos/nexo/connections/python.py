"""The command line that starts Python for one of our modules, and the modules that the daemon needs.

The command line prevents Python from running code in the working directory. `python -m` looks for modules
there first, so the daemon would run a `random.py` or `secrets.py` that happens to be there, and a cloned
repository could bring its own `keyring_child.py`. No other module uses `sys.executable` (a test checks it).
"""

import importlib.util
import site
import sys

DAEMON_NEEDS = (
    "nexo_daemon",
    "sqlalchemy",
    "alembic",
    "cryptography",
    "httpx",
    "httpcore2",
    "anyio",
    "keyring",
    "uvicorn",
    "h11",
    "certifi",
    "idna",
    "grpc_health",
    "grpc_reflection",
    "google.rpc",
)
"""The modules that `python -m nexo_daemon` imports beyond the base install; a test compares the list."""


def missing(modules: tuple[str, ...]) -> list[str]:
    """The modules that are not installed here; none is imported."""
    return [name for name in modules if importlib.util.find_spec(name) is None]


def of_ours(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this Python interpreter.

    The working directory and PYTHONPATH have no influence. Modules from `pip install --user` are found if
    this Python looks for them, because Nexo may be installed there.
    """
    isolated = ["-P", "-E"] if site.ENABLE_USER_SITE else ["-I"]
    return [sys.executable, *isolated, "-m", module, *arguments]
