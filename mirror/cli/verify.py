"""`mirror verify`: every recorded frame read back and held against its record."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any

import msgspec
import typer

from mirror.cli.output import print_report, tell_checksums
from mirror.cli.running import observed, run_observed
from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.errors import ExitCode
from mirror.observe.phrases import duration, number, size
from mirror.observe.text import printable
from mirror.settings import Settings
from mirror.store import Check, Damaged, by_content, by_size
from mirror.sync.repair import (
    Verified,
    repair_destination,
    verify_destination,
    write_checksums_at,
)
from mirror.sync.report import RunReport

_IN_MEMORY = 1024**2


class _Findings:
    """Every damaged frame as a line of JSON; beyond some, in a nameless file, so that memory stays
    flat when everything is gone."""

    def __init__(self) -> None:
        self._lines = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - lives as we do

    def add(self, damaged: Damaged) -> None:
        """Keep one."""
        entry = {
            **damaged.frame.ref._asdict(),
            "path": damaged.path,
            "damage": damaged.damage.value,
            "detail": damaged.detail,
        }
        self._lines.write(msgspec.json.encode(entry) + b"\n")

    def __iter__(self) -> Iterator[bytes]:
        self._lines.seek(0)
        for line in self._lines:
            yield line.rstrip(b"\n")


def verify(
    shell: Shell,
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", parser=folder, help="The folder that the frames are in."),
    ],
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare sizes only; read no frame.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch again what is damaged or gone.")
    ] = False,
    write_checksums: Annotated[
        bool,
        typer.Option(
            "--write-checksums",
            help="Write DEST/.mirror/SHA256SUMS from the records, for sha256sum --check.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")] = False,
) -> None:
    """Read every recorded frame back from the disk and hold it against its record.

    Exits 1 when a frame is damaged or gone; each is named. Nothing is changed without --repair,
    which sets damaged files aside and needs the account, as sync does.

    [bold]Examples[/]

    mirror verify frames

    mirror verify frames --quick --json

    mirror verify frames --repair
    """
    settings = shell.settings(write_checksums=write_checksums or None)
    check: Check = by_size if quick else by_content
    findings, report, started = _Findings(), None, time.monotonic()
    if repair:
        verified, report = _repair(dest, check, settings, findings, quiet=quiet)
    else:
        with observed(settings, str(dest), quiet=quiet) as events:
            verified = verify_destination(dest, check, events, findings.add)
    code = _exit_code(verified, report)
    seconds = time.monotonic() - started
    if as_json:
        _print_json(_summary(dest, verified, report, code, seconds), findings)
    else:
        sound = "have their size" if quick else "are whole"
        sound += f" ({size(verified.size)} in {duration(seconds)})"
        _print(dest, verified, report, findings, sound)
    if report is not None and report.error:
        shell.say(report.error)
    if write_checksums and not repair:  # last, so that it can't keep back what was found
        write_checksums_at(dest, settings)
        if not as_json:
            tell_checksums(dest)
    raise typer.Exit(int(code))


def _repair(
    dest: Path, check: Check, settings: Settings, findings: _Findings, *, quiet: bool
) -> tuple[Verified, RunReport]:
    return run_loop(
        run_observed(
            lambda events, stop, fitting: repair_destination(
                dest, check, fitting, (events, findings.add), stop
            ),
            settings,
            str(dest),
            quiet=quiet,
        )
    )


def _exit_code(verified: Verified, report: RunReport | None) -> ExitCode:
    if report is not None and report.exit_code:
        return ExitCode(report.exit_code)
    left = verified.damaged if report is None else verified.damaged - verified.repairable
    return ExitCode.PARTIAL if left else ExitCode.COMPLETE


def _summary(
    dest: Path, verified: Verified, report: RunReport | None, code: ExitCode, seconds: float
) -> dict[str, Any]:
    counts = asdict(verified)
    return {
        "destination": str(dest),
        "exit_code": int(code),
        "frames": {
            "recorded": counts["recorded"],
            "verified": counts["frames"],
            "damaged": counts["damaged"],
            "repaired": report.frames.mirrored if report is not None else 0,
            "unrecorded": counts["unrecorded"],
        },
        "bytes": counts["size"],
        "seconds": round(seconds, 3),
        "repair": report,
    }


def _print_json(summary: dict[str, Any], findings: _Findings) -> None:
    """One object; the damaged frames go out one by one."""
    whole = msgspec.json.format(msgspec.json.encode(summary), indent=2)
    write = sys.stdout.buffer.write
    write(whole.removesuffix(b"\n}") + b',\n  "damaged": [')
    between = b"\n    "
    for line in findings:
        write(between + line)
        between = b",\n    "
    write(b"\n  ]\n}\n")
    sys.stdout.flush()


def _print(
    dest: Path, verified: Verified, report: RunReport | None, findings: _Findings, sound: str
) -> None:
    for line in findings:
        found = msgspec.json.decode(line)
        typer.echo(f"{printable(found['path'])}: {found['damage']}: {printable(found['detail'])}")
    named = printable(str(dest))
    if not verified.damaged:
        typer.echo(f"{named}: all {verified.frames:,} recorded frames {sound}.")
    else:
        typer.echo(
            f"{named}: {verified.damaged:,} of {verified.frames:,} recorded frames"
            f" {'is' if verified.damaged == 1 else 'are'} damaged or gone."
        )
    if verified.unrecorded:
        typer.echo(
            f"{number(verified.unrecorded, 'frame')} more of the ledger"
            f" {'is' if verified.unrecorded == 1 else 'are'} pending or failed, with nothing to"
            " verify; `mirror status` has them."
        )
    if report is not None and verified.damaged:
        print_report(report)
    elif verified.repairable:
        typer.echo(f"`mirror verify {named} --repair` fetches them again.")
