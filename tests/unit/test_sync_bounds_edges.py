"""The edges of byte budgets and outages."""

from __future__ import annotations

import asyncio
import math

import pytest

from mirror.sync.budget import ByteBudget, RateLimit
from mirror.sync.outage import THRESHOLD, Breaker


async def test_what_a_waiter_was_granted_is_not_free_for_others() -> None:
    budget = ByteBudget(100)
    await budget.reserve(100)
    granted = asyncio.create_task(budget.reserve(70))
    await asyncio.sleep(0)
    budget.release(100)
    assert await granted == 70
    refused = asyncio.create_task(budget.reserve(31))
    await asyncio.sleep(0)
    assert not refused.done()
    assert repr(budget) == "<ByteBudget 30 of 100 free, 1 waiting>"
    budget.release(70)
    assert await refused == 31
    assert repr(budget) == "<ByteBudget 69 of 100 free, 0 waiting>"


async def test_a_waiter_that_is_cancelled_before_its_turn_gives_nothing_back() -> None:
    budget = ByteBudget(100)
    await budget.reserve(100)
    waiting = asyncio.create_task(budget.reserve(50))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    budget.release(100)
    assert await budget.reserve(100) == 100
    assert repr(budget) == "<ByteBudget 0 of 100 free, 0 waiting>"


async def test_a_rate_that_was_not_used_lets_a_second_of_bytes_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda: 0.5)  # a loop may have begun just now
    monkeypatch.setattr(asyncio, "sleep", sleep)
    rate = RateLimit(1000)
    await rate.spend(500)
    assert slept == []
    await rate.spend(250)
    assert slept == [0.25]


def opened(now: float = 0.0, retry_after: float | None = None) -> Breaker:
    """One that the last of several frames has just opened."""
    breaker = Breaker(patience=45, longest_wait=60)
    for frame in range(THRESHOLD):
        breaker.failed(frame, now, retry_after)
    assert breaker.open
    return breaker


def test_a_breaker_shows_itself() -> None:
    assert repr(Breaker(patience=45, longest_wait=60)) == "<Breaker closed, 0 failing>"
    assert repr(opened()) == "<Breaker open, 5 failing>"


def test_fault_08_the_wish_of_the_failure_that_opens_it_counts() -> None:
    assert opened(retry_after=20.0).until_probe(0.0) == 20.0
    assert opened(retry_after=0.25).until_probe(0.0) == 1.0


def test_a_failure_while_it_is_open_opens_nothing_and_hastens_nothing() -> None:
    breaker = opened()
    assert breaker.failed(99, 0.5) is False
    assert breaker.until_probe(0.5) == 0.5


def test_a_failure_that_wishes_nothing_delays_no_probe() -> None:
    breaker = opened()
    breaker.failed(99, 0.9)
    assert breaker.until_probe(0.9) == pytest.approx(0.1)


def test_a_probe_sets_the_time_of_the_next() -> None:
    breaker = opened()
    assert breaker.probed(1.0) == 2.0
    assert breaker.until_probe(1.0) == 2.0


def test_fault_13_time_a_host_asked_for_excuses_nothing_once_it_answered() -> None:
    breaker = opened(retry_after=50.0)
    breaker.answered(1.0)
    for frame in range(THRESHOLD):
        breaker.failed(frame, 2.0)
    assert not breaker.spent(46.9)
    assert breaker.spent(47.0)


def test_a_host_that_never_answered_says_so() -> None:
    assert Breaker(patience=45, longest_wait=60).answered_at == -math.inf
