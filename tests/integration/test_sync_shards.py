"""Runs of shards beside each other, and what they recorded folded into one ledger."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from mirror.errors import (
    ConfigurationError,
    DestinationBusyError,
    DestinationError,
)
from mirror.events import (
    Events,
    LimitChanged,
    ProcessDied,
    RequestFinished,
    RequestStarted,
    ShardsFolded,
)
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.simulator import DatasetSpec, Fault
from mirror.store import (
    Destination,
    Layout,
    LedgerReader,
    Purge,
    by_size,
    lock_state,
    place_of,
    shards_at,
)
from mirror.sync.merging import merge_shards
from mirror.sync.repair import verify_destination
from mirror.sync.stop import Stop
from tests.faults.kit import Site, frames_at, promises, recorded_at, site

SPEC = DatasetSpec(sequences=3, frames_per_sequence=40, frame_bytes=3_000)
FRAMES = 120


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, spec=SPEC) as found:
        yield found


def shard(text: str) -> dict[str, Shard]:
    return {"shard": Shard.parse(text)}


def merged(one: Site) -> int:
    return merge_shards(one.dest, Settings(), print).shards


def downloads(one: Site) -> int:
    return one.simulator.count("download")


# --- --shard ------------------------------------------------------------------------------------


async def test_two_shards_together_are_the_whole(one: Site) -> None:
    reports = [await one.run(request=shard(text)) for text in ("0/2", "1/2")]
    assert [report.exit_code for report in reports] == [0, 0]
    assert sum(report.frames.total for report in reports) == FRAMES
    assert all(report.frames.total > 30 for report in reports)
    assert len(frames_at(one.dest)) == downloads(one) == FRAMES

    assert merged(one) == 2
    promises(one.dest, one.dataset)
    assert recorded_at(one.dest).keys() == set(one.dataset.frame_ids())
    assert shards_at(one.dest) == []
    assert {path.name for path in (one.dest / ".mirror").iterdir()} == {
        "ledger.sqlite3",
        "lock",
        "tmp",
    }

    again = await one.run()
    assert (again.exit_code, again.frames.already_mirrored) == (0, FRAMES)
    assert downloads(one) == FRAMES


async def test_shards_run_at_the_same_time_and_the_whole_does_not(one: Site) -> None:
    layout = Layout()
    with Destination.open_shard(one.dest, layout, Shard(0, 2)):
        with pytest.raises(DestinationBusyError, match="Runs of shards hold"):
            Destination.open(one.dest, layout)
        with pytest.raises(DestinationBusyError, match=f"process {os.getpid()} "):
            Destination.open_shard(one.dest, layout, Shard(0, 2))
        report = await one.run(request=shard("1/2"))
        assert report.exit_code == 0
    with (
        Destination.open(one.dest, layout),
        pytest.raises(DestinationBusyError, match=f"process {os.getpid()} "),
    ):
        Destination.open_shard(one.dest, layout, Shard(0, 2))


async def test_the_next_run_of_the_whole_folds_what_shards_left(one: Site) -> None:
    await one.run(request=shard("0/3"))
    done = downloads(one)
    report = await one.run()
    assert report.exit_code == 0
    assert report.frames.already_mirrored == done
    assert [event.shards for event in one.told(ShardsFolded)] == [1]
    assert downloads(one) == FRAMES
    assert shards_at(one.dest) == []
    one.complete(report)


async def test_another_number_of_shards_fetches_nothing_again(one: Site) -> None:
    await one.run(request=shard("0/2"))
    await one.run(request=shard("1/3"))
    await one.run(request=shard("0/3"))
    await one.run(request=shard("2/3"))
    assert downloads(one) == FRAMES
    assert merged(one) == 4
    one.complete(await one.run())
    assert downloads(one) == FRAMES


async def test_a_shard_of_a_finished_destination_fetches_nothing(one: Site) -> None:
    await one.run()
    report = await one.run(request=shard("0/2"))
    assert (report.exit_code, report.frames.mirrored) == (0, 0)
    assert downloads(one) == FRAMES


async def test_while_shards_of_another_count_run_none_begins(one: Site) -> None:
    with Destination.open_shard(one.dest, Layout(), Shard(0, 2)):
        report = await one.run(request=shard("0/3"))
        assert report.exit_code == 75
        assert "Another run holds" in (report.error or "")
        assert not downloads(one)


async def test_a_limit_is_of_the_whole_selection(one: Site) -> None:
    reports = [
        await one.run(request={"limit": 50, **shard(text)}) for text in ("0/3", "1/3", "2/3")
    ]
    assert sum(report.frames.total for report in reports) == 50


async def test_a_shard_that_failed_says_so_after_the_merge(tmp_path: Path) -> None:
    async with site(tmp_path, Fault("status", "download", frames=0.2, code=404), spec=SPEC) as one:
        reports = [await one.run(request=shard(text)) for text in ("0/2", "1/2")]
        failed = sum(report.frames.failed for report in reports)
        assert failed
        folded = merge_shards(one.dest, Settings(), print)
        assert (folded.mirrored, folded.failed) == (FRAMES - failed, failed)
        with LedgerReader.open(one.dest) as reader:
            assert reader.summary().frames.failed == failed


async def test_a_shard_ledger_of_another_export_is_refused(one: Site, tmp_path: Path) -> None:
    await one.run(request=shard("0/2"))
    other = tmp_path / "other"
    other.mkdir()
    async with site(other, spec=DatasetSpec(seed=9, sequences=1, frames_per_sequence=4)) as two:
        two.dest = one.dest
        for text in ("0/2", "1/2"):
            with pytest.raises(ConfigurationError, match=r"shard 0/2 .* of another export"):
                await two.run(request=shard(text))
        assert merged(one) >= 1
        assert (await two.run(request=shard("1/2"))).exit_code == 0


async def test_until_a_merge_nothing_is_verified_and_a_purge_merges_first(one: Site) -> None:
    await one.run(request=shard("0/2"))
    with pytest.raises(DestinationError, match="mirror merge"):
        verify_destination(one.dest, by_size, Events(), print)
    with Destination.open(one.dest, Layout()) as held:
        with pytest.raises(DestinationBusyError, match="several processes"):
            verify_destination(one.dest, by_size, Events(), print)
        Purge.open(held).close()
    assert shards_at(one.dest) == []
    assert recorded_at(one.dest)


async def test_a_file_that_a_shard_found_gone_is_not_called_mirrored(tmp_path: Path) -> None:
    fault = Fault("status", "download", attempts="2-", code=404)
    async with site(tmp_path, fault, spec=SPEC) as one:
        await one.run()
        for path in one.dest.glob("*/*.png"):
            path.unlink()
        reports = [await one.run(request=shard(text)) for text in ("0/2", "1/2")]
        assert [report.exit_code for report in reports] == [1, 1]
        folded = merge_shards(one.dest, Settings(), print)
        assert (folded.mirrored, folded.failed) == (0, FRAMES)
        with LedgerReader.open(one.dest) as reader:
            assert reader.summary().frames.mirrored == 0


async def test_shards_of_a_new_count_may_begin_at_once(one: Site) -> None:
    for text in ("0/2", "1/2"):
        await one.run(request=shard(text))
    done = downloads(one)
    sites = [Site(one.simulator, one.export, one.dest) for _ in range(3)]
    reports = await asyncio.gather(
        *(each.run(request=shard(f"{index}/3")) for index, each in enumerate(sites))
    )
    assert [report.exit_code for report in reports] == [0, 0, 0]
    assert downloads(one) == done == FRAMES


async def test_a_killed_shard_is_taken_in_by_those_of_another_count(one: Site) -> None:
    """Its log is still beside its ledger."""
    await one.run(request=shard("0/2"))
    kept = one.dest / place_of(Shard(0, 2))
    with closing(sqlite3.connect(kept / "ledger.sqlite3")) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        with db:
            db.execute("UPDATE frames SET attempts = 9 WHERE state = 1")
        files = {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()}
    for name, content in files.items():
        (kept / name).write_bytes(content)
    assert (kept / "ledger.sqlite3-wal").stat().st_size
    done = downloads(one)
    for text in ("0/3", "1/3", "2/3"):
        await one.run(request=shard(text))
    assert downloads(one) == FRAMES
    assert done < FRAMES


async def test_a_damaged_shard_ledger_costs_no_download(one: Site) -> None:
    await one.run(request=shard("0/2"))
    done = downloads(one)
    path = one.dest / place_of(Shard(0, 2)) / "ledger.sqlite3"
    path.write_bytes(b"x" * 8192)
    report = await one.run()
    assert [event.damaged for event in one.told(ShardsFolded)] == [1]
    assert downloads(one) == FRAMES
    assert report.frames.already_mirrored == done
    one.complete(report)


async def test_a_merge_that_was_cut_short_is_done_again(one: Site) -> None:
    await one.run(request=shard("0/2"))
    kept = one.dest / place_of(Shard(0, 2))
    copy = {path.name: path.read_bytes() for path in kept.iterdir() if path.is_file()}
    assert merged(one) == 1
    before = recorded_at(one.dest)
    kept.mkdir(parents=True)
    for name, content in copy.items():
        (kept / name).write_bytes(content)
    folded = merge_shards(one.dest, Settings(), print)
    assert (folded.shards, folded.mirrored, folded.failed) == (1, 0, 0)
    assert recorded_at(one.dest) == before


async def test_nothing_to_merge_is_no_failure_and_nowhere_is(one: Site, tmp_path: Path) -> None:
    await one.run()
    assert merge_shards(one.dest, Settings(), print).shards == 0
    with pytest.raises(DestinationError, match="no ledger"):
        merge_shards(tmp_path / "nowhere", Settings(), print)
    assert not (tmp_path / "nowhere").exists()


# --- --processes --------------------------------------------------------------------------------


async def test_processes_share_the_work_and_one_ledger_says_all(one: Site) -> None:
    report = await one.run(processes=2)
    one.complete(report)
    assert report.frames.mirrored == downloads(one) == FRAMES
    assert report.requests.download == FRAMES
    assert report.bytes == sum(len(body) for body in frames_at(one.dest).values())
    assert report.logins == 2
    assert shards_at(one.dest) == []
    assert len(one.told(RequestStarted)) == len(one.told(RequestFinished))
    assert all(event.limit <= 8 for event in one.told(LimitChanged))

    assert (await one.run(processes=2)).frames.already_mirrored == FRAMES


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, spec=SPEC, store_latency=0.1) as found:
        yield found


async def test_a_process_that_dies_is_followed_by_another(slow: Site) -> None:
    one = slow
    died: list[int] = []

    def kill_one(event: object) -> None:
        if isinstance(event, RequestFinished) and not died:
            holder = lock_state(one.dest, place_of(Shard(0, 2))).holder
            if holder is not None and holder.pid:  # 0: it takes the lock this very instant
                died.append(holder.pid)
                os.kill(holder.pid, signal.SIGKILL)

    one.listeners.append(kill_one)
    report = await one.run(processes=2)
    assert [(event.shard, event.cause, event.again) for event in one.told(ProcessDied)] == [
        (0, "signal 9", True)
    ]
    one.complete(report)
    assert len(one.told(RequestStarted)) == len(one.told(RequestFinished))


async def test_a_process_that_dies_twice_ends_the_run_and_nothing_is_lost(slow: Site) -> None:
    one = slow
    died: list[int] = []

    def kill_each(event: object) -> None:
        if isinstance(event, RequestFinished) and len(died) < 2:
            holder = lock_state(one.dest, place_of(Shard(0, 2))).holder
            if holder is not None and holder.pid not in {0, *died}:
                died.append(holder.pid)
                os.kill(holder.pid, signal.SIGKILL)

    one.listeners.append(kill_each)
    report = await one.run(processes=2, commit_frames=4)
    assert [event.again for event in one.told(ProcessDied)] == [True, False]
    assert report.exit_code == 75
    assert "signal 9" in (report.error or "")
    assert "resumes" in (report.error or "")
    assert shards_at(one.dest) == []
    promises(one.dest, one.dataset)
    one.complete(await one.run(processes=2))


async def test_a_stop_reaches_every_process(tmp_path: Path) -> None:
    async with site(tmp_path, spec=SPEC, store_latency=0.05) as one:
        stop = Stop()
        one.listeners.append(
            lambda event: stop.request("a test") if isinstance(event, RequestFinished) else None
        )
        report = await one.run(stop, processes=2)
        assert (report.exit_code, report.outcome) == (75, "interrupted")
        assert "a test" in (report.error or "")
        assert shards_at(one.dest) == []
        promises(one.dest, one.dataset)


async def test_what_ends_a_process_ends_the_run_with_its_code(one: Site) -> None:
    report = await one.run(processes=2, password="wrong")
    assert report.exit_code == 77
    assert shards_at(one.dest) == []
