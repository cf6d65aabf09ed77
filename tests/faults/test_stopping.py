"""Real signals to the real process: it drains; told twice, or too slow, it aborts."""

from __future__ import annotations

import json
import signal
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from mirror.simulator import DatasetSpec, Fault
from tests.e2e.command import environment, finish
from tests.faults.disk_kit import running, sync, temporaries, until
from tests.faults.kit import Site, promises, recorded_at, site

FORTY = DatasetSpec(sequences=2, frames_per_sequence=20, frame_bytes=20_000)
NEVER = {"MIRROR_READ_TIMEOUT": "600", "MIRROR_MIN_RATE": "0"}
"""Nothing but a signal ends what stalls."""
STALL = Fault("stall", hop="download", after=20, limit=4)
SIGNALS = [signal.SIGTERM, signal.SIGINT]


def words(one: Site) -> tuple[str | Path, ...]:
    return "sync", one.export, "--dest", one.dest, "--json", "--quiet"


async def stalled(one: Site, process: Process) -> None:
    """Until four bodies have stalled and all that could arrive is recorded."""
    others = len(one.dataset) - 4

    def waiting() -> bool:
        assert process.returncode is None
        return one.simulator.count("download") == len(one.dataset) and (
            len(recorded_at(one.dest)) == others
        )

    await until(waiting)


@pytest.mark.parametrize("number", SIGNALS)
async def test_fault_53_a_signal_stops_the_intake_and_what_is_in_flight_arrives(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Four at a time, each body slow: those under way are finished and recorded, no frame is asked
    for after them, and the next run fetches the others alone."""
    async with site(tmp_path, Fault("delay", hop="download", seconds=0.4), spec=FORTY) as one:
        env = environment(one.simulator, MIRROR_CONCURRENCY="4")
        async with running(*words(one), env=env) as process:
            await until(lambda: one.simulator.count("download") >= 6)
            process.send_signal(number)
            ended = await finish(process)
        report = json.loads(ended.out)
        assert (ended.code, report["outcome"], report["exit_code"]) == (75, "interrupted", 75)
        assert f"Interrupted by {number.name}" in ended.err
        assert "resumes" in ended.err
        asked = {each.frame_id for each in one.simulator.requests if each.hop == "resolve"}
        assert recorded_at(one.dest).keys() == asked
        assert 6 <= len(asked) <= 16
        assert report["frames"]["mirrored"] == len(asked)
        assert report["frames"]["pending"] == 40 - len(asked)
        promises(one.dest, one.dataset)
        assert temporaries(one.dest) == []
        assert (await sync(one)).code == 0
        assert one.simulator.count("download") == 40
        promises(one.dest, one.dataset)


@pytest.mark.parametrize("threshold", ["8388608", "1000"], ids=["in memory", "streamed"])
async def test_fault_54_a_second_signal_does_not_wait_for_what_is_in_flight(
    tmp_path: Path, threshold: str
) -> None:
    async with site(tmp_path, STALL, spec=FORTY) as one:
        env = environment(
            one.simulator,
            MIRROR_GRACE_PERIOD="600",
            MIRROR_STREAM_THRESHOLD=threshold,
            **NEVER,
        )
        async with running(*words(one), env=env) as process:
            await stalled(one, process)
            process.send_signal(signal.SIGTERM)
            stderr = process.stderr
            assert stderr is not None
            assert b"SIGTERM" in await stderr.readline()  # it drains
            process.send_signal(signal.SIGTERM)
            ended = await finish(process)
        await aborted(one, ended.code, json.loads(ended.out))


async def test_fault_54_at_the_deadline_it_does_not_wait_any_longer(tmp_path: Path) -> None:
    async with site(tmp_path, STALL, spec=FORTY) as one:
        env = environment(one.simulator, MIRROR_GRACE_PERIOD="0.5", **NEVER)
        async with running(*words(one), env=env) as process:
            await stalled(one, process)
            process.send_signal(signal.SIGTERM)
            ended = await finish(process)
        await aborted(one, ended.code, json.loads(ended.out))


async def aborted(one: Site, code: int, report: dict[str, object]) -> None:
    """All that had arrived is kept, nothing half is left, and the next run completes it."""
    assert (code, report["outcome"]) == (75, "interrupted")
    assert len(recorded_at(one.dest)) == 36
    promises(one.dest, one.dataset)
    assert temporaries(one.dest) == []
    assert (await sync(one)).code == 0
    assert one.simulator.count("download") == 44
    promises(one.dest, one.dataset)


async def test_fault_54_killed_while_it_drains_it_keeps_its_promises(tmp_path: Path) -> None:
    """What an orchestrator does when the grace is over."""
    async with site(tmp_path, STALL, spec=FORTY) as one:
        env = environment(one.simulator, MIRROR_GRACE_PERIOD="600", **NEVER)
        async with running(*words(one), env=env) as process:
            await stalled(one, process)
            process.send_signal(signal.SIGTERM)
            process.kill()
            await finish(process)
        promises(one.dest, one.dataset)
        assert (await sync(one)).code == 0
        promises(one.dest, one.dataset)
        assert temporaries(one.dest) == []
