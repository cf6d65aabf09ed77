"""What is fuzzed: plain functions that take bytes, and raise where a promise is broken.

A target lets pass what the house documents (`ExportError` from an export, `FrameError` from the
store, ...); everything else that comes out is a finding, and so is a disagreement with an oracle.
The time and the memory that an input may take are bounded by the caller: `run.py`, or the tests.
"""

from __future__ import annotations

from collections.abc import Callable

from answers import api, store
from files import export, png
from ledgers import ledger
from wires import wire

TARGETS: dict[str, Callable[[bytes], None]] = {
    "export": export,
    "png": png,
    "api": api,
    "store": store,
    "wire": wire,
    "ledger": ledger,
}
