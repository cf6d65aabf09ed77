"""Tables as Parquet, by pyarrow: a fixed schema, written in row groups as rows come.

Some hundred rows wait as Python values, then some ten thousands as columns until they are a row
group: 30 MB at most. pyarrow is imported when a table is written, not before.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from mirror.annotations.collection import Collection
from mirror.annotations.tables.columns import TABLES, Kind, Table
from mirror.annotations.tables.rows import Row
from mirror.annotations.tables.walk import Sinks, fill
from mirror.annotations.tally import Tally
from mirror.errors import UsageError

_BATCH = 250
_GROUP = 16_000
_WIDE = 100_000
"""Letters and points of a batch, where rows are wide."""
_LARGE = 32 * 1024**2
"""Bytes of a row group, likewise."""


def write_parquet(collection: Collection, out: Path, tally: Tally) -> None:
    """`frames.parquet`, `shapes.parquet`, `intervals.parquet` in the folder `out`.

    Raises `UsageError` without pyarrow, `ExportError`, and `OSError` where the disk refuses.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError(
            "--to parquet needs the extra: pip install 'savant-mirror[tables]'."
        ) from None
    with ExitStack() as stack:
        groups = []
        for table in TABLES:
            schema = _schema(arrow, table)
            path = str(out / f"{table.name}.parquet")
            file = stack.enter_context(parquet.ParquetWriter(path, schema, compression="zstd"))
            groups.append(_RowGroups(arrow, file, schema))
        fill(collection, Sinks(*(each.add for each in groups)), tally)
        for each in groups:
            each.flush()


class _RowGroups:
    """Gathers rows, and hands `file`, a `ParquetWriter`, one row group after the other."""

    def __init__(self, arrow: Any, file: Any, schema: Any) -> None:
        self._arrow = arrow
        self._file = file
        self._schema = schema
        self._rows: list[Row] = []
        self._batches: list[Any] = []
        self._width = self._packed = self._bytes = 0

    def add(self, row: Row) -> None:
        """One more row."""
        self._rows.append(row)
        self._width += sum(len(cell) for cell in row if isinstance(cell, str | list))
        if len(self._rows) == _BATCH or self._width > _WIDE:
            self._pack()
            if self._packed >= _GROUP or self._bytes > _LARGE:
                self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        self._pack()
        if self._batches:
            table = self._arrow.Table.from_batches(self._batches, self._schema)
            self._file.write_table(table, row_group_size=_GROUP)
            self._batches.clear()
            self._packed = self._bytes = 0

    def _pack(self) -> None:
        if self._rows:
            columns = [
                self._arrow.array(cells, field.type)
                for field, cells in zip(self._schema, zip(*self._rows, strict=True), strict=True)
            ]
            self._batches.append(self._arrow.record_batch(columns, schema=self._schema))
            self._packed += len(self._rows)
            self._bytes += self._batches[-1].nbytes
            self._rows.clear()
            self._width = 0


def _schema(arrow: Any, table: Table) -> Any:
    types = {
        Kind.TEXT: arrow.string(),
        Kind.INTEGER: arrow.int64(),
        Kind.NUMBER: arrow.float64(),
        Kind.TRUTH: arrow.bool_(),
        Kind.TEXTS: arrow.list_(arrow.string()),
        Kind.POINTS: arrow.list_(arrow.list_(arrow.float64())),
    }
    return arrow.schema(
        arrow.field(column.name, types[column.kind], nullable=column.empty)
        for column in table.columns
    )
