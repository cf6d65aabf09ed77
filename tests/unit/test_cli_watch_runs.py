"""How `mirror watch` starts a run for one export."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.cli import watch as command
from mirror.errors import ExportError
from mirror.events import Event, Events, LoggedIn
from mirror.settings import Settings
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.stop import Stop


async def test_what_a_run_subscribes_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that runs for months must not gather the listeners of every run."""
    heard: list[tuple[int, Event]] = []
    outside: list[Event] = []
    runs = 0

    async def run_sync(_: SyncRequest, __: Settings, events: Events, ___: Stop) -> RunReport:
        nonlocal runs
        runs += 1
        number = runs
        events.subscribe(lambda event: heard.append((number, event)))
        events.emit(LoggedIn())
        return RunReport("complete", 0)

    monkeypatch.setattr(command, "run_sync", run_sync)
    sync_one = command._syncer(Path("frames"), Settings(), Events(outside.append), Stop())
    for _ in range(3):
        assert await sync_one(Path("batch.json")) == 0
    assert [number for number, _ in heard] == [1, 2, 3]
    assert outside == [LoggedIn()] * 3


async def test_an_error_of_a_run_becomes_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SyncRequest] = []

    async def run_sync(request: SyncRequest, *_: object) -> RunReport:
        asked.append(request)
        raise ExportError("It is no JSON.")

    monkeypatch.setattr(command, "run_sync", run_sync)
    sync_one = command._syncer(Path("frames"), Settings(), Events(), Stop())
    assert await sync_one(Path("inbox/batch.json")) == 65
    assert asked == [SyncRequest((Path("inbox/batch.json"),), Path("frames"))]
