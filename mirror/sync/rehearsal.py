"""`--dry-run`: what a run would do, found without a network and without writing anything."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack

from mirror.export import ExportFile, Selection, SequenceFrames, select_frames
from mirror.store import FrameState, LedgerReader
from mirror.sync.plan import check_selection, refuse_empty
from mirror.sync.report import ExportEntry, FrameTotals, RunReport
from mirror.sync.request import SyncRequest


class _Count:
    """Counts the frames of a selection, as the ledger knows them. `reader`: None where there is
    no ledger yet."""

    def __init__(self, request: SyncRequest, reader: LedgerReader | None) -> None:
        self._request = request
        self._reader = reader
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
        ids = group.frame_ids if limit is None else group.frame_ids[: limit - self._total]
        if self._reader is None:
            self._total += len(ids) if self._request.retry_failed is None else 0
            return
        states = self._reader.states(group.workspace_id, group.root_id)
        known = [states[frame] for frame in ids if frame in states]
        failed = [reason for state, reason in known if state is FrameState.FAILED]
        if self._request.retry_failed is None:
            self._total += len(ids)
            self._mirrored += sum(state is FrameState.MIRRORED for state, _ in known)
        else:
            wanted = self._request.retry_failed
            self._total += sum(wanted in {"*", reason} for reason in failed)

    def totals(self) -> FrameTotals:
        """What was counted; what failed before would be tried again, so it is pending."""
        return FrameTotals(
            total=self._total,
            already_mirrored=self._mirrored,
            pending=self._total - self._mirrored,
        )


def rehearse(request: SyncRequest) -> RunReport:
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
        count = _Count(request, reader)
        simple = len(exports) == 1 and request.selection.everything
        idle = _Count(request, None)
        frames = [
            (count if simple else idle).take(select_frames([export], Selection()))
            for export in exports
        ]
        if not simple:
            groups = select_frames(exports, request.selection)
            count.take(refuse_empty(groups, request.selection))
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
