"""A commit group made durable together. Runs on one thread, the ledger's.

The order is the promise: every file synced ▸ nothing different at its final name ▸ renamed ▸ every
folder touched synced, with those above it ▸ one ledger transaction. So a final name only ever holds
a whole, synced file, and only what is durable is recorded; a death between two steps leaves
temporaries (removed by the next run) or unrecorded files (adopted by it).

A file whose fsync failed is never synced again: the kernel may have dropped its pages and would
say yes. Its whole group is fetched again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest

from mirror.store.destination import OLD_FILE, Destination
from mirror.store.directories import Directories, ancestors, split
from mirror.store.ledger import Ledger
from mirror.store.renaming import rename_new
from mirror.store.steps import Step, Strikes
from mirror.store.syncing import SYNCING, FileSync
from mirror.store.trouble import (
    LOST,
    OUT_OF_FILES,
    REFUSED,
    destination_error,
    lost_error,
    refused_error,
)
from mirror.store.values import CommitResult, Failure, Refused, Written


class _GroupLostError(Exception):
    """The disk failed to sync something of the group."""

    def __init__(self, cause: OSError) -> None:
        super().__init__()
        self.cause = cause


class Committer:
    """Commits groups into one destination and its ledger."""

    def __init__(self, destination: Destination, ledger: Ledger) -> None:
        self._destination = destination
        self._ledger = ledger
        self._files = FileSync(destination)
        self._strikes = Strikes()

    def commit(self, written: Sequence[Written], failures: Sequence[Failure]) -> CommitResult:
        """Make `written` durable and record it, with `failures`. No temporary of it is left.

        Raises `DestinationError` when the destination can't be written or keeps failing, and
        `LedgerError`; what was renamed by then, the next run adopts.
        """
        result = CommitResult()
        try:
            placed = self._place(self._sync_files(written, result), result)
            self._sync_folders(placed)
            self._record(placed, failures, result)
        except _GroupLostError as lost:
            self._drop(written)
            self._lose(written, lost.cause, result)
            self._record([], failures, result)
        except OSError as error:
            self._drop(written)
            raise destination_error(self._destination.root, error) from None
        except BaseException:
            self._drop(written)
            raise
        return result

    # --- the steps, in their order ----------------------------------------------------------------

    def _sync_files(self, written: Sequence[Written], result: CommitResult) -> list[Written]:
        kept: list[Written] = []
        for item, error in self._files.sync(written):
            if error is None:
                kept.append(item)
            elif error.errno == errno.ENOENT:  # only this file is gone
                self._drop([item])
                result.lost.append(Refused(item.frame, lost_error(error)))
            else:
                raise _lost_or_over(error)
        self._destination.reached(Step.FILES_SYNCED)
        return kept

    def _place(self, synced: Iterable[Written], result: CommitResult) -> list[Written]:
        placed = []
        with self._destination.directories() as directories:
            for item in synced:
                path = self._destination.layout.relative(item.frame.ref)
                try:
                    self._rename(item, path, directories, result)
                except OSError as error:
                    if error.errno in REFUSED:
                        result.refused.append(Refused(item.frame, refused_error(path, error)))
                    elif error.errno in LOST:
                        result.lost.append(Refused(item.frame, lost_error(error)))
                    else:
                        raise
                    self._drop([item])
                else:
                    placed.append(item)
        return placed

    def _rename(
        self, item: Written, path: str, directories: Directories, result: CommitResult
    ) -> None:
        if item.name is None:
            return
        place, name = split(path)
        folder = directories.make(place)
        temporaries = self._destination.temporaries_fd
        self._destination.reached(Step.CHECKED)
        while not rename_new(item.name, temporaries, name, folder):
            if not _differs(item, name, folder):
                os.rename(item.name, name, src_dir_fd=temporaries, dst_dir_fd=folder)
                break
            result.set_aside.append((item.frame, self._destination.set_aside(path, folder)))
        self._destination.reached(Step.RENAMED)

    def _sync_folders(self, placed: Sequence[Written]) -> None:
        paths = {split(self._destination.layout.relative(item.frame.ref))[0] for item in placed}
        # those above too: a folder may be new, made now or by a run that died
        folders = {above for path in paths for above in ancestors(path)}
        with ThreadPoolExecutor(SYNCING, "mirror-sync") as threads:
            errors = dict(zip(folders, threads.map(self._sync_folder, folders), strict=True))
        for path, error in errors.items():
            if error is not None and error.errno in OUT_OF_FILES:
                error = self._sync_folder(path)  # noqa: PLW2901 - it was not asked; now it is alone
            if error is not None:
                raise _lost_or_over(error)
        self._destination.reached(Step.DIRECTORIES_SYNCED)

    def _record(
        self, placed: list[Written], failures: Sequence[Failure], result: CommitResult
    ) -> None:
        if placed or failures:
            self._ledger.record(placed, failures)
            self._destination.reached(Step.RECORDED)
        if placed:
            self._strikes.clear()
        result.committed.extend(placed)

    def _sync_folder(self, path: str) -> OSError | None:
        try:
            with self._destination.directories() as directories:
                os.fsync(directories.find(path))
        except OSError as error:
            return error
        self._destination.reached(Step.DIRECTORY_SYNCED)
        return None

    # --- what went wrong --------------------------------------------------------------------------

    def _drop(self, written: Iterable[Written]) -> None:
        for item in written:
            if item.name is not None:
                self._destination.remove(item.name)

    def _lose(self, written: Sequence[Written], cause: OSError, result: CommitResult) -> None:
        """Every frame of the group is to be fetched again, but for those already settled."""
        if self._strikes.out():
            raise destination_error(self._destination.root, cause)
        settled = {refused.frame.row for refused in (*result.refused, *result.lost)}
        result.lost.extend(
            Refused(item.frame, lost_error(cause))
            for item in written
            if item.frame.row not in settled
        )


def _lost_or_over(error: OSError) -> Exception:
    """What a failure to sync is: the loss of the group, or the end of the run."""
    lost = error.errno in LOST and error.errno not in OUT_OF_FILES
    return _GroupLostError(error) if lost else error


def _differs(item: Written, name: str, folder: int) -> bool:
    """Whether something other than `item`'s bytes stands at `name`. Raises `OSError`."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size != item.size:
        return True
    with os.fdopen(os.open(name, OLD_FILE, dir_fd=folder), "rb") as file:
        return file_digest(file, "sha256").digest() != item.sha256
