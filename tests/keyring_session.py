"""Runs a real gnome-keyring on a private D-Bus session, which a test can create, lock, wipe and stop."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from surroundings import PATIENCE_S

_PASSWORD = b"nexo-tests\n"


class KeyringSession:
    """A context manager. `start` starts the service; `environment` is for programs in the session."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bus: subprocess.Popen[bytes] | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        for name in ("data", "cache"):
            (self._root / name).mkdir(mode=0o700, parents=True)
        # Not in the root, because a socket's path has at most 107 bytes, and tests' directories are deep.
        self._run = tempfile.TemporaryDirectory(prefix="nexo-keyring-")
        base = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.environment = {
            **base,
            "XDG_RUNTIME_DIR": self._run.name,
            "XDG_DATA_HOME": str(self._root / "data"),
            "XDG_CACHE_HOME": str(self._root / "cache"),
        }
        # Without service files, D-Bus starts no services by itself.
        config = self._root / "bus.conf"
        config.write_text(
            f"<busconfig><type>session</type><listen>unix:dir={self._run.name}</listen>"
            '<policy context="default"><allow send_destination="*" eavesdrop="true"/>'
            '<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>'
        )
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        if self._bus.stdout is None:
            raise RuntimeError("no pipe")
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._bus.stdout.readline().decode().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resume()
        for process in (self._service, self._bus):
            if process is not None:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        with suppress(OSError):
                            pipe.close()
        self._run.cleanup()

    def start(self, *, unlocked: bool = True) -> None:
        """Start the service; with `unlocked`, create or open its login collection, as a login does."""
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        if unlocked:
            command.append("--unlock")
        self._service = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        if self._service.stdin is not None:
            self._service.stdin.write(_PASSWORD if unlocked else b"")
            self._service.stdin.close()
        self._until(lambda: self._call_bus("NameHasOwner", "string:org.freedesktop.secrets"))
        if unlocked:
            self._until(lambda: b"boolean false" in self._locked())

    def stop(self) -> None:
        """End the service; the bus stays."""
        if self._service is not None:
            self._service.kill()
            self._service.wait()
            self._service = None
            self._until(lambda: not self._call_bus("NameHasOwner", "string:org.freedesktop.secrets"))

    def lock(self) -> None:
        """Lock the default collection."""
        self._send(
            "org.freedesktop.secrets",
            "/org/freedesktop/secrets",
            "org.freedesktop.Secret.Service.Lock",
            "array:objpath:/org/freedesktop/secrets/aliases/default",
        )
        self._until(lambda: b"boolean true" in self._locked())

    def make_default(self, collection: str) -> None:
        """Make another collection the default one: `login`, `session` (in memory), or a new one."""
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection
        from secretstorage.util import format_secret, open_session

        path = f"/org/freedesktop/secrets/collection/{collection}"
        service = {"object_path": "/org/freedesktop/secrets", "bus_name": "org.freedesktop.secrets"}
        with open_dbus_connection(self.environment["DBUS_SESSION_BUS_ADDRESS"]) as bus:

            def call(interface: str, method: str, signature: str, *body: object) -> None:
                address = DBusAddress(**service, interface=interface)
                bus.send_and_get_reply(new_method_call(address, method, signature, body))

            if collection not in ("login", "session"):
                # The method of the specification would show a dialog.
                label = {"org.freedesktop.Secret.Collection.Label": ("s", collection)}
                password = format_secret(open_session(bus), _PASSWORD, "text/plain")
                internal = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface"
                call(internal, "CreateWithMasterPassword", "a{sv}(oayays)", label, password)
            call("org.freedesktop.Secret.Service", "SetAlias", "so", "default", path)

    def wipe(self) -> None:
        """Lose all stored secrets, as if the keyring's file were deleted; it is open and empty then."""
        self.stop()
        shutil.rmtree(self._root / "data" / "keyrings")
        self.start()

    def suspend(self) -> None:
        """Make the service hang: it owns its name but does not answer."""
        if self._service is not None:
            self._service.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the service continue."""
        if self._service is not None:
            with suppress(ProcessLookupError):
                self._service.send_signal(signal.SIGCONT)

    def _call_bus(self, method: str, argument: str) -> bool:
        answer = self._send(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", f"org.freedesktop.DBus.{method}", argument
        )
        return b"boolean true" in answer

    def _locked(self) -> bytes:
        return self._send(
            "org.freedesktop.secrets",
            "/org/freedesktop/secrets/aliases/default",
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        )

    def _send(self, destination: str, path: str, method: str, *arguments: str) -> bytes:
        done = subprocess.run(
            [
                *("dbus-send", "--session", "--print-reply", "--reply-timeout=5000"),
                *(f"--dest={destination}", path, method, *arguments),
            ],
            capture_output=True,
            env=self.environment,
            check=False,
        )
        return done.stdout

    def _until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the keyring service did not get there")
            time.sleep(0.02)
