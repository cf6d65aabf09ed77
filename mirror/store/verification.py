"""Recorded frames held against their records: what is damaged. Reads only, on several threads.

Invariants: memory does not grow with the number of frames; no symbolic link is followed; what
differs from its record is named and never adopted. Setting it aside and fetching it again is
`sync/repair.py`'s work.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import file_digest
from itertools import islice
from pathlib import Path

from mirror.store.destination import OLD_FILE, Destination
from mirror.store.directories import Directories, opened_root, split
from mirror.store.layout import Layout
from mirror.store.trouble import OUT_OF_FILES, destination_error
from mirror.store.values import RecordedFrame

PIECE = 64
"""Frames that one thread verifies in one go."""
THREADS = max(4, min(16, 2 * (os.cpu_count() or 1)))
"""Disks and network file systems answer many faster than one."""
_ODD = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})
_NOT_PERMITTED = frozenset({errno.EACCES, errno.EPERM})


class Damage(StrEnum):
    """What is wrong with a recorded frame's file. The words are an interface."""

    GONE = "gone"
    NO_FILE = "no_file"
    WRONG_SIZE = "wrong_size"
    WRONG_CONTENT = "wrong_content"
    UNREADABLE = "unreadable"
    NOT_PERMITTED = "not_permitted"

    @property
    def repairable(self) -> bool:
        """Whether fetching the frame again can help; permissions are for somebody to mend."""
        return self is not Damage.NOT_PERMITTED


@dataclass(frozen=True, slots=True)
class Damaged:
    """One damaged frame. `path`: of its file, relative to the destination; `detail`: for people."""

    frame: RecordedFrame
    path: str
    damage: Damage
    detail: str


@dataclass(slots=True)
class Piece:
    """Some frames that were verified. `size`: bytes of those that are whole."""

    frames: int = 0
    size: int = 0
    damaged: list[Damaged] = field(default_factory=list)


Check = Callable[[RecordedFrame, str, Directories], Damaged | None]
"""Holds the file at a path against its record. Raises `OSError`."""


def by_size(frame: RecordedFrame, path: str, directories: Directories) -> Damaged | None:
    """Whether a regular file of the recorded size is there; nothing is read."""
    place, name = split(path)
    found = os.stat(name, dir_fd=directories.find(place), follow_symlinks=False)
    return _size_of(found, frame, path)


def by_content(frame: RecordedFrame, path: str, directories: Directories) -> Damaged | None:
    """Whether its file has the recorded SHA-256, read from the disk and not from the cache."""
    with os.fdopen(directories.open_file(path, OLD_FILE), "rb", buffering=0) as file:
        wrong = _size_of(os.fstat(file.fileno()), frame, path)
        if wrong is not None:
            return wrong
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if file_digest(file, "sha256").digest() == frame.sha256:
            return None
    return Damaged(frame, path, Damage.WRONG_CONTENT, "its SHA-256 is not the recorded one")


def verify(
    frames: Iterable[RecordedFrame], root: Path, layout: Layout, check: Check
) -> Iterator[Piece]:
    """Verify the frames, piece by piece in their order, some pieces ahead of what is asked for.

    Raises `DestinationError` where the destination can't be read, and what `frames` raises.
    """
    with opened_root(root) as folder, ThreadPoolExecutor(THREADS, "mirror-verify") as threads:
        ahead: deque[Future[Piece]] = deque()
        source = iter(frames)

        def look(piece: list[RecordedFrame]) -> Piece:
            with Directories(folder, layout.dir_mode) as directories:
                return _verify(piece, layout, directories, check)

        try:
            while piece := list(islice(source, PIECE)):
                ahead.append(threads.submit(look, piece))
                if len(ahead) >= 2 * THREADS:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except OSError as error:
            raise destination_error(root, error) from None
        finally:
            for future in ahead:
                future.cancel()


def put_aside(destination: Destination, damaged: Damaged) -> str | None:
    """Move what stands at a damaged frame's name out of the way, durably; where it is now, or None
    where nothing stood there. Raises `DestinationError`."""
    place = split(damaged.path)[0]
    try:
        with destination.directories() as directories:
            return destination.set_aside(damaged.path, directories.find(place))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise destination_error(destination.root, error) from None


def _verify(
    frames: list[RecordedFrame], layout: Layout, directories: Directories, check: Check
) -> Piece:
    piece = Piece()
    for frame in frames:
        path = layout.relative(frame.ref)
        try:
            damaged = check(frame, path, directories)
        except OSError as error:
            damaged = _unread(frame, path, error)
        piece.frames += 1
        if damaged is None:
            piece.size += frame.size
        else:
            piece.damaged.append(damaged)
    return piece


def _size_of(found: os.stat_result, frame: RecordedFrame, path: str) -> Damaged | None:
    if not stat.S_ISREG(found.st_mode):
        return Damaged(frame, path, Damage.NO_FILE, "what stands there is no regular file")
    if found.st_size != frame.size:
        detail = f"it has {found.st_size:,} bytes, recorded are {frame.size:,}"
        return Damaged(frame, path, Damage.WRONG_SIZE, detail)
    return None


def _unread(frame: RecordedFrame, path: str, error: OSError) -> Damaged:
    """What an error says of one file. Raises it where it says something of the machine."""
    if error.errno in OUT_OF_FILES:
        raise error
    words = os.strerror(error.errno) if error.errno else type(error).__name__
    if error.errno == errno.ENOENT:
        return Damaged(frame, path, Damage.GONE, "no file is there")
    if error.errno in _ODD:
        return Damaged(frame, path, Damage.NO_FILE, f"no regular file can be there: {words}")
    if error.errno in _NOT_PERMITTED:
        return Damaged(frame, path, Damage.NOT_PERMITTED, "permission denied: make it readable")
    return Damaged(frame, path, Damage.UNREADABLE, f"it can't be read: {words}")
