"""`DEST/.mirror/audit.jsonl`: what was erased, when, by whom. One JSON object a line.

It is the one place that keeps the ids of what was purged, and by it nothing of that comes back: a
run leaves out what the audit trail names, also where an edited export names it again or the ledger
was lost. A purge writes one line before it erases and one when it is done.
"""

from __future__ import annotations

import getpass
import os
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from mirror.errors import DestinationError
from mirror.export import SequenceFrames
from mirror.frames import FrameRef
from mirror.store.destination import OLD_FILE, Destination
from mirror.store.directories import opened_root
from mirror.store.layout import STATE
from mirror.store.trouble import destination_error, why

NAME = "audit.jsonl"


class SequenceName(msgspec.Struct, frozen=True, order=True):
    """A sequence, by name."""

    workspace_id: str
    root_id: str


class FrameName(msgspec.Struct, frozen=True, order=True):
    """A frame, by name."""

    workspace_id: str
    root_id: str
    frame_id: str


class Erased(msgspec.Struct):
    """What a purge erased: frames of the ledger, files at their names and their bytes, copies that
    had been set aside, and damaged ledgers. `folders_left`: folders where a file should have been,
    which are for somebody to look at."""

    frames: int = 0
    files: int = 0
    bytes: int = 0
    set_aside: int = 0
    ledgers: int = 0
    folders_left: int = 0


class AuditLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line. `at`: UTC; `by`: user@host."""

    at: str
    action: Literal["purge_begun", "purged"]
    by: str
    sequences: tuple[SequenceName, ...] = ()
    frames: tuple[FrameName, ...] = ()
    erased: Erased | None = None


@dataclass(frozen=True, slots=True)
class PurgeTarget:
    """What is to be erased: whole sequences, and single frames."""

    sequences: tuple[SequenceName, ...] = ()
    frames: tuple[FrameName, ...] = ()


class Purged:
    """Everything that was purged at a destination, or is about to be."""

    def __init__(self, lines: Iterable[AuditLine]) -> None:
        # as the ledger compares them: without case
        self.sequences: set[tuple[str, ...]] = set()
        self.frames: set[tuple[str, ...]] = set()
        for line in lines:
            self.sequences.update(_folded(each) for each in line.sequences)
            self.frames.update(_folded(each) for each in line.frames)

    def __repr__(self) -> str:
        return f"<Purged {len(self.sequences)} sequences, {len(self.frames)} frames>"

    def __contains__(self, ref: FrameRef) -> bool:
        workspace, root, frame = map(str.lower, ref)
        return (workspace, root) in self.sequences or (workspace, root, frame) in self.frames

    def __bool__(self) -> bool:
        return bool(self.sequences or self.frames)

    def without(self, group: SequenceFrames) -> SequenceFrames:
        """`group` without what was purged."""
        if not self:
            return group
        workspace, root = group.workspace_id, group.root_id
        kept = tuple(
            frame for frame in group.frame_ids if FrameRef(workspace, root, frame) not in self
        )
        return SequenceFrames(workspace, root, kept, group.repeats)


def _folded(name: SequenceName | FrameName) -> tuple[str, ...]:
    return tuple(str(part).lower() for part in msgspec.structs.astuple(name))


def read_audit(root_fd: int) -> list[AuditLine]:
    """The audit trail of the destination open as `root_fd`; none where there is none.

    Raises `DestinationError` for one that can't be read: what was erased must not come back.
    """
    try:
        file = os.open(f"{STATE}/{NAME}", OLD_FILE, dir_fd=root_fd)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(why(error)) from None
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _unreadable("it is no regular file")
    with os.fdopen(file, "rb") as lines:
        try:
            return [msgspec.json.decode(line, type=AuditLine) for line in lines if line.strip()]
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            raise _unreadable("it is damaged") from None


def unfinished(lines: Iterable[AuditLine]) -> PurgeTarget | None:
    """What purges that were cut short were to erase; None where each came to its end."""
    sequences: dict[SequenceName, None] = {}
    frames: dict[FrameName, None] = {}
    for line in lines:
        begun = line.action == "purge_begun"
        for sequence in line.sequences:
            sequences.pop(sequence, None)
            sequences |= {sequence: None} if begun else {}
        for frame in line.frames:
            frames.pop(frame, None)
            frames |= {frame: None} if begun else {}
    return PurgeTarget(tuple(sequences), tuple(frames)) if sequences or frames else None


def audit_of(root: Path) -> list[AuditLine]:
    """The audit trail of a destination that is not held; none where there is no destination."""
    try:
        root.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise destination_error(root, error) from None
    with opened_root(root) as folder:
        return read_audit(folder)


def append_audit(destination: Destination, line: AuditLine) -> None:
    """Add a line, durably. Raises `DestinationError`."""
    lines = [*read_audit(destination.root_fd), line]
    encode = msgspec.json.encode
    destination.write_state(NAME, (encode(each) + b"\n" for each in lines))


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def whoever() -> str:
    """user@host; the number of a user without a name."""
    user = str(os.getuid())
    with suppress(OSError, KeyError):  # a container may run as nobody in particular
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}".encode("ascii", "backslashreplace").decode()


def _unreadable(problem: str) -> DestinationError:
    return DestinationError(
        f"The audit trail {STATE}/{NAME} can't be read: {problem}. It names what was erased, so"
        " that it does not come back: restore it, or move it away if nothing was ever purged here."
    )
