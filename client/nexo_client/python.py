"""How do we start Python for a module of ours? So that nothing of the working directory runs in it.

`python -m` puts the present directory in front of everything: a `random.py` or `secrets.py` of somebody's
homework would run in the daemon, and a cloned repository could bring a `keyring_child.py` of its own. Nothing
else names `sys.executable` (a test looks).
"""

import site
import sys


def of_ours(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours in this very Python.

    Neither the directory it is started in nor PYTHONPATH has a say. What `pip install --user` has put aside
    has, where this Python looks there, too: we may be installed there.
    """
    isolated = ["-P", "-E"] if site.ENABLE_USER_SITE else ["-I"]
    return [sys.executable, *isolated, "-m", module, *arguments]
