"""A file given its final name, unless something has that name.

`renameat2(RENAME_NOREPLACE)` does so in one step; where the kernel or the file system does not know
it, the name is looked at first, and whoever takes it in between is replaced.
"""

from __future__ import annotations

import ctypes
import errno
import os

from mirror.store.destination import stands

_NOREPLACE = 1
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}
_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)


def rename_new(name: str, source: int, new: str, target: int) -> bool:
    """Rename `name` in the folder `source` to `new` in `target`; False where something has that
    name. Raises `OSError`."""
    number = errno.ENOSYS
    if _renameat2 is not None:
        if not _renameat2(source, os.fsencode(name), target, os.fsencode(new), _NOREPLACE):
            return True
        number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    if number not in _UNKNOWN:
        raise OSError(number, os.strerror(number))
    if stands(new, target):
        return False
    os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
    return True
