"""The gateway takes one step a turn of the loop, and none while a call waits: none is behind all requests."""

import asyncio
import socket

from nexo_gateway.pace import LONGEST_S, Pace
from surroundings import PATIENCE_S


def test_no_two_steps_begin_in_one_turn_of_the_loop_in_the_order_in_which_they_came() -> None:
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

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))


def test_who_gave_up_takes_no_turn_and_nobody_waits_where_nobody_is() -> None:
    async def work() -> None:
        pace = Pace()
        await pace.turn()
        left = asyncio.create_task(pace.turn())
        stays = asyncio.create_task(pace.turn())
        await asyncio.sleep(0)
        left.cancel()
        await stays
        for _ in range(9):
            await asyncio.sleep(0)
        # Nothing is left that would hold the next one up: it goes on within this turn.
        alone = pace.turn()
        try:
            alone.send(None)
        except StopIteration:
            return
        raise AssertionError

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))


def test_who_was_heard_of_during_a_step_goes_before_the_next_one() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        with here, there:
            waits = False

            def heard() -> None:
                nonlocal waits
                loop.remove_reader(here)
                waits = True

            loop.add_reader(here, heard)
            pace, begun = Pace(lambda: waits, lambda: 1.0), list[int]()

            async def step(number: int) -> None:
                await pace.turn()
                if number == 0:
                    there.send(b"x")
                begun.append(number)

            tasks = [asyncio.create_task(step(number)) for number in range(2)]
            for _ in range(9):
                await asyncio.sleep(0)
            assert begun == [0]
            waits = False
            await asyncio.gather(*tasks)
            assert begun == [0, 1]

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))


def test_while_others_wait_no_step_begins_but_not_for_ever() -> None:
    async def work() -> None:
        others, now = True, 1.0
        pace, begun = Pace(lambda: others, lambda: now), list[int]()

        async def step(number: int) -> None:
            await pace.turn()
            begun.append(number)

        tasks = [asyncio.create_task(step(number)) for number in range(3)]
        seen = list[list[int]]()
        for now in (1.0, 1.0 + LONGEST_S, 1.0 + LONGEST_S * 1.5, 1.0 + LONGEST_S * 2):  # noqa: B007 - it is read
            for _ in range(9):
                await asyncio.sleep(0)
            seen.append(begun[:])
        assert seen == [[], [0], [0], [0, 1]]
        others = False
        await asyncio.gather(*tasks)
        assert begun == [0, 1, 2]

    asyncio.run(asyncio.wait_for(work(), PATIENCE_S))
