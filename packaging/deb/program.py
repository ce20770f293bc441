"""Sends requests through the gateway until a file tells it to stop.

Each request uses a new connection. When the daemon ends, a request in progress breaks, but a connection that
is made meanwhile waits for the next daemon.
"""

import http.client
import pathlib
import sys

port = int(sys.argv[1])
token = pathlib.Path(sys.argv[2]).read_text().strip()
enough = pathlib.Path(sys.argv[3])
print("it asks", flush=True)
count = {"good": 0, "broken": 0, "refused": 0}
while not enough.exists():
    try:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        line.request("GET", "/openai/v1/models", headers={"Authorization": f"Bearer {token}"})
        good = line.getresponse().status == 200
        line.close()
        count["good" if good else "broken"] += 1
    except ConnectionRefusedError:
        count["refused"] += 1
    except (OSError, http.client.HTTPException):
        count["broken"] += 1
print(*(f"{number} {how}" for how, number in count.items()))
