"""What the tests of the network's faults share: the two ends a fault may take, and what was asked.

`recovers`: it passes, and nobody would know from the result. `fails_alone`: it stays, and costs the
frame it is about and no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mirror.events import RetryScheduled
from mirror.savant import connect
from mirror.simulator import Dataset, Fault, RecordedRequest
from mirror.sync.report import RunReport
from tests.faults.kit import SMALL, Site, Truth, frames_at, promises, recorded_at, site

FRAMES = tuple(Dataset(SMALL).frame_ids())
VICTIMS = (FRAMES[1], FRAMES[6], FRAMES[10])
"""Fewer than make an outage."""
VICTIM = FRAMES[6]


def asked(there: Site, hop: str, frame: str | None = None) -> list[RecordedRequest]:
    """The requests of a hop that arrived, in order; those for one frame where one is named."""
    return [
        request
        for request in there.simulator.requests
        if request.hop == hop and frame in {None, request.frame_id}
    ]


def retries(there: Site) -> list[RetryScheduled]:
    """Every retry that the last run told of."""
    return there.told(RetryScheduled)


def nothing_left_behind(dest: Path) -> None:
    """No temporary stays."""
    temporaries = dest / ".mirror" / "tmp"
    assert not temporaries.exists() or not list(temporaries.iterdir())


async def recovers(
    folder: Path,
    action: str,
    reason: str,
    *,
    hop: str = "download",
    told_at: str | None = None,
    behaviour: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **params: Any,
) -> None:
    """The fault on the first attempt of each victim is retried, once each; then all is well."""
    fault = Fault(action, hop=hop, frames=VICTIMS, attempts=1, **params)
    async with site(folder, fault, **(behaviour or {})) as there:
        report = await asyncio.wait_for(there.run(**(settings or {})), 30)
        there.complete(report)
        told = Counter((event.ref.frame_id, event.reason, event.hop) for event in retries(there))
        assert told == Counter((victim, reason, told_at or hop) for victim in VICTIMS)
        assert (report.retries, report.failures) == (3, [])
        for frame in FRAMES:
            times = 2 if frame in VICTIMS else 1
            assert len(asked(there, "resolve", frame)) == times, "a retry mints a new URL"
            assert len(asked(there, hop, frame)) == times
        assert there.simulator.logins == report.logins == 1
        assert not any("Range" in request.headers for request in there.simulator.requests)
        nothing_left_behind(there.dest)


async def fails_alone(
    folder: Path,
    action: str,
    reason: str,
    attempts: int,
    *,
    hop: str = "download",
    behaviour: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    **params: Any,
) -> RunReport:
    """One frame meets the fault each time: it fails after so many attempts, the others arrive."""
    fault = Fault(action, hop=hop, frames=VICTIM, **params)
    async with site(folder, fault, **(behaviour or {})) as there:
        report = await asyncio.wait_for(there.run(**(settings or {})), 30)
        failed_alone(there, report, reason, attempts)
        assert len(asked(there, "resolve", VICTIM)) == attempts
        assert len(asked(there, hop, VICTIM)) == attempts
        assert len(asked(there, "download")) == 11 + (attempts if hop == "download" else 0)
        return report


def failed_alone(
    there: Site, report: RunReport, reason: str, attempts: int, truth: Truth | None = None
) -> None:
    """Assert that the victim alone failed, for this reason, and all the others are mirrored."""
    assert (report.exit_code, report.outcome) == (1, "partial"), report
    assert (report.frames.mirrored, report.frames.failed, report.frames.pending) == (11, 1, 0)
    found = [(one.frame_id, one.reason, one.attempts) for one in report.failures]
    assert found == [(VICTIM, reason, attempts)]
    assert report.failures_total == 1
    assert report.failures[0].detail.endswith(".")
    promises(there.dest, there.dataset, truth=truth)
    assert frames_at(there.dest).keys() == set(FRAMES) - {VICTIM}
    assert recorded_at(there.dest).keys() == set(FRAMES) - {VICTIM}
    nothing_left_behind(there.dest)


def unavailable(there: Site, report: RunReport, *words: str, mirrored: int = 0) -> None:
    """Assert that the run gave up with 69, blames no frame, and says `words`."""
    assert (report.exit_code, report.outcome) == (69, "failed"), report
    totals = report.frames
    assert (totals.mirrored, totals.failed) == (mirrored, 0)
    assert totals.pending == totals.total - mirrored
    for word in (*words, "running the same command again resumes"):
        assert word in (report.error or ""), report.error
    promises(there.dest, there.dataset)
    nothing_left_behind(there.dest)


def inject(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    """Let the remote side of the next runs use this `clock` or `resolver`."""
    defaults = connect.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    for name, part in parts.items():
        monkeypatch.setitem(defaults, name, part)


def soon(monkeypatch: pytest.MonkeyPatch, first: float = 0.02, last: float = 0.1) -> None:
    """Let a paused host be probed after fractions of a second."""
    monkeypatch.setattr("mirror.sync.outage.FIRST_PROBE", first)
    monkeypatch.setattr("mirror.sync.outage.LAST_PROBE", last)


def gaps(requests: Sequence[RecordedRequest]) -> list[float]:
    """Seconds between one request and the next."""
    times = [request.time for request in requests]
    return [later - earlier for earlier, later in pairwise(times)]


Clock = Callable[[], float]
