"""The main job on real files and a real ledger; the remote side is in memory."""

import asyncio
import errno
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import (
    ConnectionFailedError,
    CredentialsError,
    DestinationError,
    ForbiddenError,
    FrameError,
    LedgerError,
    NotPngError,
    ObjectMissingError,
    ServerFaultError,
    ThrottledError,
    TimedOutError,
    TruncatedError,
    UsageError,
)
from mirror.events import (
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    LedgerRebuilt,
    RetryScheduled,
    RunFinished,
    Stopping,
)
from mirror.export import Selection
from mirror.store import Committer, Destination, LedgerReader
from mirror.sync.budget import RateLimit
from mirror.sync.rehearsal import rehearse
from mirror.sync.request import SyncRequest
from tests.integration.sync_kit import FakeRemote, Run, png, quick, write_export

FRAMES = [f"l{i:03}" if i % 4 == 0 else f"f{i:03}" for i in range(40)]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path / "batch.json", {"a": FRAMES[:25], "b": FRAMES[25:]})


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "frames"


def images(dest: Path) -> dict[str, bytes]:
    """Every file below the destination that is not its state, by frame id."""
    return {
        path.stem: path.read_bytes()
        for path in dest.rglob("*")
        if path.is_file() and ".mirror" not in path.parts
    }


def leftovers(dest: Path) -> list[str]:
    return [path.name for path in (dest / ".mirror" / "tmp").iterdir()]


async def test_every_frame_arrives_whole_and_recorded(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote())
    report = await run.sync(monkeypatch, export, dest)
    assert (report.outcome, report.exit_code) == ("complete", 0)
    assert (report.frames.total, report.frames.mirrored) == (40, 40)
    assert images(dest) == {frame: png(frame) for frame in FRAMES}
    assert (dest / "a" / f"{FRAMES[0]}.png").is_file()
    assert leftovers(dest) == []
    assert report.bytes == sum(len(png(frame)) for frame in FRAMES)
    assert (report.requests.resolve, report.requests.download) == (40, 40)
    kept = json.loads((dest / ".mirror" / "report.json").read_bytes())
    assert kept["frames"]["mirrored"] == 40
    assert isinstance(run.events[-1], RunFinished)


async def test_a_second_run_asks_for_nothing(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    again = Run(FakeRemote())
    report = await again.sync(monkeypatch, export, dest)
    assert (report.outcome, report.frames.already_mirrored) == ("complete", 40)
    assert again.remote.attempts.total() == 0


async def test_a_file_that_was_deleted_is_fetched_again(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    (dest / "b" / f"{FRAMES[30]}.png").unlink()
    again = Run(FakeRemote())
    report = await again.sync(monkeypatch, export, dest)
    assert (report.frames.mirrored, report.frames.already_mirrored) == (1, 39)
    assert dict(again.remote.attempts) == {("resolve", FRAMES[30]): 1, ("download", FRAMES[30]): 1}


async def test_fault_49_without_its_ledger_everything_is_adopted(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    for path in (dest / ".mirror").glob("ledger.sqlite3*"):
        path.unlink()
    again = Run(FakeRemote())
    report = await again.sync(monkeypatch, export, dest)
    assert (report.outcome, report.frames.already_mirrored) == ("complete", 40)
    assert again.remote.attempts.total() == 0


async def test_fault_49_a_damaged_ledger_is_rebuilt_and_said_so(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    ledger = dest / ".mirror" / "ledger.sqlite3"
    ledger.write_bytes(b"\xff" * 100 + ledger.read_bytes()[100:])
    again = Run(FakeRemote())
    report = await again.sync(monkeypatch, export, dest)
    assert (report.outcome, report.frames.already_mirrored) == ("complete", 40)
    assert again.remote.attempts.total() == 0
    assert [event for event in again.events if isinstance(event, LedgerRebuilt)]
    assert list((dest / ".mirror").glob("ledger.damaged-*"))


async def test_a_truncated_file_in_a_frames_place_is_kept_aside_and_fetched(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dest / "a").mkdir(parents=True)
    (dest / "a" / f"{FRAMES[3]}.png").write_bytes(png(FRAMES[3])[:-7])
    run = Run(FakeRemote())
    report = await run.sync(monkeypatch, export, dest)
    assert (report.outcome, report.frames.mirrored) == ("complete", 40)
    assert images(dest)[FRAMES[3]] == png(FRAMES[3])
    (aside,) = [event for event in run.events if isinstance(event, FileSetAside)]
    assert report.set_aside == [aside.kept_at]
    assert (dest / aside.kept_at).read_bytes() == png(FRAMES[3])[:-7]


async def test_passing_faults_are_retried_and_permanent_ones_reported(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(hop: str, frame: str, attempt: int) -> FrameError | bytes | None:
        number = int(frame[1:])
        if number == 7:
            return ForbiddenError("no right")
        if number % 3 == 0 and attempt == 1:
            return ServerFaultError("500") if hop == "resolve" else TruncatedError("cut")
        if number == 11 and hop == "download" and attempt == 1:
            return png(frame)[:-1] + b"x"
        return None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest)
    assert (report.outcome, report.exit_code) == ("partial", 1)
    assert (report.frames.mirrored, report.frames.failed) == (39, 1)
    (failure,) = report.failures
    assert (failure.root_id, failure.frame_id, failure.reason, failure.attempts) == (
        "a",
        "f007",
        "forbidden",
        1,
    )
    retries = [event for event in run.events if isinstance(event, RetryScheduled)]
    assert report.retries == len(retries) == 14 * 2 + 1
    assert {event.reason for event in retries} == {"server_error", "truncated", "not_png"}
    assert images(dest) == {frame: png(frame) for frame in FRAMES if frame != "f007"}


async def test_a_frame_that_never_is_a_png_fails_after_its_attempts(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote(script=lambda hop, frame, _: b"<html>" if frame == "f001" else None))
    report = await run.sync(monkeypatch, export, dest)
    assert (report.failures[0].reason, report.failures[0].attempts) == (NotPngError.reason, 3)
    assert run.remote.attempts["download", "f001"] == 3
    assert "f001" not in images(dest)


async def test_what_failed_is_tried_again_by_the_next_run_or_alone(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(_: str, frame: str, __: int) -> FrameError | None:
        return ForbiddenError("no") if frame in {"f001", "f002"} else None

    await Run(FakeRemote(script=script)).sync(monkeypatch, export, dest, limit=20)
    none = await Run(FakeRemote()).sync(monkeypatch, export, dest, retry_failed="not_found")
    assert none.frames.total == 0
    only = Run(FakeRemote())
    report = await only.sync(monkeypatch, export, dest, retry_failed="*")
    assert (report.frames.total, report.frames.mirrored) == (2, 2)
    assert only.remote.count("resolve") == 2
    rest = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert (rest.frames.mirrored, rest.frames.already_mirrored) == (20, 20)


@pytest.mark.parametrize(
    ("selection", "limit", "expected"),
    [
        (Selection(sequences=frozenset({"b"})), None, FRAMES[25:]),
        (Selection(labels=frozenset({"lab"})), None, FRAMES[::4]),
        (Selection(labelled_only=True), 3, FRAMES[::4][:3]),
        (Selection(), 7, FRAMES[:7]),
        (Selection(), 1000, FRAMES),
    ],
)
async def test_only_what_is_selected_is_fetched(
    selection: Selection,
    limit: int | None,
    expected: list[str],
    export: Path,
    dest: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(FakeRemote())
    report = await run.sync(monkeypatch, export, dest, selection=selection, limit=limit)
    assert sorted(images(dest)) == sorted(expected)
    assert (report.outcome, report.frames.total) == ("complete", len(expected))


@pytest.mark.parametrize(
    "selection", [Selection(sequences=frozenset({"z"})), Selection(labels=frozenset({"z"}))]
)
async def test_a_selection_that_selects_nothing_is_a_slip(
    selection: Selection, export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote())
    try:
        report = await run.sync(monkeypatch, export, dest, selection=selection)
    except UsageError:
        return
    assert report.exit_code == 2


async def test_fault_60_only_the_difference_of_an_edited_export_is_fetched(
    export: Path, dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    write_export(export, {"a": FRAMES[5:25], "b": [*FRAMES[25:], "new1", "new2"]})
    run = Run(FakeRemote())
    report = await run.sync(monkeypatch, export, dest)
    assert (report.frames.total, report.frames.mirrored) == (37, 2)
    assert report.exports[0].left == 5
    assert run.remote.count("download") == 2
    assert len(images(dest)) == 42


async def test_bodies_wait_within_their_memory(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies of unannounced length, larger than the threshold, go to disk as they come."""

    def script(hop: str, frame: str, _: int) -> bytes | None:
        return png(frame, 300_000) if hop == "download" else None

    run = Run(FakeRemote(script=script, announce=False))
    settings = quick(stream_threshold=100_000, body_memory=2**20)
    report = await run.sync(monkeypatch, export, dest, settings)
    assert report.outcome == "complete"
    assert images(dest) == {frame: png(frame, 300_000) for frame in FRAMES}
    assert leftovers(dest) == []


async def test_announced_large_bodies_stream_and_a_cut_one_leaves_nothing(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(hop: str, frame: str, attempt: int) -> FrameError | bytes | None:
        if hop == "resolve":
            return None
        return png(frame, 300_000)[: -1 if attempt == 1 else None]

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest, quick(stream_threshold=100_000), limit=5)
    assert (report.outcome, report.retries) == ("complete", 5)
    assert leftovers(dest) == []


@pytest.mark.parametrize("threshold", [10, 100_000])
async def test_every_byte_is_spent_from_the_rate(
    threshold: int, export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent: list[int] = []

    async def spend(_: RateLimit, size: int) -> None:
        spent.append(size)

    monkeypatch.setattr(RateLimit, "spend", spend)
    settings = quick(max_rate=1000, stream_threshold=threshold)
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest, settings)
    assert report.outcome == "complete"
    assert sum(spent) == report.bytes


async def test_concurrency_is_never_exceeded(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote())
    await run.sync(monkeypatch, export, dest, quick(concurrency=3))
    assert run.remote.most_in_flight == 3


async def test_fault_13_32_a_dead_host_ends_the_run_and_charges_no_frame(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote(script=lambda *_: ConnectionFailedError("refused.")))
    report = await run.sync(monkeypatch, export, dest)
    assert (report.outcome, report.exit_code) == ("failed", 69)
    assert report.frames.pending == 40
    assert run.remote.count("resolve") <= 40 * 1.2
    assert any(isinstance(event, HostPaused) for event in run.events)
    assert "running the same command again resumes" in (report.error or "")
    healed = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert healed.outcome == "complete"


async def test_a_host_that_comes_back_is_used_again(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.sync.outage.FIRST_PROBE", 0.02)
    calls = 0

    def script(hop: str, *_: object) -> FrameError | None:
        nonlocal calls
        calls += hop == "download"
        return ThrottledError("slow down") if hop == "download" and calls < 12 else None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest, quick(outage_patience=20))
    assert (report.outcome, report.frames.mirrored) == ("complete", 40)


async def test_a_few_frames_that_always_fail_do_not_end_the_run(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(_: str, frame: str, __: int) -> FrameError | None:
        return ServerFaultError("500") if frame in {"f037", "f038", "f039"} else None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest)
    assert (report.outcome, report.frames.failed) == ("partial", 3)
    assert {failure.attempts for failure in report.failures} == {6}
    assert sum(isinstance(event, FrameFailed) for event in run.events) == 3


async def test_a_lone_frame_and_nobody_there_is_an_outage(
    dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = write_export(tmp_path / "one.json", {"a": ["f1"]})
    run = Run(FakeRemote(script=lambda *_: ConnectionFailedError("refused.")))
    report = await run.sync(monkeypatch, export, dest)
    assert (report.exit_code, report.frames.pending) == (69, 1)


async def test_refused_credentials_end_the_run_with_what_arrived_kept(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(_: str, frame: str, __: int) -> FrameError | None:
        if frame == "f039":
            raise CredentialsError("refused.")
        return None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest, quick(concurrency=1))
    assert (report.outcome, report.exit_code) == ("failed", 77)
    assert (report.frames.mirrored, report.frames.pending) == (39, 1)
    assert leftovers(dest) == []


async def test_fault_53_stopping_drains_what_is_in_flight(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote(hold=asyncio.Event()))
    assert run.remote.hold is not None
    task = asyncio.create_task(run.sync(monkeypatch, export, dest, quick(concurrency=4)))
    await run.remote.wait_in_flight(4)
    run.stop.request("SIGTERM")
    await asyncio.sleep(0.01)
    run.remote.hold.set()
    report = await task
    assert (report.outcome, report.exit_code) == ("interrupted", 75)
    assert (report.frames.mirrored, report.frames.pending) == (4, 36)
    assert len(images(dest)) == 4
    assert [event.cause for event in run.events if isinstance(event, Stopping)] == ["SIGTERM"]


@pytest.mark.parametrize("how", ["second request", "deadline"])
async def test_fault_54_the_second_request_or_the_deadline_aborts(
    how: str, export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(FakeRemote(hold=asyncio.Event()))
    settings = quick(grace_period=0.05 if how == "deadline" else 3600)
    task = asyncio.create_task(run.sync(monkeypatch, export, dest, settings))
    await run.remote.wait_in_flight(8)
    run.stop.request("SIGTERM")
    if how == "second request":
        run.stop.request("SIGTERM")
    report = await asyncio.wait_for(task, 10)
    assert (report.exit_code, report.frames.pending) == (75, 40)
    assert leftovers(dest) == []


async def test_a_frame_waiting_for_its_retry_holds_no_slot(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slot, and a frame that must wait for long: the others go on meanwhile."""

    def script(_: str, frame: str, attempt: int) -> FrameError | None:
        slow = frame == FRAMES[0] and attempt == 1
        return ThrottledError("later", retry_after=0.5) if slow else None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest, quick(concurrency=1))
    assert (report.outcome, report.frames.mirrored) == ("complete", 40)
    order = list(run.remote.attempts)
    assert order.index(("download", FRAMES[0])) > order.index(("download", FRAMES[-1]))


async def test_refused_bodies_make_room_for_those_that_wait(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every place is taken by bodies that are refused: no commit will ever free one."""
    run = Run(FakeRemote(script=lambda hop, *_: b"<html>" if hop == "download" else None))
    settings = quick(commit_frames=2, commit_seconds=3600, concurrency=32)
    report = await asyncio.wait_for(run.sync(monkeypatch, export, dest, settings), 20)
    assert (report.outcome, report.frames.failed) == ("partial", 40)


async def test_fault_43_a_full_disk_ends_the_run_and_leaves_no_temporary(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("mirror.store.write.write_whole", full)
        report = await Run(FakeRemote()).sync(patch, export, dest)
    assert (report.outcome, report.exit_code) == ("failed", 74)
    assert report.frames.pending == 40
    assert leftovers(dest) == []
    healed = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert healed.outcome == "complete"


async def test_the_refetch_bound_holds_for_frames_of_any_size(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes its time: intake waits for it, whatever memory there is."""
    most = 0

    def commit(self: Committer, *group: Any) -> Any:
        nonlocal most
        time.sleep(0.02)
        told = (event for event in list(run.events) if isinstance(event, GroupCommitted))
        done = sum(event.mirrored for event in told)
        most = max(most, run.remote.count("download") - done)
        return committed(self, *group)

    committed = Committer.commit
    monkeypatch.setattr(Committer, "commit", commit)
    run = Run(FakeRemote())
    report = await run.sync(monkeypatch, export, dest, quick(commit_frames=4, concurrency=4))
    assert report.outcome == "complete"
    assert most <= 4 + 4  # uncommitted, and in flight


async def test_a_frame_that_hangs_at_the_end_is_its_own_fault(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(hop: str, frame: str, _: int) -> FrameError | None:
        hangs = hop == "download" and frame == "f039"
        return TimedOutError("no byte in time.") if hangs else None

    settings = quick(outage_patience=0.01)
    for _ in range(2):  # the second run has nothing else to ask for
        report = await Run(FakeRemote(script=script)).sync(monkeypatch, export, dest, settings)
        assert (report.outcome, report.frames.failed) == ("partial", 1)
        assert [failure.reason for failure in report.failures] == ["timeout"]


async def test_fault_32_bodies_that_are_all_cut_end_the_run(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No outage by the rules, but nothing arrives and the retry budget is spent."""
    monkeypatch.setattr("mirror.sync.pipeline.RETRY_CAPACITY", 4)

    def script(hop: str, *_: object) -> FrameError | None:
        return TruncatedError("cut.") if hop == "download" else None

    run = Run(FakeRemote(script=script))
    report = await run.sync(monkeypatch, export, dest, quick(concurrency=2))
    assert (report.outcome, report.exit_code) == ("failed", 69)
    assert run.remote.count("download") <= 40 * 1.2


async def test_fault_30_missing_objects_cost_no_retry_budget(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.sync.pipeline.RETRY_CAPACITY", 0)

    def script(hop: str, frame: str, _: int) -> FrameError | None:
        return ObjectMissingError("gone.") if hop == "download" and frame[0] == "l" else None

    run = Run(FakeRemote(script=script))
    report = await asyncio.wait_for(run.sync(monkeypatch, export, dest, quick(concurrency=1)), 20)
    assert (report.outcome, report.frames.failed, report.retries) == ("partial", 10, 10)


async def test_retry_failed_narrows_before_the_limit_applies(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(_: str, frame: str, __: int) -> FrameError | None:
        return ForbiddenError("no") if int(frame[1:]) >= 30 else None

    await Run(FakeRemote(script=script)).sync(monkeypatch, export, dest)
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest, retry_failed="*", limit=3)
    assert (report.frames.total, report.frames.mirrored) == (3, 3)
    asked = SyncRequest((export,), dest, limit=4, retry_failed="*")
    assert rehearse(asked, quick()).frames.total == 4


async def test_failures_of_a_former_run_are_listed_when_this_one_ends_early(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(_: str, frame: str, __: int) -> FrameError | None:
        return ForbiddenError("no") if int(frame[1:]) >= 30 else None

    await Run(FakeRemote(script=script)).sync(monkeypatch, export, dest)
    dead = Run(FakeRemote(script=lambda *_: ConnectionFailedError("refused.")))
    report = await dead.sync(monkeypatch, export, dest)
    assert report.exit_code == 69
    assert report.failures_total == len(report.failures) == report.frames.failed == 10


async def test_a_report_that_cant_be_kept_is_given_all_the_same(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DestinationError("the disk fails.")

    monkeypatch.setattr(Destination, "write_state", refuse)
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert (report.exit_code, report.frames.mirrored) == (74, 40)


async def test_a_dry_run_sees_a_file_that_is_gone(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    (dest / "b" / f"{FRAMES[30]}.png").unlink()
    totals = rehearse(SyncRequest((export,), dest), quick()).frames
    assert (totals.already_mirrored, totals.pending) == (39, 1)


async def test_a_dry_run_and_a_run_agree_on_a_cut_file(
    export: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    cut = dest / "b" / f"{FRAMES[30]}.png"
    cut.write_bytes(cut.read_bytes()[:-1])
    totals = rehearse(SyncRequest((export,), dest), quick()).frames
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert totals.pending == report.frames.mirrored == 1


async def test_a_ledger_that_only_a_run_can_open_is_opened_by_it(
    monkeypatch: pytest.MonkeyPatch, export: Path, dest: Path
) -> None:
    """A hot journal or a log without its index can't be read by one who may not write."""
    assert (await Run(FakeRemote()).sync(monkeypatch, export, dest)).exit_code == 0

    def refuse(*_: object) -> None:
        raise LedgerError("It can't be used (SQLITE_CANTOPEN).")

    monkeypatch.setattr(LedgerReader, "find", refuse)
    again = Run(FakeRemote())
    assert (await again.sync(monkeypatch, export, dest)).exit_code == 0
    assert again.remote.count("download") == 0
