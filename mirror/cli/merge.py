"""`mirror merge`: what shards have recorded, into the ledger of the whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mirror.cli.output import tell_checksums
from mirror.cli.shell import Shell, folder
from mirror.observe.phrases import number
from mirror.observe.text import printable
from mirror.store import Folded, FrameCounts, LedgerReader
from mirror.sync.merging import merge_shards


def merge(
    shell: Shell,
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", parser=folder, help="The folder that the frames are in."),
    ],
    write_checksums: Annotated[
        bool,
        typer.Option(
            "--write-checksums", help="Write DEST/.mirror/SHA256SUMS, for sha256sum --check."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fold the ledgers of finished shards into the main one.

    Run it once all runs with --shard have ended; a shard that was interrupted is folded as far as
    it came, and any later sync goes on from there. Nothing is fetched: what no shard has
    brought is told as pending.

    [bold]Examples[/]

    mirror merge frames
    """
    settings = shell.settings(write_checksums=write_checksums or None)
    folded = merge_shards(dest, settings, shell.say)
    with LedgerReader.open(dest) as reader:
        frames = reader.summary().frames
    if as_json:
        found = {"destination": str(dest), **asdict(folded), "frames": asdict(frames)}
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    named = printable(str(dest))
    if not (folded.shards or folded.damaged):
        typer.echo(f"{named}: no shard's ledger is left to merge.")
    else:
        _tell(named, folded)
    typer.echo(_all(named, frames))
    if write_checksums:
        tell_checksums(dest)


def _all(named: str, frames: FrameCounts) -> str:
    """How much of all that the exports of this destination name is there, and what is next."""
    text = (
        f"{frames.mirrored:,} of {number(frames.total, 'frame')} are mirrored,"
        f" {frames.failed:,} failed, {frames.pending:,} pending."
    )
    if frames.pending:
        text += f" `mirror sync EXPORT --dest {named}` fetches those."
    elif frames.failed:
        text += f" `mirror status {named} --failures` lists those."
    return text


def _tell(named: str, folded: Folded) -> None:
    typer.echo(
        f"{named}: the ledgers of {number(folded.shards, 'shard')} merged;"
        f" {number(folded.mirrored, 'frame')} newly recorded as mirrored,"
        f" {folded.failed:,} as failed."
    )
    if folded.damaged:
        typer.echo(
            f"{number(folded.damaged, 'ledger')} could not be read; the next sync finds the frames"
            " by their files."
        )
