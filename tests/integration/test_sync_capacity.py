"""Whole runs against hosts with a hidden capacity, over sockets: the limit finds it.

The numbers are loose, as machines are; the sharp ones are in the simulation of the limit alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mirror.events import HostPaused, LimitChanged
from mirror.simulator import DatasetSpec
from tests.faults.disk_kit import until
from tests.faults.kit import Site, site

SPEC = DatasetSpec(sequences=4, frames_per_sequence=200, frame_bytes=1_500)
CAPACITY = 24


def limits(there: Site) -> list[int]:
    return [event.limit for event in there.told(LimitChanged) if event.hop == "download"]


async def test_a_store_that_refuses_beyond_its_capacity_is_used_and_hardly_refuses(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, spec=SPEC, capacity=CAPACITY, store_latency=0.08) as there:
        report = await there.run(concurrency=256)
        there.complete(report)
        statuses = there.simulator.statuses
        refused = statuses.get(("download", 503), 0) + statuses.get(("resolve", 429), 0)
        assert refused <= 0.05 * 2 * 800, statuses
        moved = limits(there)
        assert max(moved) <= 2 * CAPACITY
        assert min(moved[len(moved) // 2 :]) >= CAPACITY / 2
        assert there.told(HostPaused) == []


async def test_a_store_that_queues_beyond_its_capacity_is_not_flooded(tmp_path: Path) -> None:
    behaviour = {"capacity": 8, "beyond": "queue", "store_latency": 0.03}
    async with site(tmp_path, spec=SPEC, **behaviour) as there:
        report = await there.run(concurrency=256)
        there.complete(report)
        assert report.retries == 0
        # a step of the trial that doubles is the most
        assert there.simulator.peak("store") <= 64


async def test_latency_alone_holds_nothing_back(tmp_path: Path) -> None:
    async with site(tmp_path, spec=SPEC, store_latency=0.3) as there:
        report = await there.run(concurrency=64)
        there.complete(report)
        assert there.simulator.peak("store") == 64
        moved = limits(there)
        assert moved[-1] >= 48, moved


@pytest.mark.parametrize("beyond", ["refuse", "queue"])
async def test_a_capacity_that_falls_in_mid_run_is_followed(tmp_path: Path, beyond: str) -> None:
    behaviour = {"capacity": 48, "beyond": beyond, "store_latency": 0.05}
    async with site(tmp_path, spec=SPEC, **behaviour) as there:
        running = asyncio.create_task(there.run(concurrency=64))
        await until(lambda: there.simulator.count("download") >= 400)
        there.simulator.change_capacity("store", 8)
        report = await running
        there.complete(report)
        refused = there.simulator.statuses.get(("download", 503), 0)
        assert refused <= (0 if beyond == "queue" else 160)
        if beyond == "refuse":
            assert limits(there)[-1] <= 16
