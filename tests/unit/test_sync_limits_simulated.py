"""The limit against hidden capacities, in simulated time: each run against the best fixed limit.

A server with a hidden capacity refuses or queues what goes beyond it.
"""

from __future__ import annotations

import random

import pytest

from mirror.sync.limits import START, AdaptiveLimit
from tests.unit.limit_simulation import (
    Outcome,
    Server,
    best_fixed,
    changing,
    fixed,
    heavy_tailed,
    jittered,
    simulate,
    simulate_series,
    steps,
)

SETTLED = 15.0
CEILING = 512
BOUNDLESS = steps((0, 10**6))


def best_of(server: Server, capacity: int, since: float = 1.0, seconds: float = 3.0) -> float:
    """Answers a second of the best fixed limit around a capacity."""
    around = (int(capacity * 0.8) or 1, capacity, int(capacity * 1.25) + 1)
    return best_fixed(server, since, since + seconds, around)


def finds(outcome: Outcome, best: float, since: float, until: float) -> None:
    """Within 15 s of `since`, 90 % of the best; and few refusals."""
    assert outcome.settled(best, since, until) <= SETTLED
    assert outcome.rate(since + SETTLED, until) >= 0.9 * best
    assert outcome.refusals(since + SETTLED, until) < 0.02


@pytest.mark.parametrize("seconds", [0.02, 0.2])
@pytest.mark.parametrize("capacity", [8, 64, 300])
@pytest.mark.parametrize("above", ["refuses", "queues"])
def test_finds_a_hidden_capacity(above: str, capacity: int, seconds: float) -> None:
    until = 22.0 if capacity / seconds > 5000 else 40.0
    server = Server(steps((0, capacity)), jittered(seconds), above)
    outcome = simulate(server, AdaptiveLimit(CEILING), until)
    finds(outcome, best_of(server, capacity), 0.0, until)
    assert outcome.refusals() < 0.02
    assert outcome.limit_range(SETTLED)[1] <= max(2.5 * capacity, 2 * START + 8)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("above", ["refuses", "queues"])
@pytest.mark.parametrize("capacity", [5, 17, 90, 140])
def test_finds_it_whatever_the_dice_say(capacity: int, above: str, seed: int) -> None:
    """Wide jitter, capacities that are no power of two."""
    server = Server(steps((0, capacity)), jittered(0.1, 0.9), above)
    outcome = simulate(server, AdaptiveLimit(256), 30.0, seed)
    assert outcome.rate(SETTLED, 30.0) >= 0.9 * capacity / 0.1
    assert outcome.refusals(SETTLED) < 0.02
    assert outcome.limit_range(SETTLED)[1] <= max(3 * capacity, 4 * START)


def test_refusals_that_take_as_long_as_answers() -> None:
    server = Server(steps((0, 100)), jittered(0.2), refusal=0.2)
    outcome = simulate(server, AdaptiveLimit(CEILING), 40.0)
    finds(outcome, best_of(server, 100), 0.0, 40.0)
    assert outcome.refusals() < 0.02


@pytest.mark.parametrize("above", ["refuses", "queues"])
@pytest.mark.parametrize(
    ("before", "after"), [(64, 8), (8, 64), (300, 64), (64, 300), (8, 300), (300, 8)]
)
def test_finds_it_again_after_a_step(before: int, after: int, above: str) -> None:
    server = Server(steps((0, before), (20, after)), jittered(0.1), above)
    outcome = simulate(server, AdaptiveLimit(CEILING), 45.0)
    later = Server(steps((0, after)), jittered(0.1), above)
    finds(outcome, best_of(later, after), 20.0, 45.0)
    assert outcome.refusals() < 0.02


def test_latency_that_rises_by_itself_collapses_nothing() -> None:
    server = Server(BOUNDLESS, changing(jittered(0.02), jittered(0.2), 15.0))
    outcome = simulate(server, AdaptiveLimit(128), 40.0)
    assert outcome.limit_range(14.0, 15.0) == (128, 128)
    assert outcome.rate(20.0, 40.0) >= 0.95 * 128 / 0.2
    assert outcome.limit_range(25.0) == (128, 128)


@pytest.mark.parametrize(
    "service", [jittered(0.5), jittered(0.1, 0.95), heavy_tailed(0.1)], ids=["slow", "wide", "tail"]
)
def test_a_slow_server_that_is_not_loaded_is_used_up_to_the_ceiling(service: object) -> None:
    server = Server(BOUNDLESS, service)
    outcome = simulate(server, AdaptiveLimit(256), 40.0)
    best = simulate(server, fixed(256), 40.0).rate(SETTLED, 40.0)
    assert outcome.rate(SETTLED, 40.0) >= 0.9 * best


@pytest.mark.parametrize("above", ["refuses", "queues"])
def test_a_heavy_tail_hides_no_capacity(above: str) -> None:
    server = Server(steps((0, 64)), heavy_tailed(0.1), above)
    outcome = simulate(server, AdaptiveLimit(256), 60.0)
    best = simulate(server, fixed(64), 60.0).rate(SETTLED, 60.0)
    assert outcome.rate(SETTLED, 60.0) >= 0.9 * best
    assert outcome.refusals() < 0.02
    assert outcome.limit_range(SETTLED)[1] <= 2.5 * 64


def test_where_our_own_processor_is_the_bound_the_limit_stays_low() -> None:
    """One thing at a time, half a millisecond each, hardly any latency."""
    server = Server(steps((0, 1)), lambda rng, _: rng.expovariate(2000), "queues", transit=0.0005)
    outcome = simulate(server, AdaptiveLimit(256), 20.0)
    best = simulate(server, fixed(256), 20.0).rate(1.0, 20.0)
    assert outcome.rate(0.0, 20.0) >= 0.95 * best
    low, high = outcome.limit_range(0.0)
    assert low >= START
    assert high <= 4 * START


def test_a_few_refusals_that_are_not_for_load_cost_little() -> None:
    server = Server(BOUNDLESS, jittered(0.05), noise=0.001)
    outcome = simulate(server, AdaptiveLimit(128), 20.0)
    assert outcome.rate(5.0, 20.0) >= 0.9 * 128 / 0.05


@pytest.mark.parametrize("workers", [64, 256])
@pytest.mark.parametrize(
    ("first", "second"), [(0.02, 0.2), (0.2, 0.02), (0.1, 0.1)], ids=["fast-slow", "slow-fast", "="]
)
def test_two_hops_in_a_row_do_not_starve_each_other(
    first: float, second: float, workers: int
) -> None:
    servers = [Server(BOUNDLESS, jittered(first)), Server(BOUNDLESS, jittered(second))]
    limits = [AdaptiveLimit(workers), AdaptiveLimit(workers)]
    got = simulate_series(servers, limits, workers, 30.0)[1]
    best = simulate_series(servers, [fixed(workers), fixed(workers)], workers, 30.0)[1]
    assert got.rate(10.0, 30.0) >= 0.95 * best.rate(10.0, 30.0)


def test_the_faster_of_two_hops_keeps_its_limit_though_the_slower_starves_it() -> None:
    servers = [Server(BOUNDLESS, jittered(0.02)), Server(steps((0, 64)), jittered(0.2), "queues")]
    limits = [AdaptiveLimit(256), AdaptiveLimit(256)]
    resolve, download = simulate_series(servers, limits, 256, 30.0)
    assert download.rate(10.0, 30.0) >= 0.9 * 64 / 0.2
    assert download.limit_range(10.0)[1] <= 2 * 64
    assert resolve.limit_range(0.0)[0] >= START


def test_the_same_seed_gives_the_same_run() -> None:
    server = Server(steps((0, 20)), jittered(0.05))
    runs = [simulate(server, AdaptiveLimit(64), 5.0, seed).limits for seed in (7, 7, 8)]
    assert runs[0] == runs[1] != runs[2]


def test_the_simulated_server_is_as_it_says() -> None:
    """Its rate with a fixed limit is what theory says, and what is refused is what is above."""
    server = Server(steps((0, 10)), lambda _rng, _now: 0.1, refusal=0.05)
    assert simulate(server, fixed(10), 10.0).rate(1.0, 10.0) == pytest.approx(100, rel=0.02)
    assert simulate(server, fixed(10), 10.0).refusals() == 0
    assert simulate(server, fixed(11), 10.0).refusals() > 0.1
    queueing = Server(steps((0, 10)), jittered(0.1), "queues")
    assert simulate(queueing, fixed(20), 10.0).rate(1.0, 10.0) == pytest.approx(100, rel=0.03)
    assert simulate(queueing, fixed(5), 10.0).rate(1.0, 10.0) == pytest.approx(50, rel=0.03)
    assert jittered(1.0, 0.0)(random.Random(1), 0.0) == 1.0
