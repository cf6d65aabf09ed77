"""`mirror doctor`: the configuration checked step by step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.doctor import Check, examine, misconfigured
from mirror.errors import ConfigurationError, ExitCode
from mirror.observe.text import printable

_MARKS = {
    "ok": ("✓", typer.colors.GREEN),
    "warn": ("!", typer.colors.YELLOW),
    "fail": ("✗", typer.colors.RED),
    "skipped": ("\u2013", typer.colors.BRIGHT_BLACK),
}


def doctor(
    shell: Shell,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Fetch the first frame of this export."),
    ] = None,
    dest: Annotated[
        Path | None,
        typer.Option(
            "--dest", metavar="DEST", parser=folder, help="Check this destination's disk."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check everything on the way, step by step, and say what to do about each failure.

    Settings, DNS, connection, login; with --export one frame; with --dest the disk.
    It leaves nothing behind.

    [bold]Example[/]

    mirror doctor --export batch.json --dest frames
    """
    checks = run_loop(_run(shell, export, dest, quiet=as_json))
    code = next((check.exit_code for check in checks if check.result == "fail"), ExitCode.COMPLETE)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_object(checks, code)), indent=2))
    raise typer.Exit(int(code))


def as_object(checks: list[Check], code: ExitCode) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "outcome": "failed" if code else "ok",
        "exit_code": int(code),
        "checks": [
            {
                "name": check.name,
                "result": check.result,
                "what": check.what,
                "advice": check.advice,
                "exit_code": int(check.exit_code),
            }
            for check in checks
        ],
    }


async def _run(shell: Shell, export: Path | None, dest: Path | None, *, quiet: bool) -> list[Check]:
    checks = []
    async for check in _checks(shell, export, dest):
        checks.append(check)
        if not quiet:
            _print(check)
    return checks


async def _checks(shell: Shell, export: Path | None, dest: Path | None) -> AsyncIterator[Check]:
    try:
        settings = shell.settings()
    except ConfigurationError as error:
        for check in misconfigured(error):
            yield check
        return
    async for check in examine(settings, export=export, dest=dest):
        yield check


def _print(check: Check) -> None:
    mark, colour = _MARKS[check.result]
    typer.echo(f"{typer.style(mark, fg=colour)} {check.name:<14} {printable(check.what)}")
    if check.advice:
        typer.echo(f"{'':17}{printable(check.advice)}")
