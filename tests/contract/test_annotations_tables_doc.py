"""The document and the tables name the same columns, of the same types, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mirror.annotations.tables import TABLES, Kind, Table

DOC = (Path(__file__).parents[2] / "docs/annotations-tables.md").read_text()
WORDS = {
    "text": Kind.TEXT,
    "integer": Kind.INTEGER,
    "number": Kind.NUMBER,
    "truth": Kind.TRUTH,
    "list of text": Kind.TEXTS,
    "list of [x, y]": Kind.POINTS,
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_document_lists_every_column(table: Table) -> None:
    section = DOC.split(f"### {table.name}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|[^|]*\| ?([^|]*?) ?\|$", section, re.MULTILINE)
    assert [(name, WORDS[kind], bool(empty)) for name, kind, empty in rows] == list(table.columns)
