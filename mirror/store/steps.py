"""The steps of a run's work on its destination, told as they are reached.

A `Destination` has the observer, which does nothing by default; tests use it to kill the process,
or to cut the power, between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """What has just been done, in the order of a run; FILE_SYNCED to RECORDED are a commit.
    UNRECORDED to ROWS_ERASED are a purge's, for each page of frames; the last two a merge's."""

    HELD = "held"
    SWEPT = "swept"
    LEDGER_MOVED = "ledger_moved"
    LEDGER_MADE = "ledger_made"
    LEDGER_OPENED = "ledger_opened"
    INGESTING = "ingesting"
    INGESTED = "ingested"
    FORGOTTEN = "forgotten"
    MOVED_ASIDE = "moved_aside"
    SET_ASIDE = "set_aside"
    TEMPORARY_CREATED = "temporary_created"
    BLOCK_WRITTEN = "block_written"
    TEMPORARY_WRITTEN = "temporary_written"
    FILE_SYNCED = "file_synced"
    FILES_SYNCED = "files_synced"
    CHECKED = "checked"
    RENAMED = "renamed"
    DIRECTORY_SYNCED = "directory_synced"
    DIRECTORIES_SYNCED = "directories_synced"
    RECORDING = "recording"
    RECORDED = "recorded"
    LEDGER_CLOSED = "ledger_closed"
    STATE_SYNCED = "state_synced"
    STATE_RENAMED = "state_renamed"
    STATE_WRITTEN = "state_written"
    UNRECORDED = "unrecorded"
    FILES_ERASED = "files_erased"
    ROWS_ERASED = "rows_erased"
    SHARD_FOLDED = "shard_folded"
    SHARD_REMOVED = "shard_removed"


Reached = Callable[[Step], None]
"""Called on the thread that does the work, so on any; LEDGER_MADE, INGESTING and RECORDING: what
they say is not durable yet, or not committed."""


def pass_by(_: Step) -> None:
    """The observer that does nothing."""


class Strikes:
    """Tells one bad block from a failing disk: so many failures in a row, none kept between."""

    MOST = 3

    def __init__(self) -> None:
        self._count = 0

    def __repr__(self) -> str:
        return f"<Strikes {self._count} of {self.MOST}>"

    def clear(self) -> None:
        """Something was kept."""
        self._count = 0

    def out(self) -> bool:
        """Count a failure; whether the disk must be taken for failing."""
        self._count += 1
        return self._count >= self.MOST
