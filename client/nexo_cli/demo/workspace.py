"""The workspace of the demo: a program that follows its connection, and uses it.

Runs as a separate process: `python -m nexo_cli.demo.workspace`. Any program that talks to a provider looks
like this; one that uses a provider's own package has `openai.OpenAI(**connection.openai())` instead of `ask`.
"""

import json
import os
import sys
import threading
import urllib.error
import urllib.request

import nexo_client
from nexo.connections.terms import Provider
from nexo_client.types import ResolvedConnection


def ask(connection: ResolvedConnection) -> str:
    """Send one chat request with the standard library; returns the response's text, or the error."""
    body: dict[str, object] = {
        "model": connection.model,
        "messages": [{"role": "user", "content": "Who pays?"}],
    }
    if connection.provider is Provider.ANTHROPIC:
        path, headers = "/v1/messages", {"x-api-key": connection.api_key, "anthropic-version": "2023-06-01"}
        body["max_tokens"] = 50
    else:
        path, headers = "/chat/completions", {"Authorization": f"Bearer {connection.api_key}"}
    request = urllib.request.Request(  # noqa: S310 - the daemon lets only http and https URLs in
        connection.base_url + path, json.dumps(body).encode(), headers | {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 - as above
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return f"status {error.code}"
    except OSError as error:
        return f"no answer ({error})"
    if connection.provider is Provider.ANTHROPIC:
        return str(answer["content"][0]["text"])
    return str(answer["choices"][0]["message"]["content"])


def main() -> int:
    """Ask once for every connection that it gets, until standard input closes."""
    changed = threading.Event()
    asked = ""
    with nexo_client.connect() as client, client.follow() as live:
        live.on_change(lambda _: changed.set())
        threading.Thread(target=_end_with_standard_input, daemon=True).start()
        while True:
            # Cleared first, so that a change between here and the next line is seen by one of the two.
            changed.clear()
            connection = live.current
            if connection.connection_id != asked:
                asked = connection.connection_id
                print(f"{connection.name}: {ask(connection)}", flush=True)
            changed.wait()


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
