"""The files of a commit group brought to the disk, by a few threads.

A file is synced by the descriptor that wrote it, where that was kept: an error of the disk in
between is told to it alone for certain. No file is synced twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from mirror.store.descriptors import most_descriptors, sync_and_close
from mirror.store.destination import OLD_FILE, Destination
from mirror.store.directories import Directories
from mirror.store.steps import Step
from mirror.store.trouble import OUT_OF_FILES
from mirror.store.values import Written

SYNCING = 4
"""Threads that wait for the disk; measured in `docs/decisions/durable-writes.md`."""
OPEN_AT_ONCE = 1024


class FileSync:
    """Syncs files of one destination."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        # a quarter, because the rest of the run needs descriptors at the same time
        self._at_once = max(1, min(OPEN_AT_ONCE, most_descriptors() // 4))

    def sync(self, written: Sequence[Written]) -> Iterator[tuple[Written, OSError | None]]:
        """Each file, and what the disk said of it: None where it is durable.

        Raises `OSError` when there is not one descriptor.
        """
        with ThreadPoolExecutor(SYNCING, "mirror-sync") as threads:
            done = 0
            while done < len(written):
                files = self._open_some(written[done : done + self._at_once])
                # all of them, whatever one says: it is this that closes them
                errors = self._sync_each(files, threads)
                yield from zip(written[done:], errors, strict=False)
                done += len(files)

    def _open_some(self, written: Sequence[Written]) -> list[int | OSError]:
        """The first files, as many as there are descriptors for, and fewer the next time."""
        files: list[int | OSError] = []
        with self._destination.directories() as directories:
            for item in written:
                file = self._open(item, directories)
                if isinstance(file, OSError) and file.errno in OUT_OF_FILES:
                    if not files:
                        raise file
                    self._at_once = max(1, len(files) // 2)
                    break
                files.append(file)
        return files

    def _open(self, item: Written, directories: Directories) -> int | OSError:
        """The file, its writing to the disk begun; the descriptor sees whether that fails."""
        if item.name is not None:
            kept = self._destination.still_open(item.name)
            if kept is not None:
                return kept
        try:
            if item.name is not None:
                file = os.open(item.name, OLD_FILE, dir_fd=self._destination.temporaries_fd)
            else:  # whoever put it there may not have synced it
                path = self._destination.layout.relative(item.frame.ref)
                file = directories.open_file(path, OLD_FILE)
        except OSError as error:
            return error
        begin_writing(file)
        return file

    def _sync_each(
        self, files: Sequence[int | OSError], threads: ThreadPoolExecutor
    ) -> list[OSError | None]:
        """Sync and close them, each thread a share: to hand one over costs as much as a sync."""
        errors: list[OSError | None] = [None] * len(files)
        shares = [files[first::SYNCING] for first in range(SYNCING)]
        for first, found in enumerate(threads.map(self._sync_share, shares)):
            errors[first::SYNCING] = found
        return errors

    def _sync_share(self, files: Sequence[int | OSError]) -> list[OSError | None]:
        return [self._sync_file(file) for file in files]

    def _sync_file(self, file: int | OSError) -> OSError | None:
        if isinstance(file, OSError):
            return file
        error = sync_and_close(file)
        self._destination.reached(Step.FILE_SYNCED)
        return error


def begin_writing(file: int) -> None:
    """Have the kernel begin to write a file to the disk, without waiting for it."""
    with suppress(OSError):  # a hint; Linux begins at once
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
