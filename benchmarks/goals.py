"""What is to be reached, and whether it was: plain functions over comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from benchmarks.blocks import BY_NAME
from benchmarks.figures import Comparison, Spread

Values = Callable[[Comparison, str], list[float]]


class Verdict(Enum):
    """Of a goal: the median decides."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "not measured"


@dataclass(frozen=True, slots=True)
class Goal:
    """`values` of `variant` against `peer` in `block` are to have a median of `bound` or better.

    `less`: a smaller value is better.
    """

    text: str
    block: str
    peer: str
    variant: str
    values: Values
    bound: float
    less: bool = False

    @property
    def asked(self) -> str:
        """The bound as people write it."""
        return f"{'≤' if self.less else '≥'} {self.bound:.2f}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A goal and what was measured of it."""

    goal: Goal
    spread: Spread | None

    @property
    def verdict(self) -> Verdict:
        """Whether the median reaches the bound."""
        if self.spread is None:
            return Verdict.UNKNOWN
        found, bound = self.spread.median, self.goal.bound
        return (
            Verdict.MET
            if (found <= bound if self.goal.less else found >= bound)
            else (Verdict.MISSED)
        )


def speed(comparison: Comparison, variant: str) -> list[float]:
    """Ours over theirs, in frames a second."""
    return comparison.speedup(variant)


def cpu(comparison: Comparison, variant: str) -> list[float]:
    """Ours over theirs, in CPU a frame."""
    return comparison.cpu_ratio(variant)


def of_latency(comparison: Comparison, variant: str) -> list[float]:
    """The steady rate over what as many frames in flight could bring with the added latency
    alone: each is in one of its two hops."""
    ceiling = comparison.in_flight.get(variant, 0) / (2 * BY_NAME[comparison.block].delay)
    return [run.steady / ceiling for run in comparison.runs(variant) if run.steady and ceiling]


ONE, TWO, FEWER = "mirror", "mirror-p2", "mirror-128"


def _both(
    text: str, peer: str, variant: str, values: Values, bounds: tuple[float, float]
) -> list[Goal]:
    """The same goal for S and L frames, near and plain."""
    return [
        Goal(f"{text}, {size} frames", f"{size}-plain", peer, variant, values, bound)
        for size, bound in zip("SL", bounds, strict=True)
    ]


GOALS = (
    *_both("curl, all hops and its sync; two processes", "curl", TWO, speed, (1.0, 1.0)),
    *_both("the same; one process", "curl", ONE, speed, (0.7, 0.7)),
    *_both("requests, 16 threads", "requests", ONE, speed, (2.5, 1.5)),
    Goal("the same, 50 ms on each hop, S frames", "S-plain-50ms", "requests", ONE, speed, 8.0),
    Goal("CPU a frame of requests, S frames", "S-plain", "requests", ONE, cpu, 1 / 3, less=True),
    Goal("the same, L frames", "L-plain", "requests", ONE, cpu, 1 / 3, less=True),
    *_both("aiohttp + aiofiles and its sync", "aiohttp", ONE, speed, (1.5, 1.5)),
    *_both("aria2c, its download hop alone", "aria2", ONE, speed, (1.0, 1.0)),
    Goal("durable writing alone, L frames", "L-plain", "floor", ONE, speed, 0.6),
    Goal(
        "in flight ÷ latency at 50 ms on each hop, S frames",
        "S-plain-50ms",
        "requests",
        ONE,
        of_latency,
        0.9,
    ),
    Goal(
        "the same, with a ceiling that one core can fill",
        "S-plain-50ms",
        "requests",
        FEWER,
        of_latency,
        0.9,
    ),
    Goal("CPU a frame of curl and its sync, S frames", "S-plain", "curl", ONE, cpu, 2.5, less=True),
)


def judge(comparisons: Iterable[Comparison]) -> list[Outcome]:
    """Every goal, with what was measured of it."""
    by_place = {(each.block, each.peer): each for each in comparisons}
    return [_outcome(goal, by_place.get((goal.block, goal.peer))) for goal in GOALS]


def _outcome(goal: Goal, comparison: Comparison | None) -> Outcome:
    values = goal.values(comparison, goal.variant) if comparison else []
    return Outcome(goal, Spread.of(values) if values else None)
