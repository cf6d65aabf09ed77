"""SIGKILL at every step of a run, and at random times: what is there, what the next run fetches.

The run is the real command in a process of its own, against the simulator in this one.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.simulator import Dataset, DatasetSpec, Fault
from mirror.store import Step
from tests.faults.crash_kit import (
    BOUND,
    GROUP,
    KILLED,
    REACHED,
    REACHED_FOREIGN,
    REACHED_STREAMED,
    STREAMED,
    Ended,
    Orders,
    Scene,
    made,
    points,
    scene,
    strangers,
)

Note = Callable[[str, object], None]
OFTEN = (1, 2, 3, 4, 5, 7, 9, 12, 16, 20)
QUICK = {
    (Step.LEDGER_MADE, 1),
    (Step.INGESTING, 1),
    (Step.FILE_SYNCED, 3),
    (Step.RENAMED, 7),
    (Step.RECORDING, 2),
    (Step.RECORDED, 2),
    (Step.STATE_RENAMED, 1),
}
QUICK_STREAMED = {(Step.BLOCK_WRITTEN, 9), (Step.DIRECTORIES_SYNCED, 2)}
QUICK_FOREIGN = {(Step.MOVED_ASIDE, 2), (Step.MOVED_ASIDE, 5), (Step.RENAMED, 23)}


def chosen(reached: dict[Step, int], quick: set[tuple[Step, int]]) -> list[object]:
    """Every point; those that are not quick are long."""
    every = sorted({*points(reached, OFTEN), *quick})
    return [
        pytest.param(*point, marks=[] if point in quick else pytest.mark.long) for point in every
    ]


def killed(one: Scene, ended: Ended, note: Note) -> set[str]:
    """The first run was killed, and the promises hold; the frames that are there."""
    assert ended.code == KILLED, ended.err
    note("kills", 1)
    there = one.promises()
    assert one.downloads - len(there) <= BOUND
    return there


@pytest.mark.parametrize(("step", "count"), chosen(REACHED, QUICK))
async def test_fault_39_killed_at_a_step(
    tmp_path: Path, record_property: Note, step: Step, count: int
) -> None:
    async with scene(tmp_path) as one:
        ended = await one.run(Orders(step, count))
        killed(one, ended, record_property)
        assert ended.steps[step] == count
        await one.completed()
        assert one.downloads <= len(one.ids) + BOUND


@pytest.mark.parametrize(("step", "count"), chosen(REACHED_STREAMED, QUICK_STREAMED))
async def test_fault_39_killed_while_frames_are_streamed_to_their_temporaries(
    tmp_path: Path, record_property: Note, step: Step, count: int
) -> None:
    async with scene(tmp_path) as one:
        killed(one, await one.run(Orders(step, count), **STREAMED), record_property)
        await one.completed(**STREAMED)
        assert one.downloads <= len(one.ids) + BOUND


@pytest.mark.parametrize(("step", "count"), chosen(REACHED_FOREIGN, QUICK_FOREIGN))
async def test_fault_39_killed_with_files_of_others_in_the_way(
    tmp_path: Path, record_property: Note, step: Step, count: int
) -> None:
    """Garbage, a cut frame and an empty file from the start, two files that appear meanwhile: all
    are somewhere, byte for byte. A whole PNG that was there before stays."""
    async with scene(tmp_path) as one:
        orders = Orders(step, count, appear=strangers(one))
        killed(one, await one.run(orders), record_property)
        await one.completed()
        assert one.downloads <= len(one.ids) + BOUND


@pytest.mark.parametrize(
    ("step", "count"),
    [
        (Step.RENAMED, 11),
        pytest.param(Step.FILE_SYNCED, 13, marks=pytest.mark.long),
        pytest.param(Step.DIRECTORIES_SYNCED, 2, marks=pytest.mark.long),
        pytest.param(Step.RECORDED, 3, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize(
    "again",
    [
        Step.RECORDING,
        pytest.param(Step.LEDGER_MADE, marks=pytest.mark.long),
        pytest.param(Step.INGESTED, marks=pytest.mark.long),
        pytest.param(Step.FILE_SYNCED, marks=pytest.mark.long),
        pytest.param(Step.DIRECTORY_SYNCED, marks=pytest.mark.long),
        pytest.param(Step.RECORDED, marks=pytest.mark.long),
    ],
)
async def test_fault_39_49_killed_the_ledger_deleted_and_killed_while_files_are_adopted(
    tmp_path: Path, record_property: Note, step: Step, count: int, again: Step
) -> None:
    async with scene(tmp_path) as one:
        killed(one, await one.run(Orders(step, count)), record_property)
        for path in (one.dest / ".mirror").glob("ledger.sqlite3*"):
            path.unlink()
        there, before = one.promises(), one.downloads
        assert there
        ended = await one.run(Orders(again))
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        now = one.promises()
        assert there <= now
        assert one.downloads - before - len(now - there) <= BOUND
        await one.completed()


@pytest.mark.parametrize("wal", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_fault_39_49_killed_while_a_damaged_ledger_is_moved_away(
    tmp_path: Path, record_property: Note, wal: bool
) -> None:
    """Also where its write-ahead log stayed behind, the next run makes a sound ledger."""
    async with scene(tmp_path) as one:
        killed(one, await one.run(Orders(Step.RECORDED, 2)), record_property)
        before = one.promises()
        log = one.dest / ".mirror/ledger.sqlite3-wal"
        sound = log.read_bytes()
        for path in (log, log.with_name("ledger.sqlite3")):
            path.write_bytes(b"damaged " * 4096)
        one.damaged = True
        ended = await one.run(Orders(Step.LEDGER_MOVED))
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        if wal:
            log.write_bytes(sound)
        assert one.promises() == before
        await one.completed()
        kept = sorted((one.dest / ".mirror").glob("ledger.damaged-*.sqlite3"))
        assert [path.read_bytes() for path in kept] == [b"damaged " * 4096]


@pytest.mark.parametrize(
    "step",
    [
        Step.FORGOTTEN,
        pytest.param(Step.RECORDING, marks=pytest.mark.long),
        pytest.param(Step.RENAMED, marks=pytest.mark.long),
        pytest.param(Step.LEDGER_CLOSED, marks=pytest.mark.long),
    ],
)
async def test_fault_39_50_killed_while_deleted_files_are_fetched_again(
    tmp_path: Path, record_property: Note, step: Step
) -> None:
    async with scene(tmp_path) as one:
        await one.completed()
        for number in (0, 5, 13):
            one.path(number).unlink()
        before = one.downloads
        ended = await one.run(Orders(step))
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        await one.completed()
        assert one.downloads - before <= 2 * 3


async def test_fault_39_temporaries_of_a_killed_run_are_gone_before_the_next_one_works(
    tmp_path: Path, record_property: Note
) -> None:
    """So that a run that is killed at the same place each time does not fill the disk."""
    async with scene(tmp_path) as one:
        killed(one, await one.run(Orders(Step.TEMPORARY_WRITTEN, 6)), record_property)
        temporaries = one.dest / ".mirror/tmp"
        left = {path.name for path in temporaries.iterdir()}
        assert left
        ended = await one.run(Orders(Step.LEDGER_OPENED))
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        assert not left & {path.name for path in temporaries.iterdir()}
        await one.completed()


async def test_fault_39_a_commit_that_takes_long_holds_back_the_intake(
    tmp_path: Path, record_property: Note
) -> None:
    """However slow the disk is, a kill costs no more than a group and what was in flight."""
    spec = DatasetSpec(sequences=1, frames_per_sequence=60, frame_bytes=1_000)
    async with scene(tmp_path, spec=spec) as one:
        hold = tmp_path / "held"
        async with one.running(Orders(Step.FILES_SYNCED, hold=hold)) as running:
            await made(hold)
            asked = -1
            while asked < one.downloads <= 2 * BOUND:  # until nothing more is asked for
                asked = one.downloads
                await asyncio.sleep(0.4)
            running.kill()
            ended = await running.ended()
        assert ended.code == KILLED, ended.err
        record_property("kills", 1)
        assert one.promises() == set()
        assert GROUP <= one.downloads <= BOUND
        await one.completed()


# --- at random times ------------------------------------------------------------------------------

EVERY_THIRD = list(range(1, 1000, 3))
"""Attempts at which a frame that is chosen has trouble, whichever run they belong to."""


async def again_and_again(one: Scene, chance: random.Random, wanted: int, odd: set[str]) -> int:
    """Kill runs at random times, resume, begin anew what is complete; the number of kills.

    `odd`: frames whose every third download has trouble, so is worth nothing.
    """
    kills = 0
    for _ in range(5 * wanted):
        there = one.promises()
        asked = len(one.site.simulator.requests)
        async with one.running() as running:
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            running.kill()
            ended = await running.ended()
        if ended.code == 0:
            one.tidy(ended)
            shutil.rmtree(one.dest)
            continue
        assert ended.code == KILLED, ended.err
        kills += 1
        now = one.promises()
        assert there <= now
        good = [
            request
            for request in one.site.simulator.requests[asked:]
            if request.hop == "download"
            and not (request.frame_id in odd and request.attempt in EVERY_THIRD)
        ]
        assert len(good) - len(now - there) <= BOUND
        if kills == wanted:
            break
    return kills


@pytest.mark.parametrize(
    ("seed", "wanted"), [(1, 10), *(pytest.param(n, 25, marks=pytest.mark.long) for n in range(8))]
)
async def test_fault_39_killed_at_random_times_under_load_while_the_platform_fails(
    tmp_path: Path, record_property: Note, seed: int, wanted: int
) -> None:
    chance = random.Random(seed)
    spec = DatasetSpec(sequences=3, frames_per_sequence=20, frame_bytes=4_000)
    ids = sorted(Dataset(spec).frame_ids())
    chance.shuffle(ids)
    trouble = [
        Fault(action, frames=ids[4 * n : 4 * n + 4], attempts=EVERY_THIRD)
        for n, action in enumerate(
            ("reset_mid_body", "early_fin", "bit_flip", "slow_down", "expired_url")
        )
    ]
    resolving = Fault("html_error", hop="resolve", frames=ids[20:26], attempts=EVERY_THIRD)
    manner = {"api_latency": 0.005, "store_latency": 0.005}
    async with scene(tmp_path, *trouble, resolving, spec=spec, **manner) as one:
        kills = await again_and_again(one, chance, wanted, set(ids[:20]))
        assert kills == wanted
        record_property("kills", kills)
        ended = await one.run()
        assert ended.code == 0, ended.err
        one.tidy(ended)
