"""Reading a ledger whose pages were damaged behind its back, and that nobody checked."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from store_kit import group, store

from mirror.store import LedgerReader
from mirror.store.damage import DamagedLedgerError


def test_fault_49_rows_out_of_order_end_the_reading_instead_of_going_round(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("f1", "f2", "f3"))
        one.committer.commit(one.write(frames), [])
    path = tmp_path / ".mirror/ledger.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'frames'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    start = (page - 1) * size
    # the pointers to the cells of a leaf (file format, 1.6): rows 2, 1, 1 instead of 1, 2, 3
    pointers = start + 8
    content[pointers + 4 : pointers + 6] = content[pointers : pointers + 2]
    content[pointers : pointers + 2] = content[pointers + 2 : pointers + 4]
    content[pointers + 2 : pointers + 4] = content[pointers + 4 : pointers + 6]
    path.write_bytes(content)
    with LedgerReader.open(tmp_path) as reader, pytest.raises(DamagedLedgerError, match="sync"):
        list(islice(reader.mirrored(), 1000))  # else it goes round for ever
