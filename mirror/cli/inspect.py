"""`mirror inspect`: what is in exports, and what changed between two."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mirror.cli.changes import echo_changes, print_changes
from mirror.cli.contents import sections
from mirror.cli.shell import Shell
from mirror.cli.tables import print_sections
from mirror.errors import UsageError
from mirror.export import ExportFile, ExportSummary, summarize


def inspect(
    _: Shell,
    exports: Annotated[
        list[Path], typer.Argument(metavar="EXPORT", help="The JSON files of the batches.")
    ],
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Show what changed from the first export to the second."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is in exports: sequences, frames, labels, shapes, phases. Needs no network.

    With --diff: which frames were added, removed and relabelled. Exits 0 whether or not anything
    changed; --json says so in `differs`.

    [bold]Examples[/]

    mirror inspect batch.json

    mirror inspect monday.json tuesday.json --json

    mirror inspect --diff monday.json tuesday.json
    """
    if diff and len(exports) != 2:
        raise UsageError(
            f"--diff holds two exports against each other, the older one first; {len(exports)}"
            f" {'was' if len(exports) == 1 else 'were'} given."
        )
    with ExitStack() as stack:
        opened = [stack.enter_context(ExportFile.open(path)) for path in exports]
        if diff:
            (echo_changes if as_json else print_changes)(*opened)
            return
        summary = summarize(opened)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(as_object(summary)), indent=2))
    else:
        print_sections(sections(summary))


def as_object(summary: ExportSummary) -> dict[str, Any]:
    """What `--json` prints: the totals at the top, each export's own counts in `exports`."""
    exports = [
        {
            "path": export.path,
            "sha256": export.sha256,
            "size": export.size,
            **msgspec.to_builtins(export.counts),
        }
        for export in summary.exports
    ]
    return {
        "exports": exports,
        **msgspec.to_builtins(summary.total),
        "by_sequence": msgspec.to_builtins(summary.by_sequence),
        "videos": msgspec.to_builtins(summary.videos),
    }
