"""Starts our programs by forking a process that has imported them already.

Most of the time that a daemon or a short `nexoctl` needs in a test is spent on imports. A forked program is
still the real program: a child process of the test with its own pid, files, environment and signals. If a
program depends on how Python itself was started, it is started with `exec` instead; see `takes`.

`python tests/nursery.py` is the process that is forked; it reads its orders from standard input, which is a
Unix socket.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

MODULES = ("nexo_cli", "nexo_daemon")
"""The packages that `python -m` runs; all their modules are imported."""

# Variables that the interpreter, its libraries and the C library read once, when a process starts.
_READ_AT_START = ("COVERAGE", "GRPC_", "LANG", "LC_", "LD_", "MALLOC_", "PYTHON", "SSL_", "TZ")
_SUBREAPER, _DEATH_SIGNAL = 36, 1  # prctl(2)


def takes(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether `python -m` with these arguments and this environment may be forked."""

    def read_at_start(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(_READ_AT_START)}

    return (
        sys.platform == "linux"
        and command[:1] in [[module] for module in MODULES]
        # It sets how much grpc says, which grpc reads when it is imported, and then becomes another program.
        and "run" not in command
        and "COVERAGE_PROCESS_START" not in env
        and read_at_start(env) == read_at_start(os.environ)
    )


class Forked(subprocess.Popen[Any]):
    """`Popen(["-m", module, *arguments])`, forked from the nursery of this process."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, *pipes = rest[:15]
        read_in, _, _, write_out, _, write_err = pipes
        files = [own if own != -1 else number for number, own in enumerate((read_in, write_out, write_err))]
        order = {"arguments": list(args), "env": dict(env), "cwd": str(cwd)}
        try:
            self.pid = _Nursery.of_this_process().fork(order, files)
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # as the method that this one replaces


class _Nursery:
    """The process that is forked, as seen by the process that gets its children."""

    _made: "_Nursery | None" = None
    _making = threading.Lock()

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.getpid()
        self._one_at_a_time = threading.Lock()
        with theirs:
            self._process = subprocess.Popen([sys.executable, __file__], stdin=theirs, cwd="/")
        self._socket.settimeout(60)
        atexit.register(self._end)

    @classmethod
    def of_this_process(cls) -> "_Nursery":
        with cls._making:
            if cls._made is None or cls._made._pid != os.getpid():
                cls._made = cls()
            return cls._made

    def fork(self, order: Mapping[str, Any], files: Sequence[int]) -> int:
        """The pid of a new child of this process."""
        text = os.memfd_create("order")
        try:
            os.write(text, json.dumps(order).encode())
            with self._one_at_a_time:
                # An orphan is given to the nearest ancestor that asked for orphans.
                _prctl(_SUBREAPER, 1)
                try:
                    socket.send_fds(self._socket, [b"fork"], [text, *files])
                    return int(self._socket.recv(64))
                finally:
                    _prctl(_SUBREAPER, 0)
        finally:
            os.close(text)

    def _end(self) -> None:
        if self._pid == os.getpid():
            self._socket.close()
            self._process.wait(30)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _import_everything() -> None:
    for package in map(importlib.import_module, MODULES):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # Alembic's own, which runs where it is imported.
            if not found.name.endswith((".__main__", ".migrations.env")):
                importlib.import_module(found.name)
    gc.collect()
    gc.freeze()


def _serve(orders: socket.socket) -> list[int] | None:
    """Fork until the orders end (returns None); in each child, return the files of its order."""
    asked_by = os.getppid()
    while True:
        _, files, _, _ = socket.recv_fds(orders, 64, 4)
        if not files:
            return None
        read, write = os.pipe()
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                os.close(read)
                os.close(write)
                orders.close()
                _die_with(asked_by)
                return files
            os.write(write, str(child).encode())
            os._exit(0)
        # The child is its new parent's only when the process between them has ended.
        os.waitpid(middle, 0)
        orders.send(os.read(read, 64))
        for number in (read, write, *files):
            os.close(number)


def _die_with(parent: int) -> None:
    """Wait until that process is the parent, and have the kernel kill this one when it ends."""
    while os.getppid() != parent:
        if os.getppid() == 1:
            os._exit(1)
        time.sleep(0.0001)
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _become(files: Sequence[int]) -> str:
    """Set the directory, files and environment of the order; returns the module to run."""
    text, *standard = files
    with os.fdopen(text, "rb") as file:
        file.seek(0)
        order = json.load(file)
    for number, own in enumerate(standard):
        os.dup2(own, number)
        os.close(own)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    tempfile.tempdir = None
    random.seed()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        earlier = getattr(sys, name)
        binary = os.fdopen(number, "rb" if number == 0 else "wb", closefd=False)
        stream = io.TextIOWrapper(
            binary,
            encoding=earlier.encoding,
            errors=earlier.errors,
            line_buffering=number == 2 or os.isatty(number),
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    module, *sys.argv[1:] = order["arguments"]
    return str(module)


def _end_quickly(code: object) -> None:
    """End the process as Python does, but without unloading modules; returns if more than that is needed."""
    if not isinstance(code, int) or threading.active_count() > 1:
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        return
    os._exit(code & 0xFF)


if __name__ == "__main__":
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
    _import_everything()
    with socket.socket(fileno=os.dup(0)) as _orders:
        _files = _serve(_orders)
    if _files:
        # Not in a function: what the program raises is to end this process as it ends any other.
        try:
            runpy.run_module(_become(_files), run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            _end_quickly(ended.code)
            raise
