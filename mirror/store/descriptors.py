"""File descriptors: how many there may be, and how a written one ends."""

from __future__ import annotations

import os
import resource
import sys


def most_descriptors() -> int:
    """How many this process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def sync_and_close(file: int) -> OSError | None:
    """Sync and close; what the first of the two that failed says."""
    failed = None
    try:
        os.fsync(file)
    except OSError as error:
        failed = error
    try:
        os.close(file)
    except OSError as error:
        failed = failed or error
    return failed
