"""`mirror inspect --diff`: what changed between two exports, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import typer

from mirror.cli.tables import Section, print_sections
from mirror.export import Changes, ExportFile, Presence, SequenceDifference, compare
from mirror.observe.phrases import number
from mirror.observe.text import printable

_MOST_SEQUENCES = 20


def print_changes(old: ExportFile, new: ExportFile) -> None:
    """A sentence and tables. Raises `ExportError`, before anything is printed."""
    total = Changes()
    shown: list[SequenceDifference] = []
    for found in compare(old, new):
        total.add(found)
        if len(shown) < _MOST_SEQUENCES:
            shown.append(found)
    for line in _headlines(old, new, total):
        typer.echo(line)
    if shown:
        typer.echo()
    print_sections(_sections(total, shown))


def echo_changes(old: ExportFile, new: ExportFile) -> None:
    """One JSON object. Raises `ExportError`, before anything is printed."""
    total = Changes()
    # encoded at once: about 50 bytes for each frame that differs
    by_sequence: list[msgspec.Raw] = []
    for found in compare(old, new):
        total.add(found)
        by_sequence.append(msgspec.Raw(msgspec.json.encode(found)))
    told = {
        "old": _about(old),
        "new": _about(new),
        **total.as_object(),
        "by_sequence": by_sequence,
    }
    typer.echo(msgspec.json.format(msgspec.json.encode(told), indent=2))


def _about(export: ExportFile) -> dict[str, Any]:
    return {"path": str(export.path), "sha256": export.sha256, "size": export.size}


def _headlines(old: ExportFile, new: ExportFile, total: Changes) -> Iterator[str]:
    yield f"{printable(str(old.path))} → {printable(str(new.path))}"
    if not total.sequences:
        yield "No difference in sequences, frames, labels, shapes or video annotations."
        return
    here = total.sequences
    yield (
        f"Sequences: {here[Presence.ADDED]:,} added, {here[Presence.REMOVED]:,} removed,"
        f" {here[Presence.BOTH]:,} changed"
    )
    redrawn = f" ({total.redrawn:,} with the same labels redrawn)" if total.redrawn else ""
    yield (
        f"Frames: {total.added:,} added, {total.removed:,} removed,"
        f" {total.relabelled:,} relabelled{redrawn}"
    )
    if total.phases_added or total.phases_removed:
        yield (
            f"Video annotations: {total.phases_added:,} added, {total.phases_removed:,} removed"
            " (a changed one is both)"
        )


def _sections(total: Changes, shown: list[SequenceDifference]) -> Iterator[Section]:
    if shown:
        hidden = total.sequences.total() - len(shown)
        phases = total.phases_added or total.phases_removed
        columns = ("sequence (rootId)", "is", "added", "removed", "relabelled", "redrawn")
        yield Section(
            (*columns, *(("phases +", "phases -") if phases else ())),
            [_row(each, phases=bool(phases)) for each in shown],
            f"and {number(hidden, 'more sequence')}; --json lists all, with the frames' ids"
            if hidden > 0
            else "--json lists the frames' ids",
        )
    if total.labels:
        yield Section(
            ("label of relabelled frames", "gained by", "lost by"),
            [
                (printable(code), f"{change.gained:,}", f"{change.lost:,}")
                for code, change in total.labels.items()
            ],
        )


def _row(found: SequenceDifference, *, phases: bool) -> tuple[str, ...]:
    is_there = "changed" if found.presence is Presence.BOTH else found.presence.value
    amounts = [len(found.added), len(found.removed), len(found.relabelled), found.redrawn]
    if phases:
        amounts += [len(found.phases_added), len(found.phases_removed)]
    name = found.root_id or "(entries without ids)"
    return name, is_there, *(f"{amount:,}" if amount else "-" for amount in amounts)
