"""Tables on standard output: aligned on a terminal and in a file alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Section:
    """A table: the first column is text, the others are numbers. `more`: a closing remark."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    more: str = ""


def print_sections(sections: Iterable[Section]) -> None:
    """One table after the other."""
    console = Console(highlight=False, soft_wrap=True)
    for section in sections:
        if console.is_terminal:
            console.print(_table(section))
            console.print()
        else:
            typer.echo(_plain(section))


def _table(section: Section) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption_justify="left")
    for position, name in enumerate(section.columns):
        table.add_column(
            name, justify="right" if position else "left", header_style="bold", overflow="fold"
        )
    for row in section.rows:
        # Text, not str: an id or a label is no markup
        table.add_row(*(Text(cell) for cell in row))
    table.caption = Text(section.more, style="dim") if section.more else None
    return table


def _plain(section: Section) -> str:
    lines = [section.columns, *section.rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            cell.rjust(width) if position else cell.ljust(width)
            for position, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([*text, *([section.more] if section.more else []), ""])
