"""`mirror sync`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.output import print_report
from mirror.cli.running import run_visibly
from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.errors import MirrorError, frame_reasons
from mirror.export import Selection
from mirror.sync.rehearsal import rehearse
from mirror.sync.report import RunReport, encode_report, report_failure
from mirror.sync.request import SyncRequest


def _check_reason(value: str | None) -> str | None:
    known = sorted(frame_reasons())
    if value is not None and value != "*" and value not in known:
        raise typer.BadParameter(f"no frame fails with {value!r}; reasons are {', '.join(known)}")
    return value


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
    """
    try:
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
        )
        settings = shell.settings(
            concurrency=concurrency,
            max_rate=max_rate,
            metrics_port=metrics_port,
            write_checksums=write_checksums or None,
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
