"""Tables as CSV: RFC 4180, UTF-8 without a byte order mark, a header in each.

Lists are JSON in their cell, truths `true` and `false`, what is empty is an empty cell. Codes and
names are written as they are, also where a spreadsheet would take them for a formula.
"""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path

import orjson

from mirror.annotations.collection import Collection
from mirror.annotations.tables.columns import TABLES, Kind, Table
from mirror.annotations.tables.rows import Row
from mirror.annotations.tables.walk import Sink, Sinks, fill
from mirror.annotations.tally import Tally

_AS_JSON = frozenset({Kind.TRUTH, Kind.TEXTS, Kind.POINTS})


def write_csv(collection: Collection, out: Path, tally: Tally) -> None:
    """`frames.csv`, `shapes.csv`, `intervals.csv` in the folder `out`. Raises `ExportError`, and
    `OSError` where the disk refuses."""
    with ExitStack() as stack:
        fill(collection, Sinks(*(_sink(out, table, stack) for table in TABLES)), tally)


def _sink(out: Path, table: Table, stack: ExitStack) -> Sink:
    path = out / f"{table.name}.csv"
    file = stack.enter_context(path.open("x", encoding="utf-8", newline=""))
    writer = csv.writer(file)
    writer.writerow(table.names)
    places = [place for place, column in enumerate(table.columns) if column.kind in _AS_JSON]

    def add(row: Row) -> None:
        cells = list(row)
        for place in places:
            if cells[place] is not None:
                cells[place] = orjson.dumps(cells[place]).decode()
        writer.writerow(cells)

    return add
