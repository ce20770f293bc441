"""The gateway takes one step a turn of the loop: a call of the daemon is not behind all of its requests."""

import asyncio

from nexo_gateway.pace import Pace


def test_one_step_begins_in_each_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
    async def work() -> None:
        pace, begun = Pace(), list[int]()

        async def step(number: int) -> None:
            await pace.turn()
            begun.append(number)

        tasks = [asyncio.create_task(step(number)) for number in range(8)]
        seen = list[int]()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            seen.append(len(begun))
        assert begun == list(range(8))
        assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) == 1

    asyncio.run(asyncio.wait_for(work(), 20))


def test_who_gave_up_takes_no_turn_and_nobody_waits_where_nobody_is() -> None:
    async def work() -> None:
        pace = Pace()
        await pace.turn()
        left = asyncio.create_task(pace.turn())
        stays = asyncio.create_task(pace.turn())
        await asyncio.sleep(0)
        left.cancel()
        await stays
        for _ in range(3):
            await asyncio.sleep(0)
        # Nothing is left that would hold the next one up: it goes on within this turn.
        alone = pace.turn()
        try:
            alone.send(None)
        except StopIteration:
            return
        raise AssertionError

    asyncio.run(asyncio.wait_for(work(), 20))
