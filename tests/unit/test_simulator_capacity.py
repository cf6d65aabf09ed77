"""The places of a simulated host."""

from __future__ import annotations

import asyncio

from mirror.simulator.capacity import Capacity


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_beyond_the_limit_it_refuses_until_a_place_is_free() -> None:
    places = Capacity(2, "refuse")
    assert [await places.take() for _ in range(3)] == [True, True, False]
    places.give_back()
    assert await places.take()
    assert places.taken == 2


async def test_beyond_the_limit_they_wait_in_order() -> None:
    places = Capacity(1, "queue")
    served: list[int] = []

    async def ask(number: int) -> None:
        assert await places.take()
        served.append(number)

    waiting = [asyncio.create_task(ask(number)) for number in range(3)]
    await spin()
    assert served == [0]
    waiting[1].cancel()
    places.give_back()
    await spin()
    assert served == [0, 2]
    assert places.taken == 1


async def test_one_that_leaves_just_as_its_turn_comes_gives_the_place_on() -> None:
    places = Capacity(1, "queue")
    assert await places.take()
    first, second = (asyncio.create_task(places.take()) for _ in range(2))
    await spin()
    places.give_back()
    first.cancel()
    assert await asyncio.wait_for(second, 5)
    assert places.taken == 1


async def test_a_capacity_that_grows_lets_more_in_and_one_that_falls_puts_none_out() -> None:
    places = Capacity(1, "queue")
    assert await places.take()
    waiting = [asyncio.create_task(places.take()) for _ in range(3)]
    await spin()
    places.change(3)
    await spin()
    assert [task.done() for task in waiting] == [True, True, False]
    places.change(1)
    assert places.taken == 3
    places.change(None)
    assert await waiting[2]
