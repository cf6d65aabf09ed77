"""How many requests of a hop may be in flight: decided here, acted on by the gate.

No clock and no I/O. Another limit is tried for a round and kept where that pays
(docs/decisions/concurrency-limit.md). `Retry-After` and pauses are handled by the breaker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

START = 16
"""Latency alone never lowers a limit below this: so few are no burden."""
DECREASE = 0.7
"""What is left when nothing that was sent after the last refusal was answered either."""
NEAR = 0.93
"""How near it stays to the number that was refused."""
TOLERANCE = 0.01
MOST_CREDIT = 3.0
"""Refusals for each answer that are no reason to do less, and how many of them are saved up."""

ROUND = 64
MOST_ROUND = 256
FEW = 8
ROUND_SECONDS = 0.2
"""A round takes twice as many answers as may be in flight, between the first two, and lasts so
long. Only a few are needed where latency is not judged."""
OUTLIER = 3.0
"""A longer latency, as a multiple of the usual, counts as no more than that."""

MOST_STEP = 2.0
FIRST_STEP = 1.25
REFUSED_STEP = 1.1
"""A trial's limit over the one before: at first, where the last did not pay, was refused."""
PAYS = 0.25
"""Of what more in flight could bring, the part that it must bring to be kept."""
LESS = 0.8
LESS_STILL = 0.6
FREE = 0.95
"""Of the flow before, the part that must remain for fewer in flight to be kept."""
CROWDED = 1.3
"""Latency over the calm one at which it is looked whether fewer in flight do as well."""
DRIFT = 1.02
"""By how much the calm latency rises with each round."""
FIRST_PAUSE = 1.0
LAST_PAUSE = 4.0
"""Seconds between trials; doubled by each that is over."""


class Turn(NamedTuple):
    """A request under way: when it went out (seconds), and how many were in flight, with it."""

    epoch: int
    in_flight: int
    started: float


@dataclass(frozen=True, slots=True)
class Round:
    """Means over a round's answers: requests in flight, and seconds until the answer."""

    in_flight: float
    latency: float

    @property
    def flow(self) -> float:
        """Answers a second, by Little's law; what a starved hop can't falsify."""
        return self.in_flight / self.latency


class AdaptiveLimit:
    """The limit of one host, between 1 and `ceiling`.

    Requests carry the `epoch` in which they started, so one burst of refusals lowers it once.
    """

    def __init__(self, ceiling: int, start: int = START) -> None:
        self.ceiling = ceiling
        self.epoch = 0
        self._value = self._goal = float(min(start, ceiling))
        self._before: Round | None = None  # what a trial is compared with
        self._base = self._value  # where a trial began
        self._step = MOST_STEP
        self._pause = FIRST_PAUSE
        self._pause_until = -math.inf
        self._refused_at = math.inf
        self._shaken = False  # refused, and nothing sent since was answered
        self._credit = 0.0
        self._doubtful = False  # more did not pay: perhaps less does as well
        self._calm = math.inf
        self._longest = math.inf
        self._settle()

    def __repr__(self) -> str:
        return f"<AdaptiveLimit {self.value}/{self.ceiling} epoch {self.epoch}>"

    @property
    def value(self) -> int:
        """Requests that may be in flight."""
        return int(self._value)

    def succeeded(self, turn: Turn, in_flight: int, now: float) -> None:
        """A request ended well while `in_flight` were under way, itself too."""
        if self._shaken and turn.epoch == self.epoch:
            self._shaken = False
        if self._credit < MOST_CREDIT:
            self._credit += TOLERANCE
        if self._value < self._goal:
            if in_flight * 2 >= self._value:
                self._value = min(self._goal, self._value + 1.0)
                self._settle()
            return
        if self._skip > 0:
            self._skip -= 1
            self._since = now
            return
        self._count += 1
        self._in_flight += in_flight
        self._seconds += min(now - turn.started, self._longest)
        if self._count >= self._enough and now - self._since >= ROUND_SECONDS:
            self._judge(now)

    def overloaded(self, turn: Turn, now: float) -> None:
        """A request was refused for load, or timed out."""
        if turn.epoch != self.epoch:
            return
        probing = self._before is not None and self._value > self._base
        if self._credit >= 1.0 and not (probing and self._value <= START):
            self._credit -= 1.0
            return
        self.epoch += 1
        least = self._value * DECREASE
        near = NEAR * turn.in_flight
        burst = self._shaken
        if burst:
            near = least
            self._pause = FIRST_PAUSE
        elif probing:
            near = min(max(self._base, near), turn.in_flight - 1.0)
        self._refused_at = float(turn.in_flight)
        self._shaken = not probing
        self._rest(min(self._value, max(least, near)), now, REFUSED_STEP)
        if burst or self._value < self._refused_at - 1.0:
            self._pause_until = now  # a round is long enough: far below, or not known to be near

    def lower(self) -> None:
        """Less, for a reason that lies outside the requests."""
        self.epoch += 1
        self._hold(self._value * DECREASE)

    # --- rounds and trials --------------------------------------------------------------------

    def _judge(self, now: float) -> None:
        seen = Round(self._in_flight / self._count, max(self._seconds / self._count, 1e-9))
        before = self._before
        self._longest = seen.latency * OUTLIER
        self._begin()
        if before is None:
            self._held(seen, now)
        elif self._value > self._base:
            self._raised(before, seen, now)
        else:
            self._lowered(before, seen, now)

    def _held(self, seen: Round, now: float) -> None:
        self._calm = min(self._calm * DRIFT, seen.latency)
        if now < self._pause_until or seen.in_flight * 2 < self._value:
            return
        crowded = seen.latency > self._calm * CROWDED
        if (crowded or self._doubtful) and self._value > START:
            self._doubtful = False
            self._try_less(seen, LESS)
        elif self._value < self.ceiling:
            self._try_more(seen)

    def _raised(self, before: Round, seen: Round, now: float) -> None:
        grown = seen.in_flight / before.in_flight
        used = grown - 1.0 > (self._value / self._base - 1.0) / 2
        pays = seen.flow / before.flow - 1.0 >= PAYS * (grown - 1.0)
        known = self._value <= START or NEAR * self._refused_at <= self._value < self._refused_at
        if not used or not (pays or known):
            self._doubtful = used
            self._rest(self._base, now, FIRST_STEP)
            return
        if not self._value < self._refused_at < math.inf:
            self._refused_at = math.inf
            self._pause = FIRST_PAUSE
        self._step = min(MOST_STEP, self._step * 1.5)
        if self._value < min(self.ceiling, self._refused_at - 1.0):
            self._try_more(seen)
        else:
            self._rest(self._value, now, FIRST_STEP)

    def _lowered(self, before: Round, seen: Round, now: float) -> None:
        if seen.flow >= before.flow * FREE:
            self._calm = min(self._calm, seen.latency)
            if self._value > START:
                self._try_less(seen, LESS_STILL)
            else:
                self._rest(self._value, now, FIRST_STEP)
            return
        self._calm = before.latency
        self._goal = self._base  # grows back with the answers
        self._before = None

    def _try_more(self, seen: Round) -> None:
        goal = max(math.floor(self._value * self._step), self._value + 1.0)
        if self._value < self._refused_at - 1.0:
            goal = min(goal, self._refused_at - 1.0)
        self._before = seen
        self._base = self._value
        self._goal = min(goal, float(self.ceiling))

    def _try_less(self, seen: Round, part: float) -> None:
        self._before = seen
        self._base = self._value
        self._value = self._goal = max(math.floor(self._value * part), float(START))
        self._settle()
        self._skip = int(self._base)

    def _rest(self, value: float, now: float, step: float) -> None:
        """Stay at `value` for a while, then try more by `step`."""
        self._hold(value)
        self._step = step
        self._pause_until = now + self._pause
        self._pause = min(self._pause * 2, LAST_PAUSE)

    def _hold(self, value: float) -> None:
        self._before = None
        self._value = self._goal = max(1.0, float(math.floor(value)))
        self._settle()

    def _settle(self) -> None:
        """Begin a round once what went out under another limit is over."""
        self._skip = int(self._value)
        self._begin()

    def _begin(self) -> None:
        brief = self._before is not None and self._value <= START
        self._enough = FEW if brief else max(ROUND, min(2 * int(self._value), MOST_ROUND))
        self._count = self._in_flight = 0
        self._seconds = 0.0
