"""The kernel confirms the hardening of the process."""

import json
import os
import subprocess
import sys

import pytest

CANARY = "sk-canary-in-the-environment"

SCRIPT = """
import ctypes, json, os, resource, subprocess, sys
from nexo.connections.hardening import harden
harden()
with open("/proc/self/environ", "rb") as file:
    environ = file.read()
child = subprocess.run([sys.executable, "-c", "import os; print(os.environ.get('OPENAI_API_KEY'))"],
                       capture_output=True, text=True)
with open("/proc/self/status") as file:
    status = file.read()
mask = os.umask(0)
print(json.dumps({
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) != 0,
    "core": resource.getrlimit(resource.RLIMIT_CORE), "environ": environ.decode(), "mask": mask,
    "left": [name for name in os.environ if name.endswith("_API_KEY")],
    "child": child.stdout.strip(), "kept": os.environ.get("KEPT"),
    "owner": os.stat("/proc/self/environ").st_uid,
}))
"""


@pytest.mark.needs("linux")
def test_keys_leave_the_environment_and_the_core_stays_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    monkeypatch.setenv("KEPT", "as it was")
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert CANARY not in found["environ"]
    assert "KEPT=as it was" in found["environ"]
    assert (found["left"], found["child"], found["kept"]) == ([], "None", "as it was")
    assert found["core"] == [0, 0]
    assert not found["dumpable"]
    assert found["mask"] == 0o077


@pytest.mark.needs("linux")
def test_another_user_cannot_read_the_environment_of_the_daemon() -> None:
    """With PR_SET_DUMPABLE off, /proc/PID belongs to root, whoever runs the process (proc(5))."""
    script = (
        "import os\nfrom nexo.connections.hardening import harden\n"
        "os.setresuid(12345, 12345, 12345)\nharden()\nprint(os.stat('/proc/self/environ').st_uid)"
    )
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


@pytest.mark.needs("linux")
def test_the_child_that_carries_a_key_hardens_itself_too() -> None:
    script = (
        "import ctypes, io, sys\nfrom nexo_daemon.vault import keyring_child\n"
        "sys.stdin = io.StringIO('{}')\nkeyring_child.main()\n"
        "print('\\n', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "0"
