"""Asks a question for every line on standard input, of whichever connection is right at that moment.

    python follow.py [DIRECTORY]

Switch while it runs (`nexoctl default NAME`, or the tray): the next answer comes from the other account.
"""

import sys

import nexo_client


def main(workspace: str) -> None:
    with nexo_client.connect(start=True) as nexo, nexo.follow(workspace=workspace) as live:
        live.on_change(lambda conn: print(f"[now {conn.name}]" if conn else "[nothing to use]", flush=True))
        # Made once. Address, key, headers and proxy are those of `live.current` with each request.
        client = nexo_client.openai_client(live=live)
        print(f"[{live.current.name}: {live.current.source_detail}]", flush=True)
        for question in sys.stdin:
            try:
                answer = client.chat.completions.create(
                    model=live.current.model, messages=[{"role": "user", "content": question}]
                )
            except nexo_client.NexoError as error:
                print(f"{error.message}; {error.hint}", flush=True)
            else:
                print(answer.choices[0].message.content, flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
