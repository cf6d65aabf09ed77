"""Annotations as plain tables: one row a frame, a shape, a video annotation.

Every writer makes the three tables, each with all its columns, whatever the exports hold; rows are
in the order of the exports. Nothing is clipped, closed or left out: what a row can't know (the size
of an image without a destination, an end that is left open) is empty. The columns are in
`docs/annotations-tables.md`.
"""

from mirror.annotations.tables.as_csv import write_csv
from mirror.annotations.tables.as_jsonl import write_jsonl
from mirror.annotations.tables.as_parquet import write_parquet
from mirror.annotations.tables.columns import FRAMES, INTERVALS, SHAPES, TABLES, Column, Kind, Table

__all__ = [
    "FRAMES",
    "INTERVALS",
    "SHAPES",
    "TABLES",
    "Column",
    "Kind",
    "Table",
    "write_csv",
    "write_jsonl",
    "write_parquet",
]
