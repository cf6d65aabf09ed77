"""Which frames a run asks for: exports into the ledger, then the selection.

Everything here blocks and belongs on the committing thread. An export is ingested once, known by
its SHA-256; a second run starts from the ledger. Before anything is written, a new export is read
to its end (`check_exports`), so that a broken one leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mirror.errors import UsageError
from mirror.export import ExportFile, Selection, select_frames
from mirror.frames import FrameRef
from mirror.store import Destination, ExportRecord, Ledger, moved_aside
from mirror.sync.report import ExportEntry
from mirror.sync.request import SyncRequest


def check_exports(exports: Sequence[ExportFile], known: frozenset[str]) -> None:
    """Read every export that is not `known` (by SHA-256) to its end. Raises `ExportError`."""
    select_frames(exports, Selection())  # roots that differ by case, also across exports
    for export in exports:
        if export.sha256 not in known:
            for _ in select_frames([export], Selection()):
                pass


def check_selection(exports: Sequence[ExportFile], selection: Selection) -> None:
    """Raise `UsageError` when the selection names an unknown sequence, or selects nothing."""
    roots = {piece.root_id for export in exports for piece in export.sequences}
    unknown = sorted(selection.sequences - roots)
    if unknown:
        raise UsageError(
            f"No sequence with the rootId {unknown[0]!r} in these exports;"
            " `mirror inspect` lists them."
        )
    if not selection.everything and next(select_frames(exports, selection), None) is None:
        wanted = " or ".join(sorted(selection.labels)) or "anything"
        raise UsageError(
            f"No frame of these exports is labelled with {wanted};"
            " `mirror inspect` lists the labels."
        )


def ask(ledger: Ledger, exports: Sequence[ExportFile], request: SyncRequest) -> list[ExportEntry]:
    """Ingest what is new and mark in the ledger what this run asks for."""
    entries = [_ingest(ledger, export) for export in exports]
    limit = request.limit if request.retry_failed is None else None
    if request.selection.everything and limit is None:
        ledger.ask_exports([export.sha256 for export in exports], None)
    else:  # the first in the order of these exports, which the ledger does not keep
        ledger.ask_frames(select_frames(exports, request.selection), limit)
    if request.retry_failed is not None:
        ledger.keep_failed(None if request.retry_failed == "*" else request.retry_failed)
        if request.limit is not None:
            ledger.keep_first(request.limit)
    if request.shard is not None:
        ledger.keep_shard(request.shard)
    return entries


def ask_again(
    ledger: Ledger, destination: Destination, tell: Callable[[FrameRef, str], None]
) -> None:
    """Of what was asked for, what was mirrored and whose file is not there any more is pending;
    `tell` is told what stood in its place, and where that is now."""
    ledger.forget(moved_aside(ledger.missing(), destination, tell))


def _ingest(ledger: Ledger, export: ExportFile) -> ExportEntry:
    record = ExportRecord(
        path=str(export.path.absolute()),
        sha256=export.sha256,
        size=export.size,
        sequences=len(export.sequences),
    )
    result = ledger.ingest(record, select_frames([export], Selection()))
    return ExportEntry(
        path=str(export.path),
        sha256=record.sha256,
        sequences=record.sequences,
        frames=result.frames,
        left=result.left,
        purged=result.purged,
    )
