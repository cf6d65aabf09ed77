"""The edges of retrying: the last attempt, odd waits, the budget's accounts."""

from __future__ import annotations

import backoff
import pytest

from mirror.errors import (
    BadAnswerError,
    ServerFaultError,
    ThrottledError,
    UrlRefusedError,
    WriteLostError,
)
from mirror.frames import FrameRef
from mirror.sources import load_settings
from mirror.store import PendingFrame
from mirror.sync.retry import RetryBudget, RetryPolicy, Work


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jitter that always comes to all it may."""
    monkeypatch.setattr(backoff, "full_jitter", lambda value: value)


def work() -> Work:
    return Work(PendingFrame(1, FrameRef("w", "r", "f"), 0))


def test_charges_are_counted_altogether_and_by_reason() -> None:
    one = work()
    for error in (ServerFaultError("500"), WriteLostError("gone"), ServerFaultError("500")):
        one.charge(error)
    assert one.attempts == 3
    assert one.reasons == {"server_error": 2, "write_lost": 1}


def test_a_reason_that_was_not_charged_yet_has_all_its_tries() -> None:
    policy = RetryPolicy(load_settings())
    assert policy.decide(BadAnswerError("{"), work()) is not None


@pytest.mark.usefixtures("longest")
def test_the_wait_before_each_attempt() -> None:
    policy = RetryPolicy(load_settings(backoff_base=1.0, backoff_cap=10.0, max_attempts=6))
    waits = [policy.wait(ServerFaultError("500"), n).delay for n in range(9)]
    assert waits == [1.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]


@pytest.mark.usefixtures("longest")
def test_the_first_wait_is_the_base() -> None:
    policy = RetryPolicy(load_settings(backoff_base=0.5, backoff_cap=3.0))
    waits = [policy.wait(ServerFaultError("500"), n).delay for n in (1, 2, 3, 4)]
    assert waits == [0.5, 1.0, 2.0, 3.0]


def test_a_reason_that_gets_two_tries_is_tried_once_more() -> None:
    policy, one = RetryPolicy(load_settings()), work()
    one.charge(ServerFaultError("500"))
    assert policy.decide(UrlRefusedError("403"), one) is not None


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize(
    ("asked", "attempts", "expected"),
    [
        (5.0, 1, 5.5),  # a tenth more
        (30.0, 1, 31.0),  # a second more at most
        (0.0, 1, 1.0),  # less than the backoff
        (2.0, 4, 8.0),
    ],
)
def test_fault_08_a_host_that_is_obeyed_is_not_hit_at_the_very_moment(
    asked: float, attempts: int, expected: float
) -> None:
    policy = RetryPolicy(load_settings(backoff_base=1.0, backoff_cap=10.0))
    error = ThrottledError("429", retry_after=asked)
    assert policy.wait(error, attempts).delay == pytest.approx(expected)


def test_tokens_come_back_one_a_second_and_half_a_one_for_each_frame() -> None:
    budget = RetryBudget(4, patience=45, now=100.0)
    assert [budget.take(100.0) for _ in range(5)] == [True] * 4 + [False]
    assert not budget.take(100.9)
    assert budget.take(101.0)
    budget.succeed(borrowed=0, now=101.0)
    assert not budget.take(101.0)
    budget.succeed(borrowed=0, now=101.0)
    assert budget.take(101.0)


def test_the_patience_counts_from_the_last_arrival() -> None:
    budget = RetryBudget(1, patience=10, now=0.0)
    budget.succeed(borrowed=0, now=7.0)
    assert budget.take(7.0)
    assert not budget.take(7.0)
    assert not budget.spent(16.9)
    assert budget.spent(17.0)


def test_a_budget_shows_itself() -> None:
    assert repr(RetryBudget(4, patience=45, now=0.0)) == "<RetryBudget 4 of 4>"
