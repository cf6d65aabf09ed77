"""`mirror purge`: erase frames and their records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mirror.cli.running import observed
from mirror.cli.shell import Shell, folder
from mirror.errors import InterruptedRunError, UsageError
from mirror.events import Preparing
from mirror.observe.phrases import number, size
from mirror.observe.text import printable
from mirror.store import (
    Destination,
    Erased,
    Layout,
    LedgerReader,
    Purge,
    PurgeTarget,
    audit_of,
    find_target,
    refuse_unmerged,
    unfinished,
)


def purge(
    shell: Shell,
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", parser=folder, help="The folder that the frames are in."),
    ],
    sequence: Annotated[
        list[str] | None,
        typer.Option(
            "--sequence",
            metavar="ROOT_ID",
            help="A whole sequence; WORKSPACE_ID/ROOT_ID where that is needed. Repeatable.",
        ),
    ] = None,
    frame: Annotated[
        list[str] | None,
        typer.Option(
            "--frame",
            metavar="ROOT_ID/FRAME_ID",
            help="One frame, of --sequence if given. Repeatable.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Erase frames: their files, whatever was set aside of them, and their records.

    What was erased, when and by whom goes into DEST/.mirror/audit.jsonl; by it, nothing of that is
    fetched again. One that was cut short is finished by naming nothing. Exports, backups and
    snapshots are not touched.

    [bold]Examples[/]

    mirror purge frames --sequence 2f9c1c5e

    mirror purge frames --frame 2f9c1c5e/0001 --frame 2f9c1c5e/0002
    """
    settings = shell.settings()
    refuse_unmerged(dest)
    with LedgerReader.open(dest) as reader:
        target = _target(reader, dest, sequence or [], frame or [])
        layout = Layout(reader.template(), settings.file_mode, settings.dir_mode)
    if not yes and sys.stdin.isatty():
        _ask(dest, target)
    with (
        observed(settings, str(dest), quiet=False) as events,
        Destination.open(dest, layout) as destination,
        Purge.open(destination) as purging,
    ):
        erased = purging.erase(
            target, lambda so_far: events.emit(Preparing(f"erasing: {so_far.frames:,} frames"))
        )
    if as_json:
        found = {"destination": str(dest), **msgspec.structs.asdict(erased)}
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        _print(dest, erased)


def _target(
    reader: LedgerReader, dest: Path, sequences: list[str], frames: list[str]
) -> PurgeTarget:
    audit = audit_of(dest)
    if sequences or frames:
        return find_target(reader, audit, sequences, frames)
    cut_short = unfinished(audit)
    if cut_short is None:
        raise UsageError("Name what to erase, with --sequence or --frame. Nothing was erased.")
    return cut_short


def _ask(dest: Path, target: PurgeTarget) -> None:
    what = [number(len(target.sequences), "sequence")] if target.sequences else []
    what += [number(len(target.frames), "frame")] if target.frames else []
    question = f"Erase {' and '.join(what)} from {printable(str(dest))} for good?"
    try:
        sure = typer.confirm(question, err=True)
    except typer.Abort:  # Ctrl-C, Ctrl-D
        sure = False
    if not sure:
        raise InterruptedRunError("Nothing was erased.")


def _print(dest: Path, erased: Erased) -> None:
    named = printable(str(dest))
    if not (erased.frames or erased.files or erased.set_aside):
        typer.echo(f"{named}: nothing was left of it; the audit trail says so again.")
        return
    typer.echo(
        f"{named}: {number(erased.frames, 'frame')} erased, with {number(erased.files, 'file')}"
        f" ({size(erased.bytes)})"
        + (f" and {erased.set_aside:,} that had been set aside" if erased.set_aside else "")
        + ". The audit trail .mirror/audit.jsonl says so."
    )
    if erased.folders_left:
        typer.echo(
            f"Left: {number(erased.folders_left, 'folder')} where a file should have been; look"
            " into it and remove it yourself."
        )
    typer.echo("Exports that name them, backups and snapshots are for you to erase.")
