"""Starts one of our programs in the background; it outlives the program that starts it."""

import os
import subprocess
import threading
from typing import IO

from nexo.connections import paths, python, run_marks


def start(
    module: str,
    *arguments: str,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    """Start Python for one of our modules, apart from the terminal, the directory and a `nexoctl run`.

    Raises:
        OSError: the system refused; `limits.refusal` says why.
    """
    environment = dict(os.environ)
    run_marks.take_back(environment)
    paths.make_absolute(environment)
    process = subprocess.Popen(
        python.of_ours(module, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        env=environment,
        cwd="/",
    )
    # Without this thread, a process that ends before this program becomes a zombie, which seems to run.
    threading.Thread(target=process.wait, name=f"{module}-reaper", daemon=True).start()
    return process
