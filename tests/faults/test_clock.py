"""Rows 27 and 38: URLs that age, and clocks that jump. Time is injected, nobody waits for it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.simulator import Fault
from tests.faults.kit import Site, site
from tests.faults.network_kit import FRAMES, VICTIM, asked, failed_alone, retries, soon

DAY = 86_400.0


class Skewed:
    """A wall clock that jumps; `jump` adds seconds."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self.ahead = 0.0

    def __call__(self) -> float:
        return self._read() + self.ahead

    def jump(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def platform_clock(monkeypatch: pytest.MonkeyPatch) -> Skewed:
    """The platform's wall clock, by which it mints URLs and judges them."""
    clock = Skewed(time.time)
    faked = SimpleNamespace(time=clock, monotonic=time.monotonic)
    monkeypatch.setattr("mirror.simulator.server.time", faked)
    monkeypatch.setattr("mirror.simulator.store.time", faked)
    return clock


@pytest.fixture
def our_clock(monkeypatch: pytest.MonkeyPatch) -> Skewed:
    """The wall clock of everything but the platform; the monotonic clock stays what it is."""
    real, clock = time.time, Skewed(time.time)

    def wall() -> float:
        asking = str(sys._getframe(1).f_globals.get("__name__"))
        platforms = asking.startswith(("mirror.simulator", "aiohttp.helpers"))
        return real() if platforms else clock()

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Datetime:
            now = datetime.now(UTC) + timedelta(seconds=clock.ahead)
            return cls.fromtimestamp(now.timestamp(), tz)

    monkeypatch.setattr(time, "time", wall)
    monkeypatch.setattr("mirror.savant.classify.datetime", Datetime)
    return clock


def at_each(
    there: Site, host: Any, monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]
) -> None:
    """Do something whenever a request arrives at a host, before it is judged."""
    desk = there.simulator._hosts[host]._desk

    def answer(received: Any) -> Any:
        do()
        return type(desk).answer(desk, received)

    faked = SimpleNamespace(
        answer=answer, banner=desk.banner, identify=desk.identify, overload=desk.overload
    )
    monkeypatch.setattr(there.simulator._hosts[host], "_desk", faked)


# --- row 27 ---------------------------------------------------------------------------------------


async def test_fault_27_a_url_that_expires_while_queued_is_minted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform_clock: Skewed
) -> None:
    """A minute passes while eight frames, their URLs minted, queue for a store that takes one."""
    monkeypatch.setattr("mirror.sync.limits.START", 1)
    arrivals = 0

    def third() -> None:
        nonlocal arrivals
        arrivals += 1
        if arrivals == 3:
            platform_clock.jump(61)

    async with site(tmp_path, url_lifetime=60.0, store_latency=0.03) as there:
        at_each(there, "store", monkeypatch, third)
        report = await there.run()
        there.complete(report)
        expired = there.simulator.statuses["download", 403]
        assert expired >= 2, "the one that arrived, and those that were queued"
        assert {(event.reason, event.hop) for event in retries(there)} == {
            ("url_expired", "download")
        }
        assert there.simulator.count("resolve") == len(FRAMES) + expired
        for frame in FRAMES:
            targets = [request.target for request in asked(there, "download", frame)]
            assert len(set(targets)) == len(targets), "each time with a new URL"
        assert there.simulator.logins == 1


async def test_fault_27_a_url_is_minted_again_a_bounded_number_of_times(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, Fault("expired_url", frames=VICTIM)) as there:
        report = await there.run()
        failed_alone(there, report, "url_expired", 6)
        assert "expired" in report.failures[0].detail
        assert len(asked(there, "resolve", VICTIM)) == len(asked(there, "download", VICTIM)) == 6


async def test_fault_27_a_body_that_has_begun_outlives_its_url(
    tmp_path: Path, platform_clock: Skewed
) -> None:
    """Nothing is asked twice: the URL counts when the request starts, and not afterwards."""
    fault = Fault("pause_before_fin", seconds=0.3)
    async with site(tmp_path, fault, url_lifetime=60.0) as there:
        jump = asyncio.get_running_loop().call_later(0.2, platform_clock.jump, 61)
        report = await there.run(concurrency=12)
        jump.cancel()
        there.complete(report)
        assert (report.retries, there.simulator.count("download")) == (0, len(FRAMES))


# --- row 38 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "backward"])
async def test_fault_38_a_wall_clock_that_jumps_all_the_time_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_clock: Skewed, jump: float
) -> None:
    """A day with every request: no token, wait, timeout or rate is measured by it."""
    faults = (
        Fault("retry_after", hop="resolve", frames=FRAMES[::4], attempts=1, seconds=0.3),
        Fault("drip", frames=FRAMES[1::4], attempts=1, at=0.99, size=6, interval=0.02),
    )
    async with site(tmp_path, *faults, token_lifetime=600.0) as there:
        for host in ("api", "store"):
            at_each(there, host, monkeypatch, lambda: our_clock.jump(jump))
        report = await asyncio.wait_for(there.run(outage_patience=5), 30)
        there.complete(report)
        assert abs(our_clock.ahead) > 20 * DAY
        assert report.logins == 1, "the token's end is on the monotonic clock"
        assert {event.reason for event in retries(there)} == {"throttled"}
        assert 0.3 <= report.seconds < 20
        assert all(0.3 <= event.delay < 1 for event in retries(there))


@pytest.mark.parametrize("ahead", [DAY, -DAY], ids=["ahead", "behind"])
async def test_fault_38_a_wrong_wall_clock_reads_a_date_by_the_answers_own(
    tmp_path: Path, our_clock: Skewed, ahead: float
) -> None:
    """`Retry-After` as a date, and a token's `exp`, mean the platform's clock."""
    our_clock.jump(ahead)
    fault = Fault("retry_after", frames=VICTIM, attempts=1, kind="date", seconds=2.0)
    async with site(tmp_path, fault, token_lifetime=600.0) as there:
        report = await there.run()
        there.complete(report)
        (retry,) = retries(there)
        assert 1.0 <= retry.delay < 2.3
        assert report.logins == 1


async def test_fault_38_an_outage_is_measured_by_the_monotonic_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, our_clock: Skewed
) -> None:
    """A day's jump in the middle of an outage of half a second is not a day's outage."""
    soon(monkeypatch)
    fault = Fault("html_error", hop="resolve", limit=14)
    async with site(tmp_path, fault) as there:
        host = there.simulator._hosts["api"]
        misbehave = host._misbehave

        def jumping(*given: Any) -> Any:
            our_clock.jump(DAY)
            return misbehave(*given)

        monkeypatch.setattr(host, "_misbehave", jumping)
        report = await there.run(outage_patience=20)
        there.complete(report)
        assert our_clock.ahead >= 14 * DAY
        assert report.seconds < 20
