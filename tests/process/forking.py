"""A program that follows and forks, run by `test_following`. Prints what the child and the parent see."""

import os
import sys
import threading

import nexo_client


def ours() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("nexo-"))


def main() -> None:
    with nexo_client.connect() as client, client.follow() as live:
        assert live.current.name == "one"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                first = live.current.name
                client.set_default("two", wait_s=30)
                print("child", first, live.current.name, live.stale, client.resolve().name, flush=True)
                client.close()
                print("child", ours(), flush=True)
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        changed = threading.Event()
        live.on_change(lambda _: changed.set())
        while live.current.name != "two" and changed.wait(30):
            pass
        print("parent", live.current.name, client.resolve().name, flush=True)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
