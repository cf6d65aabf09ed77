"""A destination, held: its lock, its folders, its temporaries.

Invariants: while a `Destination` is open, no other run on this file system holds it; every path is
used relative to a descriptor and no symbolic link below the root is followed (the root itself may
be one: that is the user's choice); what is made has exactly the modes of the layout. Opening it
removes the temporaries of runs that died. Safe to use from several threads.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from mirror.closing import Closing
from mirror.errors import DestinationError
from mirror.store.directories import Directories, open_folder, split
from mirror.store.layout import STATE, Layout
from mirror.store.lock import release_lock, take_lock
from mirror.store.steps import Reached, Step, pass_by
from mirror.store.trouble import destination_error

TEMPORARIES = "tmp"
SET_ASIDE = "set-aside"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Destination(Closing):
    """Use `Destination.open`; a context manager.

    `root`: its absolute path. `root_fd`, `state_fd`, `temporaries_fd`: its folders. `reached`: told
    each step that is done here, by whomever.
    """

    def __init__(
        self, root: Path, layout: Layout, fds: tuple[int, int, int, int], reached: Reached
    ) -> None:
        self.root = root
        self.layout = layout
        self.reached = reached
        self.root_fd, self.state_fd, self.temporaries_fd, self._lock_fd = fds
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._setting_aside = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, root: Path, layout: Layout, reached: Reached = pass_by) -> Destination:
        """Hold the destination at `root`, making what is missing.

        Raises `DestinationError`, and `DestinationBusyError` when another run holds it.
        """
        root = root.absolute()
        fds: list[int] = []
        try:
            _make_root(root, layout.dir_mode)
            fds.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            fds.append(open_folder(STATE, fds[0], layout.dir_mode))
            lock = take_lock(root, fds[1])
            fds.append(lock)
            reached(Step.HELD)
            fds.insert(2, open_folder(TEMPORARIES, fds[1], layout.dir_mode))
            _remove_all(fds[2])
            os.fsync(fds[1])
            os.fsync(fds[0])
            reached(Step.SWEPT)
        except OSError as error:
            _close_all(fds)
            raise destination_error(root, error) from None
        except BaseException:
            _close_all(fds)
            raise
        return cls(root, layout, (fds[0], fds[1], fds[2], fds[3]), reached)

    def __repr__(self) -> str:
        return f"<Destination {str(self.root)!r}{' closed' if self._closed else ''}>"

    def close(self) -> None:
        """Let go of the lock and the folders; leave no temporary. Closing again does nothing."""
        if not self._closed:
            self._closed = True
            with suppress(OSError):  # the next run removes what is left
                _remove_all(self.temporaries_fd)
            _close_all([self.root_fd, self.state_fd, self.temporaries_fd])
            release_lock(self._lock_fd)

    @property
    def state(self) -> Path:
        """The folder for everything that is no frame."""
        return self.root / STATE

    def temporary(self) -> str:
        """A new name for a temporary, unique among all runs there ever were."""
        return f"{self._token}-{next(self._numbers)}"

    def create(self, name: str) -> int:
        """A descriptor of the new, empty temporary `name`. Raises `OSError`."""
        file = os.open(name, NEW_FILE, 0o600, dir_fd=self.temporaries_fd)
        try:
            os.fchmod(file, self.layout.file_mode)  # whatever the umask is
        except BaseException:
            os.close(file)
            self.remove(name)
            raise
        return file

    def remove(self, name: str) -> None:
        """Remove a temporary, if it is there; what can't be removed, the next run removes."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self.temporaries_fd)

    def write_state(self, name: str, content: Iterable[bytes]) -> None:
        """Put a whole file, given in chunks, into the folder for everything that is no frame,
        durably. Raises `DestinationError`.
        """
        temporary = self.temporary()
        try:
            file = self.create(temporary)
            try:
                for chunk in content:
                    write_whole(file, [chunk])
                os.fsync(file)
            finally:
                os.close(file)
            self.reached(Step.STATE_SYNCED)
            os.rename(temporary, name, src_dir_fd=self.temporaries_fd, dst_dir_fd=self.state_fd)
            self.reached(Step.STATE_RENAMED)
            os.fsync(self.state_fd)
            self.reached(Step.STATE_WRITTEN)
        except OSError as error:
            raise destination_error(self.root, error) from None
        finally:
            self.remove(temporary)  # there is none where all went well

    def directories(self) -> Directories:
        """The folders below the root, for one call's work."""
        return Directories(self.root_fd, self.layout.dir_mode)

    def set_aside(self, path: str, folder: int) -> str:
        """Move what stands at `path` (its folder is open as `folder`) out of the way, durably.

        Returns where it is now, relative to the root. Raises `OSError`.
        """
        place, name = split(path)
        kept = f"{STATE}/{SET_ASIDE}/{place}".rstrip("/")
        with self._setting_aside, self.directories() as directories:
            target = directories.make(kept)
            free = next(n for n in itertools.count(1) if not stands(f"{name}.{n}", target))
            os.rename(name, f"{name}.{free}", src_dir_fd=folder, dst_dir_fd=target)
            self.reached(Step.MOVED_ASIDE)
            above = kept
            while above:
                os.fsync(directories.find(above))
                above = split(above)[0]
            os.fsync(folder)
        self.reached(Step.SET_ASIDE)
        return f"{kept}/{name}.{free}"


def stands(name: str, folder: int) -> bool:
    """Whether anything, of whatever kind, has this name in the folder."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


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


def _make_root(root: Path, mode: int) -> None:
    """Make the root and what is missing above it, each durable in its parent."""
    missing = list(itertools.takewhile(lambda path: not path.exists(), (root, *root.parents)))
    if not missing:
        if not root.is_dir():
            raise DestinationError(
                f"The destination {str(root)!r} is not a folder: name one, or a new path."
            )
        # a run that died may have made the root and not come to this
        with suppress(PermissionError):
            _sync_folder(root.resolve().parent)
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


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_all(temporaries: int) -> None:
    """Remove what dead runs left. A run that is alive would hold the lock."""
    with os.scandir(temporaries) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with suppress(IsADirectoryError):
            os.unlink(name, dir_fd=temporaries)


def _close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
