"""A program that does not know about Nexo: it asks the provider a question for every input line.

Runs as a separate process. It reads an address and a key from its environment once, when it starts, as most
programs do.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    """Ask until standard input closes."""
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
