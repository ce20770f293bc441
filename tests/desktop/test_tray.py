"""The tray on a real panel: what a person sees is what the daemon knows, and a click does what it says."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from desktop_session import WATCHER, DesktopSession
from nexo.connections import model, v1
from nexo_cli.demo.provider import BUSY, REVOKED, ExampleProvider
from nexo_tray.icons import COLOURS, Look
from session_bus import Line, TrayIcon
from surroundings import PATIENCE_S, wait_for

pytestmark = pytest.mark.needs("desktop")


def looks(icon: TrayIcon, look: Look) -> bool:
    """Whether the picture in the panel has the colour of a state, and of no other."""
    seen = icon.image()
    pixels = seen.width * seen.height
    counts = {
        name: sum(count for count, pixel in seen.getcolors(pixels) or () if pixel == (*colour, 255))
        for name, colour in COLOURS.items()
    }
    best = max(counts, key=lambda name: counts[name])
    return COLOURS[best] == COLOURS[look] and counts[best] > pixels * 0.05


def marked(icon: TrayIcon, name: str) -> bool:
    return [label.split()[1] for label in icon.menu().marked] == [name]


def radio(icon: TrayIcon, name: str) -> Line:
    """The line of a connection, once the menu has it."""

    def found() -> Line | None:
        lines = (line for line in icon.menu().children if line.toggle == "radio")
        return next((line for line in lines if line.label.split()[1] == name), None)

    line = wait_for(found, f"a line for {name}")
    assert line is not None
    return line


def pick(icon: TrayIcon, name: str) -> None:
    """Click on the line of a connection, once it can be clicked."""
    icon.click_enabled(lambda: radio(icon, name), name)


def default_in_store(desktop: DesktopSession) -> str:
    return str(desktop.nexoctl("default", "--json").json["name"])


def fail(desktop: DesktopSession, icon: TrayIcon) -> None:
    """Have the dead provider of `work` noticed, without waiting for the next check of the schedule."""

    def down() -> bool:
        # One refusal is not "down" yet: the daemon looks again before it turns the light.
        desktop.nexoctl("health", "--check", "work", expect=None)
        return looks(icon, Look.UNHEALTHY)

    wait_for(down, "the icon of a dead provider", patience_s=120)


def quit_by_menu(icon: TrayIcon, tray: "subprocess.Popen[bytes]") -> int:
    icon.choose("Quit tray")
    return tray.wait(PATIENCE_S)


def test_the_icon_is_registered_and_the_menu_tells_every_connection(furnished: DesktopSession) -> None:
    started = time.monotonic()
    furnished.start_tray()
    icon = furnished.icon()
    print(f"start to registered icon: {time.monotonic() - started:.2f} s")
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    assert icon.status == "Active"
    wait_for(lambda: icon.title.startswith("Nexo: work — healthy, "), "a tooltip about the default")
    wait_for(lambda: radio(icon, "home_lab").label.startswith("● home_lab — "), "the light of the other")
    assert radio(icon, "work").label.startswith("● work — ")
    assert radio(icon, "work").label.endswith(" ms")
    assert marked(icon, "work")
    furnished.picture("healthy")
    furnished.picture("connections", submenu="Connections")


def test_a_click_switches_the_default_in_the_store(furnished: DesktopSession) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: marked(icon, "work"), "the mark of the default")
    clicked = time.monotonic()
    pick(icon, "home_lab")
    wait_for(lambda: marked(icon, "home_lab"), "the mark at the clicked line")
    print(f"click to mark: {(time.monotonic() - clicked) * 1000:.0f} ms")
    wait_for(lambda: default_in_store(furnished) == "home_lab", "the store has the new default")
    wait_for(lambda: icon.title.startswith("Nexo: home_lab — "), "the tooltip follows")
    # Longer than an unconfirmed click would live.
    pick(icon, "home_lab")
    pick(icon, "work")
    wait_for(lambda: default_in_store(furnished) == "work", "the store has the old default again")
    wait_for(lambda: marked(icon, "work"), "the mark at the old default again")


def test_a_switch_by_the_command_line_moves_the_mark(furnished: DesktopSession) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: marked(icon, "work"), "the mark of the default")
    took = []
    for name in ("home_lab", "work", "home_lab", "work", "home_lab"):
        furnished.nexoctl("default", name)
        answered = time.monotonic()
        wait_for(lambda name=name: marked(icon, name), f"the mark at {name}")
        took.append((time.monotonic() - answered) * 1000)
    print(f"nexoctl has ended to mark moved: {', '.join(f'{one:.0f}' for one in took)} ms")


def test_an_open_menu_stays_open_while_its_labels_change(furnished: DesktopSession) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: marked(icon, "work"), "the mark of the default")
    wait_for(lambda: radio(icon, "home_lab").label.startswith("●"), "both lights")
    furnished.open_menu()
    furnished.nexoctl("default", "home_lab")
    wait_for(lambda: marked(icon, "home_lab"), "the mark has moved")
    assert furnished.menus_open() == 1
    furnished.close_menu()


def test_a_click_of_a_person_with_the_mouse_switches(furnished: DesktopSession) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: marked(icon, "work"), "the mark of the default")
    wait_for(lambda: radio(icon, "home_lab").label.startswith("●"), "both lights")

    def switched() -> bool:
        # A person whose key press met a menu that was not ready yet would press again.
        furnished.close_menu()
        furnished.open_menu()
        furnished.run(["xdotool", "key", "--delay", "100", "Down", "Down", "Return"])
        with contextlib.suppress(AssertionError):
            wait_for(lambda: default_in_store(furnished) == "home_lab", "the switch", patience_s=3)
        return default_in_store(furnished) == "home_lab"

    wait_for(switched, "the store has the new default")


def test_a_provider_that_dies_changes_glyph_icon_and_tooltip(
    furnished: DesktopSession, provider: ExampleProvider
) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    provider.stop()

    fail(furnished, icon)
    wait_for(lambda: radio(icon, "work").label.startswith("✕ work — connection refused"), "the line says why")
    wait_for(lambda: icon.title.startswith("Nexo: work — connection refused"), "the tooltip says why")
    assert icon.menu().find("Why?").find("✕ work").enabled
    furnished.picture("unhealthy", submenu="Why?")


def test_a_rejected_key_and_a_rate_limit_are_told_apart(
    furnished: DesktopSession, provider: ExampleProvider
) -> None:
    furnished.add(provider, "team-gateway", BUSY.key)
    furnished.add(provider, "old-key", REVOKED.key)
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: radio(icon, "team-gateway").label.startswith("◐ team-gateway — rate limited"), "a limit")
    wait_for(
        lambda: radio(icon, "old-key").label.startswith("✕ old-key — key rejected"),
        "a bad key",
        patience_s=90,
    )
    furnished.picture("states", submenu="Why?")
    furnished.nexoctl("default", "team-gateway")
    wait_for(lambda: looks(icon, Look.LIMITED), "the icon of a limited default")
    furnished.nexoctl("workspace", "bind", str(furnished.home), "home_lab")
    wait_for(lambda: icon.menu().find("Workspaces").children[0].label.endswith("→ home_lab"), "the workspace")
    furnished.picture("limited", submenu="Why?")


def test_a_killed_daemon_is_shown_as_away_and_heals(furnished: DesktopSession) -> None:
    tray = furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    furnished.nexod.kill()
    wait_for(lambda: looks(icon, Look.AWAY), "the icon of an absent daemon")
    wait_for(lambda: icon.title == "Nexo: the daemon is not running", "the tooltip says it")
    wait_for(lambda: not radio(icon, "work").enabled, "the lines are grey")
    assert radio(icon, "work").label == "○ work — was healthy"
    furnished.picture("away", submenu="Why?")
    icon.click(radio(icon, "home_lab"))
    furnished.start_nexod()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default, again")
    wait_for(lambda: radio(icon, "work").enabled, "the lines can be clicked again")
    assert marked(icon, "work"), "a click on a greyed line did something"
    assert tray.poll() is None


def test_quitting_leaves_no_process_and_no_file(furnished: DesktopSession) -> None:
    before = {path for path in furnished.files() if "tray" in str(path)}
    tray = furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    furnished.nexoctl("default", "home_lab")
    wait_for(lambda: marked(icon, "home_lab"), "the mark has moved")
    scratch = icon.icon_file.parent
    assert scratch.is_relative_to(furnished.state_dir)
    assert quit_by_menu(icon, tray) == 0
    assert not scratch.exists()
    assert {path for path in furnished.files() if "tray" in str(path)} == before
    assert not list((furnished.home / "tmp").iterdir())
    furnished.nexoctl("status")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_as_cleanly_as_the_menu(desktop: DesktopSession, number: signal.Signals) -> None:
    tray = desktop.start_tray()
    scratch = desktop.icon().icon_file.parent
    tray.send_signal(number)
    assert tray.wait(PATIENCE_S) == 0
    assert not scratch.exists()


def test_a_tray_that_was_killed_leaves_nothing_to_the_next_one(desktop: DesktopSession) -> None:
    tray = desktop.start_tray()
    left = desktop.icon().icon_file
    tray.kill()
    tray.wait(PATIENCE_S)
    assert left.exists()
    following = desktop.start_tray()
    wait_for(lambda: not left.exists(), "the file of the killed tray is gone")
    desktop.icon()
    following.terminate()
    assert following.wait(PATIENCE_S) == 0


def test_a_second_tray_on_the_same_desktop_steps_back(desktop: DesktopSession) -> None:
    desktop.start_tray()
    desktop.icon()
    second = desktop.run(desktop.tray_command("--no-start"))
    assert "already running" in second.err


NOTING_IMPORTS = """
import sys
noted = open(sys.argv.pop(1), "w", buffering=1)
sys.addaudithook(lambda event, words: event == "exec" and print(words[0].co_filename, file=noted))
from nexo_tray.__main__ import main
sys.exit(main())
"""


def test_once_it_runs_it_imports_nothing_of_a_newer_version(desktop: DesktopSession) -> None:
    noted = desktop.home / "imports"
    desktop.background(sys.executable, "-c", NOTING_IMPORTS, os.fspath(noted), "--no-start")
    desktop.icon()
    used_later = {
        os.fspath(path)
        for package in (model, v1)
        for path in Path(*package.__path__).glob("*.py")
        if not path.name.endswith("_pb2_grpc.py")
    }
    wait_for(
        lambda: used_later <= set(noted.read_text().splitlines()), "it has imported what a click may need"
    )


# libayatana-appindicator registers no icon if it hears of the panel too early. Here it never hears of it: the
# first name that the process watches on the bus is the panel's. It also puts the icon on the bus late.
BUSY_INDICATOR = """
import sys
import gi
gi.require_version("Gtk", "3.0")
gi.require_version("AyatanaAppIndicator3", "0.1")
from gi.repository import AyatanaAppIndicator3, Gio, GLib
Indicator = AyatanaAppIndicator3.Indicator
new, set_menu = Indicator.new, Indicator.set_menu
def deaf(*arguments):
    indicator = new(*arguments)
    Gio.bus_unwatch_name(1)
    return indicator
def late(indicator, menu):
    GLib.timeout_add(3000, lambda: set_menu(indicator, menu) and False)
Indicator.new, Indicator.set_menu = deaf, late
from nexo_tray.__main__ import main
sys.exit(main())
"""


def test_the_icon_shows_although_its_library_missed_the_panel(furnished: DesktopSession) -> None:
    tray = furnished.background(sys.executable, "-c", BUSY_INDICATOR, "--no-start")
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "a green icon")
    # A panel lists an icon that was registered too early, but does not show it.
    furnished.open_menu()
    furnished.close_menu()
    assert quit_by_menu(icon, tray) == 0


# Notes how many icons of the older protocol there are, each time that it changes.
COUNTING_OLDER_ICONS = """
import sys
from nexo_tray import start
from nexo_tray.__main__ import main
noted = open(sys.argv.pop(1), "w", buffering=1)
start._gi()
from gi.repository import GLib, Gtk
last = 0
def count():
    global last
    older = [window for window in Gtk.Window.list_toplevels() if window.__gtype__.name == "GtkTrayIcon"]
    if len(older) != last:
        last = len(older)
        print(last, file=noted)
    return True
GLib.timeout_add(10, count)
sys.exit(main())
"""


def test_one_icon_is_left_when_another_panel_takes_over() -> None:
    with DesktopSession() as desktop:
        desktop.start(panel=False)
        desktop.bus.serve_panel(WATCHER)
        desktop.background("openbox")
        # It waits for the name.
        desktop.start_panel()
        noted = desktop.home / "older-icons"
        tray = desktop.background(sys.executable, "-c", COUNTING_OLDER_ICONS, os.fspath(noted), "--no-start")
        wait_for(lambda: "RegisterStatusNotifierItem" in desktop.bus.asked, "the icon is registered")
        desktop.bus.give_up(WATCHER)
        icon = desktop.icon()
        # libayatana-appindicator adds one 100 ms after the name was lost, although it has an owner again.
        wait_for(
            lambda: noted.read_text().split() == ["1", "0"], "an icon of the older protocol came and went"
        )
        desktop.open_menu()
        desktop.close_menu()
        assert quit_by_menu(icon, tray) == 0


def test_the_icon_comes_back_when_the_panel_was_restarted(desktop: DesktopSession) -> None:
    desktop.start_tray()
    desktop.icon()
    desktop.restart_panel()
    desktop.icon()


def test_without_a_daemon_it_starts_one_and_may_stop_it(desktop: DesktopSession) -> None:
    tray = desktop.start_tray(start_daemon=True)
    icon = desktop.icon()
    wait_for(lambda: looks(icon, Look.EMPTY), "the icon of a daemon without connections")
    first = desktop.nexoctl("status", "--json").json["pid"]
    os.kill(first, signal.SIGKILL)

    def another() -> bool:
        status = desktop.nexoctl("status", "--json", expect=None)
        return status.code == 0 and status.json["pid"] != first

    wait_for(another, "the tray has started its daemon again")
    wait_for(lambda: any(line.label == "Stop daemon" for line in icon.menu().children), "it is this tray's")
    icon.choose("Stop daemon")
    wait_for(lambda: desktop.nexoctl("status", expect=None).code == 3, "the daemon is gone")
    wait_for(lambda: looks(icon, Look.AWAY), "the icon of an absent daemon")
    icon.choose("Start daemon")
    wait_for(lambda: looks(icon, Look.EMPTY), "the daemon is back")
    assert quit_by_menu(icon, tray) == 0
    # The daemon serves programs, not the tray.
    assert desktop.nexoctl("status", "--json").json["pid"]
    desktop.nexoctl("daemon", "stop")


def test_a_daemon_that_somebody_else_started_can_not_be_stopped_from_the_menu(
    furnished: DesktopSession,
) -> None:
    furnished.start_tray(start_daemon=True)
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    assert all(line.label != "Stop daemon" for line in icon.menu().children)
    assert len(list(Path("/proc").glob(f"[0-9]*/task/{furnished.nexod.pid}"))) == 1


def test_a_failed_connection_is_notified_once_and_a_click_leads_to_why(
    furnished: DesktopSession, provider: ExampleProvider
) -> None:
    furnished.bus.serve_notifications()
    browser = furnished.home / "my-browser"
    browser.write_text(f'#!/bin/sh\n[ ! -e {browser}.gone ] || exit 1\nprintf %s "$1" > {browser}.opened\n')
    browser.chmod(0o755)
    furnished.start_tray(env={"BROWSER": str(browser)})
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    provider.stop()
    fail(furnished, icon)
    shown = wait_for(lambda: furnished.bus.notifications, "a notification")
    assert [one.title for one in shown] == ["work: connection refused"]
    assert shown[0].actions == ("default", "Why?")
    assert Path(shown[0].image).exists()
    furnished.bus.click_notification(shown[0])
    opened = browser.with_name("my-browser.opened")
    wait_for(lambda: opened.exists() and opened.read_text().endswith("&at=show&name=work"), "the page")
    browser.with_name("my-browser.gone").touch()
    furnished.bus.click_notification(shown[0])
    wait_for(lambda: "Why? — work" in furnished.windows(), "the window that explains it")
    furnished.screenshot("why-window")


def test_start_and_end_do_not_depend_on_the_notification_service(desktop: DesktopSession) -> None:
    # That of awesome 4.3 does not answer every question; then the icon would come 25 s later.
    desktop.bus.serve_notifications()
    tray = desktop.start_tray()
    assert quit_by_menu(desktop.icon(), tray) == 0
    assert desktop.bus.asked == []


def test_notifications_can_be_silenced_and_stay_so(furnished: DesktopSession) -> None:
    tray = furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    assert icon.menu().find("Notifications").checked
    icon.choose("Notifications")
    wait_for(lambda: not icon.menu().find("Notifications").checked, "the mark is gone")
    setting = furnished.config_dir / "tray.json"
    wait_for(setting.exists, "the setting is kept")
    assert quit_by_menu(icon, tray) == 0
    furnished.start_tray()
    assert not furnished.icon().menu().find("Notifications").checked


def test_the_answer_to_a_test_is_told_and_checks_can_be_paused(furnished: DesktopSession) -> None:
    furnished.bus.serve_notifications()
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    icon.choose("Connections", "work", "Test now")
    shown = wait_for(lambda: furnished.bus.notifications, "the result of the test")
    assert shown[0].title == "work works"
    icon.choose("Test all")
    wait_for(lambda: furnished.bus.notifications[-1].title == "2 of 2 connections work", "all are tested")
    icon.choose("Pause checks")
    wait_for(lambda: icon.menu().find("Pause checks").checked, "the mark of paused checks")
    # GTK sets the mark at the click.
    wait_for(lambda: furnished.nexoctl("status", "--json").json["checks_paused"], "the checks are paused")


def test_details_models_and_about_open_windows(furnished: DesktopSession) -> None:
    furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    icon.choose("Connections", "work", "Details…")
    wait_for(lambda: "Nexo: work" in furnished.windows(), "the details")
    icon.choose("Connections", "work", "Models…")
    wait_for(lambda: "Models of work" in furnished.windows(), "the models")
    icon.choose("About…")
    wait_for(lambda: "Nexo Connections" in furnished.windows(), "the window about the tray")
    furnished.screenshot("windows")


def test_settings_and_edit_open_the_page_in_the_browser(furnished: DesktopSession) -> None:
    opened = furnished.home / "opened.txt"
    browser = furnished.home / "my-browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {opened}\n')
    browser.chmod(0o755)
    furnished.start_tray(env={"BROWSER": str(browser)})
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    icon.choose("Settings…")
    wait_for(opened.exists, "the browser of the person")
    icon.choose("Connections", "work", "Edit…")
    wait_for(lambda: len(opened.read_text().split()) == 2, "the browser again")
    first, second = opened.read_text().split()
    assert first.startswith("http://127.0.0.1:")
    assert second.endswith("&at=edit&name=work")


def test_without_a_browser_add_connection_opens_a_terminal_with_the_wizard(
    furnished: DesktopSession,
) -> None:
    started = furnished.home / "terminal.txt"
    terminal = furnished.home / "my-terminal"
    terminal.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {started}.new; mv {started}.new {started}\n')
    terminal.chmod(0o755)
    furnished.start_tray(env={"TERMINAL": str(terminal), "BROWSER": "/bin/false"})
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    icon.choose("Add connection…")
    wait_for(started.exists, "the terminal of the person")
    words = started.read_text().splitlines()
    assert words[:2] == ["-e", "sh"]
    assert words[-3:] == ["-m", "nexo_cli", "add"]


def test_without_a_terminal_it_says_what_to_type(furnished: DesktopSession) -> None:
    furnished.start_tray(env={"PATH": str(furnished.home / "empty")})
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")
    icon.choose("Connections", "work", "Edit…")
    wait_for(lambda: "Add or edit a connection" in furnished.windows(), "the window that says it")


TOGGLE = """
import sys, nexo_client
from pathlib import Path
with nexo_client.connect(Path(sys.argv[1])) as client:
    for number in range(int(sys.argv[2])):
        client.set_default(("home_lab", "work")[number % 2])
"""


def resident_kb(pid: int) -> int:
    """Memory of a process that is its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


def test_ten_thousand_changes_leave_memory_files_and_panel_as_they_were(furnished: DesktopSession) -> None:
    tray = furnished.start_tray()
    icon = furnished.icon()
    wait_for(lambda: looks(icon, Look.HEALTHY), "the icon of a healthy default")

    def toggle(times: int) -> None:
        program = [sys.executable, "-c", TOGGLE, str(furnished.socket), str(times)]
        furnished.run(program, patience_s=300)
        wait_for(lambda: marked(icon, "work"), "the last switch has arrived")

    toggle(1000)
    plugin = furnished.panel_plugin()
    before, plugin_before = resident_kb(tray.pid), resident_kb(plugin)
    toggle(9000)
    after, plugin_after = resident_kb(tray.pid), resident_kb(plugin)
    print(f"tray {before} -> {after} kB, the panel's plug-in {plugin_before} -> {plugin_after} kB")
    # Sending a new menu for each change cost 54 kB a change when it was measured.
    assert after - before < 4000
    assert plugin_after - plugin_before < 4000
    assert furnished.panel_plugin() == plugin, "the panel had to restart its tray"
    assert furnished.panel.poll() is None
    assert len(list(icon.icon_file.parent.iterdir())) <= 2
