"""Acts on clicks, on health transitions, and on the loss of the daemon.

Calls to the daemon run in threads. Switches run one after another in the order of the clicks; all other calls
run in parallel, so that a slow test never delays a switch.
"""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from nexo.connections import processes
from nexo_client.client import Client
from nexo_client.errors import DaemonNotRunning, NexoError, SettingsUnavailable
from nexo_client.launch import start_daemon
from nexo_client.settings import open_settings
from nexo_client.types import Connection, HealthTransition
from nexo_tray import explain, notices, settings, terminal
from nexo_tray.desktop import Desktop
from nexo_tray.icons import Look
from nexo_tray.link import SharedState, utc_now
from nexo_tray.model import Click, Do, shown_name
from nexo_tray.notices import Notice, Notifier
from nexo_tray.state import DaemonLink, LinkState, State, Switch

_log = logging.getLogger(__name__)
_ERRANDS = 4
_WAITING = 12
"""The limit of unfinished clicks; more are dropped, for example while the daemon hangs."""
_RESTARTS = 3
_RESTART_WINDOW_S = 600.0


class Controller:
    """Acts on clicks and events.

    Args:
        quit_tray: called on the thread of the click.
        chosen_socket: the user named the socket, so it is passed on to `nexoctl`.
    """

    def __init__(
        self,
        client: Client,
        shared: SharedState,
        desktop: Desktop,
        quit_tray: Callable[[], None],
        *,
        chosen_socket: bool,
    ) -> None:
        self._client = client
        self._shared = shared
        self._desktop = desktop
        self._quit = quit_tray
        self._chosen_socket = chosen_socket
        self._notifier = Notifier()
        self._switches = ThreadPoolExecutor(1, "nexo-tray-switch")
        self._errands = ThreadPoolExecutor(_ERRANDS, "nexo-tray-errand")
        self._room = threading.BoundedSemaphore(_WAITING)
        self._restarts: list[float] = []
        self._last_click: Switch | None = None

    def close(self) -> None:
        """Drop waiting calls and wait for running ones. Closing the client first makes them end."""
        for pool in (self._switches, self._errands):
            pool.shutdown(wait=True, cancel_futures=True)

    # Clicks

    def act(self, action: Click) -> None:
        """Act on a click. Returns immediately."""
        connection = self._shared.state.connection(action.connection_id)
        match action.do:
            case Do.QUIT:
                self._quit()
            case Do.SWITCH if connection:
                self._switch(connection)
            case Do.WHY if self._shared.state.page:
                self._errand(partial(self._why_on_page, action.connection_id))
            case Do.WHY:
                self._why(action.connection_id)
            case Do.SETTINGS:
                self._errand(self._settings)
            case Do.ABOUT:
                self._desktop.show(explain.about(self._shared.state))
            case Do.DETAILS if connection:
                self._desktop.show(explain.details(connection, utc_now()))
            case Do.COPY_URL if connection:
                self._desktop.copy(connection.base_url)
            case Do.TEST if connection:
                self._errand(partial(self._test, connection))
            case Do.MODELS if connection:
                self._errand(partial(self._models, connection))
            case Do.EDIT if connection:
                self._errand(partial(self._form, "edit", connection.name))
            case Do.ADD:
                self._errand(partial(self._form, "add"))
            case Do.TEST_ALL:
                self._errand(self._test_all)
            case Do.PAUSE:
                self._errand(self._pause)
            case Do.NOTIFICATIONS:
                self._errand(self._toggle_notifications)
            case Do.START_DAEMON:
                self._errand(self.start_daemon)
            case Do.STOP_DAEMON:
                self._errand(self._stop_daemon)
            case _:
                # The connection was removed while the menu was open.
                _log.info("nothing to do for %s", action.do.name)

    def why(self, connection_id: str) -> None:
        """Open "Why?" after a click on a notification."""
        self.act(Click(Do.WHY, connection_id))

    # Events of the daemon

    def changed(self, transition: HealthTransition) -> None:
        """Show a notification for a health transition, if it is worth one."""
        notice = self._notifier.tell(transition)
        if notice is not None and self._shared.state.notifications:
            self._desktop.notify(notice)

    def lost(self, error: NexoError | None) -> None:
        """Restart a daemon that this tray started and that crashed. One that was stopped stays stopped."""
        if not self._shared.state.started_daemon:
            return
        if error is None:
            self._shared.change(lambda state: replace(state, started_daemon=False))
            return
        moment = utc_now().timestamp()
        self._restarts = [t for t in self._restarts if moment - t < _RESTART_WINDOW_S]
        if isinstance(error, DaemonNotRunning) and len(self._restarts) < _RESTARTS:
            self._restarts.append(moment)
            self._errand(self.start_daemon)

    def reverted(self, switch: Switch) -> None:
        """Report a switch that was not confirmed in time."""
        connection = self._shared.state.connection(switch.to_id)
        self._desktop.notify(notices.unconfirmed(connection.name if connection else "it"))

    # Work in the background

    def begin(self) -> None:
        """Start the daemon in the background if none is running."""
        self._errand(self._ensure_daemon)

    def _ensure_daemon(self) -> None:
        try:
            self._client.status()
        except DaemonNotRunning:
            self.start_daemon()

    def start_daemon(self) -> None:
        """Start the daemon; the result is in the shared state."""
        self._shared.change(_starting)
        try:
            pid = start_daemon(self._client.socket)
        except NexoError as error:
            _log.warning("the daemon did not start: %s", error)
            link = DaemonLink(LinkState.AWAY, utc_now(), error.message, error.next_step)
            self._shared.change(lambda state: state if state.live else replace(state, link=link))
            return
        # If the service manager or another program started it, this tray must not stop it.
        ours = processes.parent(pid) == os.getpid()
        self._shared.change(lambda state: replace(state, started_daemon=ours))

    def _stop_daemon(self) -> None:
        if self._shared.state.started_daemon:
            self._client.shutdown()

    def _switch(self, connection: Connection) -> None:
        state = self._shared.state
        current = state.default
        if not state.live or not connection.enabled or (current is not None and current.id == connection.id):
            return
        switch = self._last_click = Switch(connection.id, utc_now())
        self._shared.change(lambda state: replace(state, switch=switch))
        self._submit(self._switches, partial(self._make_default, connection, switch))

    def _make_default(self, connection: Connection, switch: Switch) -> None:
        def settle(state: State, settled: Switch | None) -> State:
            mine = state.switch is not None and replace(state.switch, revision=0) == switch
            over = settled is not None and state.revision >= settled.revision
            return replace(state, switch=None if over else settled) if mine else state

        if switch is not self._last_click:
            # The user has clicked another connection since.
            return
        try:
            done = self._client.set_default(connection.name)
        except NexoError as error:
            self._shared.change(partial(settle, settled=None))
            self._desktop.notify(notices.refused(f"Not switched to {shown_name(connection.name)}", error))
            return
        # The watch confirms the switch when it reaches this revision.
        self._shared.change(partial(settle, settled=replace(switch, revision=done.revision)))
        notice = notices.switched(done)
        if notice is not None:
            self._desktop.notify(notice)

    def _test(self, connection: Connection) -> None:
        own = frozenset({connection.id})
        self._shared.change(lambda state: replace(state, testing=state.testing | own))
        try:
            result = self._client.test_connection(connection.name)
        finally:
            self._shared.change(lambda state: replace(state, testing=state.testing - own))
        self._desktop.notify(notices.tested(connection.name, result, connection.id))

    def _test_all(self) -> None:
        snapshot = self._shared.state.snapshot
        every = frozenset(c.id for c in snapshot.connections if c.enabled) if snapshot else frozenset()
        self._shared.change(lambda state: replace(state, testing=every))
        try:
            lights = self._client.check_now()
        finally:
            self._shared.change(lambda state: replace(state, testing=frozenset()))
        self._desktop.notify(notices.tested_all(lights))

    def _models(self, connection: Connection) -> None:
        listed = self._client.list_models(connection.name)
        self._desktop.show(explain.models(connection.name, listed))

    def _pause(self) -> None:
        snapshot = self._shared.state.snapshot
        if snapshot is not None:
            self._client.update_health_settings(paused=not snapshot.status.checks.paused)

    def _toggle_notifications(self) -> None:
        state = self._shared.change(lambda state: replace(state, notifications=not state.notifications))
        try:
            settings.save(settings.TraySettings(notifications=state.notifications))
        except OSError as error:
            text = f"{settings.settings_file()}: {error.strerror}"
            self._desktop.notify(Notice("The setting could not be saved", text, Look.UNHEALTHY))

    def _open_page(self, at: str, name: str) -> bool:
        """Open the settings screen at "add", "edit", "show", or "" for the list; whether a browser opened."""
        try:
            return open_settings(self._client.socket, at=at, name=name, need_browser=True).opened
        except SettingsUnavailable as problem:
            _log.info("no settings screen: %s", problem)
            return False

    def _settings(self) -> None:
        if not self._open_page("", ""):
            text = "No browser could be opened. This command prints the address of the settings:"
            self._desktop.show(explain.Text("Settings", f"{text}\n\nnexoctl settings --no-browser"))

    def _why_on_page(self, connection_id: str) -> None:
        connection = self._shared.state.connection(connection_id)
        at, name = ("show", connection.name) if connection else ("", "")
        if not self._open_page(at, name):
            self._why(connection_id)

    def _why(self, connection_id: str) -> None:
        self._desktop.show(explain.why(self._shared.state, connection_id, utc_now()))

    def _form(self, command: str, name: str = "") -> None:
        """Add or edit a connection: on the settings screen, or in a terminal if it cannot be opened."""
        if not (self._shared.state.page and self._open_page(command, name)):
            self._wizard([command, name] if name else [command])

    def _wizard(self, arguments: list[str]) -> None:
        try:
            terminal.open_wizard(arguments, str(self._client.socket) if self._chosen_socket else "")
        except terminal.NoTerminal as none:
            self._desktop.copy(none.command)
            text = "No terminal program was found. Type this into one (it is on the clipboard):"
            self._desktop.show(explain.Text("Add or edit a connection", f"{text}\n\n{none.command}"))

    def _errand(self, work: Callable[[], None]) -> None:
        self._submit(self._errands, work)

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        if not self._room.acquire(blocking=False):
            _log.warning("too many clicks are waiting for the daemon; this one is dropped")
            return

        def run() -> None:
            try:
                work()
            except NexoError as error:
                _log.info("refused: %s", error)
                self._desktop.notify(notices.refused("That did not work", error))
            except Exception:  # noqa: BLE001 - a bug in one action must not end the tray
                _log.exception("an action failed")
            finally:
                self._room.release()

        try:
            pool.submit(run)
        except RuntimeError:
            # The tray is quitting.
            self._room.release()


def _starting(state: State) -> State:
    return state if state.live else replace(state, link=DaemonLink(LinkState.STARTING))
