"""`mirror sync`."""
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.shell import Shell


def sync(
    shell: Shell,
    exports: Annotated[list[Path], typer.Argument(metavar="EXPORT…", help="Exports.")],
    dest: Annotated[Path, typer.Option("--dest", help="Where the frames go.")],
    retry_failed: Annotated[
        str | None,
        typer.Option("--retry-failed", metavar="[REASON]", help="Only those that failed."),
    ] = None,
) -> None:
    """Bring every frame of these exports to DEST.

    Example: mirror sync batch.json --dest frames
    """
    typer.echo(f"{shell} {exports} {dest} {retry_failed}")
