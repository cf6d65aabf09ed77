"""Which recorded files are gone: by listing folders, without touching the files.

Memory is that of one folder's names; a folder with more than `LISTED` entries is asked name by name
instead. Only a regular file counts as there.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator

from mirror.errors import DestinationError
from mirror.frames import FrameRef
from mirror.store.destination import Destination
from mirror.store.directories import Directories, split
from mirror.store.trouble import why

LISTED = 100_000
_PAGE = """
SELECT f.id, s.workspace_id, s.root_id, f.frame_id FROM run.asked a
CROSS JOIN frames f ON f.id = a.row CROSS JOIN sequences s ON s.id = f.sequence
WHERE a.row > ? AND f.state = 1 ORDER BY a.row LIMIT 4096
"""

Row = tuple[int, str, str, str]


class Missing:
    """One pass over the recorded frames; keeps the listing of the folder it is in."""

    def __init__(self, directories: Directories, destination: Destination) -> None:
        self._directories = directories
        self._destination = destination
        self._place: str | None = None
        self._names: frozenset[str] | None = frozenset()

    def page(self, db: sqlite3.Connection, after: int) -> list[Row]:
        """The next frames recorded as mirrored."""
        return db.execute(_PAGE, (after,)).fetchall()

    def gone(self, page: list[Row]) -> Iterator[int]:
        """The rows of those whose file is not there. Raises `DestinationError`."""
        relative = self._destination.layout.relative
        for row, workspace_id, root_id, frame_id in page:
            place, name = split(relative(FrameRef(workspace_id, root_id, frame_id)))
            if place != self._place:
                self._names = self._list(place)
                self._place = place
            there = name in self._names if self._names is not None else self._asked(place, name)
            if not there:
                yield row

    def _list(self, place: str) -> frozenset[str] | None:
        """The files in a folder; None: too many to hold."""
        try:
            names = []
            with os.scandir(self._directories.find(place)) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        names.append(entry.name)
                    if len(names) > LISTED:
                        return None
        except (FileNotFoundError, NotADirectoryError):
            return frozenset()
        except OSError as error:
            where = str(self._destination.root / place)
            raise DestinationError(f"The folder {where!r} can't be read: {why(error)}.") from None
        return frozenset(names)

    def _asked(self, place: str, name: str) -> bool:
        try:
            folder = self._directories.find(place)
            return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except OSError:
            return False
