"""Talks to the tray over the session bus of a desktop under test, as a panel does.

It can also act as the notification service, and record the notifications.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from PIL import Image

from surroundings import PATIENCE_S, wait_for

T = TypeVar("T")


@dataclass(frozen=True)
class Line:
    """A line of the menu, as the panel has received it."""

    number: int
    label: str
    enabled: bool
    toggle: str
    checked: bool
    children: tuple["Line", ...]

    def find(self, start: str) -> "Line":
        """The line below this one whose label starts so; AssertionError if there is none."""
        found = next((line for line in self.walk() if line.label.startswith(start)), None)
        assert found is not None, f"no line starts with {start!r}: {[line.label for line in self.walk()]}"
        return found

    def walk(self) -> Iterator["Line"]:
        """All lines below this one."""
        for child in self.children:
            yield child
            yield from child.walk()

    @property
    def marked(self) -> list[str]:
        """Labels of the radio lines with the mark."""
        return [line.label for line in self.children if line.toggle == "radio" and line.checked]


@dataclass(frozen=True)
class Shown:
    """A notification that the service was asked to show."""

    number: int
    replaces: int
    title: str
    body: str
    actions: tuple[str, ...]
    image: str


class Bus:
    """A connection to the session bus; its event loop runs in a thread, so that it always answers."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-bus", daemon=True)
        self._thread.start()
        self.asked: list[str] = []
        self.notifications: list[Shown] = []
        self.abilities = ["body", "actions", "body-markup"]
        self._bus: MessageBus = self.run(self._connect(address))

    @staticmethod
    async def _connect(address: str) -> MessageBus:
        return await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()

    def run(self, work: Awaitable[T]) -> T:
        """Run a coroutine on the loop of the bus."""

        async def waiting() -> T:
            return await asyncio.wait_for(work, PATIENCE_S)

        coroutine: Coroutine[Any, Any, T] = waiting()
        future: Future[T] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(PATIENCE_S + 5)

    def close(self) -> None:
        async def disconnect() -> None:
            self._bus.disconnect()
            await asyncio.sleep(0)

        self.run(disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def call(
        self, name: str, path: str, interface: str, member: str, kind: str = "", *body: Any
    ) -> list[Any]:
        """Call a method; raises LookupError with the name of the error if that fails."""
        message = Message(
            destination=name, path=path, interface=interface, member=member, signature=kind, body=list(body)
        )
        reply = self.run(self._bus.call(message))
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise LookupError(f"{reply.error_name}: {reply.body}")
        return list(reply.body)

    def property(self, name: str, path: str, interface: str, member: str) -> Any:
        properties = "org.freedesktop.DBus.Properties"
        return self.call(name, path, properties, "Get", "ss", interface, member)[0].value

    def has_owner(self, name: str) -> bool:
        own = "org.freedesktop.DBus"
        return bool(self.call(own, "/org/freedesktop/DBus", own, "NameHasOwner", "s", name)[0])

    def take(self, name: str) -> None:
        """Own a name, so that no other program gets it."""
        self.run(self._bus.request_name(name))

    def give_up(self, name: str) -> None:
        """Own a name no longer; who waits for it gets it at once."""
        self.run(self._bus.release_name(name))

    # -- a panel of the test

    def serve_panel(self, watcher: str) -> None:
        """Become a panel that takes every icon and shows none."""

        def serve(message: Message) -> Message | None:
            if (
                message.path != "/StatusNotifierWatcher"
                or message.message_type is not MessageType.METHOD_CALL
            ):
                return None
            self.asked.append(message.member)
            if message.member == "Get":
                return Message.new_method_return(message, "v", [Variant("b", True)])
            return Message.new_method_return(message)

        self._bus.add_message_handler(serve)
        self.take(watcher)

    # -- a notification service of the test

    def serve_notifications(self) -> None:
        """Become the notification service of this session; record the questions and the notifications."""
        self._bus.add_message_handler(self._serve)
        self.take("org.freedesktop.Notifications")

    def _serve(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        self.asked.append(message.member)
        if message.interface != "org.freedesktop.Notifications":
            return None
        match message.member:
            case "GetCapabilities":
                return Message.new_method_return(message, "as", [self.abilities])
            case "Notify":
                _, replaces, image, title, body, actions, _, _ = message.body
                number = replaces or len(self.notifications) + 1
                shown = Shown(number, replaces, title, body, tuple(actions), image)
                self.notifications.append(shown)
                return Message.new_method_return(message, "u", [number])
            case "CloseNotification":
                return Message.new_method_return(message)
        return None

    def click_notification(self, shown: Shown) -> None:
        """Send the signals of a service when a person clicks on a notification."""
        signal = Message.new_signal(
            "/org/freedesktop/Notifications",
            "org.freedesktop.Notifications",
            "ActionInvoked",
            "us",
            [shown.number, "default"],
        )

        async def send() -> None:
            await self._bus.send(signal)

        self.run(send())


class TrayIcon:
    """The tray's item on the bus, as seen by a panel."""

    _ITEM = "org.kde.StatusNotifierItem"
    _MENU = "com.canonical.dbusmenu"

    def __init__(self, bus: Bus, name: str, path: str) -> None:
        self._bus, self._name, self._path = bus, name, path

    def _read(self, member: str) -> Any:
        return self._bus.property(self._name, self._path, self._ITEM, member)

    @property
    def title(self) -> str:
        return str(self._read("Title"))

    @property
    def icon_file(self) -> Path:
        return Path(self._read("IconName"))

    @property
    def status(self) -> str:
        return str(self._read("Status"))

    def image(self) -> Image.Image:
        """The picture in the panel; read at once, because the next change removes the file."""

        def read() -> Image.Image | None:
            try:
                with Image.open(self.icon_file) as picture:
                    return picture.convert("RGBA")
            except (FileNotFoundError, OSError):
                return None

        return wait_for(read, "an icon file that can be read")

    def menu(self) -> Line:
        """The whole menu."""
        path = self._read("Menu")
        self._bus.call(self._name, path, self._MENU, "AboutToShow", "i", 0)
        layout = self._bus.call(self._name, path, self._MENU, "GetLayout", "iias", 0, -1, [])[1]
        return _line(layout)

    def choose(self, *starts: str) -> None:
        """Click through the menus to the line whose labels start so, once it is there and can be clicked."""

        def line() -> Line | None:
            found: Line | None = self.menu()
            for start in starts:
                below = found.walk() if found is not None else ()
                found = next((one for one in below if one.label.startswith(start)), None)
            return found

        self.click_enabled(line, ", ".join(starts))

    def click_enabled(self, find: Callable[[], Line | None], what: str) -> None:
        """Click on the line that `find` returns, once there is one and it can be clicked."""

        def clicked() -> bool:
            line = find()
            if line is None or not line.enabled:
                return False
            try:
                self.click(line)
            except LookupError:
                # Another menu has taken its place since.
                return False
            return True

        wait_for(clicked, f"a line that can be clicked: {what}")

    def click(self, line: Line) -> None:
        """A click of a person on a line."""
        path = self._read("Menu")
        self._bus.call(
            self._name, path, self._MENU, "Event", "isvu", line.number, "clicked", Variant("i", 0), 0
        )


def _line(layout: list[Any]) -> Line:
    number, facts, children = layout

    def fact(name: str, otherwise: Any) -> Any:
        return facts[name].value if name in facts else otherwise

    label = "" if fact("type", "") == "separator" else str(fact("label", ""))
    return Line(
        number,
        # dbusmenu marks a keyboard shortcut by an underscore, and doubles a real one.
        label.replace("__", "\0").replace("_", "").replace("\0", "_"),
        bool(fact("enabled", True)),
        str(fact("toggle-type", "")),
        fact("toggle-state", 0) == 1,
        tuple(_line(child.value) for child in children),
    )
