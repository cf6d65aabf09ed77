"""The local side: durable writes, the ledger, the PNG check, safe paths. All of it blocks."""

from mirror.store.audit import AuditLine, Erased, Purged, PurgeTarget, audit_of, unfinished
from mirror.store.checksums import has_checksums, write_checksums
from mirror.store.commit import Committer
from mirror.store.destination import Destination
from mirror.store.duplicates import Duplicates, EqualFrames, equal_frames
from mirror.store.failures import failures_at
from mirror.store.layout import STATE, Layout, place_of
from mirror.store.ledger import Ledger
from mirror.store.lock import Holder, LockState, lock_state
from mirror.store.missing import Missing, looking_through, moved_aside
from mirror.store.png import PngChecker, PngInfo, check_png
from mirror.store.purge import Purge
from mirror.store.reader import LedgerReader, recorded_at
from mirror.store.shards import (
    claim_exports,
    copy_whole,
    known_exports,
    merging,
    open_whole,
    refuse_unmerged,
    shards_at,
)
from mirror.store.steps import Reached, Step
from mirror.store.stream import StreamTarget, open_stream
from mirror.store.summary import (
    REPORT,
    IngestedExport,
    LastRun,
    LedgerSummary,
    SequenceSummary,
    last_run,
)
from mirror.store.targets import find_target
from mirror.store.unmerged import ShardState, Unmerged, look_at_shards
from mirror.store.values import (
    Adopted,
    AnyBody,
    Body,
    CommitResult,
    ExportRecord,
    Failure,
    Folded,
    FrameCounts,
    FrameState,
    IngestResult,
    LargeBody,
    PendingFrame,
    RecordedFrame,
    Refused,
    StreamedBody,
    Written,
)
from mirror.store.verification import (
    Check,
    Damage,
    Damaged,
    Piece,
    by_content,
    by_size,
    put_aside,
    verify,
)
from mirror.store.write import FrameWriter

__all__ = [
    "REPORT",
    "STATE",
    "Adopted",
    "AnyBody",
    "AuditLine",
    "Body",
    "Check",
    "CommitResult",
    "Committer",
    "Damage",
    "Damaged",
    "Destination",
    "Duplicates",
    "EqualFrames",
    "Erased",
    "ExportRecord",
    "Failure",
    "Folded",
    "FrameCounts",
    "FrameState",
    "FrameWriter",
    "Holder",
    "IngestResult",
    "IngestedExport",
    "LargeBody",
    "LastRun",
    "Layout",
    "Ledger",
    "LedgerReader",
    "LedgerSummary",
    "LockState",
    "Missing",
    "PendingFrame",
    "Piece",
    "PngChecker",
    "PngInfo",
    "Purge",
    "PurgeTarget",
    "Purged",
    "Reached",
    "RecordedFrame",
    "Refused",
    "SequenceSummary",
    "ShardState",
    "Step",
    "StreamTarget",
    "StreamedBody",
    "Unmerged",
    "Written",
    "audit_of",
    "by_content",
    "by_size",
    "check_png",
    "claim_exports",
    "copy_whole",
    "equal_frames",
    "failures_at",
    "find_target",
    "has_checksums",
    "known_exports",
    "last_run",
    "lock_state",
    "look_at_shards",
    "looking_through",
    "merging",
    "moved_aside",
    "open_stream",
    "open_whole",
    "place_of",
    "put_aside",
    "recorded_at",
    "refuse_unmerged",
    "shards_at",
    "unfinished",
    "verify",
    "write_checksums",
]
