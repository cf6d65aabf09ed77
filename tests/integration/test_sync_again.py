"""What a run does with a destination that was changed, and an export that was edited, since."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sync_kit import FakeRemote, Run, png, quick, write_export

from mirror.errors import ConnectionFailedError, FrameError
from mirror.events import Event, Events
from mirror.settings import Settings
from mirror.store import AuditLine, Destination, Layout, by_content
from mirror.store.audit import FrameName, append_audit
from mirror.sync.rehearsal import rehearse
from mirror.sync.repair import repair_destination
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.stop import Stop


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


# --- repairs --------------------------------------------------------------------------------------


async def repair(monkeypatch: pytest.MonkeyPatch, dest: Path) -> tuple[RunReport, FakeRemote]:
    remote = FakeRemote()

    @asynccontextmanager
    async def connect(_: Settings, emit: Callable[[Event], None]) -> AsyncIterator[FakeRemote]:
        remote.emit = emit
        yield remote

    monkeypatch.setattr("mirror.sync.fetch_all.connect", connect)
    watching = (Events(), lambda _: None)
    _, report = await repair_destination(dest, by_content, quick(), watching, Stop())
    return report, remote


async def test_attack_28_a_repair_does_not_fetch_what_a_purge_that_was_cut_short_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, dest = write_export(tmp_path / "e.json", {"r": ["a", "b"]}), tmp_path / "dest"
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    frames = (FrameName("w", "r", "a"),)
    with Destination.open(dest, Layout()) as destination:
        append_audit(destination, AuditLine("now", "purge_begun", "me", (), frames))
    for name in "ab":
        (dest / f"r/{name}.png").write_bytes(b"rotten")
    report, remote = await repair(monkeypatch, dest)
    assert (report.exit_code, report.frames.total) == (0, 1)
    assert {frame for _, frame in remote.attempts} == {"b"}
    assert not (dest / "r/a.png").exists()


async def test_fault_49_a_repair_without_its_ledger_is_not_called_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could be read, but turns out to be damaged when it is opened to be written."""
    export, dest = write_export(tmp_path / "e.json", {"r": ["a", "b"]}), tmp_path / "dest"
    await Run(FakeRemote()).sync(monkeypatch, export, dest)
    (dest / "r/a.png").unlink()
    ledger = dest / ".mirror/ledger.sqlite3"
    with closing(sqlite3.connect(ledger)) as db:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'export_frames'"
        page = db.execute(query).fetchone()[0]
    with ledger.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(b"\xff" * 4096)
    report, remote = await repair(monkeypatch, dest)
    assert (report.exit_code, report.outcome) == (74, "failed")
    assert "Run `mirror sync` with the exports first" in (report.error or "")
    assert not remote.attempts
    assert (await Run(FakeRemote()).sync(monkeypatch, export, dest)).exit_code == 0
