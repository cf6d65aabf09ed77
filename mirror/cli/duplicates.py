"""`mirror status --duplicates`: mirrored frames with equal bytes, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import typer

from mirror.cli.tables import Section
from mirror.observe.phrases import number, size
from mirror.observe.text import printable
from mirror.store import Duplicates, EqualFrames, equal_frames

_MOST_GROUPS = 20
_MOST_SEQUENCES = 20


def find_duplicates(dest: Path) -> Duplicates:
    """All of them, counted. Raises `DestinationError`, `LedgerError`."""
    total = Duplicates(_MOST_GROUPS)
    for found in equal_frames(dest):
        total.add(found)
    return total


def headline(total: Duplicates) -> str:
    """What there is to say in a sentence."""
    if not total.groups:
        return "No two mirrored frames have equal bytes."
    told = (
        f"{number(total.frames, 'mirrored frame')} in {number(total.groups, 'group')} of equal"
        f" bytes: {total.frames - total.groups:,} repeat another one, {size(total.spent_twice)}"
        " spent twice."
    )
    if not total.across:
        return told
    where = "one group has" if total.across == 1 else f"{total.across:,} groups have"
    return f"{told} {where.capitalize()} frames of several sequences."


def sections(total: Duplicates) -> Iterator[Section]:
    """The largest groups, and the sequences with most such frames."""
    if not total.groups:
        return
    largest = total.largest()
    hidden = total.groups - len(largest)
    columns = ("equal frames, the first of them", "frames", "size", "spent twice", "sequences")
    width = len(columns) if total.across else len(columns) - 1
    yield Section(
        columns[:width],
        [_row(found)[:width] for found in largest],
        f"and {number(hidden, 'smaller group')}; --json lists all, with their frames"
        if hidden
        else "--json lists their frames",
    )
    by_sequence = total.by_sequence.most_common(_MOST_SEQUENCES)
    hidden = len(total.by_sequence) - len(by_sequence)
    yield Section(
        ("sequence (rootId)", "frames equal to another"),
        [(printable(root_id), f"{count:,}") for (_, root_id), count in by_sequence],
        f"and {number(hidden, 'more sequence')}" if hidden else "",
    )


def _row(found: EqualFrames) -> tuple[str, ...]:
    amounts = f"{len(found.frames):,}", size(found.size), size(found.spent_twice)
    return str(found.frames[0]), *amounts, f"{found.sequences:,}"


def echo_duplicates(dest: Path | None) -> None:
    """All groups as one more field of a JSON object, each written as it is found; `dest`: None
    where there is no ledger yet."""
    total = Duplicates(0)
    typer.echo(',\n  "duplicates": {\n    "each": [', nl=False)
    for found in equal_frames(dest) if dest else ():
        between = "," if total.groups else ""
        total.add(found)
        typer.echo(f"{between}\n      {msgspec.json.encode(_group(found)).decode()}", nl=False)
    typer.echo("\n    ]," if total.groups else "],")
    counts = {
        "groups": total.groups,
        "frames": total.frames,
        "spent_twice": total.spent_twice,
        "across_sequences": total.across,
    }
    lines = [f'    "{name}": {count}' for name, count in counts.items()]
    typer.echo(",\n".join(lines) + "\n  }", nl=False)


def _group(found: EqualFrames) -> dict[str, Any]:
    frames = [frame._asdict() for frame in found.frames]
    return {"sha256": found.sha256, "size": found.size, "frames": frames}
