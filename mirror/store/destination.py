"""A destination, held: its lock, its folders, its temporaries.

Invariants: while a `Destination` is open, no other run on this file system holds it; every path is
used relative to a descriptor and no symbolic link below the root is followed (the root itself may
be one: that is the user's choice); what is made has exactly the modes of the layout. Opening it
removes the temporaries of runs that died. Safe to use from several threads.

A shard has a state folder of its own below the destination's: its lock, ledger and temporaries. A
run of one shard shares the destination with those of others (`open_shard`); one that holds all of
it lets processes of its own work on parts of it (`open_part`).
"""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from mirror.closing import Closing
from mirror.shards import Shard
from mirror.store.descriptors import KeptOpen, most_descriptors, write_whole
from mirror.store.directories import Directories, make_root, open_folder, split
from mirror.store.layout import STATE, Layout, place_of
from mirror.store.lock import release_lock, share_lock, take_lock
from mirror.store.steps import Reached, Step, pass_by
from mirror.store.trouble import OUT_OF_FILES, destination_error

_Share = Callable[[Path, int, ExitStack], tuple[int, ...]]
"""Shares the lock in the destination's state folder, and has it closed when the stack is."""
TEMPORARIES = "tmp"
SET_ASIDE = "set-aside"
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Destination(Closing):
    """Use `Destination.open`, `open_shard` or `open_part`; a context manager.

    `root`: its absolute path. `place`: the state folder, below it. `root_fd`, `state_fd`,
    `temporaries_fd`: its folders. `reached`: told each step that is done here, by whomever.
    """

    def __init__(
        self, root: Path, place: str, layout: Layout, fds: tuple[int, ...], reached: Reached
    ) -> None:
        self.root = root
        self.place = place
        self.layout = layout
        self.reached = reached
        self.root_fd, self.state_fd, self.temporaries_fd, self._lock_fd, *self._shared = fds
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._setting_aside = threading.Lock()
        self._as_made: bool | None = None
        self._written = KeptOpen(most_descriptors() // 8)
        self._closed = False

    @classmethod
    def open(cls, root: Path, layout: Layout, reached: Reached = pass_by) -> Destination:
        """Hold the destination at `root`, making what is missing.

        Raises `DestinationError`, and `DestinationBusyError` when another run holds it.
        """
        return cls._open(root, STATE, layout, reached, _share_nothing)

    @classmethod
    def open_shard(
        cls, root: Path, layout: Layout, shard: Shard, reached: Reached = pass_by
    ) -> Destination:
        """The same for one shard: others may be held meanwhile, the whole may not."""
        return cls._open(root, place_of(shard), layout, reached, _share_whole)

    @classmethod
    def open_part(
        cls, root: Path, layout: Layout, shard: Shard, reached: Reached = pass_by
    ) -> Destination:
        """The same on behalf of the run that holds the whole."""
        return cls._open(root, place_of(shard), layout, reached, _share_nothing)

    @classmethod
    def _open(
        cls, root: Path, place: str, layout: Layout, reached: Reached, share: _Share
    ) -> Destination:
        root = root.absolute()
        with ExitStack() as kept, ExitStack() as passing:
            try:
                make_root(root, layout.dir_mode)
                top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                kept.callback(os.close, top)
                folders = [top]
                shared: tuple[int, ...] = ()
                for name in place.split("/"):
                    folders.append(open_folder(name, folders[-1], layout.dir_mode))
                    passing.callback(os.close, folders[-1])
                    if name == STATE:  # before what is below, which a merge removes
                        shared = share(root, folders[-1], kept)
                lock = take_lock(root, folders[-1])
                kept.callback(os.close, lock)
                reached(Step.HELD)
                temporaries = open_folder(TEMPORARIES, folders[-1], layout.dir_mode)
                kept.callback(os.close, temporaries)
                _remove_all(temporaries)
                for folder in reversed(folders):
                    os.fsync(folder)
                reached(Step.SWEPT)
                state = os.dup(folders[-1])
            except OSError as error:
                raise destination_error(root, error) from None
            kept.pop_all()
        return cls(root, place, layout, (top, state, temporaries, lock, *shared), reached)

    def __repr__(self) -> str:
        return f"<Destination {str(self.root)!r}{' closed' if self._closed else ''}>"

    def close(self) -> None:
        """Let go of the lock and the folders; leave no temporary. Closing again does nothing."""
        if not self._closed:
            self._closed = True
            self._written.close()
            with suppress(OSError):  # the next run removes what is left
                _remove_all(self.temporaries_fd)
            for folder in (self.root_fd, self.state_fd, self.temporaries_fd):
                os.close(folder)
            release_lock(self._lock_fd)
            for lock in self._shared:
                os.close(lock)

    @property
    def state(self) -> Path:
        """The folder for everything that is no frame."""
        return self.root / self.place

    def temporary(self) -> str:
        """A new name for a temporary, unique among all runs there ever were."""
        return f"{self._token}-{next(self._numbers)}"

    def create(self, name: str) -> int:
        """A descriptor of the new, empty temporary `name`. Raises `OSError`."""
        mode = self.layout.file_mode
        try:
            file = os.open(name, NEW_FILE, mode, dir_fd=self.temporaries_fd)
        except OSError as error:
            if error.errno not in OUT_OF_FILES or not self._written.close():
                raise
            file = os.open(name, NEW_FILE, mode, dir_fd=self.temporaries_fd)
        try:
            if self._as_made is None:  # all are made alike, by one process in one folder
                self._as_made = stat.S_IMODE(os.fstat(file).st_mode) == mode
            if not self._as_made:
                os.fchmod(file, mode)  # whatever the umask is
        except BaseException:
            os.close(file)
            self.remove(name)
            raise
        return file

    def keep_open(self, name: str, file: int) -> None:
        """Take the descriptor that wrote a temporary: what an error of the disk befalls until it is
        synced, that descriptor is told. Where there are too many, it is closed."""
        if not self._written.keep(name, file):
            os.close(file)

    def still_open(self, name: str) -> int | None:
        """The descriptor that wrote a temporary, the caller's from now on, if it was kept."""
        return self._written.take(name)

    def remove(self, name: str) -> None:
        """Remove a temporary, if it is there; what can't be removed, the next run removes."""
        file = self._written.take(name)
        if file is not None:
            os.close(file)
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
        return Directories(self.root_fd, self.layout.dir_mode, self._written.close)

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


def _share_nothing(_: Path, __: int, ___: ExitStack) -> tuple[int, ...]:
    """Whoever holds the last folder holds all that is below, or does so for one who does."""
    return ()


def _share_whole(root: Path, state: int, kept: ExitStack) -> tuple[int, ...]:
    """The destination's lock, shared with other shards."""
    shared = share_lock(root, state)
    kept.callback(os.close, shared)
    return (shared,)


def stands(name: str, folder: int) -> bool:
    """Whether anything, of whatever kind, has this name in the folder."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove_all(temporaries: int) -> None:
    """Remove what dead runs left. A run that is alive would hold the lock."""
    with os.scandir(temporaries) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with suppress(IsADirectoryError):
            os.unlink(name, dir_fd=temporaries)
