"""Which files of an inbox are exports to be synced now.

Invariants: a file is taken when two scans in a row found it the same, so never while it grows; a
file that was taken is left alone until it changes. Hidden files, symlinks and whatever is no
`*.json` are not seen. `scan` is the only I/O.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """One file as a scan found it. Two that are equal hold the same content."""

    name: str
    size: int
    mtime_ns: int
    inode: int


def scan(folder: Path) -> list[Entry]:
    """The files of `folder` that may be exports. Raises `OSError` where it can't be listed."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".json") or entry.name.startswith("."):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # it went between the listing and the look
            if stat.S_ISREG(status.st_mode):
                found.append(Entry(entry.name, status.st_size, status.st_mtime_ns, status.st_ino))
    return found


class Inbox:
    """What was seen and what is settled. Knows names alone; memory: two scans."""

    def __init__(self) -> None:
        self._seen: frozenset[Entry] = frozenset()
        self._settled: dict[str, Entry] = {}
        self._setbacks: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Inbox {len(self._seen)} seen, {len(self._settled)} settled>"

    def look(self, entries: Iterable[Entry]) -> list[Entry]:
        """The exports to be synced now: those with fewer setbacks first, then the oldest."""
        now = frozenset(entries)
        still = now & self._seen
        self._seen = now
        names = {entry.name for entry in now}
        self._settled = {name: was for name, was in self._settled.items() if name in names}
        self._setbacks = {name: n for name, n in self._setbacks.items() if name in names}
        ready = [entry for entry in still if self._settled.get(entry.name) != entry]
        return sorted(ready, key=self._turn)

    def _turn(self, entry: Entry) -> tuple[int, int, str]:
        return self._setbacks.get(entry.name, 0), entry.mtime_ns, entry.name

    def settle(self, entry: Entry) -> None:
        """`entry` needs no more work until it changes."""
        self._settled[entry.name] = entry
        self._setbacks.pop(entry.name, None)

    def set_back(self, entry: Entry) -> None:
        """`entry` is to be tried again, after the others."""
        self._setbacks[entry.name] = self._setbacks.get(entry.name, 0) + 1
