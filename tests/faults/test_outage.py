"""Rows 31 and 32, and the two numbers: how much we ask of a server that fails, and that a run in
which most frames meet a fault ends complete.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from mirror.events import HostPaused, LimitChanged
from mirror.settings import Settings
from mirror.simulator import Dataset, DatasetSpec, Fault
from mirror.sync.report import RunReport
from tests.faults.kit import QUICK, Site, promises, recorded_at, site
from tests.faults.network_kit import asked, nothing_left_behind, retries, soon, unavailable

THOUSAND = DatasetSpec(sequences=10, frames_per_sequence=100, frame_bytes=2_000)
HUNDRED = DatasetSpec(sequences=4, frames_per_sequence=25, frame_bytes=2_000)
DEFAULTS: dict[str, Any] = {name: Settings.model_fields[name].default for name in QUICK}
"""What `Site.run` would make quick, as a user has it."""

HOPS = ("login", "resolve", "download")
ALL_FAIL = {
    "500": Fault("internal_error"),
    "slow-down": Fault("slow_down"),
    "closed": Fault("close"),
    "cut": Fault("early_fin"),
    "no-png": Fault("xml_200"),
    "api-500": Fault("status", hop="resolve", code=500),
    "api-nonsense": Fault("wrong_json", hop="resolve"),
    "login-500": Fault("status", hop="login", code=500),
}


# --- row 31 ---------------------------------------------------------------------------------------


async def test_fault_31_a_slow_down_burst_lowers_concurrency_which_recovers(tmp_path: Path) -> None:
    """A burst of forty refusals in the middle: the limit falls, then grows again; no frame pays."""
    fault = Fault("slow_down", after=40, limit=14)
    spec = DatasetSpec(sequences=5, frames_per_sequence=100, frame_bytes=2_000)
    async with site(tmp_path, fault, spec=spec, store_latency=0.01) as there:
        report = await there.run(concurrency=16)
        there.complete(report)
        limits = [event.limit for event in there.told(LimitChanged) if event.hop == "download"]
        assert limits[0] < 16
        lowest = min(limits)
        after = limits[limits.index(lowest) :]
        assert lowest <= 11, "it fell"
        assert max(after) > lowest, "it recovers"
        assert all(later - earlier <= 1 for earlier, later in pairwise(after)), "step by step"
        assert not any(event.hop == "resolve" for event in there.told(LimitChanged))
        assert there.told(HostPaused) == [], "a host that asks for less is there"
        assert {event.reason for event in retries(there)} == {"throttled"}
        assert there.simulator.count("download") == 500 + 14


async def test_fault_31_a_store_that_takes_only_so_much_is_given_only_so_much(
    tmp_path: Path,
) -> None:
    """The store refuses the ninth request at once; the run finds that out and stays near it."""
    behaviour: dict[str, Any] = {"capacity": 8, "store_latency": 0.01, "api_latency": 0.001}
    spec = DatasetSpec(sequences=5, frames_per_sequence=100, frame_bytes=2_000)
    async with site(tmp_path, spec=spec, **behaviour) as there:
        report = await there.run(concurrency=64)
        there.complete(report)
        refused = there.simulator.statuses.get(("download", 503), 0)
        assert 1 <= refused <= 500 * 0.2
        assert there.told(HostPaused) == []


# --- row 32 ---------------------------------------------------------------------------------------


def bounded(there: Site, report: RunReport, frames: int) -> None:
    """Assert the bound on what a failing server is asked.

    Counted: every request that reached the simulator, for each hop, whatever it was answered.
    Held against: a run without retries, which asks for each frame once, whether or not that works
    (one login, `frames` resolves, `frames` downloads).
    """
    for hop in HOPS:
        once = 10 if hop == "login" else frames  # a login has the pace of the probes
        assert there.simulator.count(hop) <= 1.2 * once, (hop, there.simulator.statuses)
    assert (report.exit_code, report.outcome) == (69, "failed"), report
    assert (report.frames.mirrored, report.frames.failed) == (0, 0), "no frame is blamed"
    assert report.frames.pending == frames
    assert "running the same command again resumes" in (report.error or "")
    assert recorded_at(there.dest) == {}
    promises(there.dest, there.dataset)
    nothing_left_behind(there.dest)


@pytest.mark.long
@pytest.mark.parametrize("what", [*ALL_FAIL, "store-refuses", "api-refuses"])
async def test_fault_32_a_server_that_always_fails_with_default_settings(
    tmp_path: Path, what: str
) -> None:
    """1,000 frames: at most 1.2 times the requests, and 69 in under two minutes."""
    faults = (ALL_FAIL[what],) if what in ALL_FAIL else ()
    async with site(tmp_path, *faults, spec=THOUSAND) as there:
        if not faults:
            await there.simulator.refuse("store" if what == "store-refuses" else "api")
        report = await asyncio.wait_for(there.run(**DEFAULTS), 118)
        bounded(there, report, 1000)
        assert report.seconds < 120


@pytest.mark.parametrize("what", list(ALL_FAIL))
async def test_fault_32_a_server_that_always_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The same in small: 100 frames, a tenth of the retries, a fiftieth of the patience."""
    monkeypatch.setattr("mirror.sync.pipeline.RETRY_CAPACITY", 10)
    soon(monkeypatch, first=0.05, last=0.5)
    async with site(tmp_path, ALL_FAIL[what], spec=HUNDRED) as there:
        report = await asyncio.wait_for(there.run(outage_patience=0.9, concurrency=5), 60)
        bounded(there, report, 100)
        assert report.seconds < 30


async def test_fault_32_a_failing_server_gets_fewer_requests_the_longer_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes go out one by one, further and further apart; then the run goes on by itself."""
    soon(monkeypatch, first=0.1, last=2.0)
    async with site(tmp_path, Fault("internal_error", limit=11)) as there:
        report = await there.run(outage_patience=30)
        there.complete(report)
        failing = [each.time for each in asked(there, "download") if each.status == 500]
        waits = [later - earlier for earlier, later in pairwise(failing)][-3:]
        assert len(failing) == 11
        assert waits[0] < waits[1] < waits[2], waits


async def test_fault_32_a_run_that_gave_up_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the frames arrive, then the store is gone; the next run fetches the other half."""
    soon(monkeypatch)
    fault = Fault("internal_error", after=6, limit=40)
    async with site(tmp_path, fault) as there:
        report = await there.run(outage_patience=0.3, concurrency=1)
        unavailable(there, report, "The store is unavailable", "answered 500", mirrored=6)
        before = there.simulator.count("download")
        again = await there.run(outage_patience=30)
        there.complete(again)
        assert again.frames.already_mirrored == 6
        good = there.simulator.statuses["download", 200]
        assert (good, there.simulator.count("download") > before) == (12, True)


# --- most frames meet a fault ---------------------------------------------------------------------

MIXED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("resolve", "html_error", {"code": 502}),
    ("resolve", "html_error", {"code": 504}),
    ("resolve", "status", {"code": 500}),
    ("resolve", "retry_after", {"seconds": 0.1}),
    ("resolve", "retry_after", {"kind": "absent"}),
    ("resolve", "truncated_json", {}),
    ("resolve", "wrong_json", {}),
    ("resolve", "close", {"how": "reset"}),
    ("resolve", "early_fin", {}),
    ("resolve", "stale_close", {}),
    ("download", "slow_down", {}),
    ("download", "internal_error", {}),
    ("download", "request_timeout", {}),
    ("download", "close", {}),
    ("download", "reset_mid_body", {}),
    ("download", "early_fin", {"at": 0.999}),
    ("download", "short_chunked", {}),
    ("download", "no_content_length", {"at": 0.7}),
    ("download", "extra_bytes", {}),
    ("download", "bit_flip", {}),
    ("download", "empty_body", {}),
    ("download", "xml_200", {}),
    ("download", "html_200", {}),
    ("download", "partial_206", {}),
    ("download", "expired_url", {}),
    ("download", "expired_credentials", {}),
    ("download", "stall", {}),
    ("download", "delay", {"seconds": 0.2}),
    ("download", "pause_before_fin", {"seconds": 0.2}),
)
"""Everything that passes by itself. Where a frame's URL is minted twice, both may be met."""
ONCE_MORE = (
    ("download", "signature_error"),
    ("download", "no_such_key"),
    ("download", "access_denied"),
)
"""What is asked about once more, and then for good: on the first attempt alone."""


def mixed(ids: list[str]) -> tuple[list[Fault], set[str]]:
    """Faults on three frames of five, each kind on its share; every other one on two attempts."""
    kinds = [*MIXED, *((hop, action, {}) for hop, action in ONCE_MORE)]
    victims = [frame for number, frame in enumerate(ids) if number % 5 in {0, 2, 3}]
    faults = []
    for number, (hop, action, params) in enumerate(kinds):
        once = (hop, action) in ONCE_MORE or number % 2 == 0
        share = victims[number :: len(kinds)]
        attempts = 1 if once else "1-2"
        faults.append(Fault(action, hop=hop, frames=share, attempts=attempts, **params))
    return faults, set(victims)


async def survive(folder: Path, spec: DatasetSpec, **settings: Any) -> None:
    """A run over frames of which three in five meet a fault ends complete."""
    ids = list(Dataset(spec).frame_ids())
    faults, victims = mixed(ids)
    assert len(victims) == 0.6 * len(ids)
    async with site(folder, *faults, spec=spec) as there:
        report = await asyncio.wait_for(there.run(read_timeout=1.5, **settings), 100)
        there.complete(report)
        assert report.frames.mirrored == len(ids)
        # a busy machine may let any request wait too long
        hit = {event.ref.frame_id for event in retries(there) if event.reason != "timeout"}
        assert hit <= victims, "the others are none the worse for it"
        assert len(hit) > 0.8 * len(victims)
        assert {"throttled", "server_error", "timeout", "truncated", "bad_answer", "not_png"} < {
            event.reason for event in retries(there)
        }
        assert report.logins == 1
        nothing_left_behind(there.dest)


async def test_fault_09_12_18_31_faults_on_most_of_a_thousand_frames_end_complete(
    tmp_path: Path,
) -> None:
    """Default settings, but that the waits and the timeout of a stalled body are short."""
    backoff = {"backoff_base": 0.02, "backoff_cap": 0.1}
    await survive(tmp_path, THOUSAND, **(DEFAULTS | backoff))


@pytest.mark.long
async def test_fault_09_12_18_31_faults_on_most_frames_end_complete_with_default_settings(
    tmp_path: Path,
) -> None:
    await survive(tmp_path, THOUSAND, **DEFAULTS)
