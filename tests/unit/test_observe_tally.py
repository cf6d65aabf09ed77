"""The tally: counts of the current run, rates over a sliding window, what is left."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mirror.events import (
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    Idle,
    LimitChanged,
    Preparing,
    RequestFinished,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
    Stopping,
    Verifying,
)
from mirror.frames import FrameRef
from mirror.observe.lines import json_line
from mirror.observe.phrases import preparation, progress
from mirror.observe.tally import WINDOW, Tally

REF = FrameRef("w", "r", "f")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tally(clock: Clock) -> Tally:
    return Tally(clock)


def test_counts_of_a_run(tally: Tally) -> None:
    tally(RunStarted(100, 40))
    tally(GroupCommitted(10, 5, 1000, 0.1))
    tally(FrameFailed(REF, "not_found", "", 1))
    tally(RetryScheduled(REF, "download", "timeout", "", 1, 0.5))
    tally(FileSetAside(REF, "elsewhere"))
    assert (tally.total, tally.already_mirrored, tally.mirrored, tally.adopted) == (100, 40, 10, 5)
    assert (tally.failed, tally.bytes, tally.retries) == (1, 1000, 1)
    assert (tally.at_destination, tally.settled, tally.pending) == (55, 56, 44)
    assert tally.running


def test_requests_in_flight_and_limits_outlive_a_run(tally: Tally) -> None:
    """The hosts don't forget between two runs of `watch`; the run's own counts start afresh."""
    tally(RequestStarted("download"))
    tally(RequestStarted("download"))
    tally(RequestFinished("download", "200", 0.1))
    tally(LimitChanged("download", 12))
    assert tally.requests["download"] == 1
    tally(RunStarted(1, 0))
    assert tally.in_flight["download"] == 1
    assert tally.limits == {"download": 12}
    assert tally.requests["download"] == 0


def test_a_paused_host_is_known_until_it_resumes(tally: Tally, clock: Clock) -> None:
    tally(HostPaused("download", "timeout", "no byte", 12.0))
    assert tally.paused["download"].until == clock.now + 12
    tally(HostResumed("download"))
    assert not tally.paused


def test_the_end_of_a_run_ends_pauses(tally: Tally) -> None:
    tally(RunStarted(1, 0))
    tally(HostPaused("download", "timeout", "", 12.0))
    tally(Stopping("SIGTERM", 20.0))
    tally(RunFinished("interrupted", 75))
    assert tally.finished == RunFinished("interrupted", 75)
    assert not tally.paused
    assert not tally.running
    tally(RunStarted(1, 0))
    assert tally.stopping is None
    assert tally.finished is None


def test_rates_are_those_of_the_run_while_it_is_short(tally: Tally, clock: Clock) -> None:
    tally(RunStarted(100, 0))
    clock.now += 2
    tally(GroupCommitted(20, 0, 4000, 0.1))
    rates = tally.rates()
    assert (rates.frames, rates.bytes) == (10, 2000)
    assert rates.left == pytest.approx(8.0)


def test_rates_forget_what_is_older_than_the_window(tally: Tally, clock: Clock) -> None:
    tally(RunStarted(100_000, 0))
    for second in range(200):
        clock.now += 1
        tally(GroupCommitted(1000 if second < 100 else 10, 0, 0, 0.1))
    assert tally.rates().frames == pytest.approx(10, rel=0.1)


def test_rates_fall_to_nothing_when_nothing_arrives(tally: Tally, clock: Clock) -> None:
    tally(RunStarted(100_000, 0))
    for _ in range(10):
        clock.now += 1
        tally(GroupCommitted(100, 0, 0, 0.1))
    clock.now += WINDOW + 1
    assert tally.rates().frames == pytest.approx(0)
    assert tally.rates().left is None


def test_nothing_is_left_unknown_before_the_first_frame(tally: Tally) -> None:
    tally(RunStarted(100, 0))
    assert tally.rates().left is None


def test_memory_does_not_grow_with_frames(tally: Tally, clock: Clock) -> None:
    """A burst of failures is sampled, not stored."""
    tally(RunStarted(1_000_000, 0))
    for _ in range(20_000):
        clock.now += 0.01
        tally(FrameFailed(REF, "not_found", "", 1))
    assert len(tally._samples) < 100
    assert tally.rates().frames == pytest.approx(100, rel=0.05)


def test_preparing_a_run_forgets_the_one_before(tally: Tally) -> None:
    tally(RunStarted(10, 4))
    tally(RunFinished("partial", 1))
    tally(Preparing("reading b.json"))
    assert (tally.total, tally.preparing, tally.finished) == (0, "reading b.json", None)
    tally(RunStarted(3, 0))
    assert tally.preparing == ""


def test_a_verification_says_how_far_it_is_and_what_is_left(tally: Tally, clock: Clock) -> None:
    tally(Verifying(0, 100, 0, 0))
    assert preparation(tally) == "Verifying 0 of 100 frames · 0 B"
    clock.now += 10
    tally(Verifying(25, 100, 5_000_000, 3))
    assert preparation(tally) == (
        "Verifying 25 of 100 frames · 5.0 MB · 500 kB/s · 30 s left · 3 damaged"
    )
    line = json.loads(json_line("progress", tally, datetime.now(UTC)))
    assert line["event"] == "verifying"
    assert line["verifying"]["damaged"] == 3
    tally(RunStarted(3, 0))  # the repair
    assert (tally.verifying, tally.preparing) == (None, "")
    tally(Verifying(1, 2, 0, 0))
    tally(Idle())
    assert (tally.verifying, tally.preparing) == (None, "")


def test_the_time_of_a_run_stands_still_when_it_has_ended(tally: Tally, clock: Clock) -> None:
    tally(RunStarted(10, 4))
    clock.now += 5
    assert tally.elapsed == 5
    tally(RunFinished("partial", 1))
    clock.now += 100
    assert tally.elapsed == 5


def test_idle_keeps_what_a_finished_run_came_to() -> None:
    tally = Tally()
    tally(RunStarted(2, 2))
    tally(RunFinished("complete", 0))
    tally(Idle())
    assert tally.finished == RunFinished("complete", 0)
    assert tally.total == 2
    assert not any("left" in part for part in progress(tally))
