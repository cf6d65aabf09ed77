"""`--dry-run`: what a run would do, found without a network and without writing anything."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from mirror.export import ExportFile, Selection, SequenceFrames, select_frames
from mirror.frames import FrameRef
from mirror.settings import Settings
from mirror.store import FrameState, Layout, LedgerReader
from mirror.sync.plan import check_selection
from mirror.sync.report import ExportEntry, FrameTotals, RunReport
from mirror.sync.request import SyncRequest


class _Count:
    """Counts the frames of a selection, as the ledger knows them. `reader`: None where there is
    no ledger yet."""

    def __init__(self, request: SyncRequest, reader: LedgerReader | None, layout: Layout) -> None:
        self._request = request
        self._reader = reader
        self._layout = layout
        self._place = ""
        self._names: frozenset[str] = frozenset()
        self._total = self._mirrored = 0

    def take(self, groups: Iterable[SequenceFrames]) -> int:
        """Count all of `groups`, up to the limit; how many frames they hold."""
        seen = 0
        for group in groups:
            seen += len(group.frame_ids)
            self._take(group)
        return seen

    def _take(self, group: SequenceFrames) -> None:
        limit = self._request.limit
        ids = group.frame_ids
        if self._request.retry_failed is None and limit is not None:
            ids = ids[: limit - self._total]
        if self._reader is None:
            self._total += len(ids) if self._request.retry_failed is None else 0
            return
        states = self._reader.states(group.workspace_id, group.root_id)
        known = [states[frame] for frame in ids if frame in states]
        failed = [reason for state, reason in known if state is FrameState.FAILED]
        if self._request.retry_failed is None:
            self._total += len(ids)
            self._mirrored += sum(
                states[frame][0] is FrameState.MIRRORED and self._there(group, frame)
                for frame in ids
                if frame in states
            )
        else:
            wanted = self._request.retry_failed
            self._total += sum(wanted in {"*", reason} for reason in failed)
            self._total = self._total if limit is None else min(self._total, limit)

    def _there(self, group: SequenceFrames, frame_id: str) -> bool:
        """Whether the file of a recorded frame is there, as a run would find by its name."""
        ref = FrameRef(group.workspace_id, group.root_id, frame_id)
        place, _, name = self._layout.relative(ref).rpartition("/")
        if place != self._place or not self._names:
            self._place, self._names = place, _names(self._request.destination / place)
        return name in self._names

    def totals(self) -> FrameTotals:
        """What was counted; what failed before would be tried again, so it is pending."""
        return FrameTotals(
            total=self._total,
            already_mirrored=self._mirrored,
            pending=self._total - self._mirrored,
        )


def _names(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries)
    except OSError:
        return frozenset()


def rehearse(request: SyncRequest, settings: Settings) -> RunReport:
    """Count what `run_sync` would fetch. Blocks; memory of one sequence at a time.

    Raises `ExportError` and `UsageError` as a run would.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        exports = [stack.enter_context(ExportFile.open(path)) for path in request.exports]
        check_selection(exports, request.selection)
        reader = LedgerReader.find(request.destination)
        if reader is not None:
            stack.enter_context(reader)
        layout = Layout(settings.path_template)
        count = _Count(request, reader, layout)
        simple = len(exports) == 1 and request.selection.everything
        idle = _Count(request, None, layout)
        frames = [
            (count if simple else idle).take(select_frames([export], Selection()))
            for export in exports
        ]
        if not simple:
            count.take(select_frames(exports, request.selection))
        entries = [
            ExportEntry(str(export.path), export.sha256, len(export.sequences), number)
            for export, number in zip(exports, frames, strict=True)
        ]
    return RunReport(
        outcome="complete",
        exit_code=0,
        frames=count.totals(),
        seconds=round(time.monotonic() - started, 3),
        exports=entries,
        destination=str(request.destination),
        dry_run=True,
    )
