"""Which recorded files are gone: by listing folders with the files' sizes, without opening a file.

One rule for the run, which asks the ledger's pages, and for the dry run, which asks file by file.

Memory is that of one folder's names; a folder with more than `LISTED` entries is asked name by name
instead. Only a regular file of the recorded size counts as there.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from mirror.errors import DestinationError
from mirror.frames import FrameRef
from mirror.store.destination import Destination, stands
from mirror.store.directories import Directories, opened_root, split
from mirror.store.layout import Layout
from mirror.store.trouble import destination_error, why

LISTED = 100_000
NO_FILE = -1
_PAGE = """
SELECT f.id, f.sequence, f.frame_id, f.size FROM run.asked a
CROSS JOIN frames f ON f.id = a.row WHERE a.row > ? AND f.state = 1 ORDER BY a.row LIMIT 1024
"""
_NAMES = "SELECT workspace_id, root_id FROM sequences WHERE id = ?"
_MARK = "\x01"
"""Stands for a frame's id where a path is taken apart; no id and no template holds it."""

Row = tuple[int, int, str, int]
"""Row, row of the sequence, frame id, size."""
_sequence = itemgetter(1)


class Missing:
    """One pass over the recorded frames; keeps the listing of the folder it is in."""

    def __init__(self, directories: Directories, layout: Layout, root: Path) -> None:
        self._directories = directories
        self._layout = layout
        self._root = root
        self._place: str | None = None
        self._sizes: dict[str, int] | None = {}
        self._names: dict[int, tuple[str, str] | None] = {}

    def page(self, db: sqlite3.Connection, after: int) -> list[Row]:
        """The next frames recorded as mirrored."""
        page = db.execute(_PAGE, (after,)).fetchall()
        # those of one page: an export may have any number of sequences
        self._names = {
            row: db.execute(_NAMES, (row,)).fetchone() for row in {*map(_sequence, page)}
        }
        return page

    def gone(self, page: list[Row]) -> Iterator[tuple[int, FrameRef]]:
        """Those whose file is not there: row and name. Raises `DestinationError`."""
        for sequence, rows in groupby(page, _sequence):
            names = self._names[sequence]
            if names is None:  # nobody's frame, which no run asks about
                continue
            for row, frame_id in self.absent(
                names, ((row, name, size) for row, _, name, size in rows)
            ):
                yield row, FrameRef(*names, frame_id)

    def absent(
        self, names: tuple[str, str], frames: Iterable[tuple[int, str, int]]
    ) -> list[tuple[int, str]]:
        """Of frames of one (workspace, root), given as (anything, frame id, size): those without a
        regular file of that size at their names. Raises `DestinationError`.

        Cheap when frames of one folder are asked one after the other.
        """
        place, head, tail = self._around(names)
        if place is not None:
            self._enter(place)
            if self._sizes is not None:  # the common case, with nothing but a look-up for each
                size_of = self._sizes.get
                return [
                    (row, frame_id)
                    for row, frame_id, size in frames
                    if size_of(f"{head}{frame_id}{tail}", NO_FILE) != size
                ]
        return [
            (row, frame_id)
            for row, frame_id, size in frames
            if not self.there(FrameRef(*names, frame_id), size)
        ]

    def _around(self, names: tuple[str, str]) -> tuple[str | None, str, str]:
        """The folder of a sequence's frames, and what is before and behind an id in their names;
        None where each frame has a folder of its own."""
        place, name = split(self._layout.relative(FrameRef(*names, _MARK)))
        head, _, tail = name.partition(_MARK)
        alike = _MARK not in place and _MARK not in tail
        return place if alike else None, head, tail

    def there(self, ref: FrameRef, size: int) -> bool:
        """Whether a regular file of `size` bytes is at a frame's name. Raises `DestinationError`.

        Cheap when frames of one folder are asked one after the other.
        """
        place, name = split(self._layout.relative(ref))
        self._enter(place)
        sizes = self._sizes
        return size == (self._asked(place, name) if sizes is None else sizes.get(name, NO_FILE))

    def _enter(self, place: str) -> None:
        if place != self._place:
            self._sizes = self._list(place)
            self._place = place

    def _list(self, place: str) -> dict[str, int] | None:
        """Bytes of each regular file in a folder, by name; None: too many to keep."""
        sizes: dict[str, int] = {}
        try:
            with os.scandir(self._directories.find(place)) as entries:
                for entry in entries:
                    try:
                        if entry.is_file(follow_symlinks=False):
                            sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:  # it went since the folder was listed
                        continue
                    if len(sizes) > LISTED:
                        return None
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            where = str(self._root / place)
            raise DestinationError(f"The folder {where!r} can't be read: {why(error)}.") from None
        return sizes

    def _asked(self, place: str, name: str) -> int:
        try:
            folder = self._directories.find(place)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return NO_FILE
        return found.st_size if stat.S_ISREG(found.st_mode) else NO_FILE


def moved_aside(
    frames: Iterable[tuple[int, FrameRef]],
    destination: Destination,
    tell: Callable[[FrameRef, str], None],
) -> Iterator[int]:
    """The rows of frames whose files are not there, each when what stands in its place is set
    aside, durably: it is not the frame that was recorded, so it may not be adopted. `tell` is told
    where it is now. Raises `DestinationError`.
    """
    layout = destination.layout
    with destination.directories() as directories:
        for row, ref in frames:
            path = layout.relative(ref)
            place, name = split(path)
            try:
                folder = directories.find(place)
                if stands(name, folder):
                    tell(ref, destination.set_aside(path, folder))
            except (FileNotFoundError, NotADirectoryError):
                pass  # adopting looks at folders, and says what is wrong with one
            except OSError as error:
                raise destination_error(destination.root, error) from None
            yield row


@contextmanager
def looking_through(root: Path, layout: Layout) -> Iterator[Missing]:
    """Look at a destination that is not held; nothing is made. Raises `DestinationError`."""
    with opened_root(root) as folder, Directories(folder, layout.dir_mode) as directories:
        yield Missing(directories, layout, root)
