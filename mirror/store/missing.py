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
SELECT f.id, s.workspace_id, s.root_id, f.frame_id, f.size FROM run.asked a
CROSS JOIN frames f ON f.id = a.row CROSS JOIN sequences s ON s.id = f.sequence
WHERE a.row > ? AND f.state = 1 ORDER BY a.row LIMIT 4096
"""

Row = tuple[int, str, str, str, int]


class Missing:
    """One pass over the recorded frames; keeps the listing of the folder it is in."""

    def __init__(self, directories: Directories, layout: Layout, root: Path) -> None:
        self._directories = directories
        self._layout = layout
        self._root = root
        self._place: str | None = None
        self._sizes: dict[str, int] | None = {}

    def page(self, db: sqlite3.Connection, after: int) -> list[Row]:
        """The next frames recorded as mirrored."""
        return db.execute(_PAGE, (after,)).fetchall()

    def gone(self, page: list[Row]) -> Iterator[tuple[int, FrameRef]]:
        """Those whose file is not there: row and name. Raises `DestinationError`."""
        for row, workspace_id, root_id, frame_id, size in page:
            ref = FrameRef(workspace_id, root_id, frame_id)
            if not self.there(ref, size):
                yield row, ref

    def there(self, ref: FrameRef, size: int) -> bool:
        """Whether a regular file of `size` bytes is at a frame's name. Raises `DestinationError`.

        Cheap when frames of one folder are asked one after the other.
        """
        place, name = split(self._layout.relative(ref))
        if place != self._place:
            self._sizes = self._list(place)
            self._place = place
        sizes = self._sizes
        return size == (self._asked(place, name) if sizes is None else sizes.get(name, NO_FILE))

    def _list(self, place: str) -> dict[str, int] | None:
        """What each name in a folder holds, as `_size` says it; None: too many to keep."""
        sizes: dict[str, int] = {}
        try:
            with os.scandir(self._directories.find(place)) as entries:
                for entry in entries:
                    sizes[entry.name] = _size(entry)
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


def _size(entry: os.DirEntry[str]) -> int:
    """Bytes of a regular file; `NO_FILE` for all else. Raises `OSError`."""
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # it went since the folder was listed
        return NO_FILE
    return found.st_size if stat.S_ISREG(found.st_mode) else NO_FILE
