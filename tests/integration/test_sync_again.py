"""What a run does with a destination that was changed, and an export that was edited, since."""

from __future__ import annotations

from pathlib import Path

import pytest
from sync_kit import FakeRemote, Run, png, quick, write_export

from mirror.errors import ConnectionFailedError, FrameError
from mirror.sync.rehearsal import rehearse
from mirror.sync.request import SyncRequest


@pytest.mark.parametrize("size", [100, 500])
async def test_another_picture_of_another_size_is_set_aside_and_not_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """It is whole, but it is not the frame that was recorded."""
    export, dest = write_export(tmp_path / "e.json", {"r": ["a", "b"]}), tmp_path / "dest"
    assert (await Run(FakeRemote()).sync(monkeypatch, export, dest)).exit_code == 0
    other = png("somebody else's", size)
    (dest / "r/a.png").write_bytes(other)
    (dest / "r/b.png").unlink()
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest)
    assert (report.exit_code, report.frames.mirrored) == (0, 2)
    assert report.set_aside == [".mirror/set-aside/r/a.png.1"]
    assert (dest / report.set_aside[0]).read_bytes() == other
    assert (dest / "r/a.png").read_bytes() == png("a")


async def test_fault_60_the_limit_follows_the_order_of_the_edited_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the dry run says the same."""
    export, dest = write_export(tmp_path / "e.json", {"r": ["a", "b"]}), tmp_path / "dest"
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    write_export(export, {"r": ["new", "b", "a"]})
    expected = rehearse(SyncRequest((export,), dest, limit=2), quick()).frames
    assert (expected.total, expected.already_mirrored, expected.pending) == (2, 1, 1)
    report = await Run(FakeRemote()).sync(monkeypatch, export, dest, limit=2)
    assert (report.exit_code, report.frames.mirrored, report.frames.total) == (0, 1, 2)
    assert (dest / "r/new.png").exists()


async def test_fault_13_frames_that_were_there_once_are_not_blamed_for_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They took an attempt then, which is not that they failed."""

    def away(hop: str, frame: str, attempt: int) -> FrameError | None:
        return ConnectionFailedError("refused") if hop == "download" else None

    export, dest = write_export(tmp_path / "e.json", {"r": ["a", "b"]}), tmp_path / "dest"
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    (dest / "r/a.png").unlink()
    report = await Run(FakeRemote(script=away)).sync(monkeypatch, export, dest)
    assert (report.exit_code, report.frames.failed, report.frames.pending) == (69, 0, 1)
