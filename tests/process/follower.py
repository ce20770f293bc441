"""A program with many followers, run by `test_crowd`: `python follower.py COUNT`.

Prints "ready" when all follow. Each line on standard input is a revision: it waits until every follower has
applied it, and prints a JSON object with their connections, and whether any saw a revision out of order.
"""

import json
import sys
import time

import nexo_client
from nexo_client import LiveConnection
from nexo_client.types import ResolvedConnection

PATIENCE_S = 120.0


class Witness:
    """One follower, and every change that it was told."""

    def __init__(self, live: LiveConnection) -> None:
        self.live = live
        self.revisions = [live.revision]
        live.on_change(self.note)

    def note(self, connection: ResolvedConnection | None) -> None:
        if connection is not None:
            self.revisions.append(connection.revision)


def wait_until_applied(witnesses: list[Witness], revision: int) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while any(w.live.stale or w.live.revision < revision for w in witnesses):
        if time.monotonic() > give_up:
            break
        time.sleep(0.01)


def main(count: int) -> None:
    with nexo_client.connect(timeout_s=PATIENCE_S) as client:
        witnesses = [Witness(client.follow()) for _ in range(count)]
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            wait_until_applied(witnesses, int(line))
            told = {
                "revisions": sorted({w.live.revision for w in witnesses}),
                "connections": sorted({w.live.current.name for w in witnesses}),
                "stale": sum(w.live.stale for w in witnesses),
                "out_of_order": sum(w.revisions != sorted(w.revisions) for w in witnesses),
                "fewest_changes": min(len(w.revisions) - 1 for w in witnesses),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
