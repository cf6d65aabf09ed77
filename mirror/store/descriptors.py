"""File descriptors: how many there may be, how one is written, kept and ended."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress


def most_descriptors() -> int:
    """How many this process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def sync_and_close(file: int) -> OSError | None:
    """Sync and close; what the first of the two that failed says."""
    failed = None
    try:
        os.fsync(file)
    except OSError as error:
        failed = error
    try:
        os.close(file)
    except OSError as error:
        failed = failed or error
    return failed


def write_whole(file: int, chunks: list[bytes]) -> None:
    """Write all chunks without joining them, however little the kernel takes at a time."""
    views = [memoryview(chunk) for chunk in chunks if chunk]
    at = 0
    while at < len(views):
        taken = os.writev(file, views[at : at + 1024])  # IOV_MAX
        while at < len(views) and taken >= len(views[at]):
            taken -= len(views[at])
            at += 1
        if taken:
            views[at] = views[at][taken:]


class KeptOpen:
    """Descriptors kept by name, at the most so many. Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<KeptOpen {len(self._files)} of {self._most}>"

    def keep(self, name: str, file: int) -> bool:
        """Take `file`, unless there are as many as may be."""
        if len(self._files) >= self._most:
            return False
        self._files[name] = file
        return True

    def take(self, name: str) -> int | None:
        """Give the descriptor back, if it was kept."""
        return self._files.pop(name, None)

    def close(self) -> int:
        """Close all that are left; how many those were."""
        closed = 0
        with suppress(KeyError):  # another thread may take the last
            while self._files:
                os.close(self._files.popitem()[1])
                closed += 1
        return closed
