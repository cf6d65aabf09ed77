"""Whether and when a frame is tried again."""

import pytest

from mirror.errors import (
    BadAnswerError,
    ForbiddenError,
    FrameError,
    ObjectMissingError,
    ServerFaultError,
    ThrottledError,
)
from mirror.frames import FrameRef
from mirror.sources import load_settings
from mirror.store import PendingFrame
from mirror.sync.retry import RetryBudget, RetryPolicy, Work


def work() -> Work:
    return Work(PendingFrame(1, FrameRef("w", "r", "f"), 0))


def attempts(error: FrameError, policy: RetryPolicy) -> int:
    """How often a frame is tried that fails with `error` each time."""
    one, tried = work(), 0
    while True:
        tried += 1
        one.charge(error)
        if policy.decide(error, one) is None:
            return tried


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ServerFaultError("500"), 6),
        (ForbiddenError("no"), 1),
        (ObjectMissingError("gone"), 2),
        (BadAnswerError("{"), 3),
    ],
)
def test_each_reason_is_worth_its_attempts(error: FrameError, expected: int) -> None:
    assert attempts(error, RetryPolicy(load_settings())) == expected


def test_a_reason_is_counted_by_itself() -> None:
    policy, one = RetryPolicy(load_settings()), work()
    one.charge(ObjectMissingError("gone"))
    one.charge(ServerFaultError("500"))
    assert policy.decide(ServerFaultError("500"), one) is not None
    one.charge(ObjectMissingError("gone"))
    assert policy.decide(ObjectMissingError("gone"), one) is None


def test_waits_grow_are_jittered_and_capped() -> None:
    policy = RetryPolicy(load_settings(backoff_base=1.0, backoff_cap=4.0))
    error, one = ServerFaultError("500"), work()
    for longest in (1.0, 2.0, 4.0, 4.0, 4.0):
        one.charge(error)
        waits = {policy.wait(error, one.attempts).delay for _ in range(200)}
        assert len(waits) > 100
        assert longest / 2 <= min(waits)
        assert max(waits) <= longest


def test_fault_08_retry_after_is_obeyed_and_capped() -> None:
    policy = RetryPolicy(load_settings(retry_after_cap=60.0))
    wait = policy.wait(ThrottledError("429", retry_after=7.0), 1).delay
    assert 7.0 <= wait <= 7.7
    capped = policy.wait(ThrottledError("429", retry_after=86_400.0), 1).delay
    assert 60.0 <= capped <= 61.0


def test_fault_32_the_budget_bounds_retries_and_trickles() -> None:
    budget = RetryBudget(10, patience=45, now=0.0)
    assert sum(budget.take(0.0) for _ in range(1000)) == 10
    assert sum(budget.take(3.0) for _ in range(1000)) == 3


def test_frames_that_arrive_give_their_tokens_back() -> None:
    budget = RetryBudget(10, patience=45, now=0.0)
    for _ in range(1000):
        assert budget.take(0.0)
        assert budget.take(0.0)
        budget.succeed(borrowed=2, now=0.0)


def test_the_bucket_never_holds_more_than_its_capacity() -> None:
    budget = RetryBudget(10, patience=45, now=0.0)
    for _ in range(1000):
        budget.succeed(borrowed=0, now=0.0)
    assert sum(budget.take(10_000.0) for _ in range(1000)) == 10


def test_a_budget_that_stays_empty_while_nothing_arrives_is_spent() -> None:
    budget = RetryBudget(1, patience=45, now=0.0)
    assert not budget.spent(1000.0)
    assert budget.take(0.0)
    assert not budget.take(0.0)
    assert not budget.spent(44.0)
    assert budget.spent(45.0)
    budget.succeed(borrowed=0, now=45.0)
    assert not budget.spent(1000.0)
