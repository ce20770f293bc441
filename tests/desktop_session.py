"""Runs a real desktop without a screen: X server, session bus, window manager, panel, daemon, tray.

Everything runs as an ordinary user, because the tray refuses root. If the tests run as root (in CI, in a
container), programs are started as `nobody`, with permission to read everything, because the sources and
Python belong to root. Tests read the tray's menu over D-Bus, as the panel does.
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from Xlib import X
from Xlib.display import Display
from Xlib.error import XError

from nexo.connections.terms import Provider
from nexo_cli.demo.provider import ExampleProvider
from session_bus import Bus, TrayIcon
from settings_parts import end_settings
from surroundings import PATIENCE_S, Nexod, Surroundings, wait_for

T = TypeVar("T")

WATCHER = "org.kde.StatusNotifierWatcher"
NOBODY = 65534
_GI = Path("/usr/lib/python3/dist-packages/gi")
# Read here, because each test starts with an empty environment.
PICTURES = os.environ.get("NEXO_TEST_PICTURES", "")
"""The directory that screenshots are kept in; empty for none."""

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <include>/usr/share/dbus-1/session.conf</include>
  <listen>{address}</listen>
  <policy context="mandatory"><allow user="*"/></policy>
</busconfig>
"""
"""The usual session bus, which the tests may talk to as well where they run as root."""

_PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="{dark}"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="32"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
    </property>
  </property>
</channel>
"""


class DesktopSession(Surroundings):
    """A desktop session with a panel, and the tray in it. `start()` brings it up."""

    def __init__(self, *, dark: bool = True) -> None:
        super().__init__()
        if os.geteuid() == 0:
            drop = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            # Root's home, and with it root's Python, may be closed to others.
            keep = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
            self.prefix = (shutil.which("setpriv") or "setpriv", *drop, *keep)
        self._dark = dark
        self._display = ""
        self._address = f"unix:path={self.home}/bus"
        self._bus: Bus | None = None
        self.gi_home = self._directory("gi-only")
        if importlib.util.find_spec("gi") is None:
            (self.gi_home / "gi").symlink_to(_GI)

    @property
    def env(self) -> dict[str, str]:
        """The environment of a program that a panel has started."""
        runtime = self._directory("runtime")
        config = self._directory("xdg-config")
        return super().env | {
            "DISPLAY": self._display,
            "DBUS_SESSION_BUS_ADDRESS": self._address,
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_CONFIG_HOME": str(config),
            "XDG_DATA_HOME": str(self._directory("xdg-data")),
            "XDG_CACHE_HOME": str(self._directory("xdg-cache")),
            "XDG_CURRENT_DESKTOP": "XFCE",
            # Debian's PyGObject for a Python of the same minor version, and nothing else of Debian's Python.
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(self.gi_home)))),
            "LANG": "C.UTF-8",
            "NO_AT_BRIDGE": "1",
            "GTK_THEME": "Adwaita:dark" if self._dark else "Adwaita",
            "GSETTINGS_BACKEND": "memory",
            "PYTHONWARNINGS": "default",
        }

    def _directory(self, name: str) -> Path:
        path = super()._directory(name)
        self._give(path)
        return path

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    @property
    def bus(self) -> Bus:
        assert self._bus is not None, "the session is not started"
        return self._bus

    def start(self, *, panel: bool = True) -> None:
        """Display, bus, window manager, panel."""
        self._give(self.home)
        self._start_display()
        config = self.home / "bus.conf"
        config.write_text(_BUS.format(address=self._address))
        self.background("dbus-daemon", f"--config-file={config}", "--nofork")
        wait_for(self._bus_listens, "the session bus")
        self._bus = Bus(self._address)
        if panel:
            self.background("openbox")
            self.start_panel()

    def _bus_listens(self) -> bool:
        """Its socket is there a moment before it accepts anybody."""
        with socket.socket(socket.AF_UNIX) as link:
            return link.connect_ex(str(self.home / "bus")) == 0

    def _start_display(self) -> None:
        reading, writing = os.pipe()
        # Not as `nobody`, because only root can make the sockets' directory, if no X server has run here yet.
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1024x700x24", "-ac"]
        with (self.home / "Xvfb.out").open("wb") as out:
            server = subprocess.Popen(
                [*command, "-nolisten", "tcp"], stdout=out, stderr=out, pass_fds=[writing], env=self.env
            )
        self._others.append(server)
        os.close(writing)
        with os.fdopen(reading) as said:
            self._display = f":{said.readline().strip()}"
        assert self._display != ":", (self.home / "Xvfb.out").read_text()
        self._x = Display(self._display)

    def start_panel(self) -> "subprocess.Popen[bytes]":
        """XFCE's panel with its tray plugin; returns once it accepts icons."""
        channels = self.home / "xdg-config" / "xfce4" / "xfconf" / "xfce-perchannel-xml"
        channels.mkdir(parents=True, exist_ok=True)
        (channels / "xfce4-panel.xml").write_text(_PANEL.format(dark=str(self._dark).lower()))
        for path in (channels, *channels.parents):
            if path.is_relative_to(self.home):
                self._give(path)
        self._give(channels / "xfce4-panel.xml")
        self.panel = panel = self.background("xfce4-panel", "--disable-wm-check")
        # The test may own the name of the newer kind of tray, and then nothing tells but the older kind.
        old_kind = self._x.intern_atom("_NET_SYSTEM_TRAY_S0")
        wait_for(
            lambda: self.bus.has_owner(WATCHER) and self._x.get_selection_owner(old_kind) != X.NONE,
            "a panel that shows tray icons",
        )
        return panel

    def panel_plugin(self) -> int:
        """The process of the panel in which its tray lives."""
        children = Path(f"/proc/{self.panel.pid}/task/{self.panel.pid}/children").read_text().split()
        plugins = [int(pid) for pid in children if "systray" in Path(f"/proc/{pid}/cmdline").read_text()]
        assert len(plugins) == 1, children
        return plugins[0]

    def restart_panel(self) -> None:
        """End the panel, as a crash or an upgrade does, and start it again."""
        self.panel.kill()
        self.panel.wait(PATIENCE_S)
        wait_for(lambda: not self.bus.has_owner(WATCHER), "the panel is gone")
        self.start_panel()

    def background(self, *command: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        output = self.home / f"{Path(command[0]).name}-{len(self._others)}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*self.prefix, *command],
                env=self.env | dict(env or {}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.home,
            )
        self._others.append(process)
        return process

    def start_nexod(self, *flags: str, env: Mapping[str, str] | None = None) -> Nexod:
        """A daemon that answers; asked by nexoctl, because its socket belongs to the person."""
        # A session bus would let the daemon wake up a keyring, which outlives the session.
        daemon = self.spawn_nexod(*flags, env={"DBUS_SESSION_BUS_ADDRESS": "disabled:"} | dict(env or {}))

        def answers() -> bool:
            assert daemon.process.poll() is None, daemon.output
            return self.nexoctl("status", expect=None).code == 0

        wait_for(answers, "nexod answers")
        self.nexod = daemon
        return daemon

    def add(self, provider: ExampleProvider, name: str, key: str) -> None:
        """Add a connection to the example provider, as a person does with nexoctl."""
        base_url = provider.base_url(Provider.OPENAI)
        flags = ["--provider", "openai", "--base-url", base_url, "--api-key-stdin", "--no-test"]
        self.nexoctl("add", name, *flags, stdin=f"{key}\n")

    # -- the tray

    def tray_command(self, *flags: str) -> list[str]:
        return [sys.executable, "-m", "nexo_tray", *flags]

    def start_tray(
        self, *, start_daemon: bool = False, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """The tray as a process; it may not show yet."""
        flags = () if start_daemon else ("--no-start",)
        return self.background(*self.tray_command(*flags), env=env)

    def icon(self) -> TrayIcon:
        """The tray's icon, once the panel has it, and its menu can be read."""

        def registered() -> TrayIcon | None:
            items = self.bus.property(
                WATCHER, "/StatusNotifierWatcher", WATCHER, "RegisteredStatusNotifierItems"
            )
            for item in items:
                name, slash, path = item.partition("/")
                try:
                    kind = "org.kde.StatusNotifierItem"
                    if self.bus.property(name, slash + path, kind, "Id") == "nexo-tray":
                        icon = TrayIcon(self.bus, name, slash + path)
                        # libdbusmenu puts the menu on the bus by itself, before or after the icon.
                        icon.menu()
                        return icon
                except LookupError:
                    continue
            return None

        return wait_for(registered, "the icon of the tray on the bus")

    # -- pictures for a person

    def screenshot(self, name: str) -> None:
        """Save a screenshot, if `PICTURES` is set."""
        if PICTURES:
            file = Path(PICTURES) / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.screen())

    def picture(self, name: str, *, submenu: str = "") -> None:
        """Save a picture of the opened menu, and of a submenu if one is named, if `PICTURES` is set."""
        if not PICTURES:
            return
        self.open_menu()
        if submenu:
            wait_for(lambda: self.submenu_opens(submenu), "a submenu on the screen")
        self.screenshot(name)
        self.close_menu()

    def submenu_opens(self, name: str) -> bool:
        """Open a submenu by the keyboard; whether it is open soon after."""
        lines = [line for line in self.icon().menu().children if line.enabled and line.label]
        below = next(n for n, line in enumerate(lines, 1) if line.label.startswith(name))
        self.run(["xdotool", "key", *["Down"] * below, "Right"])
        with contextlib.suppress(AssertionError):
            wait_for(lambda: self.menus_open() > 1, "a submenu on the screen", patience_s=3)
            return True
        # While the panel reads a changed menu, a click opens the panel's own.
        self.close_menu()
        self.open_menu()
        return False

    def open_menu(self) -> None:
        """Click on the icon in the panel, as a person does."""
        wait_for(self.menu_opens, "a menu on the screen")
        self.run(["xdotool", "mousemove", "200", "600"])

    def menu_opens(self, button: int = 3) -> bool:
        """Click on the place of the icon; whether a menu is open soon after."""
        screen = self._x.screen()
        # The panel's tray is at its right end.
        x, y = screen.width_in_pixels - 16, 16
        self.run(["xdotool", "mousemove", str(x), str(y), "click", str(button)])
        with contextlib.suppress(AssertionError):
            wait_for(self.menus_open, "a menu on the screen", patience_s=3)
        return self.menus_open() > 0

    def close_menu(self) -> None:
        """Press Escape until no menu is open."""

        def closed() -> bool:
            if not self.menus_open():
                return True
            self.run(["xdotool", "key", "Escape"])
            return False

        wait_for(closed, "no menu on the screen")

    def windows(self) -> str:
        """Titles of all windows, one a line."""
        named = self._x.screen().root.query_tree().children
        below = [child for window in named for child in window.query_tree().children]
        titles = []
        for window in (*named, *below):
            try:
                title = window.get_full_text_property(self._x.intern_atom("_NET_WM_NAME"))
            except XError:
                continue
            titles.append(title or "")
        return "\n".join(filter(None, titles))

    def menus_open(self) -> int:
        """Number of menus on the screen: visible windows that the window manager leaves alone."""
        root = self._x.screen().root
        count = 0
        for window in root.query_tree().children:
            try:
                attributes, geometry = window.get_attributes(), window.get_geometry()
            except XError:
                # It was closed in between.
                continue
            visible = attributes.map_state == X.IsViewable and attributes.override_redirect
            count += bool(visible and geometry.width > 100 and geometry.height > 50 and geometry.depth > 0)
        return count

    def screen(self) -> bytes:
        """The whole screen as PNG."""
        return subprocess.run(
            [*self.prefix, "import", "-window", "root", "png:-"],
            env=self.env,
            capture_output=True,
            check=True,
        ).stdout

    def __exit__(self, *failure: object) -> None:
        if self._bus is not None:
            self._bus.close()
        if self._display:
            self._x.close()
        for process in reversed(self._others):
            if process.poll() is None:
                process.terminate()
        end_settings(self)
        super().__exit__(*failure)

    def evidence(self) -> Iterator[tuple[str, str]]:
        yield from super().evidence()
        for output in sorted(self.home.glob("*.out")):
            if not output.name.startswith("nexod"):
                yield output.name, output.read_text(errors="replace")[-5000:]
