"""Folders below the destination, opened one component at a time and never through a symbolic link.

Invariants: what is opened here lies below the root's descriptor, whatever is swapped meanwhile; at
most `OPEN` descriptors are held, and none when there is no other left; new folders have exactly the
wanted mode. One instance serves one call on one thread: a folder that is moved away is noticed by
the next call at the latest.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from mirror.closing import Closing
from mirror.errors import DestinationError
from mirror.store.trouble import OUT_OF_FILES, destination_error

OPEN = 16
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_folder(name: str, parent: int, mode: int | None) -> int:
    """A descriptor of the folder `name` in `parent`; made with `mode` where it is given.

    Raises `OSError`: ENOENT, ENOTDIR for a symbolic link or a file, and what the disk says.
    """
    try:
        return os.open(name, FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if mode is None:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    folder = os.open(name, FOLDER, dir_fd=parent)
    try:
        os.fchmod(folder, mode)  # whatever the umask is
    except BaseException:
        os.close(folder)
        raise
    return folder


@contextmanager
def opened_root(root: Path) -> Iterator[int]:
    """A descriptor of a destination that is not held; nothing is made. Raises `DestinationError`.

    The root itself may be a symbolic link: that is the user's choice.
    """
    try:
        folder = os.open(root, FOLDER & ~os.O_NOFOLLOW)
    except OSError as error:
        raise destination_error(root, error) from None
    try:
        yield folder
    finally:
        os.close(folder)


class Directories(Closing):
    """Descriptors of folders by their path below `root`; '' is the root. A context manager.

    `spare` is called where there is no descriptor left, to give some up; how many those were.
    """

    def __init__(self, root: int, mode: int, spare: Callable[[], int] = int) -> None:
        self._root = root
        self._mode = mode
        self._spare = spare
        self._open: OrderedDict[str, int] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Directories {len(self._open)} open>"

    def find(self, path: str) -> int:
        """The existing folder at `path`; the descriptor is good until the next call."""
        return self._sparing(lambda: self._get(path, None))

    def make(self, path: str) -> int:
        """The folder at `path`, made with its parents where it is missing."""
        return self._sparing(lambda: self._get(path, self._mode))

    def open_file(self, path: str, flags: int) -> int:
        """A descriptor, the caller's, of the existing file at `path`."""
        place, name = split(path)
        return self._sparing(lambda: os.open(name, flags, dir_fd=self._get(place, None)))

    def _sparing(self, do: Callable[[], int]) -> int:
        """`do`, once more without what is only held in case, when there was no descriptor left."""
        try:
            return do()
        except OSError as error:
            if error.errno not in OUT_OF_FILES or not self._spare() + len(self._open):
                raise
        self.close()
        return do()

    def close(self) -> None:
        """Give back every descriptor; what is asked for later is opened anew."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _get(self, path: str, mode: int | None) -> int:
        if not path:
            return self._root
        known = self._open.get(path)
        if known is not None:
            self._open.move_to_end(path)
            return known
        parent, _, name = path.rpartition("/")
        folder = open_folder(name, self._get(parent, mode), mode)
        self._open[path] = folder
        if len(self._open) > OPEN:
            os.close(self._open.popitem(last=False)[1])
        return folder


def ancestors(path: str) -> list[str]:
    """`path` and every folder above it, up to the root ('')."""
    found = [path]
    while path:
        path = path.rpartition("/")[0]
        found.append(path)
    return found


def split(path: str) -> tuple[str, str]:
    """The folder of a relative path ('' for the root), and the name in it."""
    folder, _, name = path.rpartition("/")
    return folder, name


def make_root(root: Path, mode: int) -> None:
    """Make the root and what is missing above it, each durable in its parent."""
    missing = list(takewhile(lambda path: not path.exists(), (root, *root.parents)))
    if not missing:
        if not root.is_dir():
            raise DestinationError(
                f"The destination {str(root)!r} is not a folder: name one, or a new path."
            )
        # a run that died may have made the root and not come to this
        with suppress(PermissionError):
            sync_folder(root.resolve().parent)
        return
    parent = os.open(missing[-1].parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for path in reversed(missing):
        try:
            made = open_folder(path.name, parent, mode)
            os.fsync(parent)
        finally:
            os.close(parent)
        parent = made
    os.close(parent)


def sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
