"""Fixtures with a real desktop for a test; its output becomes part of a failure's report."""

from collections.abc import Generator, Iterator

import pytest

from desktop_session import DesktopSession
from nexo_cli.demo.provider import HOME, WORK, ExampleProvider


@pytest.fixture
def desktop() -> Iterator[DesktopSession]:
    """Display, session bus, window manager and panel; no daemon and no tray yet."""
    with DesktopSession() as session:
        session.start()
        yield session
        told = [text for title, text in session.evidence() if title.startswith("python")]
        assert not any("Traceback" in text for text in told), told


@pytest.fixture
def furnished(desktop: DesktopSession, provider: ExampleProvider) -> DesktopSession:
    """A desktop with a daemon that has two healthy connections: `work` (the default) and `home_lab`."""
    desktop.start_nexod()
    for name, account in (("work", WORK), ("home_lab", HOME)):
        desktop.add(provider, name, account.key)
    return desktop


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    used = getattr(item, "funcargs", {}).get("desktop")
    if report.failed and isinstance(used, DesktopSession):
        report.sections.extend(used.evidence())
    return report
