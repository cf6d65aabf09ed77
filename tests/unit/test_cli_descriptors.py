"""How many requests the limit of open files leaves room for."""

from __future__ import annotations

import resource

import pytest

from mirror.cli import running
from mirror.settings import Settings


@pytest.mark.parametrize(
    ("limit", "wanted", "fitting"),
    [
        (1024, 64, 64),
        (384, 64, 64),  # exactly enough
        (383, 64, 63),
        (1024, 1024, 384),
        (65536, 1024, 1024),
        (258, 64, 1),
        (16, 64, 1),
    ],
)
def test_two_descriptors_a_request_and_a_reserve(limit: int, wanted: int, fitting: int) -> None:
    assert running.fitting_concurrency(limit, wanted) == fitting


class Limits:
    """Stands in for the process's own."""

    def __init__(self, soft: int, hard: int, *, refuse: bool = False) -> None:
        self.now = (soft, hard)
        self.refuse = refuse

    def get(self, _: int) -> tuple[int, int]:
        return self.now

    def set(self, _: int, limits: tuple[int, int]) -> None:
        if self.refuse:
            raise ValueError("not allowed to raise maximum limit")
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (1024, 4096, 4096),
        (1024, 1_000_000, 65536),
        (1024, resource.RLIM_INFINITY, 65536),
        (100_000, 1_000_000, 100_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_soft_limit_rises_to_the_hard_one_within_reason_and_never_falls(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, then: int
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    said: list[str] = []
    settings = Settings(concurrency=64)
    assert running.fit_descriptors(settings, said.append) is settings
    assert limits.now == (then, hard)
    assert not said


@pytest.mark.parametrize("refuse", [False, True])
def test_a_limit_that_stays_too_low_lowers_concurrency_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, refuse: bool
) -> None:
    limits = Limits(200 if refuse else 256, 4096 if refuse else 300, refuse=refuse)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    said: list[str] = []
    settings = running.fit_descriptors(Settings(concurrency=64, max_attempts=3), said.append)
    assert settings.concurrency == (1 if refuse else 22)
    assert settings.max_attempts == 3
    (sentence,) = said
    for part in (str(limits.now[0]), "64", "ulimit -n 384"):
        assert part in sentence
