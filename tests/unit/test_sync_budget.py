"""Bounds on bytes."""

import asyncio

import pytest

from mirror.sync.budget import ByteBudget, RateLimit


async def spin() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_more_than_the_capacity_waits_and_nobody_overtakes() -> None:
    budget = ByteBudget(100)
    assert await budget.reserve(80) == 80
    large = asyncio.create_task(budget.reserve(50))
    small = asyncio.create_task(budget.reserve(10))
    await spin()
    assert not large.done()
    assert not small.done()
    budget.release(80)
    assert await large == 50
    assert await small == 10


async def test_a_body_larger_than_everything_gets_everything() -> None:
    budget = ByteBudget(100)
    assert await budget.reserve(1000) == 100


async def test_cancelling_gives_back_what_was_granted() -> None:
    budget = ByteBudget(100)
    await budget.reserve(100)
    first = asyncio.create_task(budget.reserve(100))
    second = asyncio.create_task(budget.reserve(100))
    await spin()
    budget.release(100)
    first.cancel()  # granted, but it never ran on
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await asyncio.wait_for(second, 1) == 100


async def test_cancelling_a_large_one_lets_smaller_ones_pass() -> None:
    budget = ByteBudget(100)
    await budget.reserve(60)
    large = asyncio.create_task(budget.reserve(90))
    small = asyncio.create_task(budget.reserve(30))
    await spin()
    large.cancel()
    assert await asyncio.wait_for(small, 1) == 30


async def test_the_rate_is_held_over_all_spenders(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, now, slept = asyncio.get_running_loop(), [1000.0], []
    monkeypatch.setattr(loop, "time", lambda: now[0])

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    rate = RateLimit(1000)
    for _ in range(100):
        await rate.spend(100)
    # 10,000 bytes at 1,000 a second, a second's worth of them at once
    assert now[0] - 1000.0 == pytest.approx(9.0)
