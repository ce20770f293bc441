"""The user manager of systemd. Sources: systemd.service(5), systemd.exec(5), systemctl(1), loginctl(1)."""

import os
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from nexo.connections import account, files, paths, refusal
from nexo_client.errors import ServiceFailed
from nexo_client.service.manager import Standing, Unit, command, deviations

NAME = "nexod.service"
SOCKET_UNIT = "nexod-gateway.socket"
"""Users may write this unit as docs/gateway.md describes. No package has it, because its port differs."""
_PACKAGED = ("/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user")
_ASK_S = 5.0
_CHANGE_S = 30.0
_ENVIRONMENT = re.compile(r'^Environment="(NEXO_[A-Z_]+)=(.*)"$', re.MULTILINE)


class Systemd:
    """See `nexo_client.service.manager.Manager`."""

    name = "systemd"

    def problem(self) -> str:
        """Why the user manager cannot be used; empty if it can."""
        if shutil.which("systemctl") is None:
            return "this system does not run systemd"
        unit = self.installed()
        # A unit of a package is found whatever HOME is, and starts with another one.
        if unit is not None and not unit.ours and (elsewhere := _other_home()):
            return elsewhere
        if not os.environ.get("XDG_RUNTIME_DIR") and "DBUS_SESSION_BUS_ADDRESS" not in os.environ:
            return "this is not a login session (XDG_RUNTIME_DIR is not set), so there is no user manager"
        try:
            done = _systemctl("show", "--property=Version", "--value", timeout_s=_ASK_S)
        except ServiceFailed as failure:
            return failure.message
        return "" if done.returncode == 0 else f"the user manager does not answer ({_last_line(done)})"

    def installed(self) -> Unit | None:
        """The unit that `nexoctl daemon install` wrote, otherwise that of a package."""
        for directory in (_own_directory(), *map(Path, _PACKAGED)):
            path = directory / NAME
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            environment, ours = _environment_of(text), directory == _own_directory()
            outdated = ours and text != unit_text(command(), environment)
            return Unit(path, ours, environment, _program_of(text), outdated)
        return None

    def standing(self) -> Standing:
        """The state of the service, its process and lingering."""
        done = _systemctl(
            "show",
            NAME,
            "--property=ActiveState,UnitFileState,MainPID,NRestarts",
            timeout_s=_ASK_S,
        )
        facts = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
        pid = int(facts.get("MainPID") or 0)
        return Standing(
            state=facts.get("ActiveState", ""),
            enabled=facts.get("UnitFileState", "").startswith("enabled"),
            pid=pid or None,
            restarts=int(facts.get("NRestarts") or 0),
            outlives_logout=_lingers(),
        )

    def install(self, socket: Path) -> Unit:
        """Enable the unit of a package if there is one and paths are the defaults; otherwise write a unit."""
        environment = deviations(socket)
        unit = self.installed()
        if unit is None or unit.ours or unit.environment != environment:
            unit = Unit(_own_directory() / NAME, True, environment, command()[0])
            _write(unit.path, unit_text(command(), environment))
        _must("daemon-reload")
        _must("enable", "--quiet", NAME)
        return unit

    def uninstall(self) -> Unit | None:
        """Disable and stop the service, and remove the unit unless it belongs to a package."""
        unit = self.installed()
        if unit is None:
            return None
        _must("disable", "--quiet", "--now", NAME)
        if unit.ours:
            unit.path.unlink(missing_ok=True)
        _must("daemon-reload")
        # Fails if there is nothing to reset, which does not matter.
        _systemctl("reset-failed", NAME, timeout_s=_ASK_S)
        return unit

    def start(self, *, timeout_s: float) -> None:
        """Start the service; `systemctl start` returns when the daemon has reported READY."""
        self._have("start", timeout_s)

    def restart(self, *, timeout_s: float) -> bool:
        """Restart the service. Unlike a stop and a start, this keeps the sockets of the gateway open."""
        self._have("restart", timeout_s)
        return True

    def _have(self, verb: str, timeout_s: float) -> None:
        # The limit of starts per minute is meant for automatic restarts, not for the user.
        _systemctl("reset-failed", NAME, timeout_s=_ASK_S)
        done = _systemctl(verb, NAME, timeout_s=timeout_s)
        if done.returncode != 0:
            status = _systemctl("show", NAME, "--property=StatusText", "--value", timeout_s=_ASK_S).stdout
            if told := refusal.of_status(status):
                raise ServiceFailed(f"nexod could not start: {told[0]}", hint=told[1])
            raise ServiceFailed(
                f"systemd could not {verb} nexod ({_last_line(done)})",
                hint="see the reason: journalctl --user -u nexod -n 20; or nexoctl daemon logs",
            )


def ports_of_socket_unit() -> tuple[Path, list[str]] | None:
    """The user's socket unit and the TCP addresses in it; None if there is none."""
    path = _own_directory() / SOCKET_UNIT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    addresses = re.findall(r"^ListenStream=(.+)$", text, re.MULTILINE)
    return path, [address for address in addresses if not address.startswith(("/", "%", "@"))]


def unit_text(program: list[str], environment: dict[str, str]) -> str:
    """The text of the unit that starts `program` with these variables."""
    template = (resources.files("nexo_client.service") / "nexod.service").read_text(encoding="utf-8")
    lines = "\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items())
    text = template.replace("@EXEC@", " ".join(_word(part) for part in program))
    return text.replace("@ENVIRONMENT@\n", lines + "\n" if lines else "")


def _word(text: str) -> str:
    # systemd.service(5), "Command lines": $ and % have to be doubled, other special characters quoted.
    escaped = text.replace("$", "$$")
    return escaped.replace("%", "%%") if re.fullmatch(r"[\w./:=+@%$,-]+", text) else _quoted(escaped)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _environment_of(text: str) -> dict[str, str]:
    def plain(value: str) -> str:
        return re.sub(r'\\([\\"])', r"\1", value.replace("%%", "%"))

    return {name: plain(value) for name, value in _ENVIRONMENT.findall(text)}


def _program_of(text: str) -> str:
    found = re.search(r'^ExecStart=(?:"((?:[^"\\]|\\.)*)"|(\S+))', text, re.MULTILINE)
    if found is None:
        return ""
    word = found[2] if found[1] is None else re.sub(r'\\([\\"])', r"\1", found[1])
    return word.replace("$$", "$").replace("%%", "%")


def _other_home() -> str:
    """Says that HOME was changed in this shell: the user manager starts its services with the system's."""
    here = paths.home()
    try:
        there = account.home()
        same = here == there or here.samefile(there)
    except KeyError:
        return ""
    except OSError:
        same = False
    return "" if same else f"HOME is {here} here, and {there} for the user manager"


def _own_directory() -> Path:
    return paths.home() / ".config/systemd/user"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # systemd warns about units that only the owner can read.
        files.replace(path, text.encode(), 0o644)
    except OSError as error:
        raise ServiceFailed(f"{path}: {error.strerror}", hint="make the directory writable for you") from None


def _lingers() -> bool:
    return Path(f"/var/lib/systemd/linger/{account.name()}").exists()


def _must(*words: str) -> None:
    done = _systemctl(*words, timeout_s=_CHANGE_S)
    if done.returncode != 0:
        raise ServiceFailed(f"systemctl --user {' '.join(words)}: {_last_line(done)}")


def _systemctl(*words: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise ServiceFailed("this system does not run systemd") from None
    except subprocess.TimeoutExpired:
        raise ServiceFailed(
            f"systemctl --user {words[0]} did not answer within {timeout_s:g} s",
            hint="look at it: systemctl --user status nexod",
        ) from None


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    # The last line may be advice of systemctl; the reason is before it.
    told = [line for line in lines if not line.startswith(("See ", "Hint:", "Consult "))]
    return told[-1] if told else f"exit status {done.returncode}"
