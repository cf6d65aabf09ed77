"""One run from start to end: open, plan, fetch, report.

The order is a promise: settings and exports are checked before anything is written, the destination
is held before the ledger is touched, the platform is asked only when a frame is missing. A run that
ends with exit code 0 has read from the ledger that every frame asked for is recorded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from mirror.errors import InterruptedRunError, MirrorError, RunError
from mirror.events import Events, LedgerRebuilt, Preparing, RunFinished, RunStarted
from mirror.export import ExportFile
from mirror.savant import connect
from mirror.settings import Settings
from mirror.store import (
    Committer,
    Destination,
    Failure,
    FrameCounts,
    FrameWriter,
    Layout,
    Ledger,
    LedgerReader,
)
from mirror.sync.pipeline import Pipeline, Surroundings
from mirror.sync.plan import ask, check_exports, check_selection
from mirror.sync.report import (
    MOST_FAILURES,
    ExportEntry,
    FrameTotals,
    Happened,
    RunReport,
    encode_report,
)
from mirror.sync.request import SyncRequest
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop

T = TypeVar("T")


async def run_sync(
    request: SyncRequest, settings: Settings, events: Events, stop: Stop
) -> RunReport:
    """Bring every frame of the request to its destination.

    Raises `MirrorError` for what is found before the destination is held; what ends the run later
    is in the report's `error` and `exit_code`.
    """
    settings.credentials()
    layout = Layout(settings.path_template, settings.file_mode, settings.dir_mode)
    with ExitStack() as stack:
        exports = await _read_exports(request, events, stack)
        if stop.requested:
            raise InterruptedRunError(f"Interrupted by {stop.cause}; nothing was written.")
        destination = stack.enter_context(Destination.open(request.destination, layout))
        run = _Run(request, settings, events, stop, destination)
        return await run.go(exports)


async def _read_exports(request: SyncRequest, events: Events, stack: ExitStack) -> list[ExportFile]:
    exports: list[ExportFile] = []
    for path in request.exports:
        events.emit(Preparing(f"reading {path.name}"))
        exports.append(stack.enter_context(await asyncio.to_thread(ExportFile.open, path)))
    check_selection(exports, request.selection)
    known = await asyncio.to_thread(known_exports, request.destination)
    await asyncio.to_thread(check_exports, exports, known)
    return exports


def known_exports(destination: Path) -> frozenset[str]:
    """The SHA-256 of every export that the destination's ledger holds; writes nothing."""
    reader = LedgerReader.find(destination)
    if reader is None:
        return frozenset()
    with reader:
        return reader.known_exports()


class _Run:
    """A run that holds its destination."""

    def __init__(
        self,
        request: SyncRequest,
        settings: Settings,
        events: Events,
        stop: Stop,
        destination: Destination,
    ) -> None:
        self._request = request
        self._settings = settings
        self._events = events
        self._stop = stop
        self._destination = destination
        self._happened = Happened()
        self._entries: list[ExportEntry] = []
        self._totals = FrameTotals()
        self._failures: list[Failure] = []

    async def go(self, exports: Sequence[ExportFile]) -> RunReport:
        """Plan, fetch, report. The report is kept at the destination, too."""
        self._events.subscribe(self._happened)
        started = time.monotonic()
        error: MirrorError | None = None
        try:
            with await asyncio.to_thread(Ledger.open, self._destination) as ledger:
                if ledger.recovered:
                    self._events.emit(LedgerRebuilt(ledger.recovered))
                await self._mirror(ledger, exports)
        except RunError as ended:
            error = ended
        report = self._report(started, error)
        try:
            self._destination.write_state("report.json", encode_report(report))
        except RunError as unwritten:
            report = self._report(started, error or unwritten)
        self._events.emit(RunFinished(report.outcome, report.exit_code))
        return report

    def _report(self, started: float, error: MirrorError | None) -> RunReport:
        return self._happened.report(
            self._totals,
            self._failures,
            self._entries,
            str(self._request.destination),
            time.monotonic() - started,
            error,
        )

    async def _mirror(self, ledger: Ledger, exports: Sequence[ExportFile]) -> None:
        committer = Committer(self._destination, ledger)
        writer = FrameWriter(self._destination, self._settings.max_frame_bytes)
        with Disk(writer, committer, ledger) as disk:
            self._events.emit(Preparing("planning"))
            self._entries = await disk.commit(ask, ledger, exports, self._request)
            before = await disk.commit(ledger.counts)
            self._events.emit(RunStarted(before.total, before.mirrored))
            try:
                if before.mirrored < before.total and not self._stop.requested:
                    await self._fetch(disk)
            finally:
                self._totals = self._count(await disk.commit(ledger.counts))
                self._failures = await disk.commit(ledger.failures, MOST_FAILURES)
        if self._stop.requested and self._totals.failed + self._totals.pending:
            raise InterruptedRunError(
                f"Interrupted by {self._stop.cause}: {self._totals.pending} frames are pending."
                " Running the same command again resumes."
            )

    async def _fetch(self, disk: Disk) -> None:
        async with connect(self._settings, self._events.emit) as remote:
            around = Surroundings(
                self._settings, self._events, self._stop, remote, self._destination, disk
            )
            await Pipeline(around).run()

    def _count(self, counts: FrameCounts) -> FrameTotals:
        return FrameTotals(
            total=counts.total,
            mirrored=self._happened.mirrored,
            already_mirrored=counts.mirrored - self._happened.mirrored,
            failed=counts.failed,
            pending=counts.pending,
        )
