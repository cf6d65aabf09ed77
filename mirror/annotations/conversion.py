"""From a collection to a folder in a format, whole or not at all.

Which formats there are, and what becomes of a conversion. The writers are in `tables`, `phases` and
`datasets`; what they need from an extra is imported when they run.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from mirror.annotations.collection import Collection
from mirror.annotations.datasets import Categories, ImageMode, format_names, write_dataset
from mirror.annotations.datasets.formats import OTHER
from mirror.annotations.output import (
    fresh_folder,
    refuse_overlap,
    write_marker,
)
from mirror.annotations.phases import write_activitynet, write_cholec80, write_webvtt
from mirror.annotations.tables import write_csv, write_jsonl, write_parquet
from mirror.annotations.tally import Note, Skip, Tally
from mirror.errors import MissingFramesError, UsageError

MARKER = "annotations.json"
"""The file in the folder that says what was written, and that we made it."""
CATEGORIES = "categories.json"
"""The file in the folder that keeps each label's number."""
_MOST_NAMED = 10

Writer = Callable[[Collection, Path, Tally], None]


class Needs(Enum):
    """What an export must have for a format to hold anything."""

    ANYTHING = "labels or video annotations"
    LABELS = "labelled frames"
    INTERVALS = "video annotations"


TABLES = {
    "csv": "frames.csv, shapes.csv, intervals.csv",
    "jsonl": "frames.jsonl, shapes.jsonl, intervals.jsonl",
    "parquet": "frames.parquet, shapes.parquet, intervals.parquet",
}
PHASES = {
    "webvtt": "one .vtt a sequence: phases as subtitles over the video",
    "cholec80": "one phase and one tool text file a sequence, a line for each frame",
    "activitynet": "one JSON in ActivityNet's form",
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was asked for. `fps`: frames a second of the video, `tools`: codes that are no phases,
    both for `cholec80` alone. `images`: how image datasets come by the frames."""

    format: str
    images: ImageMode = ImageMode.REFERENCE
    fps: float = 25.0
    tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of it; written to the folder, too, as `annotations.json`.

    `clipped`: shapes; `skipped`: by reason, whole annotations or frames; `left_out`: annotations
    that are wrong, by kind of problem, with the first `examples`. `lacking`: a sentence where the
    exports have nothing of what the format is about. `splits`: sequences of each, where there are
    any.
    """

    format: str
    sequences: int
    written: dict[str, int]
    clipped: int = 0
    noted: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    lacking: str = ""
    splits: dict[str, int] = field(default_factory=dict)


def convert(collection: Collection, out: Path, wanted: Conversion, tally: Tally) -> Converted:
    """Write `collection` to the folder `out`, in place of what an earlier conversion wrote there.

    Raises `UsageError` for an unknown format or a folder of somebody else, `ExportError`, and
    `DestinationError` for what the disk says; then `out` is as it was.
    """
    find_format(wanted.format)
    refuse_overlap(out, (export.path for export in collection.exports), collection.root)
    with fresh_folder(out, MARKER) as folder:
        write = _writer(wanted, out)
        write(collection, folder, tally)
        collection.refuse_unseen(wanted.tools)
        _look_for_nothing(collection, wanted.format, tally)
        _keep_numbers(out, folder)
        converted = _conclude(collection, wanted, tally)
        write_marker(folder, MARKER, msgspec.to_builtins(converted) | _origin(collection, wanted))
    return converted


def _keep_numbers(out: Path, folder: Path) -> None:
    """A format without numbers leaves the labels' as they were."""
    if (out / CATEGORIES).is_file() and not (folder / CATEGORIES).exists():
        shutil.copyfile(out / CATEGORIES, folder / CATEGORIES)


def _origin(collection: Collection, wanted: Conversion) -> dict[str, Any]:
    """What the folder was made of."""
    splits = collection.splits
    return {
        "exports": [{"path": str(one.path), "sha256": one.sha256} for one in collection.exports],
        "images": str(wanted.images),
        "split": {"shares": dict(splits.shares), "seed": splits.seed} if splits.split else None,
        "sequences_by_split": _assign(collection),
    }


def _assign(collection: Collection) -> dict[str, list[str]]:
    """The sequences of each split, by the names they have in files."""
    if not collection.splits.split:
        return {}
    found: dict[str, list[str]] = {name: [] for name in collection.splits.names}
    for sequence in collection.sequences:
        found[collection.split(sequence)].append(collection.name(sequence))
    return found


def _conclude(collection: Collection, wanted: Conversion, tally: Tally) -> Converted:
    problems = collection.problems
    return Converted(
        format=wanted.format,
        sequences=len(collection.sequences),
        written=dict(tally.written),
        clipped=tally.clipped,
        noted=dict(tally.noted),
        skipped={str(why): count for why, count in tally.skipped.items()},
        left_out={str(kind): count for kind, count in problems.counts.items()},
        examples=[str(problem) for problem in problems.examples],
        lacking=problems.lacking,
        splits={name: len(names) for name, names in _assign(collection).items()},
    )


def _look_for_nothing(collection: Collection, name: str, tally: Tally) -> None:
    needs = needed(name)
    if any(tally.written[what] for what in _CONTENT[needs]) or tally.noted[Note.UNCOUNTED]:
        return
    if tally.skipped[Skip.NOT_MIRRORED] == tally.seen > 0:
        collection.problems.lack("None of the frames is mirrored, so nothing was written.")
    elif collection.problems.counts:
        collection.problems.lack(
            f"Nothing was written as {name}: what the exports have for it is wrong, and left out."
        )
    else:
        collection.problems.lack(
            f"The exports have no {needs.value} to write as {name}; `mirror inspect` shows what"
            " they hold."
        )


def refuse_missing(collection: Collection, dest: Path) -> None:
    """Raise `MissingFramesError`, which names some, where frames are not mirrored."""
    missing = collection.missing()
    first = list(islice(missing, _MOST_NAMED))
    if not first:
        return
    count = len(first) + sum(1 for _ in missing)
    more = f" and {count - len(first):,} more" if count > len(first) else ""
    raise MissingFramesError(
        f"{count:,} frames are not at {str(dest)!a}: {', '.join(map(str, first))}{more}. Run"
        " `mirror sync` first, or leave them out with --allow-missing."
    )


_CONTENT = {
    Needs.ANYTHING: ("shapes", "labels", "intervals"),
    Needs.LABELS: ("shapes", "labels"),
    Needs.INTERVALS: ("intervals",),
}


def needed(name: str) -> Needs:
    """What the format of this name is about."""
    if name in TABLES:
        return Needs.ANYTHING
    return Needs.INTERVALS if name in PHASES else Needs.LABELS


def known_formats() -> dict[str, str]:
    """Every format, with a line of help."""
    return {**TABLES, **PHASES, **format_names()}


def find_format(name: str) -> None:
    """Raise `UsageError` where no format has this name."""
    known = known_formats()
    if name in known:
        return
    near = difflib.get_close_matches(name.lower(), known, 3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if OTHER.help not in known.values():
        hint += " More come with pip install 'savant-mirror[formats]'."
    raise UsageError(f"There is no format {name!a}.{hint} `--to list` shows all.")


def _writer(wanted: Conversion, out: Path) -> Writer:
    tables: dict[str, Writer] = {
        "csv": write_csv,
        "jsonl": write_jsonl,
        "parquet": write_parquet,
        "webvtt": write_webvtt,
        "activitynet": write_activitynet,
        "cholec80": partial(write_cholec80, fps=wanted.fps, tools=wanted.tools),
    }
    return tables.get(wanted.format) or _dataset_writer(wanted, out)


def _dataset_writer(wanted: Conversion, out: Path) -> Writer:
    kept = out / CATEGORIES
    categories = Categories.load(kept if kept.is_file() else None)

    def write(collection: Collection, folder: Path, tally: Tally) -> None:
        write_dataset(
            wanted.format, collection, folder, tally, images=wanted.images, categories=categories
        )
        categories.save(folder / CATEGORIES)

    return write
