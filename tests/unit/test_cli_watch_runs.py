"""How `mirror watch` starts a run for one export."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from mirror.cli import watch as command
from mirror.errors import ExportError
from mirror.events import Event, Events, Idle, LoggedIn, Preparing, RequestStarted, RunStarted
from mirror.observe.display import LiveDisplay
from mirror.observe.logs import configure_logging
from mirror.observe.tally import Tally
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
    assert outside == [LoggedIn(), Idle()] * 3


async def test_an_error_of_a_run_becomes_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[SyncRequest] = []

    async def run_sync(request: SyncRequest, *_: object) -> RunReport:
        asked.append(request)
        raise ExportError("It is no JSON.")

    monkeypatch.setattr(command, "run_sync", run_sync)
    sync_one = command._syncer(Path("frames"), Settings(), Events(), Stop())
    assert await sync_one(Path("inbox/batch.json")) == 65
    assert asked == [SyncRequest((Path("inbox/batch.json"),), Path("frames"))]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("info", "text", stream)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


@pytest.mark.parametrize("debug", [False, True])
async def test_a_bug_in_one_run_is_logged_and_does_not_end_the_service(
    monkeypatch: pytest.MonkeyPatch, log: io.StringIO, debug: bool
) -> None:
    """Its type is named, never its message, which may hold a URL; the traceback is for --debug."""

    async def run_sync(*_: object) -> RunReport:
        raise RuntimeError("https://host/path?X-Amz-Signature=SIGSIG")

    monkeypatch.setattr(command, "run_sync", run_sync)
    sync_one = command._syncer(Path("frames"), Settings(), Events(), Stop(), debug=debug)
    assert await sync_one(Path("batch.json")) == 70
    first, *rest = log.getvalue().splitlines()
    assert "[error]" in first
    assert "RuntimeError" in first
    assert "https" not in first
    assert "SIGSIG" not in log.getvalue()
    assert bool(rest) is debug
    assert ("Traceback" in log.getvalue()) is debug


@pytest.mark.parametrize("begun", [False, True])
async def test_nothing_stale_is_shown_while_the_service_is_idle(
    monkeypatch: pytest.MonkeyPatch, log: io.StringIO, begun: bool
) -> None:
    """Neither what a run that failed was doing, nor the time that it had left."""

    async def run_sync(_: SyncRequest, __: Settings, events: Events, ___: Stop) -> RunReport:
        events.emit(Preparing("reading a.json"))
        if begun:
            events.emit(RunStarted(10, 0))
            events.emit(RequestStarted("resolve"))
        raise RuntimeError

    monkeypatch.setattr(command, "run_sync", run_sync)
    tally = Tally()
    sync_one = command._syncer(Path("frames"), Settings(), Events(tally), Stop())
    await sync_one(Path("a.json"))
    console = Console(file=io.StringIO(), width=80)
    console.print(LiveDisplay(tally, console))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
    assert not tally.preparing
    assert not tally.running
    assert tally.in_flight["resolve"] == 0
