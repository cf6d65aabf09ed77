"""`mirror status`: what the ledger says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mirror.cli.duplicates import echo_duplicates, find_duplicates, headline
from mirror.cli.duplicates import sections as duplicate_sections
from mirror.cli.shell import Shell, folder
from mirror.cli.tables import Section, print_line, print_sections
from mirror.cli.unmerged import as_object as shard_as_object
from mirror.cli.unmerged import section as shard_section
from mirror.errors import ExitCode, UsageError
from mirror.observe.phrases import size
from mirror.observe.text import printable
from mirror.store import (
    Failure,
    Holder,
    LastRun,
    LedgerReader,
    LedgerSummary,
    LockState,
    Unmerged,
    audit_of,
    failures_at,
    last_run,
    lock_state,
    look_at_shards,
    shards_at,
    unfinished,
)

_MOST_SEQUENCES = 20
_TRIES = 3


def status(
    _: Shell,
    dest: Annotated[
        Path,
        typer.Argument(metavar="DEST", parser=folder, help="The folder that the frames go to."),
    ],
    failures: Annotated[
        bool, typer.Option("--failures", help="List every frame that has failed, a line each.")
    ] = False,
    duplicates: Annotated[
        bool,
        typer.Option(
            "--duplicates", help="Find mirrored frames whose files are equal, by SHA-256."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what is mirrored, failed and pending at DEST. Reads only; a run may be going on.

    Exits 1 when a frame has failed.

    [bold]Examples[/]

    mirror status frames

    mirror status frames --failures | cut -f 3,4

    mirror status frames --duplicates
    """
    if failures and duplicates and not as_json:
        raise UsageError("--failures and --duplicates are two lists: ask for one, or for --json.")
    if failures and not as_json:
        raise typer.Exit(int(ExitCode.PARTIAL if _print_failures(_failed(dest)) else 0))
    whole, found = _look(dest)
    summary = found.summary or whole or LedgerSummary.nothing()
    lock, last = lock_state(dest), last_run(dest)
    ledger = dest if whole else None
    if as_json:
        _echo_object(
            _as_object(dest, summary, lock, last)
            | {"shards": [shard_as_object(each) for each in found.shards]}
        )
        if failures:
            _echo_failures(_failed(dest))
        if duplicates:
            echo_duplicates(ledger)
        typer.echo("\n}")
    else:
        equal = find_duplicates(ledger) if duplicates and ledger else None
        for line in (*_headlines(dest, summary, lock, last), *([headline(equal)] if equal else [])):
            print_line(line)
        typer.echo()
        tables = duplicate_sections(equal) if equal else _sections(summary)
        print_sections((*shard_section(dest, found, lock), *tables))
    if summary.frames.failed or any(each.failed for each in found.shards):
        raise typer.Exit(int(ExitCode.PARTIAL))


def _look(dest: Path) -> tuple[LedgerSummary | None, Unmerged]:
    """What the ledger of the whole says, None where shards have begun and nothing is merged yet,
    and what those of shards do."""
    for _ in range(_TRIES):
        shards, whole = shards_at(dest), None
        if reader := LedgerReader.find(dest) if shards else LedgerReader.open(dest):
            with reader:
                whole = reader.summary()
        found = look_at_shards(dest, whole)
        if shards_at(dest) == shards:  # or else they were being merged
            break
    return whole, found


def _failed(dest: Path) -> Iterator[Failure]:
    if shards_at(dest):
        yield from failures_at(dest)
    else:
        with LedgerReader.open(dest) as reader:
            yield from reader.failures()


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        **failure.frame.ref._asdict(),
        "reason": failure.reason,
        "detail": failure.detail,
        "attempts": failure.attempts,
    }


def _print_failures(failures: Iterable[Failure]) -> bool:
    """A line each, with tabs between: workspace, root, frame, reason, attempts, detail. Whether
    there was one."""
    failed = False
    for failure in failures:
        failed = True
        words = (*failure.frame.ref, failure.reason, str(failure.attempts), failure.detail)
        typer.echo("\t".join(printable(word) for word in words))
    return failed


def _echo_object(found: dict[str, Any]) -> None:
    """A JSON object but for its end: lists that may be long follow, written as they are found."""
    text = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
    typer.echo(text.removesuffix("\n}"), nl=False)


def _echo_failures(failures: Iterable[Failure]) -> None:
    typer.echo(',\n  "failed_frames": [', nl=False)
    between = ""
    for failure in failures:
        typer.echo(f"{between}\n    {msgspec.json.encode(_failure(failure)).decode()}", nl=False)
        between = ","
    typer.echo("\n  ]" if between else "]", nl=False)


def _as_object(
    dest: Path, summary: LedgerSummary, lock: LockState, last: LastRun | None
) -> dict[str, Any]:
    return {
        "destination": str(dest),
        "frames": asdict(summary.frames),
        "bytes": summary.size,
        "sequences": [
            {
                "workspace_id": each.workspace_id,
                "root_id": each.root_id,
                **asdict(each.frames),
            }
            for each in summary.sequences
        ],
        "failures": summary.failures,
        "exports": [asdict(export) for export in summary.exports],
        "last_run": last and asdict(last),
        "running": lock.holder is not None,
        "run": lock.holder and asdict(lock.holder),
        "died": lock.died and asdict(lock.died),
    }


def _headlines(
    dest: Path, summary: LedgerSummary, lock: LockState, last: LastRun | None
) -> Iterator[str]:
    frames = summary.frames
    if summary == LedgerSummary.nothing():
        yield f"{printable(str(dest))}: no shard is merged yet"
    else:
        yield (
            f"{printable(str(dest))}: {frames.mirrored:,} of {frames.total:,} frames mirrored"
            f" ({size(summary.size)}), {frames.failed:,} failed, {frames.pending:,} pending"
        )
    if lock.holder is not None:
        yield f"A run is going on: {_named(lock.holder)}"
    if lock.died is not None:
        yield f"A run did not end by itself: {_named(lock.died)}. The next one resumes."
    if last is not None:
        yield (
            f"Last run: {printable(last.outcome)} (exit code {last.exit_code}),"
            f" ended {last.ended_at}"
        )
    if lock.holder is None and unfinished(audit_of(dest)) is not None:
        yield f"A purge was cut short: `mirror purge {printable(str(dest))}` finishes it."


def _named(holder: Holder) -> str:
    return (
        f"process {holder.pid or '?'} on {printable(holder.host) or 'an unknown host'},"
        f" since {printable(holder.since)}"
    )


def _sections(summary: LedgerSummary) -> Iterator[Section]:
    if summary.sequences:
        hidden = len(summary.sequences) - _MOST_SEQUENCES
        yield Section(
            ("sequence (rootId)", "mirrored", "failed", "pending", "frames"),
            [
                (
                    printable(each.root_id),
                    f"{each.frames.mirrored:,}",
                    f"{each.frames.failed:,}",
                    f"{each.frames.pending:,}",
                    f"{each.frames.total:,}",
                )
                for each in summary.sequences[:_MOST_SEQUENCES]
            ],
            f"and {hidden:,} more; --json lists all" if hidden > 0 else "",
        )
    if summary.failures:
        yield Section(
            ("failed because", "frames"),
            [(printable(reason), f"{count:,}") for reason, count in summary.failures.items()],
            "--failures lists them; mirror sync EXPORT --dest DEST --retry-failed tries them again",
        )
    if summary.exports:
        yield Section(
            ("export", "frames", "sequences", "taken in"),
            [
                (
                    printable(export.path),
                    f"{export.frames:,}",
                    f"{export.sequences:,}",
                    export.ingested_at,
                )
                for export in summary.exports
            ],
        )
