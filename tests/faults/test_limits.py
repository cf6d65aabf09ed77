"""Few descriptors, little memory, a slow disk: less is done at once, and all of it arrives."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.events import LimitChanged, RetryScheduled
from mirror.simulator import Behaviour, Dataset, DatasetSpec, Fault, Simulator
from mirror.store import Destination, syncing
from mirror.store import write as writing
from mirror.sync.report import RunReport
from tests.e2e.command import environment, finish
from tests.faults.disk_kit import Strace, running, strace, sync, temporaries, temporary, until
from tests.faults.kit import Site, promises, recorded_at, site

__all__ = ["strace"]

MEGABYTE = 1024 * 1024
SIXTY = DatasetSpec(sequences=2, frames_per_sequence=30, frame_bytes=3_000)
HEAVY = DatasetSpec(sequences=2, frames_per_sequence=40, frame_bytes=200_000)


# --- descriptors ------------------------------------------------------------------------------


async def test_fault_55_with_a_low_limit_of_open_files_less_is_done_at_once(
    tmp_path: Path,
) -> None:
    """A hard limit, so the process can't raise it: it says so and never runs into it."""
    async with site(tmp_path, spec=SIXTY, store_latency=0.05) as one:
        words = ("sync", one.export, "--dest", one.dest, "--json", "--concurrency", "64")
        env = environment(one.simulator)
        limited = ("sh", "-c", 'ulimit -n 276; exec "$0" "$@"')
        async with running(*words, env=env, before=limited) as process:
            ended = await finish(process)
        report = json.loads(ended.out)
        assert ended.code == 0, ended.err
        assert "lowered to 10" in ended.err
        assert report["retries"] == 0
        assert one.simulator.peak("store") <= 10
        promises(one.dest, one.dataset)


async def test_fault_55_sockets_that_run_out_are_waited_for(tmp_path: Path, strace: Strace) -> None:
    """A few calls of socket() find no descriptor: fewer at once, and no frame fails for it."""
    async with site(tmp_path, spec=SIXTY, store_latency=0.02) as one:
        ended, log = await strace.sync(one, "socket:error=EMFILE:when=6..12", trace="socket")
        assert sum(call.injected for call in log) >= 3
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["retries"] >= 3
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 60


@pytest.mark.parametrize("threshold", [8 * MEGABYTE, 1000], ids=["in memory", "streamed"])
async def test_fault_55_no_descriptor_for_a_file_lowers_the_concurrency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: int
) -> None:
    """The frame's reason is not that the disk lost it, for the disk was not asked."""
    create, calls = Destination.create, iter(range(1_000_000))

    def scarce(self: Destination, name: str) -> int:
        if 20 <= (number := next(calls)) < 40 and number % 2:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return create(self, name)

    monkeypatch.setattr(Destination, "create", scarce)
    async with site(tmp_path, spec=SIXTY, store_latency=0.02) as one:
        report = await one.run(stream_threshold=threshold, concurrency=16)
        one.complete(report)
        retries = one.told(RetryScheduled)
        assert {each.reason for each in retries} == {"out_of_files"}
        limits = [each.limit for each in one.told(LimitChanged) if each.hop == "download"]
        assert min(limits) < 16
        assert temporaries(one.dest) == []


async def test_fault_55_a_limit_lowered_under_a_run_ends_it_at_worst(tmp_path: Path) -> None:
    """The kernel's own EMFILE, for sockets and files alike: what ends the run says which limit,
    blames no frame, and the next run completes it."""
    slow = Fault("delay", hop="login", seconds=1.0, limit=1)
    async with site(tmp_path, slow, spec=SIXTY, store_latency=0.05) as one:
        words = ("sync", one.export, "--dest", one.dest, "--json", "--quiet")
        async with running(*words, env=environment(one.simulator)) as process:
            await until(lambda: one.simulator.count("login") == 1)
            hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)[1]
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (45, hard))
            ended = await finish(process)
        report = json.loads(ended.out)
        assert ended.code in {0, 74}, ended.err
        assert ended.code == 0 or "ulimit -n" in ended.err
        assert report["frames"]["failed"] == 0
        promises(one.dest, one.dataset)
        assert (await sync(one)).code == 0
        promises(one.dest, one.dataset)


# --- memory -----------------------------------------------------------------------------------

_WEIGH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


async def test_fault_56_57_resident_memory_stays_under_its_cap(
    tmp_path: Path, strace: Strace
) -> None:
    """An export of 60 000 frames, 48 bodies of 3 MB asked for, 48 at once, and a disk that takes a
    tenth of a second for each, in two writes: together they would be 144 MB."""
    dataset = Dataset(DatasetSpec(sequences=3, frames_per_sequence=20_000, frame_bytes=3_000_000))
    one = Site(Simulator(dataset, behaviour=Behaviour()), tmp_path / "batch.json", tmp_path / "d")
    dataset.write_export(one.export)
    assert one.export.stat().st_size > 25 * MEGABYTE
    words = ("sync", one.export, "--dest", one.dest, "--json", "--quiet", "--limit", "48")
    weight = tmp_path / "weight"
    before = (sys.executable, "-c", _WEIGH, weight, "strace", "-f", "--seccomp-bpf", "-qqq")
    before += ("-o", "/dev/null", "-e", "trace=pwrite64", "-e", "inject=pwrite64:delay_enter=50000")
    for number in range(100):
        before += ("-P", temporary(one.dest, number))
    settings = {"MIRROR_CONCURRENCY": "48", "MIRROR_BODY_MEMORY": "16MiB"}
    async with one.simulator:
        env = environment(one.simulator, PYTHONPATH=strace.hook(), **settings)
        async with running(*words, env=env, before=before) as process:
            ended = await finish(process)
    assert ended.code == 0, ended.err
    assert len(recorded_at(one.dest)) == 48
    assert int(weight.read_text()) * 1024 < 175 * MEGABYTE


# --- a slow disk ------------------------------------------------------------------------------


async def slow(one: Site, most: int, resume: threading.Event, **settings: object) -> RunReport:
    """A run whose disk stands still until `resume`; meanwhile at most so many bodies are asked
    for, however long it waits."""
    run = asyncio.ensure_future(one.run(concurrency=8, **settings))
    try:
        await until(lambda: one.simulator.count("download") >= 8 or run.done())
        await asyncio.sleep(0.7)
        assert one.simulator.count("download") <= most
        assert not run.done()
    finally:
        resume.set()
        report = await run
    return report


def standing_still(call: Callable[..., object], resume: threading.Event) -> Callable[..., object]:
    def waiting(*args: object) -> object:
        resume.wait(60)
        return call(*args)

    return waiting


async def test_fault_57_writes_that_stand_still_stop_the_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte of bodies is five of 200 kB; eight more may have been asked for."""
    resume = threading.Event()
    monkeypatch.setattr(writing, "write_whole", standing_still(writing.write_whole, resume))
    async with site(tmp_path, spec=HEAVY) as one:
        one.complete(await slow(one, 5 + 8, resume, body_memory=MEGABYTE))


async def test_fault_57_syncs_that_stand_still_stop_the_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten frames may be here and not recorded; eight more may have been asked for."""
    resume = threading.Event()
    monkeypatch.setattr(syncing, "sync_and_close", standing_still(syncing.sync_and_close, resume))
    async with site(tmp_path, spec=HEAVY) as one:
        one.complete(await slow(one, 10 + 8, resume, commit_frames=10))
