"""Where no tray can be shown, one sentence says what is missing and how to get it; the exit status is 69."""

import os
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from desktop_session import WATCHER, DesktopSession
from surroundings import PATIENCE_S, Finished, wait_for

pytestmark = pytest.mark.needs("desktop")

QUICK = ("--wait-for-panel", "0.3")


@pytest.fixture
def bare() -> Iterator[DesktopSession]:
    """Display and session bus, and no panel."""
    with DesktopSession() as session:
        session.start(panel=False)
        yield session


def refused(session: DesktopSession, **env: str) -> str:
    """What it says; asserts that this is one line and that nothing is left."""
    done: Finished = session.run(session.tray_command(*QUICK), env=env, expect=69)
    assert done.out == ""
    sentences = [line for line in done.err.splitlines() if line.startswith("nexo-tray: ")]
    assert len(sentences) == 1, done.err
    assert "Traceback" not in done.err
    assert not list(session.home.rglob("tray-*"))
    return sentences[0]


def test_no_panel(bare: DesktopSession) -> None:
    said = refused(bare)
    assert "no panel on this desktop shows tray icons" in said
    assert "GNOME" in said
    assert "nexoctl" in said


def test_no_display(bare: DesktopSession) -> None:
    assert "no display" in refused(bare, DISPLAY="")


def test_a_display_that_does_not_answer(bare: DesktopSession) -> None:
    assert "the display :4711 does not answer" in refused(bare, DISPLAY=":4711")


def test_no_session_bus(bare: DesktopSession) -> None:
    assert "no D-Bus session bus" in refused(bare, DBUS_SESSION_BUS_ADDRESS="")


def test_a_session_bus_that_does_not_answer(bare: DesktopSession) -> None:
    gone = f"unix:path={bare.home}/gone"
    assert "the D-Bus session bus does not answer" in refused(bare, DBUS_SESSION_BUS_ADDRESS=gone)


def test_no_pygobject(bare: DesktopSession) -> None:
    (bare.gi_home / "gi").unlink(missing_ok=True)
    # Found before any other, and of no use.
    (bare.gi_home / "gi.py").write_text("raise ImportError('No module named gi')")
    said = refused(bare)
    assert "PyGObject with GTK 3 is missing" in said
    assert "apt install python3-gi" in said
    assert "--system-site-packages" in said


def test_a_backend_without_menus_is_refused(bare: DesktopSession) -> None:
    assert "the backend xorg shows no menu" in refused(bare, PYSTRAY_BACKEND="xorg")


def test_no_tray_of_the_old_kind(bare: DesktopSession) -> None:
    assert "no panel on this desktop has a tray" in refused(bare, PYSTRAY_BACKEND="gtk")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root")
def test_root_is_sent_away(bare: DesktopSession) -> None:
    bare.prefix = ()
    assert "does not run as root" in refused(bare)


def test_a_panel_that_comes_up_late_is_waited_for(bare: DesktopSession) -> None:
    tray = bare.background(sys.executable, "-m", "nexo_tray", "--no-start", "--wait-for-panel", "60")
    assert tray.poll() is None
    bare.background("openbox")
    bare.start_panel()
    bare.icon()


def test_the_old_kind_of_tray_works_as_well(bare: DesktopSession) -> None:
    # XFCE's panel has only the old kind if it does not get this name.
    bare.bus.take(WATCHER)
    bare.background("openbox")
    bare.start_panel()
    tray = bare.background(*bare.tray_command("--no-start", "--wait-for-panel", "0.3"))
    scratch = wait_for(lambda: list(bare.state_dir.glob("tray-*/*")), "the icon file")
    for button in (3, 1):
        wait_for(partial(bare.menu_opens, button), f"a menu of the icon after a click with button {button}")
        bare.screenshot("old-kind-of-tray")
        bare.close_menu()
    tray.terminate()
    assert tray.wait(PATIENCE_S) == 0
    assert not scratch[0].exists()


def test_a_chosen_backend_is_used(bare: DesktopSession) -> None:
    bare.background("openbox")
    bare.start_panel()
    bare.background(*bare.tray_command("--no-start"), env={"PYSTRAY_BACKEND": "gtk"})
    wait_for(bare.menu_opens, "a menu of the icon in the panel")
    items = bare.bus.property(WATCHER, "/StatusNotifierWatcher", WATCHER, "RegisteredStatusNotifierItems")
    assert items == []
