"""`mirror annotations`: annotations as training data.

Without the usual import of `annotations` from `__future__`: the command has that name.
"""

import os
import textwrap
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mirror.annotations import Choice, Tally, open_collection, parse_splits
from mirror.annotations.conversion import (
    Conversion,
    Converted,
    Needs,
    convert,
    find_format,
    known_formats,
    needed,
    refuse_missing,
)
from mirror.annotations.datasets import ImageMode
from mirror.annotations.datasets.formats import OTHER
from mirror.annotations.splits import UNSPLIT
from mirror.cli.choosing import AsJson, Codes, LabelledOnly, Quiet, Roots, Strict
from mirror.cli.shell import Shell, folder
from mirror.cli.tables import Section, print_sections
from mirror.cli.ticker import ticking
from mirror.errors import UsageError
from mirror.observe.phrases import number, word
from mirror.observe.text import printable


def annotations(
    shell: Shell,
    exports: Annotated[
        list[Path] | None,
        typer.Argument(metavar="EXPORT…", help="The JSON files of the batches."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="FORMAT", help="csv, coco, webvtt, …; `list` shows all.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", parser=folder, help="What to write.")
    ] = None,
    frames: Annotated[
        Path | None,
        typer.Option("--frames", metavar="DEST", parser=folder, help="Where the frames are."),
    ] = None,
    images: Annotated[
        ImageMode, typer.Option("--images", help="How image datasets come by the frames.")
    ] = ImageMode.REFERENCE,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out frames that are not mirrored.")
    ] = False,
    sequence: Roots = None,
    label: Codes = None,
    labelled_only: LabelledOnly = False,
    split: Annotated[
        str,
        typer.Option("--split", metavar="SHARES", help="By sequence: train=0.8,val=0.1,test=0.1."),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of --split: another one, another draw.")] = 0,
    fps: Annotated[
        float, typer.Option("--fps", min=0.001, help="Of cholec80: the video's frames a second.")
    ] = 25.0,
    tool: Annotated[
        list[str] | None,
        typer.Option("--tool", metavar="CODE", help="Of cholec80: this label is no phase."),
    ] = None,
    strict: Strict = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write annotations as training data: tables, image datasets, phases of videos.

    Image datasets need --frames, whose ledger has each image's size. What can't be written is
    counted and told; nothing is left out in silence.

    [bold]Examples[/]

    mirror annotations --to list

    mirror annotations batch.json --to csv --out tables

    mirror annotations batch.json --to coco --frames frames --out coco --split train=0.8,val=0.2

    mirror annotations videos.json --to cholec80 --fps 25 --out phases
    """
    if to == "list":
        _list_formats(as_json=as_json)
        return
    if not (exports and to and out):
        lacking = "EXPORT" if not exports else "--to FORMAT" if not to else "--out DIR"
        raise UsageError(f"{lacking} is missing; `mirror annotations --help` has examples.")
    find_format(to)
    choice = Choice(frozenset(sequence or ()), frozenset(label or ()), not labelled_only)
    splits = parse_splits(split, seed) if split else UNSPLIT
    wanted = Conversion(to, images, fps, frozenset(tool or ()))
    os.umask(0o077)  # what is written shows patients, or tells of them
    tally = Tally()
    with (
        open_collection(exports, frames, strict=strict, choice=choice, splits=splits) as collection,
        ticking(lambda: f"{number(tally.seen, 'frame')} read", quiet=quiet),
    ):
        if frames and not allow_missing and needed(to) is not Needs.INTERVALS:
            refuse_missing(collection, frames)
        converted = convert(collection, out, wanted, tally)
    if as_json:
        found = {"out": str(out), **msgspec.to_builtins(converted)}
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _tell(converted, out)
    if converted.lacking:
        shell.say(converted.lacking)
    for name, count in converted.splits.items():
        if not count:
            shell.say(f"No sequence came into the split {name}; another --seed draws anew.")


def _list_formats(*, as_json: bool) -> None:
    known = known_formats()
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(known), indent=2))
        return
    told = Counter(known.values())
    own = {name: what for name, what in known.items() if told[what] == 1}
    width = max(map(len, own))
    for name, what in own.items():
        typer.echo(f"{name:{width}}  {what}")
    rest = ", ".join(name for name in known if name not in own)
    rest = rest or "pip install 'savant-mirror[formats]' shows which"
    typer.echo(textwrap.fill(f"and {OTHER.help}: {rest}", 100, subsequent_indent="  "))


def _tell(converted: Converted, out: Path) -> None:
    written = ", ".join(
        number(count, word(what).removesuffix("s"), word(what))
        for what, count in converted.written.items()
    )
    typer.echo(f"{printable(str(out))}: {written or 'nothing'} written as {converted.format}.")
    print_sections(_sections(converted))
    for example in converted.examples:
        typer.echo(f"left out: {printable(example)}")


def _sections(converted: Converted) -> Iterator[Section]:
    if converted.splits:
        rows = [(name, f"{count:,}") for name, count in converted.splits.items()]
        yield Section(("split", "sequences"), rows)
    rows = [("clipped to the image", f"{converted.clipped:,}")] if converted.clipped else []
    for title, counts in (
        ("noted", converted.noted),
        ("skipped", converted.skipped),
        ("wrong, left out", converted.left_out),
    ):
        rows += [(f"{title}: {word(why)}", f"{count:,}") for why, count in counts.items()]
    if rows:
        yield Section(("not as in the export", "count"), rows)
