"""The local side: durable writes, the ledger, the PNG check, safe paths. All of it blocks."""

from mirror.store.commit import Committer
from mirror.store.destination import Destination
from mirror.store.layout import Layout
from mirror.store.ledger import Ledger
from mirror.store.lock import Holder, lock_holder
from mirror.store.missing import Missing, looking_through
from mirror.store.png import PngChecker, PngInfo, check_png
from mirror.store.reader import (
    IngestedExport,
    LastRun,
    LedgerReader,
    LedgerSummary,
    SequenceSummary,
    last_run,
)
from mirror.store.steps import Reached, Step
from mirror.store.stream import StreamTarget, open_stream
from mirror.store.values import (
    Adopted,
    Body,
    CommitResult,
    ExportRecord,
    Failure,
    FrameCounts,
    FrameState,
    IngestResult,
    PendingFrame,
    RecordedFrame,
    Refused,
    StreamedBody,
    Written,
)
from mirror.store.write import FrameWriter

__all__ = [
    "Adopted",
    "Body",
    "CommitResult",
    "Committer",
    "Destination",
    "ExportRecord",
    "Failure",
    "FrameCounts",
    "FrameState",
    "FrameWriter",
    "Holder",
    "IngestResult",
    "IngestedExport",
    "LastRun",
    "Layout",
    "Ledger",
    "LedgerReader",
    "LedgerSummary",
    "Missing",
    "PendingFrame",
    "PngChecker",
    "PngInfo",
    "Reached",
    "RecordedFrame",
    "Refused",
    "SequenceSummary",
    "Step",
    "StreamTarget",
    "StreamedBody",
    "Written",
    "check_png",
    "last_run",
    "lock_holder",
    "looking_through",
    "open_stream",
]
