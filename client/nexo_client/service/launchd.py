"""The per-user domain of launchd on macOS. Sources: launchd.plist(5), launchctl(1)."""

import plistlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from nexo.connections import account, files, paths
from nexo_client.errors import ServiceFailed
from nexo_client.service.manager import LABEL, Standing, Unit, command, deviations

_ASK_S = 5.0
_CHANGE_S = 30.0


class Launchd:
    """See `nexo_client.service.manager.Manager`."""

    name = "launchd"

    def problem(self) -> str:
        """Why launchd cannot be used; empty if it can."""
        return "" if shutil.which("launchctl") else "launchctl was not found"

    def installed(self) -> Unit | None:
        """The agent that `nexoctl daemon install` wrote."""
        try:
            content = plistlib.loads(_plist().read_bytes())
        except (OSError, plistlib.InvalidFileException, ValueError):
            return None
        environment = content.get("EnvironmentVariables", {})
        places = {str(name): str(value) for name, value in environment.items() if name.startswith("NEXO_")}
        program = content.get("ProgramArguments") or [""]
        return Unit(_plist(), True, places, str(program[0]), content != agent(command(), places))

    def standing(self) -> Standing:
        """The state of the agent, from `launchctl print`."""
        done = _launchctl("print", _target(), timeout_s=_ASK_S)
        if done.returncode != 0:
            return Standing(state="inactive")
        state = re.search(r"^\s*state = (\S+)", done.stdout, re.MULTILINE)
        pid = re.search(r"^\s*pid = (\d+)", done.stdout, re.MULTILINE)
        return Standing(
            state="active" if state and state[1] == "running" else "inactive",
            enabled=True,
            pid=int(pid[1]) if pid else None,
        )

    def install(self, socket: Path) -> Unit:
        """Write the agent and load it; an older one is unloaded first."""
        unit = Unit(_plist(), True, deviations(socket), command()[0])
        try:
            unit.path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(unit.path, plistlib.dumps(agent(command(), unit.environment)), 0o644)
        except OSError as error:
            raise ServiceFailed(f"{unit.path}: {error.strerror}", hint="make it writable for you") from None
        _launchctl("bootout", _target(), timeout_s=_CHANGE_S)
        _must("bootstrap", _domain(), str(unit.path))
        return unit

    def uninstall(self) -> Unit | None:
        """Unload the agent and remove its file."""
        unit = self.installed()
        if unit is None:
            return None
        # Fails if the agent is not loaded, which does not matter here.
        _launchctl("bootout", _target(), timeout_s=_CHANGE_S)
        unit.path.unlink(missing_ok=True)
        return unit

    def start(self, *, timeout_s: float) -> None:
        """Start the agent. launchd does not wait until it is ready; the caller has to check the socket."""
        if _launchctl("print", _target(), timeout_s=_ASK_S).returncode != 0:
            _must("bootstrap", _domain(), str(_plist()))
        done = _launchctl("kickstart", _target(), timeout_s=timeout_s)
        if done.returncode != 0:
            raise ServiceFailed(
                f"launchd could not start nexod ({_said(done)})", hint="see the reason: nexoctl daemon logs"
            )

    def restart(self, *, timeout_s: float) -> bool:
        """Always False: launchd does not keep the sockets of the gateway."""
        return False


def agent(program: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The property list of the agent: started at login, restarted unless it ended successfully."""
    return {
        "Label": LABEL,
        "ProgramArguments": program,
        "EnvironmentVariables": environment,
        "WorkingDirectory": "/",
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ProcessType": "Background",
        "Umask": 0o077,
        "HardResourceLimits": {"Core": 0},
        "StandardErrorPath": str(paths.state_dir() / "nexod.stderr"),
    }


def _plist() -> Path:
    return paths.home() / "Library/LaunchAgents" / f"{LABEL}.plist"


def _domain() -> str:
    return f"gui/{account.uid()}"


def _target() -> str:
    return f"{_domain()}/{LABEL}"


def _must(*words: str) -> None:
    done = _launchctl(*words, timeout_s=_CHANGE_S)
    if done.returncode != 0:
        raise ServiceFailed(f"launchctl {words[0]}: {_said(done)}")


def _launchctl(*words: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["launchctl", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise ServiceFailed("launchctl was not found") from None
    except subprocess.TimeoutExpired:
        raise ServiceFailed(f"launchctl {words[0]} did not answer within {timeout_s:g} s") from None


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {done.returncode}"
