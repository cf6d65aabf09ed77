"""What an `OSError` at the destination means for us: the one place that reads errno.

Three kinds: the disk did not keep this file (fetch again), the file system refuses this one file
(the frame fails), or the destination can't be written at all (the run stops).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mirror.errors import (
    DestinationError,
    OutOfFilesError,
    WriteLostError,
    WriteRefusedError,
)

OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""No descriptor is left: the disk was not even asked."""
LOST = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.ESTALE})
"""The disk failed, we ran out of file descriptors, or somebody took the file away."""
REFUSED = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.ENAMETOOLONG,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.EINVAL,
        errno.EXDEV,
        errno.EMLINK,
        errno.ETXTBSY,
        errno.EBUSY,
    }
)
_ADVICE = {
    errno.ENOSPC: "it is full (no space, or no inodes): make room and run again",
    errno.EDQUOT: "the disk quota is used up: make room and run again",
    errno.EROFS: "it is mounted read-only: mount it read-write and run again",
    errno.EACCES: "permission denied: make it writable for this user and run again",
    errno.EPERM: "permission denied: make it writable for this user and run again",
    errno.EIO: "the disk reports errors: check it before running again",
    errno.ENOTDIR: "a file or a symbolic link stands where a folder must be: remove it",
    errno.ELOOP: "a symbolic link stands where a file or a folder must be: remove it",
    errno.EMFILE: "too many open files: raise the limit of open files (ulimit -n) and run again",
    errno.ENFILE: "too many open files on this machine: raise the limit of open files"
    " (fs.file-max) and run again",
}


def destination_error(root: Path, error: OSError) -> DestinationError:
    """`error` as the end of the run."""
    return DestinationError(f"The destination {str(root)!r} can't be written: {why(error)}.")


def lost_error(error: OSError) -> WriteLostError | OutOfFilesError:
    """`error` as one file that the disk did not keep, or was not even asked to."""
    if error.errno in OUT_OF_FILES:
        return OutOfFilesError(f"No file could be opened for it: {_words(error)}.")
    return WriteLostError(f"The disk did not keep the file: {_words(error)}.")


def refused_error(path: str, error: OSError) -> WriteRefusedError:
    """`error` as one file that the file system refuses."""
    return WriteRefusedError(f"{path!r} can't be put in its place: {_words(error)}.")


def why(error: OSError) -> str:
    """What happened and what to do, as half a sentence."""
    return _ADVICE.get(error.errno or 0) or _words(error)


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
