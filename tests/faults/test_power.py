"""The power is cut at every step of a run, and at random times.

The destination lies on an ext4 image whose file system is shut down without flushing its journal,
and mounted again. What the disk was told to keep is in the image; what was only in memory is gone.
A disk that lies about what it keeps is not covered: the image is one that honours fsync.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mirror.simulator import DatasetSpec
from mirror.store import Step
from tests.faults.crash_child import cut_power
from tests.faults.crash_kit import (
    BOUND,
    KILLED,
    REACHED,
    REACHED_FOREIGN,
    REACHED_STREAMED,
    STREAMED,
    Ended,
    Orders,
    Scene,
    points,
    recorded_at,
    scene,
    strangers,
)

Note = Callable[[str, object], None]
FEW = (1, 2, 5, 12)
QUICK = {(Step.RENAMED, 7), (Step.RECORDED, 2), (Step.STATE_WRITTEN, 1)}
QUICK_FOREIGN = {(Step.SET_ASIDE, 2)}
# as little as may be is kept unasked: the journal waits for a sync, and neither it nor a rename
# waits for what the files hold
OPTIONS = "loop,commit=600,noauto_da_alloc,data=writeback"


class Disk:
    """An ext4 file system of its own."""

    def __init__(self, folder: Path, size: str = "24M") -> None:
        self.path = folder / "disk"
        self._image = folder / "disk.img"
        self.path.mkdir()
        _call("truncate", "-s", size, self._image)
        _call("mkfs.ext4", "-q", "-F", self._image)
        self.mount()

    def mount(self) -> None:
        _call("mount", "-t", "ext4", "-o", OPTIONS, self._image, self.path)

    def unmount(self) -> None:
        _call("umount", self.path)
        # a mount namespace that somebody made meanwhile keeps it mounted until it ends, and the
        # next mount of the same image would be the same file system, as it was left
        give_up = time.monotonic() + 60
        while _call("losetup", "--associated", self._image):
            if time.monotonic() > give_up:
                raise OSError(f"{self._image} is still in use")
            time.sleep(0.01)

    def cut(self) -> None:
        """Lose the power, and have it again."""
        self.lose()
        self.again()

    def lose(self) -> None:
        """Lose the power."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            cut_power(folder)
        finally:
            os.close(folder)

    def again(self) -> None:
        """Have the power again: the journal is replayed."""
        self.unmount()
        self.mount()


def _call(*words: str | Path) -> str:
    done = subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
    )
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")
    return done.stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a disk of its own")
    if shutil.which("mkfs.ext4", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip("needs mkfs.ext4")
    try:
        one = Disk(tmp_path)
    except OSError as error:
        pytest.skip(f"needs loop devices and mount: {error}")
    try:
        yield one
    finally:
        one.unmount()


@asynccontextmanager
async def cut(
    folder: Path,
    disk: Disk,
    step: Step,
    count: int = 1,
    note: Note = lambda *_: None,
    **manner: bool,
) -> AsyncIterator[Scene]:
    """A scene in which the power was lost at a step; its promises hold. `foreign`: with files of
    others in the way; `streamed`: with frames that go to their temporaries as they come."""
    async with scene(folder, dest=disk.path / "frames") as one:
        appear = strangers(one) if manner.get("foreign") else {}
        disk.again()  # so that what is there is on the disk
        settings = STREAMED if manner.get("streamed") else {}
        ended = await one.run(Orders(step, count, cut=disk.path, appear=appear), **settings)
        assert ended.code == KILLED, ended.err
        assert ended.steps[step] == count
        disk.again()
        note("cuts", 1)
        kept(one, ended)
        yield one
        again = await one.completed(**settings)
        disk.cut()
        note("cuts", 1)
        one.tidy(again)
        assert one.downloads <= len(one.ids) + BOUND


def kept(one: Scene, ended: Ended) -> None:
    """What was recorded before the power was lost is there and recorded; the rest is bounded."""
    there = one.promises()
    assert len(recorded_at(one.dest)) >= ended.recorded
    assert one.downloads - len(there) <= BOUND


def chosen(reached: dict[Step, int], quick: set[tuple[Step, int]]) -> list[object]:
    every = sorted({*points(reached, FEW), *quick})
    return [
        pytest.param(*point, marks=[] if point in quick else pytest.mark.long) for point in every
    ]


@pytest.mark.parametrize(("step", "count"), chosen(REACHED, QUICK))
async def test_fault_40_power_lost_at_a_step(
    tmp_path: Path, disk: Disk, record_property: Note, step: Step, count: int
) -> None:
    async with cut(tmp_path, disk, step, count, record_property):
        pass


@pytest.mark.parametrize(("step", "count"), chosen(REACHED_STREAMED, set()))
async def test_fault_40_power_lost_while_frames_are_streamed_to_their_temporaries(
    tmp_path: Path, disk: Disk, record_property: Note, step: Step, count: int
) -> None:
    async with cut(tmp_path, disk, step, count, record_property, streamed=True):
        pass


@pytest.mark.parametrize(("step", "count"), chosen(REACHED_FOREIGN, QUICK_FOREIGN))
async def test_fault_40_power_lost_with_files_of_others_in_the_way(
    tmp_path: Path, disk: Disk, record_property: Note, step: Step, count: int
) -> None:
    async with cut(tmp_path, disk, step, count, record_property, foreign=True):
        pass


async def test_fault_40_power_lost_when_the_log_of_a_large_ledger_has_come_round(
    tmp_path: Path, disk: Disk, record_property: Note
) -> None:
    """A small ledger's log grows with each commit, and to grow it durably brings the folders to
    the disk as well. One that is written over brings nothing else: what is recorded is durable
    because its folder was synced."""
    spec = DatasetSpec(sequences=1, frames_per_sequence=45_000, frame_bytes=1_000, labelled=False)
    async with scene(tmp_path, dest=disk.path / "frames", spec=spec, limit=24) as one:
        ended = await one.run(Orders(Step.RECORDED, 3, cut=disk.path))
        assert ended.code == KILLED, ended.err
        disk.again()
        record_property("cuts", 1)
        kept(one, ended)
        await one.completed()


@pytest.mark.long
@pytest.mark.parametrize(
    ("seed", "frames", "frame_bytes"), [*((n, 20, 4_000) for n in range(4)), (4, 8, 700_001)]
)
async def test_fault_40_power_lost_at_random_times_under_load(
    tmp_path: Path,
    disk: Disk,
    record_property: Note,
    seed: int,
    frames: int,
    frame_bytes: int,
) -> None:
    """The larger frames are written past the page cache."""
    chance = random.Random(seed)
    spec = DatasetSpec(sequences=3, frames_per_sequence=frames, frame_bytes=frame_bytes)
    manner = {"api_latency": 0.005, "store_latency": 0.005}
    cuts = 0
    async with scene(tmp_path, dest=disk.path / "frames", spec=spec, **manner) as one:
        for _ in range(100):
            there, before = len(one.promises()), one.downloads
            recorded = len(recorded_at(one.dest))
            async with one.running() as running:
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                await running.freeze()  # with the power everything ends at once
                disk.lose()
                running.kill()
                ended = await running.ended()
            disk.again()
            cuts += 1
            if ended.code == 0:
                one.tidy(ended)
                shutil.rmtree(one.dest)
            else:
                assert ended.code == KILLED, ended.err
                assert len(recorded_at(one.dest)) >= recorded + ended.recorded
                assert one.downloads - before - (len(one.promises()) - there) <= BOUND
            if cuts == 15:
                break
        assert cuts == 15
        record_property("cuts", cuts)
        one.tidy(await one.run())
