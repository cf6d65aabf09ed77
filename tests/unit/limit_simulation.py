"""A limit against a server with a hidden capacity, in simulated time: seeded, nothing sleeps.

The client always has something to send, and sends the next thing the moment it may: whatever is
refused is counted, and another frame goes out, as in a run whose retries wait.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from mirror.sync.limits import AdaptiveLimit, Turn

Draw = Callable[[random.Random, float], float]
"""(randomness, time) to seconds."""


def jittered(seconds: float, spread: float = 0.3) -> Draw:
    """Around `seconds`, with a relative standard deviation of about half of `spread`."""
    return lambda rng, _: seconds * rng.uniform(1 - spread, 1 + spread)


def heavy_tailed(seconds: float) -> Draw:
    """Mostly about `seconds`; one in fifty takes ten times as long."""
    return lambda rng, _: seconds * rng.uniform(0.7, 1.3) * (10 if rng.random() < 0.02 else 1)


def changing(before: Draw, after: Draw, at: float) -> Draw:
    """One, and from a moment on another."""
    return lambda rng, now: (before if now < at else after)(rng, now)


def steps(*values: tuple[float, int]) -> Callable[[float], int]:
    """A capacity that changes: (from when on, how many)."""

    def capacity(now: float) -> int:
        return next(number for since, number in reversed(values) if now >= since)

    return capacity


@dataclass(frozen=True)
class Server:
    """`capacity` requests are worked on at once, each for `service`; on top, `transit` on the way.

    Above it a server "refuses" after `refusal` seconds, or "queues", in order. `noise`: the share
    that is refused whatever the load.
    """

    capacity: Callable[[float], int]
    service: Draw = field(default_factory=lambda: jittered(0.1))
    above: Literal["refuses", "queues"] = "refuses"
    transit: float = 0.0
    refusal: float = 0.005
    noise: float = 0.0


@dataclass
class Outcome:
    """What came of a run: moments of answers and refusals, and how the limit moved."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)

    def rate(self, since: float, until: float) -> float:
        """Answers a second."""
        return sum(since <= at < until for at in self.answered) / (until - since)

    def refusals(self, since: float = 0.0, until: float = math.inf) -> float:
        """Their share of all answers."""
        refused = sum(since <= at < until for at in self.refused)
        return refused / max(1, refused + sum(since <= at < until for at in self.answered))

    def limit_range(self, since: float, until: float = math.inf) -> tuple[int, int]:
        """The least and the most it was."""
        seen = [limit for at, limit in self.limits if since <= at < until]
        before = [limit for at, limit in self.limits if at < since][-1:]
        return min(before + seen), max(before + seen)

    def settled(self, best: float, since: float, until: float) -> float:
        """Seconds after `since` from when on any two seconds bring 90 % of `best`."""
        window = 2.0
        moments = [since + n * 0.5 for n in range(int((until - since - window) * 2) + 1)]
        low = [at for at in moments if self.rate(at, at + window) < 0.9 * best]
        return (low[-1] + 0.5 - since) if low else 0.0


class Fixed(AdaptiveLimit):
    """A limit that stays where it was set."""

    def succeeded(self, turn: Turn, in_flight: int, now: float) -> None:
        """It does not matter."""

    def overloaded(self, turn: Turn, now: float) -> None:
        """It does not matter."""


class _Hop:
    """A gate, the server behind it, and the workers that wait before it."""

    def __init__(self, server: Server, limit: AdaptiveLimit) -> None:
        self.server = server
        self.limit = limit
        self.outcome = Outcome(limits=[(0.0, limit.value)])
        self.waiting = self.in_flight = self.working = 0
        self.queue: deque[Turn] = deque()


class _Run:
    def __init__(self, hops: list[_Hop], workers: int, seed: int) -> None:
        self.hops = hops
        self.rng = random.Random(seed)
        self.events: list[tuple[float, int, int, str, Turn]] = []
        self.number = count()
        hops[0].waiting = workers

    def go(self, until: float) -> None:
        self.send(0, 0.0)
        while self.events and self.events[0][0] < until:
            now, _, place, what, turn = heapq.heappop(self.events)
            hop = self.hops[place]
            if what == "worked":
                hop.working -= 1
                while hop.queue and hop.working < hop.server.capacity(now):
                    self.work(place, hop.queue.popleft(), now)
                if hop.server.transit:
                    self.after(now + hop.server.transit, place, "answered", turn)
                    continue
            self.ended(place, turn, now, refused=what == "refused")

    def after(self, when: float, place: int, what: str, turn: Turn) -> None:
        heapq.heappush(self.events, (when, next(self.number), place, what, turn))

    def send(self, place: int, now: float) -> None:
        hop = self.hops[place]
        server = hop.server
        while hop.waiting and hop.in_flight < hop.limit.value:
            hop.waiting -= 1
            hop.in_flight += 1
            turn = Turn(hop.limit.epoch, hop.in_flight, now)
            full = hop.working >= server.capacity(now)
            unlucky = server.noise and self.rng.random() < server.noise
            if unlucky or (full and server.above == "refuses"):
                self.after(now + server.refusal + server.transit, place, "refused", turn)
            elif full:
                hop.queue.append(turn)
            else:
                self.work(place, turn, now)

    def work(self, place: int, turn: Turn, now: float) -> None:
        hop = self.hops[place]
        hop.working += 1
        self.after(now + hop.server.service(self.rng, now), place, "worked", turn)

    def ended(self, place: int, turn: Turn, now: float, *, refused: bool) -> None:
        hop = self.hops[place]
        if refused:
            hop.outcome.refused.append(now)
            hop.limit.overloaded(turn, now)
        else:
            hop.outcome.answered.append(now)
            hop.limit.succeeded(turn, hop.in_flight, now)
        hop.in_flight -= 1
        if hop.limit.value != hop.outcome.limits[-1][1]:
            hop.outcome.limits.append((now, hop.limit.value))
        # a worker whose request is refused begins with another frame
        following = 0 if refused else (place + 1) % len(self.hops)
        self.hops[following].waiting += 1
        self.send(following, now)
        if following != place:
            self.send(place, now)


def simulate(server: Server, limit: AdaptiveLimit, seconds: float, seed: int = 1) -> Outcome:
    """So many seconds of `limit` against `server`, with as many workers as its ceiling."""
    hop = _Hop(server, limit)
    _Run([hop], limit.ceiling, seed).go(seconds)
    return hop.outcome


def simulate_series(
    servers: list[Server], limits: list[AdaptiveLimit], workers: int, seconds: float, seed: int = 1
) -> list[Outcome]:
    """Workers that take each frame through one server after the other."""
    hops = [_Hop(server, limit) for server, limit in zip(servers, limits, strict=True)]
    _Run(hops, workers, seed).go(seconds)
    return [hop.outcome for hop in hops]


def fixed(number: int) -> AdaptiveLimit:
    """A limit that stays."""
    return Fixed(number, start=number)


def best_fixed(server: Server, since: float, until: float, candidates: tuple[int, ...]) -> float:
    """Answers a second of the best of some fixed limits, between two moments."""
    return max(simulate(server, fixed(number), until).rate(since, until) for number in candidates)
