"""The limit of a host, and waiting for one's turn."""

import asyncio

import pytest

from mirror.sync.limits import AdaptiveLimit, Gate


def grow(limit: AdaptiveLimit, successes: int) -> None:
    for _ in range(successes):
        limit.succeeded(limit.value)


def test_doubles_until_the_first_refusal_and_never_passes_the_ceiling() -> None:
    limit = AdaptiveLimit(64, start=8)
    grow(limit, 8)
    assert limit.value == 16
    grow(limit, 1000)
    assert limit.value == 64


def test_after_a_refusal_it_grows_by_one_a_round() -> None:
    limit = AdaptiveLimit(64, start=20)
    limit.overloaded(limit.epoch)
    assert limit.value == 14
    grow(limit, 14)
    assert limit.value in {14, 15}
    grow(limit, 16)
    assert limit.value in {15, 16}


def test_fault_31_one_burst_of_refusals_lowers_the_limit_once() -> None:
    limit = AdaptiveLimit(64, start=40)
    epoch = limit.epoch
    for _ in range(40):
        limit.overloaded(epoch)
    assert limit.value == 28
    limit.overloaded(limit.epoch)
    assert limit.value == 19


def test_never_falls_below_one() -> None:
    limit = AdaptiveLimit(8)
    for _ in range(100):
        limit.overloaded(limit.epoch)
    assert limit.value == 1


def test_an_unused_limit_does_not_grow() -> None:
    limit = AdaptiveLimit(64, start=16)
    for _ in range(100):
        limit.succeeded(in_flight=3)
    assert limit.value == 16


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_gate_lets_no_more_through_than_the_limit_and_in_order() -> None:
    gate = Gate(AdaptiveLimit(2, start=2), lambda _: None)
    inside: list[int] = []

    async def visit(number: int, leave: asyncio.Event) -> None:
        epoch = await gate.enter()
        inside.append(number)
        await leave.wait()
        gate.leave(epoch, overload=False, answered=True)

    doors = [asyncio.Event() for _ in range(4)]
    visits = [asyncio.create_task(visit(i, door)) for i, door in enumerate(doors)]
    await spin()
    assert inside == [0, 1]
    doors[1].set()
    await spin()
    assert inside == [0, 1, 2]
    assert gate.in_flight == 2
    for door in doors:
        door.set()
    await asyncio.gather(*visits)
    assert inside == [0, 1, 2, 3]
    assert gate.in_flight == 0


async def test_a_cancelled_waiter_neither_keeps_nor_loses_a_place() -> None:
    gate = Gate(AdaptiveLimit(1, start=1), lambda _: None)
    first = await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await spin()
    waiting[0].cancel()
    await spin()
    gate.leave(first, overload=False, answered=True)
    # the place is granted to the second, which is cancelled before it runs
    waiting[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[1]
    epoch = await asyncio.wait_for(waiting[2], 1)
    assert gate.in_flight == 1
    gate.leave(epoch, overload=False, answered=True)
    assert gate.in_flight == 0


async def test_gate_tells_when_the_limit_moved() -> None:
    moves: list[int] = []
    gate = Gate(AdaptiveLimit(64, start=16), moves.append)
    gate.leave(await gate.enter(), overload=True, answered=False)
    assert moves == [11]


def test_fault_55_a_gate_is_lowered_from_outside_and_says_so() -> None:
    told: list[int] = []
    gate = Gate(AdaptiveLimit(64, start=40), told.append)
    gate.lower()
    assert told == [28]
    for _ in range(50):
        gate.lower()
    assert told[-1] == gate.limit.value == 1
