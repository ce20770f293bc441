"""Fixtures for every test: a clean environment, no network, the mark `needs`, and a real daemon on request.

`surroundings` implements the temporary home with the daemon and nexoctl.
"""

import importlib.util
import os
import shutil
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from nexo_cli.demo.provider import ExampleProvider
from surroundings import PATIENCE_S, Nexod, Surroundings

REPOSITORY = Path(__file__).parent.parent
NODE_MODULES = REPOSITORY / "tests" / "thirdparty" / "node_modules"


# A busy machine may be slow, which is no fault of the tested code.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


# -- needs: tests that require more than a bare machine has ------------------------------------------------


def _programs(*names: str) -> Callable[[], str]:
    def missing() -> str:
        absent = [name for name in names if not shutil.which(name)]
        return f"no {', '.join(absent)} on this machine" if absent else ""

    return missing


def _node() -> str:
    if problem := _programs("node")():
        return problem
    return "" if NODE_MODULES.is_dir() else "tests/thirdparty/node_modules is missing; run: make setup"


def _desktop() -> str:
    if problem := _programs("Xvfb", "dbus-run-session", "xfce4-panel", "openbox", "xdotool")():
        return problem
    version = f"{sys.version_info.major}{sys.version_info.minor}"
    debian = Path("/usr/lib/python3/dist-packages/gi").glob(f"_gi.cpython-{version}-*.so")
    if importlib.util.find_spec("gi") is None and not any(debian):
        return "python3-gi is not installed, or is for another version of Python"
    typelibs = Path("/usr/lib").glob("*/girepository-1.0/AyatanaAppIndicator3-0.1.typelib")
    return "" if any(typelibs) else "gir1.2-ayatanaappindicator3-0.1 is not installed"


NEEDS: dict[str, Callable[[], str]] = {
    "node": _node,
    "chromium": _programs("chromium"),
    "firefox": _programs("firefox-esr"),
    "nginx": _programs("nginx"),
    "desktop": _desktop,
    "bus": _programs("dbus-daemon"),
    "keyring": _programs("gnome-keyring-daemon", "dbus-run-session"),
    "shell": _programs("curl", "jq"),
    "groff": _programs("groff"),
    "container": _programs("unshare", "ip", "socat"),
    "sshd": _programs("/usr/sbin/sshd", "ssh", "ssh-keygen"),
    "strace": _programs("strace"),
    "systemd-analyze": _programs("systemd-analyze"),
    "linux": lambda: "" if os.uname().sysname == "Linux" else "not on Linux",
}
"""The names for `@pytest.mark.needs("node", …)`; each function returns what is missing, or an empty text."""


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with these signals ignored, and nohup and trap others; every tested
    # program would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)
    # Otherwise all requests would use the proxies that the first request of the process finds.
    urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))
    config.addinivalue_line(
        "markers",
        f"needs(*parts): skipped where a part is missing, failed there in CI; parts: {', '.join(NEEDS)}",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for part in marker.args:
            problem = NEEDS[part]()
            if problem and os.environ.get("CI"):
                pytest.fail(f"needs {part}: {problem}; in CI nothing is left out", pytrace=False)
            if problem:
                pytest.skip(f"needs {part}: {problem}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failure: a green run means that everything ran."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or os.environ.get("NEXO_TESTS_MAY_SKIP") or reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"\n{len(skipped)} skipped: in CI nothing is left out", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# -- a clean environment, and no way out of this computer --------------------------------------------------

KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "CI", "TMPDIR", "PYTHONPATH", "COVERAGE_PROCESS_START")
"""The variables that a test keeps from the original environment, besides those that pytest sets."""

TRAP = "http://127.0.0.1:9"
"""A proxy that does not exist, so that programs that use proxies cannot leave this computer."""


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def clean_environment(_homes: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty home, without the variables that affect our programs or the providers' packages."""
    for name in list(os.environ):
        if name not in KEPT and not name.startswith("PYTEST_"):
            monkeypatch.delenv(name)
    home = _homes / str(abs(hash(request.node.nodeid)))
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, TRAP)
        monkeypatch.setenv(name.lower(), TRAP)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost,::1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tests' own process, connecting to anything but loopback raises."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            host = str(address[0])
            if not host.startswith("127.") and host not in ("::1", "localhost"):
                raise OSError(f"a test tried to leave this computer: {host}")

    def guarded(self: socket.socket, address: object) -> None:
        refuse(self, address)
        connect(self, address)  # type: ignore[arg-type]  # whatever the caller gave

    def guarded_ex(self: socket.socket, address: object) -> int:
        refuse(self, address)
        return connect_ex(self, address)  # type: ignore[arg-type]  # whatever the caller gave

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


# -- real parts --------------------------------------------------------------------------------------------


@pytest.fixture
def surroundings(clean_environment: None) -> Iterator[Surroundings]:
    """A throw-away home with the daemon's directories; no daemon runs in it yet."""
    with Surroundings() as made:
        yield made


@pytest.fixture
def nexod(surroundings: Surroundings) -> Nexod:
    """A running daemon; it ends with the test, and its log is part of a failure's report."""
    return surroundings.start_nexod()


@pytest.fixture
def provider() -> Iterator[ExampleProvider]:
    """The bundled example provider: known keys, known behaviour, on loopback."""
    with ExampleProvider(slow_s=PATIENCE_S) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    used = getattr(item, "funcargs", {}).get("surroundings")
    # After its tear-down no evidence is left.
    if report.failed and isinstance(used, Surroundings) and used.home.exists():
        for title, text in used.evidence():
            report.sections.append((title, text))
    return report
