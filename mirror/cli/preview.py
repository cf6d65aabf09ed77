"""`mirror preview`: frames with their annotations drawn on them, phases over time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mirror.annotations import Choice, Tally, open_collection
from mirror.annotations.preview import Previewed, PreviewOptions, notes, write_preview
from mirror.cli.choosing import AsJson, Codes, LabelledOnly, Quiet, Roots, Strict
from mirror.cli.shell import Shell, folder
from mirror.cli.ticker import ticking
from mirror.errors import ExitCode
from mirror.observe.phrases import number
from mirror.observe.text import printable


def preview(
    _: Shell,
    exports: Annotated[
        list[Path], typer.Argument(metavar="EXPORT", help="The JSON files of the batches.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", parser=folder, help="What to write.")
    ],
    frames: Annotated[
        Path | None,
        typer.Option(
            "--frames",
            metavar="DEST",
            parser=folder,
            help="Where the frames are; phases of videos need none.",
        ),
    ] = None,
    sequence: Roots = None,
    label: Codes = None,
    labelled_only: LabelledOnly = False,
    limit: Annotated[
        int,
        typer.Option("--limit", metavar="N", min=0, help="Frames, spread evenly; 0: all of them."),
    ] = 48,
    columns: Annotated[
        int, typer.Option("--columns", metavar="N", min=1, max=20, help="Of a contact sheet.")
    ] = 6,
    size: Annotated[
        int,
        typer.Option(
            "--size", metavar="PIXELS", min=64, max=1024, help="Of a contact sheet's pictures."
        ),
    ] = 320,
    strict: Strict = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Draw annotations: on frames, on contact sheets, on one page for a browser, over time.

    Frames that are not mirrored are counted and named. Exits 1 when the file of a mirrored frame is
    gone or can't be read.

    [bold]Examples[/]

    mirror preview batch.json --frames frames --out preview

    mirror preview batch.json --frames frames --out livers --label liver --limit 0

    mirror preview videos.json --out phases
    """
    # with --label, a frame without any of them has nothing to show
    choice = Choice(frozenset(sequence or ()), frozenset(label or ()), not (labelled_only or label))
    os.umask(0o077)  # what is written shows patients
    tally = Tally()
    with (
        open_collection(exports, frames, strict=strict, choice=choice) as collection,
        ticking(lambda: _progress(tally), quiet=quiet),
    ):
        found = write_preview(collection, out, tally, PreviewOptions(limit, size, columns))
    if as_json:
        whole = {"out": str(out), **msgspec.to_builtins(found)}
        typer.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2))
    else:
        for line in _lines(found, out):
            typer.echo(line)
    if found.unreadable:
        raise typer.Exit(int(ExitCode.PARTIAL))


def _progress(tally: Tally) -> str:
    return f"{number(tally.seen, 'frame')} read, {tally.written['frames']:,} drawn"


def _lines(found: Previewed, out: Path) -> Iterator[str]:
    parts = []
    if found.frames_read:
        parts.append(f"{found.frames:,} of {number(found.frames_read, 'frame')} drawn")
        parts.append(f"{number(found.shapes, 'shape')} on them")
        parts.append(number(found.sheets, "contact sheet"))
    if found.timelines:
        phases = number(found.intervals, "video annotation")
        parts.append(f"{phases} on {number(found.timelines, 'timeline')}")
    yield f"{printable(str(out))}: {', '.join(parts) or 'nothing to draw'}."
    for note in notes(found):
        yield f"- {printable(note)}"
    yield f"Open {printable(str(out / 'index.html'))} in a browser; it needs no network."
