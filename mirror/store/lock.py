"""The lock of a destination: one run at a time, and who it is.

A run of a shard shares the destination's lock with those of other shards, and has one of its own.

The kernel drops a flock with the process that holds it, so a dead run never blocks. Where flock
lies (some network file systems), unique names of temporaries keep two runs from harming each other.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mirror.errors import DestinationBusyError
from mirror.store.layout import STATE

NAME = "lock"
_WAL = "ledger.sqlite3-wal"
_PATIENCE = 25
_PAUSE = 0.02
"""`status` and `verify` hold the lock shared for an instant, so taking it is tried for 0.5 s."""
_LONGEST_WAIT = 500
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Holder:
    """The run that holds a destination. `since`: UTC, ISO 8601; '' and 0 where it is unknown."""

    pid: int
    host: str
    since: str


def take_lock(root: Path, state: int) -> int:
    """Take the lock in the folder `state`; the descriptor to hold it by.

    Raises `DestinationBusyError` naming the holder, and `OSError`.
    """
    with _opened(state) as lock:
        _lock(root, lock, fcntl.LOCK_EX)
        _write(lock)
    return lock


def share_lock(root: Path, state: int) -> int:
    """Share the lock in the folder `state` with others who share it; the descriptor.

    Raises `DestinationBusyError` naming who has it alone, and `OSError`.
    """
    with _opened(state) as lock:
        _lock(root, lock, fcntl.LOCK_SH)
    return lock


def share_ended(root: Path, state: int, first: Callable[[], None]) -> int:
    """Share the lock in the folder `state` with others who only read what a run left there; whoever
    has it alone calls `first` before. The descriptor.

    Waits for others who do the same. Raises `DestinationBusyError` where a run goes on there, and
    `OSError`.
    """
    with _opened(state) as lock:
        for _ in range(_LONGEST_WAIT):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                first()
                fcntl.flock(lock, fcntl.LOCK_SH)
                return lock
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return lock
            time.sleep(_PAUSE)
        raise _busy(root, lock)


def release_lock(lock: int) -> None:
    """Let go of the lock as a run that ends by itself: no name is left in it."""
    with suppress(OSError):
        if _is_ours(lock):
            os.ftruncate(lock, 0)
    os.close(lock)


@dataclass(frozen=True, slots=True)
class LockState:
    """`holder`: who holds the destination right now. `died`: who held it last, where that run did
    not end by itself: it was killed, or the power went."""

    holder: Holder | None = None
    died: Holder | None = None


def lock_state(root: Path, place: str = STATE) -> LockState:
    """What the lock in the folder `place` of the destination at `root` says. Nothing is written."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError):  # what is no lock file, nobody holds
        lock = os.open(root / place / NAME, flags)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return LockState(holder=_read(lock))
        else:
            last = _read(lock)
            return LockState(died=last if last.pid else None)
        finally:
            os.close(lock)
    return LockState()


@contextmanager
def no_run_begins(root: Path) -> Iterator[None]:
    """For the time of the block, and a short one, no run begins at `root`, or one is going on and
    its write-ahead log is there. Only then is a ledger that is not held read as it is."""
    try:
        lock = os.open(root / STATE / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # a copy without a lock, which no run has touched
        yield
        return
    try:
        for _ in range(_LONGEST_WAIT):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            if (root / STATE / _WAL).exists():
                break
            time.sleep(_PAUSE)  # it holds the destination, and is about to open the ledger
        yield
    finally:
        os.close(lock)


@contextmanager
def _opened(state: int) -> Iterator[int]:
    """The lock's file in the folder `state`; it stays open unless the block fails."""
    lock = os.open(NAME, _FLAGS, 0o600, dir_fd=state)
    try:
        yield lock
    except BaseException:
        os.close(lock)
        raise


def _lock(root: Path, lock: int, kind: int) -> None:
    for attempt in range(_PATIENCE):
        with suppress(BlockingIOError):
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
            return
        if attempt < _PATIENCE - 1:
            time.sleep(_PAUSE)
    if kind == fcntl.LOCK_EX and _is_shared(lock):
        raise DestinationBusyError(
            f"Runs of shards hold the destination {str(root)!r}; `mirror status` lists them."
            " Wait until they have ended, or stop them, and run again."
        )
    raise _busy(root, lock)


def _busy(root: Path, lock: int) -> DestinationBusyError:
    holder = _read(lock)
    return DestinationBusyError(
        f"Another run holds the destination {str(root)!r}: process {holder.pid or '?'} on"
        f" {holder.host or 'an unknown host'}, since {holder.since or 'just now'}."
        " Wait until it has ended, or stop it, and run again."
    )


def _is_shared(lock: int) -> bool:
    """Whether those who hold it share it."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False


def _write(lock: int) -> None:
    if not _is_ours(lock):
        return
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(holder).encode(), 0)


def _is_ours(lock: int) -> bool:
    """Whether it may be written: another name of some other file, which would be lost, locks all
    the same."""
    found = os.fstat(lock)
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _read(lock: int) -> Holder:
    try:
        found = json.loads(os.pread(lock, 4096, 0))
        return Holder(int(found["pid"]), str(found["host"]), str(found["since"]))
    except (ValueError, KeyError, TypeError):
        return Holder(0, "", "")  # it took the lock this very instant
