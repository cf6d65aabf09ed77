"""The steps of a write and of a commit, told as they are reached.

An observer that does nothing by default; tests use it to kill the process between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """What has just been done; those from FILE_SYNCED on belong to a commit, in this order."""

    TEMPORARY_CREATED = "temporary_created"
    TEMPORARY_WRITTEN = "temporary_written"
    FILE_SYNCED = "file_synced"
    FILES_SYNCED = "files_synced"
    CHECKED = "checked"
    SET_ASIDE = "set_aside"
    RENAMED = "renamed"
    DIRECTORY_SYNCED = "directory_synced"
    DIRECTORIES_SYNCED = "directories_synced"
    RECORDED = "recorded"


Reached = Callable[[Step], None]
"""Called on the thread that does the work (FILE_SYNCED: on any thread)."""


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
