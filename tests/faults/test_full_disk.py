"""Destinations that are full, out of inodes, over quota or read-only, on real file systems."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from mirror.simulator import DatasetSpec
from mirror.store import Step
from tests.faults.disk_kit import (
    Mount,
    Strace,
    at_steps,
    break_file_system,
    ext4,
    strace,
    sync,
    temporaries,
    temporary,
    tmpfs,
)
from tests.faults.kit import Site, frames_at, promises, recorded_at, site

__all__ = ["ext4", "strace", "tmpfs"]

SIXTY = DatasetSpec(sequences=2, frames_per_sequence=30, frame_bytes=50_000)
"""Three megabytes."""


async def resumes(one: Site) -> None:
    """With room again, the same command fetches what is not there, and nothing else."""
    there, before = len(frames_at(one.dest)), one.simulator.count("download")
    ended = await sync(one)
    assert ended.code == 0, ended.err
    assert one.simulator.count("download") == before + len(one.dataset) - there
    promises(one.dest, one.dataset)
    assert recorded_at(one.dest).keys() == set(one.dataset.frame_ids())


@pytest.mark.parametrize("threshold", ["8388608", "1000"], ids=["in memory", "streamed"])
async def test_fault_43_45_a_full_disk_ends_the_run_and_it_resumes(
    tmp_path: Path, tmpfs: Mount, threshold: str
) -> None:
    """The last write that finds room is a short one; no frame is taken for whole for that."""
    async with site(tmp_path, spec=SIXTY) as one:
        one.dest = tmpfs("size=2m") / "frames"
        small = {"MIRROR_CONCURRENCY": "4", "MIRROR_COMMIT_FRAMES": "8"}
        ended = await sync(one, MIRROR_STREAM_THRESHOLD=threshold, **small)
        report = json.loads(ended.out)
        assert (ended.code, report["outcome"]) == (74, "failed"), ended.err
        assert "it is full" in ended.err
        assert temporaries(one.dest) == []
        promises(one.dest, one.dataset)
        assert recorded_at(one.dest)
        tmpfs("size=64m")
        await resumes(one)


async def test_fault_43_a_disk_that_is_full_from_the_start(tmp_path: Path, tmpfs: Mount) -> None:
    async with site(tmp_path, spec=SIXTY) as one:
        place = tmpfs("size=64k")
        with suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        one.dest = place / "frames"
        ended = await sync(one)
        assert ended.code == 74, ended.err
        assert "full" in ended.err
        assert one.simulator.count("login") == 0
        tmpfs("size=64m")
        await resumes(one)


@pytest.mark.parametrize("threshold", ["8388608", "1000"], ids=["in memory", "streamed"])
async def test_fault_43_a_quota_that_is_used_up_ends_the_run(
    tmp_path: Path, strace: Strace, threshold: str
) -> None:
    async with site(tmp_path, spec=SIXTY) as one:
        ended, log = await strace.sync(
            one,
            "writev,write:error=EDQUOT",
            trace="writev,write",
            paths=[temporary(one.dest, 40)],
            MIRROR_STREAM_THRESHOLD=threshold,
        )
        assert any(call.injected for call in log)
        assert ended.code == 74, ended.err
        assert "quota" in ended.err
        assert temporaries(one.dest) == []
        promises(one.dest, one.dataset)
        await resumes(one)


async def test_fault_44_no_inode_left_ends_the_run_and_it_resumes(
    tmp_path: Path, tmpfs: Mount
) -> None:
    async with site(tmp_path, spec=SIXTY) as one:
        one.dest = tmpfs("size=64m,nr_inodes=45") / "frames"
        ended = await sync(one)
        assert ended.code == 74, ended.err
        assert "no inodes" in ended.err
        assert temporaries(one.dest) == []
        promises(one.dest, one.dataset)
        tmpfs("size=64m,nr_inodes=10000")
        await resumes(one)


async def test_fault_47_no_space_for_the_ledger_leaves_files_that_are_adopted(
    tmp_path: Path, tmpfs: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full between the files of a group and its record: what is there is not fetched again."""
    async with site(tmp_path, spec=SIXTY) as one:
        place = tmpfs("size=16m")
        one.dest = place / "frames"

        def fill(step: Step) -> None:
            if step is Step.DIRECTORIES_SYNCED:
                with suppress(OSError), (place / "filler").open("ab", buffering=0) as file:
                    while file.write(bytes(4096)):
                        pass

        with monkeypatch.context() as patch:
            at_steps(patch, fill)
            report = await one.run(commit_seconds=60.0)  # one group of all
        assert report.exit_code == 74, report
        assert "the disk is full" in str(report.error)
        promises(one.dest, one.dataset)
        there = len(frames_at(one.dest))
        assert there > len(recorded_at(one.dest))
        assert temporaries(one.dest) == []
        (place / "filler").unlink()
        await resumes(one)


async def test_fault_58_a_file_system_that_turned_read_only_ends_the_run(
    tmp_path: Path, ext4: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel makes it read-only in the middle of a run, as after an error of the disk."""
    async with site(tmp_path, spec=SIXTY) as one:
        one.dest = ext4 / "frames"

        def turn(step: Step) -> None:
            if step is Step.RECORDED:
                break_file_system(ext4)

        with monkeypatch.context() as patch:
            at_steps(patch, turn)
            report = await one.run(commit_frames=10)
        assert (report.exit_code, report.outcome) == (74, "failed"), report
        assert "read-only" in str(report.error)
        assert report.frames.pending
        files = frames_at(one.dest)
        assert files
        assert files == {frame: one.dataset.png(frame) for frame in files}


async def test_fault_58_a_read_only_destination_is_refused_before_anything_is_asked(
    tmp_path: Path, tmpfs: Mount
) -> None:
    async with site(tmp_path, spec=SIXTY) as one:
        one.dest = tmpfs("size=64m") / "frames"
        assert (await sync(one)).code == 0
        next(one.dest.glob("*/*.png")).unlink()
        tmpfs("ro")
        asked = len(one.simulator.requests)
        ended = await sync(one)
        assert ended.code == 74, ended.err
        assert "mounted read-only" in ended.err
        assert len(one.simulator.requests) == asked
        tmpfs("rw")
        await resumes(one)
