"""`--dry-run`: what a run would do, found without a network and without writing anything."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
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
    place_of,
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
        self._selected = self._total = self._mirrored = 0

    def take(self, groups: Iterable[SequenceFrames]) -> int:
        """Count all of `groups`, up to the limit; how many frames they hold."""
        seen = 0
        for named in groups:
            seen += len(named.frame_ids)
            self._take(self._purged.without(named))
        return seen

    def _take(self, group: SequenceFrames) -> None:
        names = (group.workspace_id, group.root_id)
        ids = self._own(names, self._select(names, group.frame_ids))
        self._total += len(ids)
        if self._found is None:
            return
        reader, looking = self._found
        sizes = reader.sizes(*names)
        recorded = [(0, frame, sizes[frame]) for frame in ids if frame in sizes]
        self._mirrored += len(recorded) - len(looking.absent(names, recorded))

    def _select(self, names: tuple[str, str], ids: Sequence[str]) -> Sequence[str]:
        """Those asked for, up to the limit."""
        if self._request.retry_failed is not None:
            ids = self._failed(names, ids, self._request.retry_failed)
        if self._request.limit is not None:
            ids = ids[: self._request.limit - self._selected]
        self._selected += len(ids)
        return ids

    def _failed(self, names: tuple[str, str], ids: Sequence[str], wanted: str) -> Sequence[str]:
        if self._found is None:
            return ()
        states = self._found[0].states(*names)
        failed = {
            frame
            for frame, (state, reason) in states.items()
            if state is FrameState.FAILED and wanted in {"*", reason}
        }
        return [frame for frame in ids if frame in failed]

    def _own(self, names: tuple[str, str], ids: Sequence[str]) -> Sequence[str]:
        """Those of the shard."""
        shard = self._request.shard
        if shard is None:
            return ids
        return [frame for frame in ids if shard.holds(FrameRef(*names, frame))]

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
        reader = _reader(request)
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
        shard=str(request.shard) if request.shard else None,
        dry_run=True,
    )


def _reader(request: SyncRequest) -> LedgerReader | None:
    """The ledger that a run would go on with: of a shard its own, which began as a copy."""
    if request.shard is not None:
        own = LedgerReader.find(request.destination, place_of(request.shard))
        if own is not None:
            return own
    return LedgerReader.find(request.destination)
