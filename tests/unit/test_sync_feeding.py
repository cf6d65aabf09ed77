"""What goes out next, and when: on a clock that jumps to whatever is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from mirror.errors import ConnectionFailedError, ServiceUnavailableError
from mirror.events import Events
from mirror.frames import FrameRef
from mirror.sources import load_settings
from mirror.store import PendingFrame
from mirror.sync.delays import DelayQueue
from mirror.sync.feeding import MOST_DELAYED, PAGE, Feeder, Fresh, Page
from mirror.sync.hosts import Host
from mirror.sync.retry import RetryBudget, Work
from mirror.sync.stop import Stop

BEGIN = 1000.0


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """The loop's time since `BEGIN`; whoever waits finds that it has passed."""
    loop = asyncio.get_running_loop()
    now = [BEGIN]
    select = loop._selector.select

    def jump(seconds: float | None = None) -> object:
        assert seconds is not None, "nothing will ever happen"
        now[0] += seconds
        return select(0)

    monkeypatch.setattr(loop, "time", lambda: now[0])
    monkeypatch.setattr(loop._selector, "select", jump)
    return lambda: now[0] - BEGIN


def frame(row: int) -> PendingFrame:
    return PendingFrame(row, FrameRef("w", "r", f"f{row}"), 0)


def retry(row: int) -> Work:
    return Work(frame(row), retry=True)


@dataclass
class Bench:
    """A feeder with everything around it; `pages` are what the ledger gives."""

    clock: Callable[[], float]
    pages: list[Page] = field(default_factory=list)
    capacity: float = 10.0
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = load_settings(outage_patience=12, retry_after_cap=600)
        time = asyncio.get_running_loop().time
        self.hosts = (
            Host("resolve", settings, Events(), time),
            Host("download", settings, Events(), time),
        )
        self.wake = asyncio.Event()
        self.stop = Stop()
        self.delays = DelayQueue()
        self.budget = RetryBudget(self.capacity, patience=12, now=BEGIN)
        self.fresh = Fresh(self._load, self.wake.set)
        self.feeder = Feeder(self.fresh, self.delays, self.budget, self.hosts, self.wake, self.stop)

    async def _load(self, after: int) -> Page:
        self.asked.append(after)
        return self.pages.pop(0) if self.pages else ([], None)

    async def next(self) -> Work:
        work = await self.feeder.next(lambda: True)
        assert work is not None
        return work

    def put(self, work: Work, due: float) -> Work:
        self.delays.put(work, BEGIN + due)
        return work


async def test_fresh_frames_come_in_order_page_after_page(clock: Callable[[], float]) -> None:
    one = Bench(clock, [([frame(1), frame(2)], 2), ([frame(3)], 3), ([], None)])
    assert [(await one.next()).frame.row for _ in range(3)] == [1, 2, 3]
    assert await one.feeder.next(lambda: True) is None
    assert one.asked == [0, 2, 3]
    assert one.fresh.exhausted


async def test_no_more_than_two_pages_are_ready(clock: Callable[[], float]) -> None:
    full = [frame(n) for n in range(PAGE)]
    one = Bench(clock, [(full, 1), (full, 2), (full, 3)])
    await one.next()
    await asyncio.sleep(0)
    assert one.asked == [0], "a page that is full is enough"
    for _ in range(3):
        await one.next()
        await asyncio.sleep(0)
    assert one.asked == [0, 1], "two pages but a few frames are there"


async def test_nothing_comes_after_a_stop(clock: Callable[[], float]) -> None:
    one = Bench(clock, [([frame(1)], None)])
    one.stop.request("a signal")
    assert await one.feeder.next(lambda: True) is None


async def test_it_is_not_over_while_something_may_come_back(clock: Callable[[], float]) -> None:
    one = Bench(clock)
    busy = [True]

    async def come_back() -> None:
        await asyncio.sleep(1)
        one.put(Work(frame(7)), due=0.0)
        busy[0] = False
        one.wake.set()

    task = asyncio.create_task(come_back())
    work = await one.feeder.next(lambda: not busy[0])
    await task
    assert work is not None
    assert work.frame.row == 7


async def test_a_due_retry_goes_before_fresh_frames_and_takes_a_token(
    clock: Callable[[], float],
) -> None:
    one = Bench(clock, [([frame(1)], None)], capacity=2)
    late = one.put(retry(9), due=0.0)
    assert await one.next() is late
    assert (late.borrowed, late.retry, late.probe, late.since) == (1, False, False, BEGIN)
    late.retry = True
    one.put(late, due=5.0)
    assert (await one.next()).frame.row == 1
    assert await one.next() is late
    assert (late.borrowed, late.since, clock()) == (2, BEGIN, 5.0)


async def test_what_is_no_retry_takes_no_token(clock: Callable[[], float]) -> None:
    one = Bench(clock, capacity=0)
    again = one.put(Work(frame(9)), due=0.0)
    assert await one.next() is again
    assert again.borrowed == 0


async def test_a_retry_waits_until_it_is_due(clock: Callable[[], float]) -> None:
    one = Bench(clock)
    one.put(retry(9), due=0.3)
    await one.next()
    assert clock() == pytest.approx(0.3, abs=0.01)


async def test_a_due_retry_waits_for_its_token(clock: Callable[[], float]) -> None:
    one = Bench(clock, capacity=1)
    for row in (1, 2):
        one.put(retry(row), due=0.0)
    await one.next()
    assert clock() == 0.0
    await one.next()
    assert clock() == pytest.approx(1.0, abs=0.1)


async def test_a_paused_host_gets_single_probes_that_cost_no_token(
    clock: Callable[[], float],
) -> None:
    one = Bench(clock, [([frame(1)], None)], capacity=0)
    late = one.put(retry(9), due=0.0)
    one.hosts[0].trip(ConnectionFailedError("nobody there"))
    assert await one.next() is late
    assert clock() == pytest.approx(1.0)
    assert (late.probe, late.retry, late.borrowed) == (True, False, 0)
    fresh = await one.next()
    assert (fresh.frame.row, fresh.probe) == (1, True)
    assert clock() == pytest.approx(3.0)


async def test_a_short_pause_ends_also_where_no_retry_waits(clock: Callable[[], float]) -> None:
    one = Bench(clock, [([frame(1)], None)])
    one.hosts[0].trip(ConnectionFailedError("nobody there"))
    assert (await one.next()).probe
    assert clock() == pytest.approx(1.0)


async def test_the_longer_pause_of_two_hosts_counts(clock: Callable[[], float]) -> None:
    one = Bench(clock, [([frame(1)], None)])
    one.hosts[0].trip(ConnectionFailedError("nobody there"))
    one.hosts[1].trip(ConnectionFailedError("nobody there", retry_after=4.0))
    one.put(retry(9), due=2.0)
    await one.next()
    assert clock() == pytest.approx(4.0)


async def test_fault_13_a_long_pause_does_not_outlast_the_patience(
    clock: Callable[[], float],
) -> None:
    one = Bench(clock, [([frame(1)], None)])
    one.hosts[0].trip(ConnectionFailedError("nobody there", retry_after=500.0))
    with pytest.raises(ServiceUnavailableError, match="The API is unavailable: nobody there"):
        await one.next()
    assert 12.0 <= clock() <= 17.0


async def test_fault_32_a_spent_retry_budget_ends_the_run(clock: Callable[[], float]) -> None:
    one = Bench(clock, capacity=0)
    one.put(retry(9), due=0.0)
    with pytest.raises(ServiceUnavailableError) as caught:
        await one.next()
    assert str(caught.value) == (
        "The platform sends nothing usable any more, and the retry budget is spent. What is"
        " mirrored so far is safe; running the same command again resumes."
    )
    assert clock() == pytest.approx(12.0, abs=0.1)


@pytest.mark.parametrize(("waiting", "first"), [(MOST_DELAYED - 1, 0), (MOST_DELAYED, 600)])
async def test_fresh_frames_stop_while_too_many_wait_for_their_retry(
    clock: Callable[[], float], waiting: int, first: int
) -> None:
    one = Bench(clock, [([frame(1)], None)])
    for row in range(waiting):
        one.put(retry(row + 10), due=600.0)
    await one.next()
    assert clock() == pytest.approx(first)


async def test_what_a_page_raised_comes_out(clock: Callable[[], float]) -> None:
    one = Bench(clock)

    async def broken(_: int) -> Page:
        raise OSError("the disk")

    fresh = Fresh(broken, one.wake.set)
    assert fresh.take() is None
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="the disk"):
        fresh.take()


async def test_closing_ends_a_page_on_its_way(clock: Callable[[], float]) -> None:
    ended = asyncio.Event()

    async def endless(_: int) -> Page:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    fresh = Fresh(endless, lambda: None)
    fresh.take()
    await asyncio.sleep(0)
    assert not fresh.exhausted
    fresh.close()
    await asyncio.sleep(0)
    assert ended.is_set()
