"""A disk that fails: the real process, and system calls that really return the error."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from mirror.simulator import DatasetSpec
from tests.e2e.command import Ended
from tests.faults.disk_kit import Strace, strace, sync, temporaries, temporary
from tests.faults.kit import promises, recorded_at, site

__all__ = ["strace"]

TWELVE = DatasetSpec(sequences=1, frames_per_sequence=12, frame_bytes=3_000)
ONE_GROUP = {"MIRROR_COMMIT_SECONDS": "60"}
"""What has arrived is committed when nothing else is under way: in one group."""


def complete(ended: Ended) -> None:
    assert (ended.code, json.loads(ended.out)["outcome"]) == (0, "complete"), ended.err


async def test_fault_41_a_failed_fsync_drops_the_group_which_is_fetched_again(
    tmp_path: Path, strace: Strace
) -> None:
    """Two files of twelve can't be synced: neither is renamed or ever synced again, and all
    twelve are fetched once more."""
    async with site(tmp_path, spec=TWELVE) as one:
        lost = [temporary(one.dest, 4), temporary(one.dest, 9)]
        calls = "fsync,renameat2,unlinkat"
        ended, log = await strace.sync(one, "fsync:error=EIO", trace=calls, paths=lost, **ONE_GROUP)
        complete(ended)
        for path in lost:
            name = Path(path).name
            here = [call for call in log if call.path == path or f'"{name}"' in call.words]
            assert [call.name for call in here] == ["fsync", "unlinkat"]
            assert here[0].injected
        assert one.simulator.count("download") == 24
        assert json.loads(ended.out)["retries"] == 12
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 12
        assert temporaries(one.dest) == []


async def test_fault_41_a_disk_that_keeps_failing_ends_the_run_and_no_file_is_synced_twice(
    tmp_path: Path, strace: Strace
) -> None:
    """40 files on four threads: at least one thread comes to its tenth fsync, in every group."""
    spec = DatasetSpec(sequences=2, frames_per_sequence=20, frame_bytes=1_000)
    async with site(tmp_path, spec=spec) as one:
        ended, log = await strace.sync(one, "fsync:error=EIO:when=10+", trace="fsync", **ONE_GROUP)
        assert ended.code == 74, ended.err
        assert "the disk reports errors" in ended.err
        synced = Counter(call.path for call in log if "/tmp/feed" in call.path)
        failed = {call.path for call in log if call.injected}
        assert len(failed) >= 3
        assert all(synced[path] == 1 for path in failed)
        assert recorded_at(one.dest) == {}
        promises(one.dest, one.dataset)
        assert temporaries(one.dest) == []
        complete(await sync(one))
        promises(one.dest, one.dataset)


async def test_fault_41_an_adopted_file_that_cant_be_synced_is_fetched_again(
    tmp_path: Path, strace: Strace
) -> None:
    async with site(tmp_path, spec=TWELVE) as one:
        complete(await sync(one))
        for path in (one.dest / ".mirror").glob("ledger*"):
            path.unlink()
        file = next(one.dest.glob("*/*.png"))
        ended, log = await strace.sync(
            one, "fsync:error=EIO", trace="fsync", paths=[str(file)], **ONE_GROUP
        )
        complete(ended)
        assert [call.injected for call in log] == [True]
        assert one.simulator.count("download") == 24
        promises(one.dest, one.dataset)


async def test_fault_41_a_folder_that_cant_be_synced_records_nothing(
    tmp_path: Path, strace: Strace
) -> None:
    """The run ends; what stands at its final name by then is adopted by the next one."""
    async with site(tmp_path, spec=TWELVE) as one:
        folder = one.dest / one.dataset.root_ids[0]
        ended, log = await strace.sync(
            one, "fsync:error=EIO", trace="fsync", paths=[str(folder)], **ONE_GROUP
        )
        assert ended.code == 74, ended.err
        assert len(log) >= 3
        assert all(call.injected for call in log)
        assert recorded_at(one.dest) == {}
        promises(one.dest, one.dataset)
        before = one.simulator.count("download")
        complete(await sync(one))
        assert one.simulator.count("download") == before
        promises(one.dest, one.dataset)


@pytest.mark.parametrize(
    ("call", "threshold", "again"),
    [("writev", "8388608", 1), ("close", "8388608", 12), ("write", "1000", 1)],
)
async def test_fault_42_what_the_disk_does_not_take_is_fetched_again(
    tmp_path: Path, strace: Strace, call: str, threshold: str, again: int
) -> None:
    """A body from memory and a streamed one: that frame alone is fetched once more. The close of
    the former comes with its sync, and costs its group as that does."""
    async with site(tmp_path, spec=TWELVE) as one:
        ended, log = await strace.sync(
            one,
            f"{call}:error=EIO",
            trace=call,
            paths=[temporary(one.dest, 5)],
            MIRROR_STREAM_THRESHOLD=threshold,
            **ONE_GROUP,
        )
        complete(ended)
        assert any(found.injected for found in log)
        assert one.simulator.count("download") == 12 + again
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 12
        assert temporaries(one.dest) == []


async def test_fault_42_a_disk_that_takes_nothing_more_ends_the_run(
    tmp_path: Path, strace: Strace
) -> None:
    async with site(tmp_path, spec=TWELVE) as one:
        ended, _ = await strace.sync(one, "writev:error=EIO:when=2+", trace="writev")
        assert ended.code == 74, ended.err
        assert "the disk reports errors" in ended.err
        promises(one.dest, one.dataset)
        assert temporaries(one.dest) == []
        complete(await sync(one))


async def test_fault_45_an_interrupted_call_is_made_again(tmp_path: Path, strace: Strace) -> None:
    """EINTR from opening, writing and syncing costs nothing: no frame is fetched twice."""
    calls = ("openat", "writev", "fsync")
    async with site(tmp_path, spec=TWELVE) as one:
        ended, log = await strace.sync(
            one,
            *(f"{call}:error=EINTR:when=1" for call in calls),
            trace=",".join(calls),
            paths=[temporary(one.dest, 5), temporary(one.dest, 6)],
        )
        complete(ended)
        assert {call.name for call in log if call.injected} == set(calls)
        assert one.simulator.count("download") == 12
        assert json.loads(ended.out)["retries"] == 0
        promises(one.dest, one.dataset)


async def test_fault_45_a_short_write_goes_on_where_it_stopped(
    tmp_path: Path, strace: Strace
) -> None:
    """The call says 100 bytes; the next one brings exactly the others. (That those 100 were never
    written is the injection's doing, so this file is not looked at.)"""
    async with site(tmp_path, spec=TWELVE) as one:
        _, log = await strace.sync(
            one, "writev:retval=100:when=1", trace="writev", paths=[temporary(one.dest, 5)]
        )
        first, second = log
        assert (first.injected, second.injected) == (True, False)
        whole = int(first.words.rsplit("iov_len=", 1)[1].split("}")[0])
        assert f"iov_len={whole - 100}}}" in second.words
        assert second.result == str(whole - 100)


async def test_fault_46_a_refused_name_fails_that_frame_and_says_so(
    tmp_path: Path, strace: Strace
) -> None:
    async with site(tmp_path, spec=TWELVE) as one:
        frame = list(one.dataset.frame_ids())[7]
        ended, log = await strace.sync(
            one, "renameat2:error=EACCES", trace="renameat2", paths=[f"{frame}.png"]
        )
        report = json.loads(ended.out)
        assert (ended.code, report["outcome"]) == (1, "partial"), ended.err
        assert [call.injected for call in log] == [True]
        (failure,) = report["failures"]
        assert (failure["frame_id"], failure["reason"]) == (frame, "write_refused")
        assert "Permission denied" in failure["detail"]
        assert frame in failure["detail"]
        promises(one.dest, one.dataset)
        assert recorded_at(one.dest).keys() == set(one.dataset.frame_ids()) - {frame}
        assert temporaries(one.dest) == []
        complete(await sync(one))
        assert recorded_at(one.dest).keys() == set(one.dataset.frame_ids())
