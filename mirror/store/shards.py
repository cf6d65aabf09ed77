"""Shards' own ledgers, each in a folder below the destination's state: found, begun, folded in.

A shard's ledger begins as a copy of the whole one, so that all that is refused there is refused
here, and what is mirrored is known; or, for a process of the run that holds the whole, with its
share of what is asked for. Its folder is removed only once what it says is durable in the other
ledger, so a fold that was cut short is done again.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote

from mirror.errors import ConfigurationError, DestinationBusyError, DestinationError, LedgerError
from mirror.shards import Shard
from mirror.store.damage import DamagedLedgerError
from mirror.store.destination import TEMPORARIES, Destination
from mirror.store.directories import open_folder, split
from mirror.store.folding import fold, hand_out
from mirror.store.layout import SHARDS, STATE, place_of
from mirror.store.lock import lock_state, share_ended
from mirror.store.opening import refuse_odd
from mirror.store.reader import LedgerReader, is_file
from mirror.store.schema import NAME, make_file, open_database
from mirror.store.steps import Step
from mirror.store.trouble import destination_error
from mirror.store.values import Folded

EXPORTS = "exports"
"""A shard's file that says which exports it is of: a SHA-256 (hex) in each line."""
TEMPLATE = "template"
"""A shard's file that says how it lays frames out, for the same reason."""
_LONGEST = 1024**2
_PATIENCE = 20


def shards_at(root: Path) -> list[Shard]:
    """The shards that have a folder of their own at `root`, by count and index."""
    try:
        names = os.listdir(root / SHARDS)  # noqa: PTH208 - only names
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise destination_error(root, error) from None
    found = [shard for name in names if (shard := Shard.named(name))]
    return sorted(found, key=lambda shard: (shard.count, shard.index))


def refuse_unmerged(root: Path) -> None:
    """Raise `DestinationError` where shards have ledgers of their own at `root`, and
    `DestinationBusyError` where those are of a run that will fold them in by itself."""
    found = shards_at(root)
    holder = lock_state(root).holder
    if found and holder is not None:
        raise DestinationBusyError(
            f"A run with several processes goes on at {str(root)!r} (process {holder.pid} on"
            f" {holder.host}): wait until it has ended."
        )
    if found:
        many = len(found) > 1
        ledgers = f"ledgers of {len(found):,} shards" if many else "ledger of a shard"
        ended = "their runs have ended" if many else "its run has ended"
        raise DestinationError(
            f"The {ledgers} at {str(root)!r} {'are' if many else 'is'} not merged: run"
            f" `{merging(root)}` once {ended}, and then this again."
        )


def merging(root: Path) -> str:
    """The command that merges, as it can be typed."""
    return f"mirror merge {quote(str(root))}"


def open_whole(root: Path) -> LedgerReader:
    """The ledger of the whole. Raises `DestinationError` where there is none, which says so where
    shards have ledgers that are not merged, and `LedgerError`."""
    if not is_file(root / STATE / NAME):
        refuse_unmerged(root)
    return LedgerReader.open(root)


def fold_all(destination: Destination, db: sqlite3.Connection) -> Folded:
    """Fold the ledger of every shard into the whole one, and remove their folders.

    Raises `DestinationError`, and `DestinationBusyError` where a process still works for a shard.
    """
    total = Folded()
    for shard in shards_at(destination.root):
        total += _take_in(destination, db, shard)
        _remove(destination, shard)
        destination.reached(Step.SHARD_REMOVED)
    return total


def fold_others(destination: Destination, shard: Shard, db: sqlite3.Connection) -> None:
    """Take in what shards of another count have recorded, and leave their folders as they are.

    Several shards may do that at once. Raises `DestinationBusyError` where a run of one goes on.
    """
    for other in shards_at(destination.root):
        if other.count != shard.count:
            with _ended(destination, other) as path, suppress(DamagedLedgerError):
                if path is not None:
                    fold(db, other, path)


@contextmanager
def _ended(destination: Destination, shard: Shard) -> Iterator[Path | None]:
    """The ledger of a shard that nobody runs, without a log, for the time of the block; None where
    there is none: its frames are at their names, and adopted from there."""
    path = destination.root / place_of(shard) / NAME

    def mend(folder: int) -> None:
        with suppress(DamagedLedgerError):
            refuse_odd(path, folder)
            if path.exists():
                open_database(path, destination.layout.template).close()

    with destination.directories() as directories:
        try:
            folder = directories.find(place_of(shard))
            lock = share_ended(destination.root, folder, lambda: mend(folder))
        except OSError as error:
            raise destination_error(destination.root, error) from None
    try:
        log = path.with_name(f"{NAME}-wal")
        usable = (
            path.exists()
            and not path.is_symlink()
            and not log.exists()
            and LedgerReader.find(destination.root, place_of(shard))
        )
        if usable:
            usable.close()
        yield path if usable else None
    finally:
        os.close(lock)


def hand_out_share(destination: Destination, db: sqlite3.Connection, shard: Shard) -> int:
    """Make a shard's ledger with its share of what is asked for; how many frames that is."""
    with Destination.open_part(
        destination.root, destination.layout, shard, destination.reached
    ) as part:
        path = part.state / NAME
        make_file(path, part.layout.file_mode)
        open_database(path, part.layout.template).close()
        frames = hand_out(db, shard, path)
        os.fsync(part.state_fd)
    return frames


def copy_whole(shard: Destination) -> None:
    """Begin a shard's ledger as a copy of the whole one; nothing is done where it has begun, or
    where there is none that can be read."""
    path = shard.state / NAME
    with suppress(DamagedLedgerError):
        reader = None if path.exists() else LedgerReader.find(shard.root)
        if reader is None:
            return
        name = shard.temporary()
        with reader:
            os.close(shard.create(name))
            reader.copy(shard.state / TEMPORARIES / name)
        _sync(name, shard.temporaries_fd)
        os.rename(name, NAME, src_dir_fd=shard.temporaries_fd, dst_dir_fd=shard.state_fd)
        os.fsync(shard.state_fd)


def claim_exports(destination: Destination, shard: Shard, asked: Sequence[str]) -> None:
    """Note which exports (SHA-256, hex) the shard is of, and how it lays frames out; its siblings
    see it from other machines, where nobody may look into a ledger that is in use.

    Raises `ConfigurationError` where a shard of this count is of an export that is neither `asked`
    for nor in the whole ledger, or where any shard has another path template: they could not be
    merged.
    """
    root, template = destination.root, destination.layout.template.encode()
    known = known_exports(root, STATE).union(asked)
    for other in shards_at(root):
        if other.count == shard.count and not _claimed(root / place_of(other)) <= known:
            raise ConfigurationError(
                f"The ledger of shard {other} at {str(root)!r} is of another export: run"
                f" `{merging(root)}` first, or choose another destination."
            )
        if _noted(root / place_of(other), TEMPLATE) not in {b"", template}:
            raise ConfigurationError(
                f"Shard {other} at {str(root)!r} lays frames out by another path template: use the"
                " same MIRROR_PATH_TEMPLATE for all, or choose another destination."
            )
    destination.write_state(TEMPLATE, [template])
    destination.write_state(EXPORTS, [f"{export}\n".encode() for export in asked])


def _claimed(folder: Path) -> frozenset[str]:
    return frozenset(_noted(folder, EXPORTS).decode("ascii", "replace").split())


def _noted(folder: Path, name: str) -> bytes:
    """What a shard's file holds; nothing where there is none."""
    with suppress(OSError):
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(file, "rb") as whole:
            return whole.read(_LONGEST)
    return b""


def known_exports(root: Path, place: str) -> frozenset[str]:
    """The SHA-256 (hex) of every export that the ledger in `place` holds; none where there is no
    ledger, or none that can be read. Writes nothing."""
    with suppress(LedgerError):
        reader = LedgerReader.find(root, place)
        if reader is not None:
            with reader:
                return reader.known_exports()
    return frozenset()


def _take_in(destination: Destination, db: sqlite3.Connection, shard: Shard) -> Folded:
    with Destination.open_part(
        destination.root, destination.layout, shard, destination.reached
    ) as part:
        path = part.state / NAME
        if not os.path.lexists(path):
            return Folded()
        try:
            refuse_odd(path, part.state_fd)
            open_database(path, part.layout.template).close()  # whole, and without a log
        except DamagedLedgerError:  # its frames are at their names, and adopted from there
            return Folded(damaged=1)
        folded = fold(db, shard, path)
    destination.reached(Step.SHARD_FOLDED)
    return folded


def _remove(destination: Destination, shard: Shard) -> None:
    try:
        folder = open_folder(split(SHARDS)[1], destination.state_fd, None)
        try:
            _remove_tree(shard.name, folder)
            os.fsync(folder)
        finally:
            os.close(folder)
        with suppress(OSError):  # there are others
            os.rmdir(split(SHARDS)[1], dir_fd=destination.state_fd)
        os.fsync(destination.state_fd)
    except OSError as error:
        raise destination_error(destination.root, error) from None


def _remove_tree(name: str, folder: int) -> None:
    """Raises `OSError`. Whoever reads a ledger there may have SQLite put a file beside it while the
    folder is being emptied, or take one away; the next time it finds none to read."""
    for _ in range(_PATIENCE):
        try:
            return shutil.rmtree(name, dir_fd=folder)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
                raise
    return shutil.rmtree(name, dir_fd=folder)


def _sync(name: str, folder: int) -> None:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    try:
        os.fsync(file)
    finally:
        os.close(file)
