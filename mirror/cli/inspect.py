"""`mirror inspect`: what is in exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.cli.shell import Shell
from mirror.export import Counts, ExportFile, ExportSummary, PhaseCounts, summarize
from mirror.observe.phrases import duration, number, size
from mirror.observe.text import printable

_MOST_SEQUENCES = 20


@dataclass(frozen=True, slots=True)
class _Section:
    """A table: the first column is text, the others are numbers. `more`: a closing remark."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: str = ""


def inspect(
    _: Shell,
    exports: Annotated[
        list[Path], typer.Argument(metavar="EXPORT…", help="The JSON files of the batches.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is in exports: sequences, frames, labels, shapes, phases. Needs no network.

    [bold]Example[/]

    mirror inspect batch.json
    """
    with ExitStack() as stack:
        summary = summarize([stack.enter_context(ExportFile.open(path)) for path in exports])
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_object(summary)), indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    for section in _sections(summary):
        if console.is_terminal:
            console.print(_table(section), end="\n\n")
        else:
            typer.echo(_plain(section))


def as_object(summary: ExportSummary) -> dict[str, Any]:
    """What `--json` prints: the totals at the top, each export's own counts in `exports`."""
    exports = [
        {
            "path": export.path,
            "sha256": export.sha256,
            "size": export.size,
            **msgspec.to_builtins(export.counts),
        }
        for export in summary.exports
    ]
    return {
        "exports": exports,
        **msgspec.to_builtins(summary.total),
        "by_sequence": msgspec.to_builtins(summary.by_sequence),
    }


def _sections(summary: ExportSummary) -> Iterator[_Section]:
    columns = ("export", "size", "sequences", "frames", "repeated", "labelled")
    rows = [
        (printable(export.path), size(export.size), *_headline(export.counts))
        for export in summary.exports
    ]
    if len(rows) > 1:
        whole = sum(export.size for export in summary.exports)
        rows.append(("together", size(whole), *_headline(summary.total)))
    yield _Section(columns, rows)
    yield from _annotations(summary.total)
    if summary.by_sequence:
        yield _sequences(summary)


def _headline(counts: Counts) -> tuple[str, ...]:
    numbers = (counts.sequences, counts.frames, counts.repeated_frames, counts.labelled_frames)
    return tuple(f"{amount:,}" for amount in numbers)


def _annotations(counts: Counts) -> Iterator[_Section]:
    if counts.labels:
        yield _Section(
            ("label", "entries", "frames"),
            [
                (printable(code), f"{entries:,}", f"{counts.label_frames.get(code, 0):,}")
                for code, entries in counts.labels.items()
            ],
        )
    if counts.shapes:
        outside = number(counts.points_outside, "point")
        yield _Section(
            ("shape", "entries"),
            [(printable(kind), f"{entries:,}") for kind, entries in counts.shapes.items()],
            f"{outside} outside the frame (x or y beyond 0..1)" if counts.points_outside else "",
        )
    if counts.phases:
        yield _Section(
            ("phase", "entries", "duration", "point events", "open ends"),
            [_phase(code, phase) for code, phase in counts.phases.items()],
        )


def _phase(code: str, phase: PhaseCounts) -> tuple[str, ...]:
    return (
        printable(code),
        f"{phase.annotations:,}",
        duration(phase.milliseconds / 1000),
        f"{phase.point_events:,}",
        f"{phase.open_ends:,}",
    )


def _sequences(summary: ExportSummary) -> _Section:
    hidden = len(summary.by_sequence) - _MOST_SEQUENCES
    return _Section(
        ("sequence (rootId)", "frames", "labelled"),
        [
            (sequence.root_id, f"{sequence.frames:,}", f"{sequence.labelled_frames:,}")
            for sequence in summary.by_sequence[:_MOST_SEQUENCES]
        ],
        f"and {hidden:,} more; --json lists all" if hidden > 0 else "",
    )


def _table(section: _Section) -> Table:
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


def _plain(section: _Section) -> str:
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
