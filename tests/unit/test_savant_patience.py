"""Waits that end together with one timer."""

import asyncio

import pytest

from mirror.savant.patience import Patience


async def test_a_wait_that_takes_too_long_is_a_timeout() -> None:
    patience = Patience(0.02)
    with pytest.raises(TimeoutError), patience.wait():
        await asyncio.sleep(10)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)  # and nothing is cancelled later


async def test_what_ends_in_time_goes_on() -> None:
    patience = Patience(0.05)
    for _ in range(5):
        with patience.wait():
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    with patience.wait():
        await asyncio.sleep(0)


async def test_each_wait_ends_in_its_own_time() -> None:
    patience = Patience(0.1)
    loop = asyncio.get_running_loop()

    async def late(after: float) -> float:
        await asyncio.sleep(after)
        since = loop.time()
        with pytest.raises(TimeoutError), patience.wait():
            await asyncio.sleep(10)
        return loop.time() - since

    for waited in await asyncio.gather(*(late(number / 50) for number in range(8))):
        assert 0.09 < waited < 2


async def test_a_cancellation_from_outside_stays_one() -> None:
    patience = Patience(10)

    async def wait() -> None:
        with patience.wait():
            await asyncio.sleep(10)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_same_instant_is_not_lost() -> None:
    patience = Patience(0.01)
    caught: list[type[BaseException]] = []

    async def wait() -> None:
        try:
            with patience.wait():
                await asyncio.sleep(10)
        except BaseException as error:
            caught.append(type(error))
            raise

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 0.01, task.cancel)
    await asyncio.wait({task})
    assert task.cancelled() or isinstance(task.exception(), TimeoutError)
    assert len(caught) == 1


async def test_an_error_inside_is_not_hidden() -> None:
    patience = Patience(10)
    with pytest.raises(ValueError, match="inside"), patience.wait():
        raise ValueError("inside")


async def test_waits_may_nest() -> None:
    outer, inner = Patience(10), Patience(0.01)
    with outer.wait():
        with pytest.raises(TimeoutError), inner.wait():
            await asyncio.sleep(10)
        await asyncio.sleep(0)


async def test_a_loop_that_stood_still_ends_all_that_are_over() -> None:
    patience = Patience(0.01)

    async def wait() -> str:
        try:
            with patience.wait():
                await asyncio.sleep(10)
        except TimeoutError:
            return "over"
        return "in time"

    waiting = [asyncio.ensure_future(wait()) for _ in range(50)]
    assert await asyncio.gather(*waiting) == ["over"] * 50
