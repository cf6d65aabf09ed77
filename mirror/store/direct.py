"""Large bodies to their files past the page cache.

A body that a page begins goes from its memory to the disk without being copied, and without pages
that the machine has to find, fill and drop again: for megabytes that is most of what writing costs.
Where the file system or the kernel will not have it so, it is written as any other.
"""

from __future__ import annotations

import errno
import fcntl
import os
from mmap import mmap

PAGE = 4096
"""Bytes that the length of a direct write is a multiple of: a block of any disk divides it."""
_DIRECT: int = getattr(os, "O_DIRECT", 0)
_REFUSED = (errno.EINVAL, errno.EOPNOTSUPP)


def write_direct(file: int, memory: mmap, size: int) -> None:
    """Write the first `size` bytes of `memory` to an empty file. Raises `OSError`."""
    with memoryview(memory) as whole:
        at = _write_pages(file, whole[: size // PAGE * PAGE])
        while at < size:
            at += os.pwrite(file, whole[at:size], at)


def _write_pages(file: int, pages: memoryview) -> int:
    """Write them directly; how many bytes were."""
    at = 0
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | _DIRECT)
        while at < len(pages) and at % PAGE == 0:
            at += os.pwrite(file, pages[at:], at)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    fcntl.fcntl(file, fcntl.F_SETFL, flags)
    return at
