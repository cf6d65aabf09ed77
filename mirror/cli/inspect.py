"""`mirror inspect`: what is in exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mirror.cli.shell import Shell
from mirror.cli.tables import Section, print_sections
from mirror.export import Counts, ExportFile, ExportSummary, PhaseCounts, summarize
from mirror.observe.phrases import duration, number, size
from mirror.observe.text import printable

_MOST_SEQUENCES = 20


def inspect(
    _: Shell,
    exports: Annotated[
        list[Path], typer.Argument(metavar="EXPORT", help="The JSON files of the batches.")
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
    print_sections(_sections(summary))


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


def _sections(summary: ExportSummary) -> Iterator[Section]:
    columns = ("export", "size", "sequences", "frames", "repeated", "labelled")
    rows = [
        (printable(export.path), size(export.size), *_headline(export.counts))
        for export in summary.exports
    ]
    if len(rows) > 1:
        whole = sum(export.size for export in summary.exports)
        rows.append(("together", size(whole), *_headline(summary.total)))
    yield Section(columns, rows)
    yield from _annotations(summary.total)
    if summary.by_sequence:
        yield _sequences(summary)


def _headline(counts: Counts) -> tuple[str, ...]:
    numbers = (counts.sequences, counts.frames, counts.repeated_frames, counts.labelled_frames)
    return tuple(f"{amount:,}" for amount in numbers)


def _annotations(counts: Counts) -> Iterator[Section]:
    if counts.labels:
        yield Section(
            ("label", "entries", "frames"),
            [
                (printable(code), f"{entries:,}", f"{counts.label_frames.get(code, 0):,}")
                for code, entries in counts.labels.items()
            ],
        )
    if counts.shapes:
        outside = number(counts.points_outside, "point")
        yield Section(
            ("shape", "entries"),
            [(printable(kind), f"{entries:,}") for kind, entries in counts.shapes.items()],
            f"{outside} outside the frame (x or y beyond 0..1)" if counts.points_outside else "",
        )
    if counts.phases:
        yield Section(
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


def _sequences(summary: ExportSummary) -> Section:
    hidden = len(summary.by_sequence) - _MOST_SEQUENCES
    return Section(
        ("sequence (rootId)", "frames", "labelled"),
        [
            (sequence.root_id, f"{sequence.frames:,}", f"{sequence.labelled_frames:,}")
            for sequence in summary.by_sequence[:_MOST_SEQUENCES]
        ],
        f"and {hidden:,} more; --json lists all" if hidden > 0 else "",
    )
