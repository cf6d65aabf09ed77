"""Tables as JSON lines: an object a row with every column, what is empty as null."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import orjson

from mirror.annotations.collection import Collection
from mirror.annotations.tables.columns import TABLES, Table
from mirror.annotations.tables.rows import Row
from mirror.annotations.tables.walk import Sink, Sinks, fill
from mirror.annotations.tally import Tally


def write_jsonl(collection: Collection, out: Path, tally: Tally) -> None:
    """`frames.jsonl`, `shapes.jsonl`, `intervals.jsonl` in the folder `out`. Raises `ExportError`,
    and `OSError` where the disk refuses."""
    with ExitStack() as stack:
        fill(collection, Sinks(*(_sink(out, table, stack) for table in TABLES)), tally)


def _sink(out: Path, table: Table, stack: ExitStack) -> Sink:
    file = stack.enter_context((out / f"{table.name}.jsonl").open("xb"))
    names = table.names

    def add(row: Row) -> None:
        cells = dict(zip(names, row, strict=True))
        file.write(orjson.dumps(cells, option=orjson.OPT_APPEND_NEWLINE))

    return add
