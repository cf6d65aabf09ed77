"""Mirrors the frames of a SAVANT annotation export: complete, verified, durable, once.

    import mirror

    with mirror.open_export("batch.json") as export: ...
    dataset = mirror.FrameDataset("frames", "batch.json")

What is named here is the library; the rest of the package may change from version to version.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirror.annotations import FrameDataset, Subset, open_export

__version__ = "0.1.0"
__all__ = ["FrameDataset", "Subset", "__version__", "open_export"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # not before it is asked for: a command line starts in a tenth of a second
        return getattr(import_module("mirror.annotations"), name)
    raise AttributeError(f"module 'mirror' has no attribute {name!r}")
