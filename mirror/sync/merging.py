"""Folding the ledgers of finished shards into the ledger of the whole, outside a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mirror.errors import LedgerError
from mirror.settings import Settings
from mirror.store import (
    STATE,
    Destination,
    Folded,
    Layout,
    Ledger,
    LedgerReader,
    has_checksums,
    place_of,
    shards_at,
    write_checksums,
)


def merge_shards(root: Path, settings: Settings, tell: Callable[[str], None]) -> Folded:
    """Take in what all shards at `root` have recorded, and remove their ledgers. Blocks.

    `tell` is told, in a sentence, where the ledger of the whole was damaged and is made anew.
    Raises `DestinationError`, and `DestinationBusyError` while a run or a shard's run goes on.
    """
    layout = Layout(_template(root), settings.file_mode, settings.dir_mode)
    with Destination.open(root, layout) as destination, Ledger.open(destination) as ledger:
        if ledger.recovered:
            tell(ledger.recovered)
        folded = ledger.fold_shards()
        if settings.write_checksums or has_checksums(destination):
            write_checksums(destination, ledger.mirrored())
    return folded


def _template(root: Path) -> str:
    """How the frames are laid out: what the first ledger that can be read says."""
    for place in (STATE, *(place_of(shard) for shard in shards_at(root))):
        reader = LedgerReader.find(root, place)
        if reader is not None:
            with reader, suppress(LedgerError):
                return reader.template()
    with LedgerReader.open(root) as reader:  # there is none, or a damaged one: it says which
        return reader.template()
