"""The limit of a host, and waiting for one's turn."""

import asyncio

import pytest

from mirror.sync.gate import Gate
from mirror.sync.limits import ROUND, AdaptiveLimit, Turn


class Clock:
    """A host that answers each request after a tenth of a second, as many as there are."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.now = 0.0

    def answers(self, number: int, in_flight: int | None = None, seconds: float = 0.1) -> None:
        """So many requests end well, while the limit is used, or `in_flight` are under way."""
        for _ in range(number):
            under_way = self.limit.value if in_flight is None else in_flight
            self.now += seconds / under_way
            turn = Turn(self.limit.epoch, under_way, self.now - seconds)
            self.limit.succeeded(turn, under_way, self.now)

    def refuses(self, in_flight: int | None = None) -> None:
        """One request that went out last is refused."""
        under_way = self.limit.value if in_flight is None else in_flight
        self.limit.overloaded(Turn(self.limit.epoch, under_way, self.now), self.now)


def test_grows_while_it_pays_and_never_passes_the_ceiling() -> None:
    limit = AdaptiveLimit(64, start=16)
    clock = Clock(limit)
    clock.answers(16 + ROUND)
    clock.answers(16)
    assert limit.value == 32
    clock.answers(5000)
    assert limit.value == 64


def test_grows_by_one_an_answer_at_the_most() -> None:
    limit = AdaptiveLimit(256)
    clock = Clock(limit)
    before = limit.value
    for _ in range(2000):
        clock.answers(1)
        assert limit.value - before <= 1
        before = limit.value
    assert before == 256


def test_what_does_not_pay_is_given_up() -> None:
    """The latency grows as the number in flight: a queue."""
    limit = AdaptiveLimit(64)
    clock = Clock(limit)
    seen = set()
    for _ in range(1000):
        clock.answers(1, seconds=limit.value / 160)
        seen.add(limit.value)
    assert max(seen) == 32
    assert limit.value == 16


def test_fault_31_one_burst_of_refusals_lowers_the_limit_once() -> None:
    limit = AdaptiveLimit(64, start=40)
    clock = Clock(limit)
    burst = [Turn(limit.epoch, n, 0.0) for n in range(21, 41)]
    for turn in burst:
        limit.overloaded(turn, 1.0)
    assert limit.value == 28
    clock.refuses()
    assert limit.value == 19


def test_it_stays_near_what_was_refused() -> None:
    limit = AdaptiveLimit(64, start=40)
    clock = Clock(limit)
    clock.refuses(in_flight=36)
    assert limit.value == 33
    clock.answers(220)
    assert limit.value == 35, "one less than what was refused"
    clock.answers(50)
    assert limit.value == 35, "for a while"


def test_a_second_refusal_after_an_answer_is_no_collapse() -> None:
    limit = AdaptiveLimit(64, start=40)
    clock = Clock(limit)
    clock.refuses(in_flight=40)
    assert limit.value == 37
    clock.answers(1)
    clock.refuses(in_flight=37)
    assert limit.value == 34


def test_one_refusal_in_a_hundred_is_no_reason() -> None:
    limit = AdaptiveLimit(64, start=64)
    clock = Clock(limit)
    clock.answers(101)
    clock.refuses()
    assert limit.value == 64
    clock.refuses()
    assert limit.value == 59


def test_a_refused_trial_goes_back_to_where_it_began() -> None:
    limit = AdaptiveLimit(256, start=32)
    clock = Clock(limit)
    clock.answers(32 + ROUND + 1)
    while limit.value == 32:
        clock.answers(1)
    clock.refuses(in_flight=33)
    assert limit.value == 32


def test_never_falls_below_one() -> None:
    limit = AdaptiveLimit(8)
    for _ in range(100):
        Clock(limit).refuses()
    assert limit.value == 1
    Clock(limit).answers(2000)
    assert limit.value == 8


def test_an_unused_limit_does_not_grow() -> None:
    limit = AdaptiveLimit(64, start=16)
    clock = Clock(limit)
    clock.answers(1000, in_flight=7)
    assert limit.value == 16
    clock.answers(200, in_flight=8)
    assert limit.value > 16


def test_latency_that_rises_by_itself_lowers_nothing_for_long() -> None:
    limit = AdaptiveLimit(64, start=64)
    clock = Clock(limit)
    clock.answers(1000)
    for _ in range(3000):
        clock.answers(1, seconds=1.0)
    low, after = 64, []
    for _ in range(3000):
        clock.answers(1, seconds=1.0)
        low = min(low, limit.value)
        after.append(limit.value)
    assert low == 64, "it has learnt what is usual"


def test_one_very_late_answer_says_nothing_of_the_others() -> None:
    limit = AdaptiveLimit(64, start=64)
    clock = Clock(limit)
    clock.answers(1000)
    clock.answers(1, seconds=60.0)
    for _ in range(400):
        clock.answers(1)
        assert limit.value == 64


def test_each_refusal_begins_a_new_epoch() -> None:
    limit = AdaptiveLimit(64)
    old = [Turn(limit.epoch, 16, 0.0)]
    for _ in range(3):
        limit.overloaded(old[-1], 0.0)
        old.append(Turn(limit.epoch, 16, 0.0))
    assert len({turn.epoch for turn in old}) == 4
    before = limit.value
    for turn in old[:-1]:
        limit.overloaded(turn, 0.0)
    assert limit.value == before


def gate_of(limit: AdaptiveLimit, told: list[int] | None = None) -> Gate:
    return Gate(limit, (told if told is not None else []).append, lambda: 0.0)


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_gate_lets_no_more_through_than_the_limit_and_in_order() -> None:
    gate = gate_of(AdaptiveLimit(2, start=2))
    inside: list[int] = []

    async def visit(number: int, leave: asyncio.Event) -> None:
        turn = await gate.enter()
        inside.append(number)
        await leave.wait()
        gate.leave(turn, overload=False, answered=True)

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
    gate = gate_of(AdaptiveLimit(1, start=1))
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
    turn = await asyncio.wait_for(waiting[2], 1)
    assert gate.in_flight == 1
    gate.leave(turn, overload=False, answered=True)
    assert gate.in_flight == 0


async def test_gate_tells_when_the_limit_moved() -> None:
    moves: list[int] = []
    gate = gate_of(AdaptiveLimit(64, start=16), moves)
    gate.leave(await gate.enter(), overload=True, answered=False)
    assert moves == [11]


def test_fault_55_a_gate_is_lowered_from_outside_and_says_so() -> None:
    told: list[int] = []
    gate = gate_of(AdaptiveLimit(64, start=40), told)
    gate.lower()
    assert told == [28]
    for _ in range(50):
        gate.lower()
    assert told[-1] == gate.limit.value == 1


async def test_a_gate_that_is_cancelled_in_line_lets_the_next_in() -> None:
    gate = gate_of(AdaptiveLimit(1, start=1))
    turn = await gate.enter()
    line = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)
    line[0].cancel()
    gate.leave(turn, overload=False, answered=False)
    await asyncio.wait_for(line[1], 5)
    assert gate.in_flight == 1


async def test_a_gate_tells_nothing_where_its_limit_stays() -> None:
    told: list[int] = []
    gate = gate_of(AdaptiveLimit(16), told)
    for answered in (True, False):
        gate.leave(await gate.enter(), overload=False, answered=answered)
    assert told == []
