"""Tables on standard output: aligned on a terminal and in a file alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.observe.phrases import pack


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
        if not console.is_terminal:
            typer.echo(_plain(section))
            continue
        if _width(section) <= console.width:
            console.print(_table(section))
        else:
            _print_stacked(console, section)
        for line in section.more.splitlines():
            # what is set in is a command, to be copied as it is
            _print_words(console, line, "dim", whole=line.startswith(" "))
        console.print()


def print_line(line: str) -> None:
    """A sentence; on a terminal no word of it is broken that fits into a line."""
    console = Console(highlight=False)
    if console.is_terminal:
        _print_words(console, line)
    else:
        typer.echo(line)


def _print_words(console: Console, line: str, style: str = "", *, whole: bool = False) -> None:
    """Wrapped at words; one that is longer than a line is left to the terminal."""
    lines = wrap(line, console.width, break_long_words=False, break_on_hyphens=False)
    for each in [line] if whole else lines:
        console.print(Text(each, style=style), soft_wrap=True)


def _width(section: Section) -> int:
    columns = zip(section.columns, *section.rows, strict=True)
    return sum(2 + max(map(cell_len, column)) for column in columns) - 2


def _table(section: Section) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for position, name in enumerate(section.columns):
        table.add_column(name, justify="right" if position else "left", header_style="bold")
    for row in section.rows:
        # Text, not str: an id or a label is no markup
        table.add_row(*(Text(cell) for cell in row))
    return table


def _print_stacked(console: Console, section: Section) -> None:
    """A table that is wider than the terminal: what leads a row has a line, or more, of its own, so
    that an id stays whole."""
    console.print(Text(section.columns[0], style="bold"))
    for first, *others in section.rows:
        console.print(Text(first))
        cells = zip(section.columns[1:], others, strict=True)
        parts = [f"{name} {cell}" for name, cell in cells if cell]
        for line in pack(parts, console.width - 2):
            _print_words(console, f"  {line}")


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
