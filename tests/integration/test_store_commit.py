"""A commit group: its order, what is refused, what is lost, what is set aside."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_kit import (
    descriptors,
    failing,
    files,
    group,
    ids,
    look_before_renaming,
    names,
    png,
    store,
    target_of,
)

from mirror.errors import DestinationError, ExitCode, LedgerError, WriteLostError, WriteRefusedError
from mirror.frames import FrameRef
from mirror.store import Committer, Failure, FrameCounts, Layout, Step


def test_a_group_is_at_its_place_and_recorded(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"), group("f1", root="r2"))
        result = one.committer.commit(
            one.write(frames[:2]), [Failure(frames[2], "not_found", "404", 3)]
        )
        assert [written.frame for written in result.committed] == frames[:2]
        assert files(tmp_path) == {"r1/f1.png", "r1/f2.png"}
        assert one.temporaries() == []
        assert one.ledger.counts() == FrameCounts(3, 2, 1, 0)
        assert one.ledger.failures(10) == [
            Failure(frames[2]._replace(attempts=3), "not_found", "404", 3)
        ]
        assert one.ledger.pending(0, 10) == [frames[2]._replace(attempts=3)]


def test_the_order_is_synced_checked_renamed_folders_synced_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is synced before any rename, every folder on the way before the record."""
    look_before_renaming(monkeypatch)
    done: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(file: int) -> None:
        done.append("sync " + target_of(file).removeprefix(str(tmp_path)))
        real_fsync(file)

    def rename(source: str, target: str, **where: int) -> None:
        done.append(f"rename {target}")
        real_rename(source, target, **where)

    layout = Layout("deep/{root_id}/{frame_id}.png")
    with store(tmp_path, layout) as one:
        written = one.write(one.ask(group("f1", "f2")))
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "rename", rename)
        one.destination.reached = lambda step: done.append(str(step))
        one.committer.commit(written, [])
    order = [step for step in done if "synced" not in step and step != "checked"]
    assert set(order[:2]) == {f"sync /.mirror/tmp/{item.name}" for item in written}
    assert order[2:4] == ["rename f1.png", "renamed"]
    assert order[4:6] == ["rename f2.png", "renamed"]
    assert set(order[6:9]) == {"sync /deep/r1", "sync /deep", "sync "}
    assert order[9:] == ["recording", "recorded", "ledger_closed"]
    assert done.index("files_synced") < done.index("rename f1.png")
    assert done.index("directories_synced") < done.index("recorded")


def test_adopted_files_are_synced_before_they_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f1.png").write_bytes(png())
        synced: list[str] = []
        real = os.fsync

        def fsync(file: int) -> None:
            synced.append(target_of(file).removeprefix(str(tmp_path)))
            real(file)

        monkeypatch.setattr(os, "fsync", fsync)
        adopted = one.writer.adopt(frames)
        result = one.committer.commit(adopted.written, [])
        assert result.committed == adopted.written
        assert synced[0] == "/r1/f1.png"
        assert set(synced[1:]) == {"/r1", ""}
        assert one.ledger.counts().mirrored == 1


def test_a_file_that_vanished_after_it_was_looked_at_is_fetched(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f1.png").write_bytes(png())
        adopted = one.writer.adopt(frames)
        (tmp_path / "r1/f1.png").unlink()
        result = one.committer.commit(adopted.written, [])
        assert ids(lost.frame for lost in result.lost) == ["f1"]
        assert one.ledger.counts().mirrored == 0


def test_equal_content_that_appeared_since_is_fine(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        written = one.write(frames)
        (tmp_path / "r1").mkdir()
        (tmp_path / "r1/f1.png").write_bytes(png(frames[0].row))
        result = one.committer.commit(written, [])
        assert len(result.committed) == 1
        assert result.set_aside == []
        assert not (tmp_path / ".mirror/set-aside").exists()


@pytest.mark.parametrize("same_size", [True, False])
def test_different_content_that_appeared_since_is_set_aside(
    tmp_path: Path, same_size: bool
) -> None:
    """Promise 4: never silently replaced."""
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        written = one.write(frames)
        (tmp_path / "r1").mkdir()
        other = b"x" * written[0].size if same_size else b"mine"
        (tmp_path / "r1/f1.png").write_bytes(other)
        result = one.committer.commit(written, [])
        assert result.set_aside == [(frames[0], ".mirror/set-aside/r1/f1.png.1")]
        assert (tmp_path / ".mirror/set-aside/r1/f1.png.1").read_bytes() == other
        assert (tmp_path / "r1/f1.png").read_bytes() == png(frames[0].row)


def test_attack_07_a_link_planted_at_a_final_name_is_not_written_through(tmp_path: Path) -> None:
    with store(tmp_path / "dest") as one:
        frames = one.ask(group("f1"))
        written = one.write(frames)
        precious = tmp_path / "precious"
        precious.write_bytes(png(frames[0].row))
        (tmp_path / "dest/r1").mkdir()
        (tmp_path / "dest/r1/f1.png").symlink_to(precious)
        result = one.committer.commit(written, [])
        assert len(result.committed) == len(result.set_aside) == 1
        assert not (tmp_path / "dest/r1/f1.png").is_symlink()
        assert precious.stat().st_nlink == 1


def test_attack_06_a_folder_swapped_for_a_link_refuses_its_frames_alone(tmp_path: Path) -> None:
    with store(tmp_path / "dest") as one:
        written = one.write(one.ask(group("f1", root="r1"), group("f1", root="r2")))
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (tmp_path / "dest/r1").symlink_to(elsewhere)
        result = one.committer.commit(written, [])
        assert [refused.frame.ref.root_id for refused in result.refused] == ["r1"]
        assert [item.frame.ref.root_id for item in result.committed] == ["r2"]
        assert names(elsewhere) == []
        assert one.temporaries() == []


def test_fault_46_a_refused_name_fails_that_frame_with_its_reason(tmp_path: Path) -> None:
    """Here because a file stands where the frame's folder must be."""
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", root="r1"), group("f1", root="r2")))
        (tmp_path / "r1").write_text("mine")
        result = one.committer.commit(written, [])
        (refused,) = result.refused
        assert isinstance(refused.error, WriteRefusedError)
        assert refused.error.detail == "'r1/f1.png' can't be put in its place: Not a directory."
        assert len(result.committed) == 1
        assert one.temporaries() == []
        assert (tmp_path / "r1").read_text() == "mine"


def test_fault_46_a_name_too_long_for_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some allow less than the 255 bytes that are refused when an export is taken in."""
    monkeypatch.setattr("mirror.store.ingest._LONGEST_NAME", 1000)
    layout = Layout("{workspace_id}-{root_id}-{frame_id}.png")
    with store(tmp_path, layout) as one:
        written = one.write(one.ask(group("f" * 150, "f1", root="r" * 150)))
        result = one.committer.commit(written, [])
        assert [len(refused.frame.ref.frame_id) for refused in result.refused] == [150]
        assert len(result.committed) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_fault_46_rename_is_not_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    look_before_renaming(monkeypatch)
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2")))
        real = os.rename

        def rename(source: str, target: str, **where: int) -> None:
            if target == "f1.png":
                failing(number)()
            real(source, target, **where)

        monkeypatch.setattr(os, "rename", rename)
        result = one.committer.commit(written, [])
        assert ids(refused.frame for refused in result.refused) == ["f1"]
        assert result.refused[0].error.reason == "write_refused"
        assert ids(item.frame for item in result.committed) == ["f2"]
        assert one.temporaries() == []


def test_fault_41_a_group_whose_fsync_failed_is_dropped_and_never_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        written = one.write(frames[:2])
        synced: Counter[int] = Counter()
        real, bad = os.fsync, tmp_path / ".mirror/tmp" / str(written[0].name)
        inode = bad.stat().st_ino

        def fsync(file: int) -> None:
            synced[os.fstat(file).st_ino] += 1
            if os.fstat(file).st_ino == inode:
                failing(errno.EIO)()
            real(file)

        monkeypatch.setattr(os, "fsync", fsync)
        failure = Failure(frames[2], "not_found", "404", 1)
        result = one.committer.commit(written, [failure])
        assert result.committed == []
        assert [lost.frame for lost in result.lost] == frames[:2]
        assert all(isinstance(lost.error, WriteLostError) for lost in result.lost)
        assert synced[inode] == max(synced.values()) == 1
        assert files(tmp_path) == set()
        assert one.temporaries() == []
        # what had failed before is still recorded
        assert one.ledger.counts() == FrameCounts(3, 0, 1, 2)

        monkeypatch.undo()
        again = one.committer.commit(one.write(frames[:2]), [])
        assert len(again.committed) == 2


def test_fault_42_close_counts_as_fsync_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1")))
        real = os.close
        target = (tmp_path / ".mirror/tmp" / str(written[0].name)).stat().st_ino

        def close(file: int) -> None:
            found = os.fstat(file).st_ino
            real(file)
            if found == target:
                failing(errno.EIO)()

        monkeypatch.setattr(os, "close", close)
        assert len(one.committer.commit(written, []).lost) == 1


def test_fault_41_a_folder_that_cant_be_synced_loses_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files stay, whole; they are not recorded, and a further attempt settles it."""
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        written = one.write(frames)
        real = os.fsync
        failed: list[int] = []

        def fsync(file: int) -> None:
            if Path(target_of(file)).is_dir() and not failed:
                failed.append(file)
                failing(errno.EIO)()
            real(file)

        monkeypatch.setattr(os, "fsync", fsync)
        result = one.committer.commit(written, [])
        assert len(result.lost) == 1
        assert one.ledger.counts().mirrored == 0
        assert len(one.committer.commit(one.write(frames), []).committed) == 1


def test_fault_41_a_disk_that_keeps_failing_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        monkeypatch.setattr(os, "fsync", failing(errno.EIO))
        for _ in range(2):
            assert len(one.committer.commit(one.write(frames), []).lost) == 1
        with pytest.raises(DestinationError, match="the disk reports errors") as caught:
            one.committer.commit(one.write(frames), [])
        assert caught.value.exit_code is ExitCode.DESTINATION
        assert one.temporaries() == []


def test_a_frame_lost_by_itself_does_not_take_the_group_with_it(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2")))
        (tmp_path / ".mirror/tmp" / str(written[0].name)).unlink()
        result = one.committer.commit(written, [])
        assert ids(lost.frame for lost in result.lost) == ["f1"]
        assert ids(item.frame for item in result.committed) == ["f2"]


@pytest.mark.parametrize("call", ["fsync", "rename", "mkdir"])
def test_fault_43_a_full_disk_in_a_commit_stops_the_run_and_leaves_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    look_before_renaming(monkeypatch)
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2")))
        monkeypatch.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(DestinationError, match="full"):
            one.committer.commit(written, [])
        monkeypatch.undo()
        assert one.temporaries() == []
        assert files(tmp_path) == set()
        assert one.ledger.counts().mirrored == 0


def test_what_was_renamed_before_the_disk_was_full_is_adopted_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_before_renaming(monkeypatch)
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2"))
        written = one.write(frames)
        real = os.rename

        def rename(source: str, target: str, **where: int) -> None:
            if target == "f2.png":
                failing(errno.ENOSPC)()
            real(source, target, **where)

        monkeypatch.setattr(os, "rename", rename)
        with pytest.raises(DestinationError):
            one.committer.commit(written, [])
    with store(tmp_path) as one:
        adopted = one.writer.adopt(frames)
        assert ids(item.frame for item in adopted.written) == ["f1"]
        assert ids(adopted.absent) == ["f2"]


def test_fault_47_a_ledger_that_cant_be_written_leaves_files_that_are_adopted(
    tmp_path: Path,
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))
        written = one.write(frames)

        def close_ledger(step: Step) -> None:
            if step is Step.DIRECTORIES_SYNCED:
                one.ledger.close()

        one.destination.reached = close_ledger
        with pytest.raises(LedgerError):
            one.committer.commit(written, [])
        assert one.temporaries() == []
    with store(tmp_path) as one:
        adopted = one.writer.adopt(one.ask(group("f1")))
        assert len(one.committer.commit(adopted.written, []).committed) == 1


def test_an_empty_group_is_nothing(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        result = one.committer.commit([], [])
        assert (result.committed, result.refused, result.lost) == ([], [], [])


def test_a_group_larger_than_what_is_opened_at_once(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        wanted = [f"f{n}" for n in range(300)]
        frames = one.ask(group(*wanted), *(group("f1", root=f"x{n}") for n in range(100)))
        before = descriptors()
        result = one.committer.commit(one.write(frames), [])
        assert len(result.committed) == 400
        assert descriptors() == before
        assert len(files(tmp_path)) == 400
        row = one.ledger.pending(0, 1)
        assert row == []
    assert FrameRef("w1", "r1", "f299") in {item.frame.ref for item in result.committed}


@contextmanager
def spare_descriptors(count: int) -> Iterator[None]:
    """No more than so many files can be opened on top of those that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    taken = {number for number in found if os.path.lexists(f"/proc/self/fd/{number}")}
    limit = [number for number in range(len(taken) + count + 1) if number not in taken][count]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("spare", [60, 20, 3])
def test_fault_55_few_descriptors_make_a_commit_slower_and_lose_nothing(
    tmp_path: Path, spare: int
) -> None:
    """Many files, adopted and new, in many folders."""
    with store(tmp_path) as one:
        groups = [group("f1", "f2", "f3", root=f"r{n}") for n in range(100)]
        frames = one.ask(*groups)
        for frame in frames[:150]:
            one.path(frame.ref).parent.mkdir(exist_ok=True)
            one.path(frame.ref).write_bytes(png(frame.row))
        before = descriptors()
        with spare_descriptors(spare):
            written = one.writer.adopt(frames[:150]).written + one.write(frames[150:])
            for batch in (written[:100], written[100:]):
                result = one.committer.commit(batch, [])
                assert (result.lost, result.refused) == ([], [])
                assert len(result.committed) == len(batch)
        assert descriptors() == before
        assert one.ledger.counts() == FrameCounts(300, 300, 0, 0)


def test_fault_55_no_descriptor_at_all_ends_the_run_and_names_the_limit(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2")))
        one.destination._written.close()
        with spare_descriptors(0), pytest.raises(DestinationError) as caught:
            one.committer.commit(written, [])
        assert "raise the limit of open files" in str(caught.value)
        assert one.temporaries() == []
        assert (
            len(one.committer.commit(one.write([item.frame for item in written]), []).committed)
            == 2
        )


@pytest.mark.parametrize(("soft", "most"), [(100, 25), (2, 1), (4096, 50), (-1, 50)])
def test_fault_55_a_commit_leaves_descriptors_to_the_rest_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, soft: int, most: int
) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group(*(f"f{n}" for n in range(50)))))
        one.destination._written.close()
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
        held: list[int] = []
        before = descriptors()
        monkeypatch.setattr(os, "posix_fadvise", lambda *_: held.append(descriptors() - before))
        assert len(Committer(one.destination, one.ledger).commit(written, []).committed) == 50
        assert max(held) == most


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_fault_55_folders_are_synced_one_by_one_when_descriptors_are_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(*(group("f1", root=f"r{n}") for n in range(8))))
        real = Committer._sync_folder

        def sync_folder(self: Committer, path: str) -> OSError | None:
            if threading.current_thread() is not threading.main_thread():
                return OSError(number, os.strerror(number))
            return real(self, path)

        monkeypatch.setattr(Committer, "_sync_folder", sync_folder)
        assert len(one.committer.commit(written, []).committed) == 8


def test_a_commit_that_ends_with_an_error_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        before = descriptors()
        written = one.write(one.ask(group(*(f"f{n}" for n in range(50)))))
        monkeypatch.setattr(os, "fsync", failing(errno.EIO))
        assert len(one.committer.commit(written, []).lost) == 50
        assert descriptors() == before
