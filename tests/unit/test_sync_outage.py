"""Telling a host that is down from a frame that is bad."""

from mirror.sync.outage import FIRST_PROBE, THRESHOLD, Breaker


def fail(breaker: Breaker, frames: range, now: float) -> list[bool]:
    return [breaker.failed(frame, now, None) for frame in frames]


def test_opens_when_enough_different_frames_in_a_row_fail() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    assert fail(breaker, range(THRESHOLD), 0.0) == [False] * (THRESHOLD - 1) + [True]
    assert breaker.open
    assert breaker.until_probe(0.0) == 1.0


def test_one_bad_frame_never_opens_it() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    for attempt in range(100):
        assert not breaker.failed(7, float(attempt), None)
    assert not breaker.open


def test_a_useful_answer_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    fail(breaker, range(THRESHOLD - 1), 0.0)
    assert breaker.answered(1.0) is False
    fail(breaker, range(THRESHOLD - 1), 2.0)
    assert not breaker.open


def test_probes_go_out_at_growing_intervals_and_an_answer_closes_it() -> None:
    breaker = Breaker(patience=1000, longest_wait=60)
    fail(breaker, range(THRESHOLD), 0.0)
    intervals = [breaker.probed(float(t)) for t in range(6)]
    assert intervals == [2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert breaker.answered(50.0) is True
    assert not breaker.open
    fail(breaker, range(THRESHOLD), 60.0)
    assert breaker.until_probe(60.0) == 1.0


def test_fault_13_spent_after_the_patience_counted_from_the_first_failure() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    fail(breaker, range(THRESHOLD), 10.0)
    assert not breaker.spent(54.9)
    assert breaker.spent(55.0)


def test_a_paused_host_that_asks_for_more_time_gets_it() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    fail(breaker, range(THRESHOLD), 0.0)
    breaker.failed(99, 0.5, retry_after=20.0)
    assert breaker.until_probe(0.5) == 20.0


def test_fault_08_time_the_host_asked_for_is_no_outage_up_to_a_limit() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    fail(breaker, range(THRESHOLD), 0.0)
    breaker.failed(99, 0.0, retry_after=50.0)
    assert not breaker.spent(94.0)
    assert breaker.spent(95.0)
    breaker.failed(99, 50.0, retry_after=50.0)
    assert not breaker.spent(104.0)
    assert breaker.spent(105.0)


def test_fault_31_a_burst_of_refusals_for_load_is_no_outage() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    opened = [breaker.failed(frame, 0.0, None, throttled=True) for frame in range(24)]
    assert opened == [False] * 23 + [True]


def test_tripping_by_hand_counts_from_the_first_failure() -> None:
    breaker = Breaker(patience=45, longest_wait=60)
    breaker.failed(1, 5.0, None)
    breaker.trip(20.0, None)
    assert breaker.open
    assert breaker.spent(50.0)


def test_fault_02_a_failing_login_is_enough_by_itself() -> None:
    breaker = Breaker(patience=10, longest_wait=60)
    assert breaker.failed(1, 0.0, throttled=True, alone=True)
    assert breaker.open
    assert breaker.until_probe(0.0) == FIRST_PROBE
