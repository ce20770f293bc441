"""The same as follow.py for a program with an event loop: one task asks, another prints every change.

python follow_async.py [DIRECTORY]
"""

import asyncio
import sys

import openai

import nexo_client
from nexo_client.aio import AsyncLiveConnection


async def report(live: AsyncLiveConnection) -> None:
    async for connection in live:
        print(f"[now {connection.name}]" if connection else f"[{live.problem}]", flush=True)


async def ask(live: AsyncLiveConnection, question: str) -> str:
    # A new client for each request uses the present connection; `current` is read from memory.
    connection = live.current
    async with openai.AsyncOpenAI(**connection.openai(async_client=True)) as client:
        answer = await client.chat.completions.create(
            model=connection.model, messages=[{"role": "user", "content": question}]
        )
        return str(answer.choices[0].message.content)


async def main(workspace: str) -> None:
    async with nexo_client.aio.connect(start=True) as nexo, nexo.follow(workspace=workspace) as live:
        reporter = asyncio.create_task(report(live))
        while question := await asyncio.to_thread(sys.stdin.readline):
            try:
                print(await ask(live, question), flush=True)
            except nexo_client.NexoError as error:
                print(f"{error.message}; {error.hint}", flush=True)
    await reporter


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "."))
