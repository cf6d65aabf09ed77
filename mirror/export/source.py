"""The mapped bytes of an export: opened safely, never copied, given back to the kernel early.

Only a regular file is mapped: a pipe or a device would hang or never end. The mapping is read-only
and shared, so its pages are the page cache's and the kernel may take them at any time. A file that
another program shortens while it is mapped ends the process (SIGBUS): exports are to be moved into
place, not written in place.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import re
import stat
from io import FileIO
from pathlib import Path

from mirror.errors import ExportError
from mirror.export.place import named

_BOM = b"\xef\xbb\xbf"
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_HASH_BLOCK = 4 * 1024**2
_KEEP_MAPPED = 64 * 1024**2


class Source:
    """One mapped file. `view` is its text, from byte `start` on (after a byte order mark)."""

    __slots__ = ("_file", "_map", "_passed", "path", "size", "stamp", "start", "view")

    def __init__(self, path: Path) -> None:
        """Map the file at `path`. Raises `ExportError` where that can't be."""
        self.path = path
        self._file = _open_regular(path)
        self.stamp = self._look()
        self.size = self.stamp[0]
        try:
            self._map = mmap.mmap(self._file.fileno(), self.size, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            self._file.close()
            raise _unmappable(path, self.size, error) from None
        self._map.madvise(mmap.MADV_SEQUENTIAL)
        self._passed = 0
        self.start = len(_BOM) if self._map[: len(_BOM)] == _BOM else 0
        self.view = memoryview(self._map)[self.start :]

    def passed(self, count: int) -> None:
        """`count` bytes were read and are not needed again soon: bounds what stays mapped."""
        self._passed += count
        if self._passed >= _KEEP_MAPPED and not self._map.closed:
            self._passed = 0
            self._map.madvise(mmap.MADV_DONTNEED)

    def holds_once(self, text: bytes) -> bool:
        """Whether `text` occurs exactly once in the file."""
        first = self._map.find(text)
        return first >= 0 and self._map.rfind(text) == first

    def escapes_letters(self) -> bool:
        """Whether letters are written as escapes, which no writer does: they may spell a key."""
        return _ESCAPED_LETTER.search(self._map) is not None

    def digest(self) -> str:
        """SHA-256 of the whole file, in hex. Blocks for its length; other threads go on.

        Raises `ExportError` where the file was changed since it was opened.
        """
        total = hashlib.sha256()
        with memoryview(self._map) as whole:
            for offset in range(0, self.size, _HASH_BLOCK):
                total.update(whole[offset : offset + _HASH_BLOCK])
                self.passed(_HASH_BLOCK)
        if self._look() != self.stamp:
            raise ExportError(
                f"{named(self.path)} changed while it was read; run again when it is complete."
            )
        return total.hexdigest()

    def close(self) -> None:
        """Let go of the file. Slices that somebody still holds keep the mapping alive."""
        self._file.close()
        with contextlib.suppress(BufferError):
            self.view.release()
            self._map.close()

    def _look(self) -> tuple[int, int]:
        state = os.fstat(self._file.fileno())
        return state.st_size, state.st_mtime_ns


def _open_regular(path: Path) -> FileIO:
    if not _is_utf8(path):
        # the ledger, the report and the log keep text
        raise ExportError(f"{named(path)} can't be read: its name is not UTF-8; rename it.")
    try:
        # without O_NONBLOCK, opening a pipe waits for its writer
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return FileIO(handle)
    os.close(handle)
    kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
    raise ExportError(f"{named(path)} is {kind}; name the JSON file downloaded from the platform.")


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _unmappable(path: Path, size: int, error: OSError | ValueError) -> ExportError:
    if size == 0:
        return ExportError(f"{named(path)} is empty; download the export again.")
    return _unreadable(path, error)


def _unreadable(path: Path, error: OSError | ValueError) -> ExportError:
    # a ValueError: the name holds a NUL
    why = error.strerror if isinstance(error, OSError) else "no file can have this name"
    return ExportError(f"{named(path)} can't be read: {why}; check the path and its permissions.")
