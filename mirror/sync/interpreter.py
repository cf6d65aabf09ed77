"""How a process that does nothing but a run keeps its memory. Measured in `docs/performance.md`.

Every request makes some hundred objects that live for milliseconds, few of them in cycles: to look
for cycles every 700 of them finds nothing. Buffers of up to 256 KiB come and go with every read: a
heap that is given back to the kernel at once is got back page by page.
"""

from __future__ import annotations

import ctypes
import gc

_CYCLES_AFTER = (50_000, 20, 100)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""As glibc's malloc.h numbers them."""
_KEPT = ((_MMAP_THRESHOLD, 4 << 20), (_TRIM_THRESHOLD, 32 << 20), (_TOP_PAD, 1 << 20))


def settle() -> None:
    """Once, when everything is imported and before the work begins. What another C library than
    glibc does with freed memory is left to it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_CYCLES_AFTER)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for what, size in _KEPT:
            mallopt(what, size)
