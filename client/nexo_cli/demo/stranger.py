"""The stranger of the demo: a program that knows nothing of Nexo, and asks a question for every line.

Run as a process of its own. It takes an address and a key from its environment when it starts, as programs
do, and never looks again.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Asks until standard input closes."""
    address = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    headers = {
        "Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
        "Content-Type": "application/json",
    }
    question = {"model": "example-small", "messages": [{"role": "user", "content": "Who pays?"}]}
    for _ in sys.stdin:
        request = urllib.request.Request(address, json.dumps(question).encode(), headers)  # noqa: S310 - as below
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - of its environment
                print(json.load(response)["choices"][0]["message"]["content"], flush=True)
        except OSError as error:
            print(f"no answer ({error})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
