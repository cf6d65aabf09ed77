"""`docs/ledger.md` describes the tables that there are."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from mirror.store import Destination, FrameState, Layout, Ledger
from mirror.store.schema import APPLICATION, VERSION

DOCUMENT = (Path(__file__).parents[2] / "docs/ledger.md").read_text(encoding="utf-8")


def test_every_table_and_column_is_documented_and_no_other(tmp_path: Path) -> None:
    with Destination.open(tmp_path, Layout()) as destination:
        Ledger.open(destination).close()
    db = sqlite3.connect(tmp_path / ".mirror/ledger.sqlite3")
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    real = {
        name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for (name,) in tables
    }
    db.close()
    written = {
        section.split("\n", 1)[0]: re.findall(r"^\| (\w+) \|", section, re.MULTILINE)[1:]
        for section in DOCUMENT.split("\n## What")[0].split("\n### ")[1:]
    }
    assert written == real


def test_states_and_versions_are_documented() -> None:
    states = ", ".join(f"{state.value} {state.name.lower()}" for state in FrameState)
    assert states in DOCUMENT
    assert f"0x{APPLICATION:X}" in DOCUMENT
    assert f"version of the tables:\n  {VERSION}." in DOCUMENT
