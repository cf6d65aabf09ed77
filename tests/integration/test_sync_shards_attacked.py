"""Shards, processes and merges whose ledgers, locks or processes are not as they should be."""

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from mirror.events import (
    FrameFailed,
    GroupCommitted,
    ProcessDied,
    RequestFinished,
    RequestStarted,
    Stopping,
)
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.simulator import DatasetSpec, Fault
from mirror.store import (
    Layout,
    Ledger,
    LedgerReader,
    lock,
    lock_state,
    place_of,
    shards_at,
)
from mirror.sync import child, processes
from mirror.sync.merging import merge_shards
from mirror.sync.relay import Told, hear, unpack
from mirror.sync.stop import Stop
from tests.faults.kit import Site, promises, recorded_at, site

SPEC = DatasetSpec(sequences=2, frames_per_sequence=30, frame_bytes=3_000)
FRAMES = 60
FIRST = Shard(0, 2)


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, spec=SPEC) as found:
        yield found


def ledger_of(one: Site, shard: Shard | None = None) -> Path:
    return one.dest / (place_of(shard) if shard else ".mirror") / "ledger.sqlite3"


def pid_of_first(one: Site) -> int:
    """0 where nobody works for it, or takes its lock this very instant."""
    holder = lock_state(one.dest, place_of(FIRST)).holder
    return holder.pid if holder else 0


# --- what lies where a shard's ledger should ----------------------------------------------------


def _link_to_nothing_yet(path: Path, outside: Path) -> None:
    outside.write_bytes(b"")
    path.symlink_to(outside)


def _link_to_a_database(path: Path, outside: Path) -> None:
    with closing(sqlite3.connect(outside)) as db:
        db.execute("CREATE TABLE theirs (x)")
    path.symlink_to(outside)


def _dangling(path: Path, outside: Path) -> None:
    path.symlink_to(outside.with_name("nowhere"))


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, _: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "plant", [_link_to_nothing_yet, _link_to_a_database, _dangling, _pipe, _folder]
)
async def test_what_is_no_file_is_a_damaged_ledger_and_nothing_outside_is_touched(
    one: Site, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    await one.run(request={"shard": FIRST})
    done, outside = one.simulator.count("download"), tmp_path / "outside.db"
    ledger_of(one, FIRST).unlink()
    plant(ledger_of(one, FIRST), outside)
    before = outside.read_bytes() if outside.exists() else None

    report = await one.run(request={"shard": Shard(1, 3)})  # takes in what it can
    assert report.exit_code == 0, report
    assert merge_shards(one.dest, Settings(), print).damaged == 1
    assert shards_at(one.dest) == []
    assert (outside.read_bytes() if outside.exists() else None) == before
    made = ("outside.db-wal", "outside.db-shm", "nowhere")
    assert not any((tmp_path / name).exists() for name in made)

    one.complete(await one.run())
    assert one.simulator.count("download") == FRAMES > done


@pytest.mark.parametrize("name", ["0-of-0", "00-of-2", "7-of-3", "0-of-4097"])
async def test_a_folder_that_no_shard_has_is_none(one: Site, name: str) -> None:
    await one.run(request={"shard": FIRST})
    planted = one.dest / ".mirror" / "shards" / name
    planted.mkdir()
    (planted / "ledger.sqlite3").write_bytes(ledger_of(one, FIRST).read_bytes())
    assert shards_at(one.dest) == [FIRST]
    assert merge_shards(one.dest, Settings(), print).shards == 1
    assert shards_at(one.dest) == []
    one.complete(await one.run())


@pytest.mark.parametrize("damage", ["header", "pages"])
async def test_a_merge_says_that_the_ledger_of_the_whole_was_damaged(
    one: Site, damage: str
) -> None:
    await one.run(request={"limit": 10})
    await one.run(request={"shard": FIRST})
    path = ledger_of(one)
    whole = path.read_bytes()
    kept = 0 if damage == "header" else 4096
    path.write_bytes(whole[:kept] + b"\x5a" * (len(whole) - kept))
    told: list[str] = []
    assert merge_shards(one.dest, Settings(), told.append).shards == 1
    assert ["was damaged" in sentence for sentence in told] == [True]
    assert list(path.parent.glob("ledger.damaged-*"))
    one.complete(await one.run())
    assert one.simulator.count("download") == FRAMES


async def test_what_one_shard_recorded_before_another_found_it_gone_is_not_mirrored(
    tmp_path: Path,
) -> None:
    """The finder's ledger is folded first: 2 comes before 3."""
    fault = Fault("status", "download", attempts="2-", code=404)
    async with site(tmp_path, fault, spec=SPEC) as one:
        for index in range(3):
            await one.run(request={"shard": Shard(index, 3)})
        for path in one.dest.glob("*/*.png"):
            path.unlink()
        for index in range(2):
            await one.run(request={"shard": Shard(index, 2)})
        merge_shards(one.dest, Settings(), print)
        assert recorded_at(one.dest) == {}
        with LedgerReader.open(one.dest) as reader:
            assert reader.summary().frames.failed == FRAMES


async def test_what_several_processes_find_gone_stays_known_as_lost(tmp_path: Path) -> None:
    """As it does in one: a repair asks for what has a digest and is not mirrored."""
    fault = Fault("status", "download", attempts="2-", code=404)
    async with site(tmp_path, fault, spec=SPEC) as one:
        await one.run()
        for path in one.dest.glob("*/*.png"):
            path.unlink()
        assert (await one.run(processes=2)).exit_code == 1
        with closing(sqlite3.connect(ledger_of(one))) as db:
            lost = db.execute("SELECT COUNT(*) FROM frames WHERE state = 2 AND sha256 NOT NULL")
            assert lost.fetchone() == (FRAMES,)


# --- at the same time ---------------------------------------------------------------------------


async def test_a_reader_that_leaves_a_file_in_the_way_ends_no_merge(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.run(request={"shard": FIRST})
    left = [ledger_of(one, FIRST).with_name("ledger.sqlite3-shm")] * 2
    rmdir = os.rmdir

    def read_meanwhile(path: str, *, dir_fd: int | None = None) -> None:
        if left:
            left.pop().touch()
        rmdir(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", read_meanwhile)
    assert merge_shards(one.dest, Settings(), print).shards == 1
    assert not left
    assert not (one.dest / ".mirror" / "shards").exists()


async def test_a_ledger_that_a_merge_removes_meanwhile_is_none(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.run(request={"shard": FIRST})
    opened = LedgerReader.open

    def merged_meanwhile(root: Path, place: str) -> LedgerReader:
        merge_shards(one.dest, Settings(), print)
        return opened(root, place)

    with monkeypatch.context() as patched:
        patched.setattr(LedgerReader, "open", merged_meanwhile)
        patched.setattr("mirror.sync.merging._template", lambda _: Layout().template)
        assert LedgerReader.find(one.dest, place_of(FIRST)) is None
    assert shards_at(one.dest) == []


async def test_a_shard_that_begins_while_a_merge_ends_has_a_folder(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await one.run(request={"shard": FIRST})
    share = lock.share_lock

    def merged_meanwhile(root: Path, state: int) -> int:
        merge_shards(one.dest, Settings(), print)
        return share(root, state)

    monkeypatch.setattr("mirror.store.destination.share_lock", merged_meanwhile)
    report = await one.run(request={"shard": FIRST})
    assert (report.exit_code, report.frames.mirrored) == (0, 0)
    assert shards_at(one.dest) == [FIRST]


async def test_what_is_recorded_is_told_at_once() -> None:
    """A process that is killed a moment later has told it: it counts as this run's."""
    committed = GroupCommitted(3, 1, 500, 0.25)
    heard, said = os.pipe()
    os.set_blocking(heard, False)
    try:
        voice = child._Voice(said)
        voice(RequestStarted("resolve"))
        voice(committed)
        reader = asyncio.StreamReader()
        reader.feed_data(os.read(heard, 4096))
    finally:
        os.close(heard)
        os.close(said)
    told = await hear(reader)
    assert isinstance(told, Told)
    assert [unpack(event) for event in told.events] == [RequestStarted("resolve"), committed]


async def test_what_failed_before_a_process_was_killed_is_counted_once(tmp_path: Path) -> None:
    """The one after it does not try again what this run has given up."""
    gone = Fault("status", "download", frames=0.5, code=404)
    async with site(tmp_path, gone, spec=SPEC, store_latency=0.05) as one:
        told: list[FrameFailed] = []
        killed: list[int] = []

        def kill_one(event: object) -> None:
            if isinstance(event, FrameFailed):
                told.append(event)
                pid = pid_of_first(one)
                if FIRST.holds(event.ref) and pid and not killed:
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)

        one.listeners.append(kill_one)
        report = await one.run(processes=2, commit_frames=2)
        assert [event.again for event in one.told(ProcessDied)] == [True]
        assert (report.exit_code, report.frames.pending) == (1, 0)
        assert len({event.ref for event in told}) == len(told)
        assert report.frames.failed - 2 <= len(told) <= report.frames.failed


# --- stopping several processes -----------------------------------------------------------------


async def test_a_stop_before_a_process_has_its_task_is_no_death(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, stop, told = asyncio.get_running_loop(), Stop(), threading.Event()
    one.listeners.append(lambda event: told.set() if isinstance(event, Stopping) else None)
    hand_out = Ledger.hand_out

    def stopped_meanwhile(ledger: Ledger, shard: Shard) -> int:
        frames = hand_out(ledger, shard)
        if not stop.requested:
            loop.call_soon_threadsafe(stop.request, "a test")
            assert told.wait(10)
        return frames

    monkeypatch.setattr(Ledger, "hand_out", stopped_meanwhile)
    report = await one.run(stop, processes=2)
    assert one.told(ProcessDied) == []
    assert report.exit_code == 75
    assert "a test" in (report.error or "")
    assert shards_at(one.dest) == []
    monkeypatch.undo()
    one.complete(await one.run(processes=2))


async def test_a_process_that_does_not_end_when_asked_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "COMMITTING", 0.2)
    async with site(tmp_path, spec=SPEC, store_latency=0.05) as one:
        stop = Stop()

        def freeze(event: object) -> None:
            pid = pid_of_first(one)
            if isinstance(event, RequestFinished) and pid and not stop.requested:
                os.kill(pid, signal.SIGSTOP)
                stop.request("a test")

        one.listeners.append(freeze)
        report = await asyncio.wait_for(one.run(stop, processes=2, grace_period=0.2), 30)
        assert report.exit_code == 75
        assert [event.again for event in one.told(ProcessDied)] == [False]
        assert shards_at(one.dest) == []
        promises(one.dest, one.dataset)
        one.listeners.clear()
        one.complete(await one.run(processes=2))
