"""`mirror sync`: the main job."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.output import print_report
from mirror.cli.running import run_visibly
from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.errors import MirrorError, UsageError, frame_reasons
from mirror.export import Selection
from mirror.settings import Settings
from mirror.shards import Shard, checked, plain_number
from mirror.sync.rehearsal import rehearse
from mirror.sync.report import RunReport, encode_report, report_failure
from mirror.sync.request import SyncRequest

INDICES = ("JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID")
"""What schedulers call the number of a job's part, from 0."""


def _check_reason(value: str | None) -> str | None:
    known = sorted(frame_reasons())
    if value is not None and value != "*" and value not in known:
        raise typer.BadParameter(f"no frame fails with {value!r}; reasons are {', '.join(known)}")
    return value


def _check_shard(value: str | None) -> str | None:
    try:
        return None if value is None else str(Shard.parse(value))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def asked_shard(named: str | None, settings: Settings, environ: Mapping[str, str]) -> Shard | None:
    """The shard that this process is to work on. Raises `UsageError`."""
    shard = Shard.parse(named) if named else None
    if settings.shards is not None:
        if shard is not None and shard.count != settings.shards:
            raise UsageError(
                f"--shard {shard} is none of {settings.shards} shards, which --shards,"
                " MIRROR_SHARDS or the settings file ask for: give one of the two."
            )
        if shard is None or any(environ.get(name) for name in INDICES):
            indexed = indexed_shard(settings.shards, environ)
            if shard not in {None, indexed}:
                raise UsageError(
                    f"--shard {shard} is not what --shards {settings.shards} means here, which is"
                    f" {indexed}: give one of the two."
                )
            shard = indexed
    if shard is not None and settings.processes > 1:
        raise UsageError(
            f"A shard is the work of one process, and {settings.processes} are asked for by"
            " --processes, MIRROR_PROCESSES or the settings file: give one of the two."
        )
    return shard


def indexed_shard(count: int, environ: Mapping[str, str]) -> Shard:
    """The shard of `count` that a scheduler's index names. Raises `UsageError`."""
    found = {name: environ[name] for name in INDICES if environ.get(name)}
    if len(set(found.values())) > 1:
        both = " and ".join(f"{name} is {text!r}" for name, text in found.items())
        raise UsageError(f"{both}: unset the one that is not this job's index, or give --shard.")
    for name, text in found.items():
        try:
            return checked(plain_number(text), count)
        except ValueError:
            raise UsageError(
                f"{name} is {text!r}, but with --shards {count} it must be 0 to {count - 1}: set"
                " the job's indices to that (Kubernetes: completions, Slurm: --array)."
            ) from None
    raise UsageError(
        f"--shards {count} needs to know which of them this is: run it as an Indexed Job of"
        f" Kubernetes ({INDICES[0]}) or an array job of Slurm ({INDICES[1]}), or give --shard I/N."
    )


def sync(
    shell: Shell,
    exports: Annotated[
        list[Path], typer.Argument(metavar="EXPORT", help="The JSON files of the batches.")
    ],
    dest: Annotated[
        Path,
        typer.Option(
            "--dest", metavar="DEST", parser=folder, help="The folder that the frames go to."
        ),
    ],
    sequence: Annotated[
        list[str] | None,
        typer.Option("--sequence", metavar="ROOT_ID", help="Only this sequence. Repeatable."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="CODE", help="Only frames with this label. Repeatable."),
    ] = None,
    labelled_only: Annotated[
        bool, typer.Option("--labelled-only", help="Only frames with any label.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Only the first N of these.")
    ] = None,
    retry_failed: Annotated[
        str | None,
        typer.Option(
            "--retry-failed",
            metavar="[=REASON]",
            callback=_check_reason,
            help="Only frames that failed before, all or those with this reason.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be fetched; write nothing.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            callback=_check_shard,
            help="Only shard I of N, from 0; then `mirror merge`.",
        ),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            help="Only one shard of N: the JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", metavar="P", help="Work with P processes, for more cores."),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", metavar="MAX", help="Requests in flight, at the most."),
    ] = None,
    max_rate: Annotated[
        str | None,
        typer.Option("--max-rate", metavar="BYTES/s", help="Download no faster, e.g. 20MB."),
    ] = None,
    write_checksums: Annotated[
        bool,
        typer.Option(
            "--write-checksums", help="Write DEST/.mirror/SHA256SUMS, for sha256sum --check."
        ),
    ] = False,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", metavar="PORT", help="Serve metrics on 127.0.0.1:PORT."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run report as one JSON object.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")] = False,
) -> None:
    """Bring every frame of these exports to DEST: complete, verified, durable.

    Running it again goes on where it stopped; what is there is never fetched twice.

    [bold]Examples[/]

    mirror sync batch.json --dest frames

    mirror sync batch.json --dest frames --label gallbladder --limit 500

    mirror sync batch.json --dest frames --retry-failed=not_found

    mirror sync batch.json --dest frames --processes 4

    mirror sync batch.json --dest frames --shard 0/4
    """
    try:
        settings = shell.settings(
            shards=shards,
            processes=processes,
            concurrency=concurrency,
            max_rate=max_rate,
            metrics_port=metrics_port,
            write_checksums=write_checksums or None,
        )
        request = SyncRequest(
            exports=tuple(exports),
            destination=dest,
            selection=Selection(
                sequences=frozenset(sequence or ()),
                labels=frozenset(label or ()),
                labelled_only=labelled_only,
            ),
            limit=limit,
            retry_failed=retry_failed,
            shard=asked_shard(shard, settings, os.environ),
        )
        if dry_run:
            report = rehearse(request, settings)
        else:
            report = run_loop(run_visibly(request, settings, quiet=quiet))
    except MirrorError as error:
        if as_json:
            _print_json(report_failure(error, str(dest)))
        raise
    if as_json:
        _print_json(report)
    else:
        print_report(report)
    if report.error:
        shell.say(report.error)
    raise typer.Exit(report.exit_code)


def _print_json(report: RunReport) -> None:
    sys.stdout.buffer.write(encode_report(report))
    sys.stdout.flush()
