"""A host of a run: its limit, its pauses, and what is told of them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest

from mirror.errors import (
    BadAnswerError,
    ConnectionFailedError,
    ForbiddenError,
    FrameError,
    ServerFaultError,
    ServiceUnavailableError,
    ThrottledError,
    TooSlowError,
    TruncatedError,
    UrlRefusedError,
)
from mirror.events import Event, Events, HostPaused, HostResumed, LimitChanged
from mirror.frames import FrameRef
from mirror.sources import load_settings
from mirror.store import PendingFrame
from mirror.sync.hosts import Host, PostponedError
from mirror.sync.outage import THRESHOLD, THROTTLED_THRESHOLD
from mirror.sync.retry import Work

START = 16


@dataclass
class Bench:
    """A host, its clock, and what it told."""

    host: Host = field(init=False)
    now: float = 0.0
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings = load_settings(outage_patience=45, retry_after_cap=60)
        self.host = Host("resolve", settings, Events(self.told.append), lambda: self.now)

    async def fails(self, error: FrameError, frames: range, *, probe: bool = False) -> None:
        for row in frames:
            with pytest.raises(type(error)):
                await self.host.run(work(row, probe=probe), failing, error)

    def pauses(self) -> list[Event]:
        return [event for event in self.told if not isinstance(event, LimitChanged)]


def work(row: int = 0, *, probe: bool = False) -> Work:
    return Work(PendingFrame(row, FrameRef("w", "r", f"f{row}"), 0), probe=probe)


async def failing(error: FrameError) -> None:
    raise error


async def well(answer: str) -> str:
    return answer


async def test_a_call_is_made_and_its_answer_handed_back() -> None:
    one = Bench()
    item = work()
    assert await one.host.run(item, well, "yes") == "yes"
    assert item.hop == "resolve"
    assert one.host.gate.in_flight == 0
    assert one.host.breaker.answered_at == 0.0
    assert one.told == []


async def test_a_call_gets_all_that_it_was_given() -> None:
    async def both(first: int, *, second: int) -> tuple[int, int]:
        return first, second

    assert await Bench().host.run(work(), both, 1, second=2) == (1, 2)


@pytest.mark.parametrize("error", [None, ForbiddenError("no")])
async def test_answers_raise_a_limit_that_is_used_and_that_is_told(
    error: FrameError | None,
) -> None:
    one = Bench()

    async def answer() -> None:
        one.now += 0.1 / START
        await asyncio.sleep(0)
        if error:
            raise error

    async def several() -> None:
        for number in range(10):
            with contextlib.suppress(ForbiddenError):
                await one.host.run(work(number), answer)

    await asyncio.gather(*(several() for _ in range(START)))
    assert one.told[:2] == [LimitChanged("resolve", 17), LimitChanged("resolve", 18)]


async def test_half_bodies_neither_raise_nor_lower_a_limit() -> None:
    one = Bench()
    await one.fails(TruncatedError("half"), range(START))
    assert one.told == []


async def test_frames_that_fail_in_a_row_pause_the_host_and_that_is_told_once() -> None:
    one = Bench()
    one.now = 7.0
    await one.fails(ConnectionFailedError("nobody there"), range(THRESHOLD))
    with pytest.raises(PostponedError):
        await one.host.run(work(THRESHOLD), well, "yes")
    assert one.pauses() == [HostPaused("resolve", "connection", "nobody there", 1.0)]


async def test_while_paused_only_probes_go_out() -> None:
    one = Bench()
    one.host.trip(ConnectionFailedError("nobody there"))
    with pytest.raises(PostponedError):
        await one.host.run(work(), well, "yes")
    assert one.host.gate.in_flight == 0
    assert one.host.breaker.open
    assert await one.host.run(work(probe=True), well, "yes") == "yes"
    assert one.told[-1] == HostResumed("resolve")


async def test_a_probe_that_fails_is_told_and_a_straggler_is_not() -> None:
    one = Bench()
    straggler = asyncio.Event()

    async def late() -> None:
        await straggler.wait()
        raise ServerFaultError("late")

    running = asyncio.create_task(one.host.run(work(99), late))
    await asyncio.sleep(0)
    one.host.trip(ConnectionFailedError("nobody there"))
    one.host.probed()
    straggler.set()
    with pytest.raises(ServerFaultError):
        await running
    assert len(one.pauses()) == 1
    await one.fails(ServerFaultError("still down"), range(1), probe=True)
    assert one.pauses()[1:] == [HostPaused("resolve", "server_error", "still down", 2.0)]


async def test_what_a_lone_frame_shows_is_told_once() -> None:
    one = Bench()
    one.host.trip(ConnectionFailedError("nobody there"))
    one.now = 0.5
    one.host.trip(ConnectionFailedError("again"))
    assert one.told == [HostPaused("resolve", "connection", "nobody there", 1.0)]
    assert one.host.breaker.until_probe(0.5) == 0.5


async def test_fault_08_a_pause_lasts_as_long_as_the_host_asked_up_to_the_cap() -> None:
    one = Bench()
    one.host.trip(ThrottledError("503", retry_after=20.0))
    assert one.told == [HostPaused("resolve", "throttled", "503", 20.0)]
    other = Bench()
    error = ServerFaultError("500", retry_after=86_400.0)
    await other.fails(error, range(THRESHOLD))
    assert other.host.breaker.until_probe(0.0) == 60.0


async def test_a_pause_that_is_over_is_told_as_none() -> None:
    one = Bench()
    one.host.trip(ConnectionFailedError("nobody there"))
    one.now = 9.0
    await one.fails(ServerFaultError("500"), range(1), probe=True)
    assert one.told[-1] == HostPaused("resolve", "server_error", "500", 0.0)


async def test_fault_31_refusals_for_load_lower_the_limit_long_before_they_pause() -> None:
    one = Bench()
    await one.fails(ThrottledError("429"), range(THROTTLED_THRESHOLD - 1))
    assert one.pauses() == []
    assert one.told[0] == LimitChanged("resolve", 11)
    await one.fails(ThrottledError("429"), range(THROTTLED_THRESHOLD, THROTTLED_THRESHOLD + 1))
    assert [type(event) for event in one.pauses()] == [HostPaused]


async def test_fault_31_a_burst_of_refusals_lowers_the_limit_once() -> None:
    one = Bench()
    go = asyncio.Event()

    async def refused() -> None:
        await go.wait()
        raise ThrottledError("429")

    burst = [asyncio.create_task(one.host.run(work(n), refused)) for n in range(START)]
    await asyncio.sleep(0)
    go.set()
    await asyncio.gather(*burst, return_exceptions=True)
    assert one.told == [LimitChanged("resolve", 11)]


async def test_fault_02_one_failing_login_pauses_the_api() -> None:
    one = Bench()
    error = BadAnswerError("no JSON")
    error.of_login = True
    await one.fails(error, range(1))
    assert one.pauses() == [HostPaused("resolve", "bad_answer", "no JSON", 1.0)]


@pytest.mark.parametrize(
    ("error", "is_answer"),
    [
        (ForbiddenError("no"), True),
        (BadAnswerError("{"), True),
        (UrlRefusedError("403"), True),
        (TruncatedError("half"), False),
        (TooSlowError("slow"), False),
        (ServerFaultError("500"), False),
    ],
)
async def test_only_a_clear_word_shows_that_the_host_is_there(
    error: FrameError, is_answer: bool
) -> None:
    one = Bench()
    await one.fails(ServerFaultError("500"), range(THRESHOLD - 1))
    one.now = 3.0
    await one.fails(error, range(1))
    assert (one.host.breaker.answered_at == 3.0) is is_answer
    await one.fails(ServerFaultError("500"), range(100, 101))
    assert one.host.breaker.open is not is_answer


async def test_fault_13_a_host_that_stays_away_ends_the_run_in_a_sentence() -> None:
    one = Bench()
    await one.fails(ConnectionFailedError("No connection to api."), range(THRESHOLD))
    one.now = 44.9
    one.host.check()
    one.now = 45.0
    with pytest.raises(ServiceUnavailableError) as caught:
        one.host.check()
    assert str(caught.value) == (
        "The API is unavailable: No connection to api. What is mirrored so far is safe; running"
        " the same command again resumes."
    )


async def test_the_last_error_is_the_one_that_is_told_at_the_end() -> None:
    one = Bench()
    one.host.trip(ConnectionFailedError("No connection to api."))
    one.now = 45.0
    with pytest.raises(ServiceUnavailableError, match=r"unavailable: No connection to api\. What"):
        one.host.check()
