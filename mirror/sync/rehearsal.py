"""`--dry-run`: what a run would do, found without a network and without writing anything."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack

from mirror.export import ExportFile, Selection, SequenceFrames, select_frames
from mirror.frames import FrameRef
from mirror.settings import Settings
from mirror.store import (
    FrameState,
    Layout,
    LedgerReader,
    Missing,
    Purged,
    audit_of,
    looking_through,
)
from mirror.sync.plan import check_selection
from mirror.sync.report import ExportEntry, FrameTotals, RunReport
from mirror.sync.request import SyncRequest


class _Count:
    """Counts the frames of a selection as they are found at the destination; `found`: None where
    there is no ledger yet."""

    def __init__(
        self, request: SyncRequest, found: tuple[LedgerReader, Missing] | None, purged: Purged
    ) -> None:
        self._request = request
        self._found = found
        self._purged = purged
        self._total = self._mirrored = 0

    def take(self, groups: Iterable[SequenceFrames]) -> int:
        """Count all of `groups`, up to the limit; how many frames they hold."""
        seen = 0
        for named in groups:
            seen += len(named.frame_ids)
            group = self._purged.without(named)
            if self._request.retry_failed is None:
                self._take(group)
            else:
                self._take_failed(group, self._request.retry_failed)
        return seen

    def _take(self, group: SequenceFrames) -> None:
        limit = self._request.limit
        ids = group.frame_ids if limit is None else group.frame_ids[: limit - self._total]
        self._total += len(ids)
        if self._found is None:
            return
        reader, looking = self._found
        sizes = reader.sizes(group.workspace_id, group.root_id)
        self._mirrored += sum(
            looking.there(FrameRef(group.workspace_id, group.root_id, frame), sizes[frame])
            for frame in ids
            if frame in sizes
        )

    def _take_failed(self, group: SequenceFrames, wanted: str) -> None:
        if self._found is None:
            return
        states = self._found[0].states(group.workspace_id, group.root_id)
        known = (states[frame] for frame in group.frame_ids if frame in states)
        self._total += sum(
            state is FrameState.FAILED and wanted in {"*", reason} for state, reason in known
        )
        if self._request.limit is not None:
            self._total = min(self._total, self._request.limit)

    def totals(self) -> FrameTotals:
        """What was counted; what failed before would be tried again, so it is pending."""
        return FrameTotals(
            total=self._total,
            already_mirrored=self._mirrored,
            pending=self._total - self._mirrored,
        )


def rehearse(request: SyncRequest, settings: Settings) -> RunReport:
    """Count what `run_sync` would fetch. Blocks; memory of one sequence at a time.

    Raises `ExportError` and `UsageError` as a run would.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        exports = [stack.enter_context(ExportFile.open(path)) for path in request.exports]
        check_selection(exports, request.selection)
        reader = LedgerReader.find(request.destination)
        found = None
        if reader is not None:
            looking = looking_through(request.destination, Layout(settings.path_template))
            found = stack.enter_context(reader), stack.enter_context(looking)
        purged = Purged(audit_of(request.destination))
        count = _Count(request, found, purged)
        simple = len(exports) == 1 and request.selection.everything
        idle = _Count(request, None, purged)
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
