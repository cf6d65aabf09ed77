"""Fault plans: what a rule covers, in which order rules act, how a wrong one is refused."""

from __future__ import annotations

import pytest

from mirror.simulator import Fault, FaultPlan, PlanError
from mirror.simulator.plan import Chooser


@pytest.mark.parametrize(
    ("attempts", "covered"),
    [
        (None, [1, 2, 3, 4]),
        (2, [2]),
        ({1, 3}, [1, 3]),
        ([], None),
        (range(1, 3), [1, 2]),
        ("2", [2]),
        ("1-3", [1, 2, 3]),
        ("3-", [3, 4]),
        (0, None),
        ("x", None),
        ("1-x", None),
        ("3-2", None),
        (["1"], None),
    ],
)
def test_attempts(attempts: object, covered: list[int] | None) -> None:
    if covered is None:
        with pytest.raises(PlanError, match="attempts is"):
            Fault("hang", attempts=attempts)  # type: ignore[arg-type]
    else:
        fault = Fault("hang", attempts=attempts)  # type: ignore[arg-type]
        assert [n for n in (1, 2, 3, 4) if fault.covers("download", "f", n)] == covered


def test_frames_by_pattern_and_by_list() -> None:
    assert Fault("hang", frames="ab*").covers_frame("abc")
    assert not Fault("hang", frames="ab*").covers_frame("Abc")
    assert Fault("hang", frames=["x", "y*"]).covers_frame("yz")
    assert not Fault("hang", frames=["x", "y*"]).covers_frame("z")


def test_a_fraction_of_frames_is_stable_and_about_right() -> None:
    ids = [f"frame-{number}" for number in range(4000)]
    first = {one for one in ids if Fault("hang", frames=0.25).covers_frame(one)}
    again = {one for one in ids if Fault("hang", frames=0.25).covers_frame(one)}
    more = {one for one in ids if Fault("hang", frames=0.5).covers_frame(one)}
    other = {one for one in ids if Fault("close", frames=0.25).covers_frame(one)}
    assert first == again
    assert first < more
    assert first != other
    assert 800 < len(first) < 1200
    assert all(Fault("hang", frames=1).covers_frame(one) for one in ids)
    assert not any(Fault("hang", frames=0).covers_frame(one) for one in ids)


@pytest.mark.parametrize("frames", [-0.1, 1.5, True, [1], object()])
def test_frames_that_mean_nothing_are_refused(frames: object) -> None:
    with pytest.raises(PlanError, match="frames is"):
        Fault("hang", frames=frames)  # type: ignore[arg-type]


def test_a_hop_is_the_actions_own_unless_given() -> None:
    assert Fault("status").hops == {"resolve"}
    assert Fault("slow_down").hops == {"download"}
    assert Fault("status", hop="*").hops == {"login", "resolve", "download"}
    with pytest.raises(PlanError, match="works on download"):
        Fault("slow_down", hop="login")


def test_the_first_rule_that_covers_a_request_acts() -> None:
    close, hang = Fault("close", frames="a", attempts=1), Fault("hang")
    chooser = Chooser(FaultPlan([close, hang]))
    assert chooser.choose("download", "a", 1, reused=False) is close
    assert chooser.choose("download", "a", 2, reused=False) is hang
    assert chooser.choose("download", "b", 1, reused=False) is hang
    assert chooser.choose("resolve", "a", 1, reused=False) is None


def test_fault_31_after_and_limit_make_a_burst() -> None:
    chooser = Chooser(FaultPlan([Fault("slow_down", after=2, limit=3)]))
    hit = [chooser.choose("download", f"{n}", 1, reused=False) is not None for n in range(8)]
    assert hit == [False, False, True, True, True, False, False, False]


def test_fault_17_a_stale_close_waits_for_a_reused_connection() -> None:
    chooser = Chooser(FaultPlan([Fault("stale_close", limit=1)]))
    assert chooser.choose("resolve", "a", 1, reused=False) is None
    assert chooser.choose("resolve", "a", 2, reused=True) is not None
    assert chooser.choose("resolve", "a", 3, reused=True) is None


def test_a_plan_is_read_from_toml() -> None:
    plan = FaultPlan.parse(
        """
        [[fault]]
        action = "status"
        hop = "login"
        code = 503
        attempts = "1-2"
        headers = {Retry-After = "1"}

        [[fault]]
        action = "reset_mid_body"
        frames = 0.5
        limit = 10
        at = 0.25
        """
    )
    first, second = plan.faults
    assert first == Fault("status", "login", attempts="1-2", code=503, headers={"Retry-After": "1"})
    assert second == Fault("reset_mid_body", frames=0.5, limit=10, at=0.25)


def test_an_empty_plan_lets_everything_go_well() -> None:
    assert FaultPlan.parse("") == FaultPlan()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fault = ", "is not TOML"),
        ("[fault]\naction='hang'", "two brackets"),
        ("[[faults]]\naction='hang'", "'faults' is unknown"),
        ("fault = [1]", "rule 1: is no table"),
        ("[[fault]]\nhop='login'", "rule 1: 'action' is missing"),
        ("[[fault]]\naction='hang'\n[[fault]]\naction='statsu'", "rule 2 .*did you mean 'status'"),
        ("[[fault]]\naction='stall'\nats=1", "rule 1 .stall.: 'ats' is no key .*did you mean 'at'"),
        ("[[fault]]\naction='hang'\nx=1", "'x' is no key of this action; its own keys: none"),
        ("[[fault]]\naction='stall'\nat=2", "at is 2: a number from 0 to 1"),
        ("[[fault]]\naction='stall'\nat='x'", "at is 'x'"),
        ("[[fault]]\naction='status'\ncode=true", "code is True: a whole number"),
        ("[[fault]]\naction='status'\ncode=500.5", "code is 500.5: a whole number"),
        ("[[fault]]\naction='status'\nbody=1", "body is 1: text"),
        ("[[fault]]\naction='status'\nheaders={a=1}", "headers is .*table of texts"),
        ("[[fault]]\naction='retry_after'\nkind='soon'", "kind is 'soon': one of seconds, date"),
        ("[[fault]]\naction='hang'\nhop='store'", "hop is 'store'"),
        ("[[fault]]\naction='hang'\nhop=1", "hop is 1"),
        ("[[fault]]\naction='hang'\nlimit=0", "limit is 0: a whole number from 1"),
        ("[[fault]]\naction='hang'\nafter=-1", "after is -1: a whole number from 0"),
        ("[[fault]]\naction='hang'\nframes=[1]", "frames is"),
    ],
)
def test_a_wrong_plan_is_refused_by_rule_and_key(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        FaultPlan.parse(text)
