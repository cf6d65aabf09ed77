"""The edges of a commit: one file the disk loses, folders that have to be asked again."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from store_kit import group, ids, look_before_renaming, store

from mirror.errors import DestinationError
from mirror.store import Committer


def test_fault_42_a_rename_the_disk_fails_loses_that_frame_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_before_renaming(monkeypatch)
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2", "f3")))
        real = os.rename

        def rename(source: str, target: str, **where: int) -> None:
            if target == "f2.png":
                raise OSError(errno.EIO, "x")
            real(source, target, **where)

        monkeypatch.setattr(os, "rename", rename)
        result = one.committer.commit(written, [])
        assert ids(item.frame for item in result.committed) == ["f1", "f3"]
        (lost,) = result.lost
        assert lost.frame == written[1].frame
        assert str(lost.error) == "The disk did not keep the file: Input/output error."
        assert (result.refused, result.set_aside) == ([], [])
        assert one.temporaries() == []
        assert one.ledger.counts().mirrored == 2


def test_fault_55_each_folder_without_a_descriptor_is_asked_again_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(*(group("f1", root=f"r{n}") for n in range(4))))
        real = Committer._sync_folder
        refused: set[str] = set()
        synced: set[str] = set()

        def sync_folder(self: Committer, path: str) -> OSError | None:
            if threading.current_thread() is not threading.main_thread():
                refused.add(path)
                return OSError(errno.EMFILE, "x")
            synced.add(path)
            return real(self, path)

        monkeypatch.setattr(Committer, "_sync_folder", sync_folder)
        one.committer.commit(written, [])
        assert {"r0", "r1", "r2", "r3"} < refused
        assert synced == refused


def test_fault_41_a_folder_that_fails_when_it_is_asked_again_loses_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        written = one.write(one.ask(group("f1", "f2")))

        def sync_folder(self: Committer, path: str) -> OSError:
            alone = threading.current_thread() is threading.main_thread()
            return OSError(errno.EIO if alone else errno.EMFILE, "x")

        monkeypatch.setattr(Committer, "_sync_folder", sync_folder)
        result = one.committer.commit(written, [])
        assert ids(lost.frame for lost in result.lost) == ["f1", "f2"]
        assert result.committed == []
        assert one.ledger.counts().mirrored == 0


def test_fault_41_the_destination_whose_disk_keeps_failing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1"))

        def sync_folder(self: Committer, path: str) -> OSError:
            return OSError(errno.EIO, "x")

        monkeypatch.setattr(Committer, "_sync_folder", sync_folder)
        with pytest.raises(DestinationError) as caught:  # noqa: PT012 - as often as it is borne
            for _ in range(100):
                one.committer.commit(one.write(frames), [])
        assert str(caught.value) == (
            f"The destination {str(tmp_path)!r} can't be written: the disk reports errors: check it"
            " before running again."
        )
