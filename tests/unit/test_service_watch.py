"""What the service makes of a run's exit code, and how it feels."""

from __future__ import annotations

import pytest

from mirror.errors import ExitCode
from mirror.events import LoggedIn
from mirror.service.health import Health, Pulse
from mirror.service.watch import LONGEST_PAUSE, Verdict, judge, outcome, pause_after


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, Verdict.SETTLED),
        (1, Verdict.SETTLED),
        (65, Verdict.SETTLED),
        (69, Verdict.LATER),
        (74, Verdict.LATER),
        (75, Verdict.LATER),
        (77, Verdict.LEAVE),
        (78, Verdict.LEAVE),
        (70, Verdict.SETTLED),
        (2, Verdict.LEAVE),
    ],
)
def test_every_exit_code_has_a_consequence(code: int, verdict: Verdict) -> None:
    assert judge(code) is verdict


def test_no_exit_code_was_forgotten() -> None:
    """A new code must be thought about here: by default it ends the service."""
    assert {int(code) for code in ExitCode} == {0, 1, 2, 65, 69, 70, 74, 75, 77, 78}


def test_outcomes_are_those_of_the_report() -> None:
    assert [outcome(code) for code in (0, 1, 75, 65, 69, 77)] == [
        "complete",
        "partial",
        "interrupted",
        "failed",
        "failed",
        "failed",
    ]


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [pause_after(n) for n in range(1, 100)]
    assert pauses[:3] == [15, 30, 60]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


def test_health_over_a_life() -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0], stuck_after=60)
    assert pulse.health() == Health(alive=True, ready=False, reason="starting")
    pulse.start()
    assert pulse.health() == Health()
    now[0] = 61
    assert pulse.health() == Health(alive=False, ready=False, reason="nothing happened for 61 s")
    pulse(LoggedIn())
    assert pulse.health() == Health()
    pulse.drain()
    assert pulse.health() == Health(alive=False, ready=False, reason="stopping")
