"""What a purge was asked for, in a person's words, and which frames of the ledger that is.

Nothing is guessed: a name that fits nothing, or more than one thing, ends it before anything is
erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mirror.errors import UsageError
from mirror.store.audit import AuditLine, FrameName, PurgeTarget, SequenceName
from mirror.store.reader import LedgerReader

T = TypeVar("T")


def find_target(
    reader: LedgerReader,
    audit: Sequence[AuditLine],
    sequences: Sequence[str],
    frames: Sequence[str],
) -> PurgeTarget:
    """The sequences (ROOT or WORKSPACE/ROOT) and frames (FRAME, ROOT/FRAME, WORKSPACE/ROOT/FRAME).

    With both, frames are looked for in these sequences alone. What the audit trail names already is
    found, too, so that a purge can be repeated. Raises `UsageError`.
    """
    roots = [_sequence(reader, audit, name) for name in sequences]
    if not frames:
        return PurgeTarget(tuple(dict.fromkeys(roots)))
    found = [_frame(reader, audit, name, roots) for name in frames]
    return PurgeTarget((), tuple(dict.fromkeys(found)))


def _sequence(reader: LedgerReader, audit: Sequence[AuditLine], name: str) -> SequenceName:
    workspace, _, root = name.rpartition("/")
    known = {SequenceName(*pair) for pair in reader.sequences_named(root, workspace or None)}
    known |= {
        each
        for line in audit
        for each in line.sequences
        if each.root_id == root and workspace in {"", each.workspace_id}
    }
    ways = {f"{each.workspace_id}/{each.root_id}": each for each in known}
    return _only(ways, "sequence", name)


def _frame(
    reader: LedgerReader,
    audit: Sequence[AuditLine],
    name: str,
    sequences: Sequence[SequenceName],
) -> FrameName:
    parts = name.split("/")
    workspace, root, frame = ["", "", *parts][-3:] if len(parts) <= 3 else ("", "", name)
    found = reader.frames_named(frame, root or None, workspace or None)
    known = {FrameName(*ref) for ref in found}
    known |= {
        each
        for line in audit
        for each in line.frames
        if each.frame_id == frame
        and root in {"", each.root_id}
        and workspace in {"", each.workspace_id}
    }
    ways = {
        f"{each.workspace_id}/{each.root_id}/{each.frame_id}": each
        for each in known
        if not sequences or SequenceName(each.workspace_id, each.root_id) in sequences
    }
    return _only(ways, "frame", name)


def _only(ways: dict[str, T], what: str, name: str) -> T:
    if not ways:
        raise UsageError(
            f"The ledger knows no {what} {name!r}; `mirror status` lists the sequences."
            " Nothing was erased."
            + (" A frame is named without .png." if name.endswith(".png") else "")
        )
    if len(ways) > 1:
        raise UsageError(
            f"The {what} {name!r} is one of several: say which, {' or '.join(sorted(ways)[:5])}."
            " Nothing was erased."
        )
    return next(iter(ways.values()))
