"""`mirror status`: what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from mirror.cli.duplicates import echo_with_duplicates, find_duplicates, headline
from mirror.cli.duplicates import sections as duplicate_sections
from mirror.cli.shell import Shell, folder
from mirror.cli.tables import Section, print_sections
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
    ShardState,
    audit_of,
    last_run,
    lock_state,
    shards_of,
    unfinished,
)

_MOST_SEQUENCES = 20


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
    shards = shards_of(dest)
    summary = LedgerSummary.nothing()
    failed: list[dict[str, Any]] | None = [] if failures else None
    # shards may have begun, and nothing be merged yet
    if reader := LedgerReader.find(dest) if shards else LedgerReader.open(dest):
        with reader:
            summary = reader.summary()
            if failures and not as_json:
                _print_failures(reader.failures())
                raise typer.Exit(int(ExitCode.PARTIAL if summary.frames.failed else 0))
            failed = [_failure(each) for each in reader.failures()] if failures else None
    lock, last = lock_state(dest), last_run(dest)
    if as_json:
        found = _as_json(dest, summary, lock, last, failed) | {
            "shards": [_shard_as_json(each) for each in shards]
        }
        if duplicates:
            echo_with_duplicates(found, dest if reader else None)
        else:
            typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        equal = find_duplicates(dest) if duplicates and reader else None
        for line in (*_headlines(dest, summary, lock, last), *([headline(equal)] if equal else [])):
            typer.echo(line)
        typer.echo()
        tables = duplicate_sections(equal) if equal else _sections(summary)
        print_sections((*_shard_section(shards), *tables))
    if summary.frames.failed or any(each.failed for each in shards):
        raise typer.Exit(int(ExitCode.PARTIAL))


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        **failure.frame.ref._asdict(),
        "reason": failure.reason,
        "detail": failure.detail,
        "attempts": failure.attempts,
    }


def _print_failures(failures: Iterator[Failure]) -> None:
    """A line each, with tabs between: workspace, root, frame, reason, attempts, detail."""
    for failure in failures:
        words = (*failure.frame.ref, failure.reason, str(failure.attempts), failure.detail)
        typer.echo("\t".join(printable(word) for word in words))


def _as_json(
    dest: Path,
    summary: LedgerSummary,
    lock: LockState,
    last: LastRun | None,
    failed: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {
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
    if failed is not None:
        found["failed_frames"] = failed
    return found


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


def _shard_as_json(state: ShardState) -> dict[str, Any]:
    return {
        "index": state.shard.index,
        "count": state.shard.count,
        "mirrored": state.mirrored,
        "failed": state.failed,
        "running": state.lock.holder is not None,
        "run": state.lock.holder and asdict(state.lock.holder),
        "died": state.lock.died and asdict(state.lock.died),
    }


def _shard_section(shards: Sequence[ShardState]) -> Iterator[Section]:
    if shards:
        yield Section(
            ("shard", "mirrored", "failed", "run"),
            [
                (str(each.shard), f"{each.mirrored:,}", f"{each.failed:,}", _doing(each.lock))
                for each in shards
            ],
            "not merged yet: once their runs have ended, `mirror merge` or the next sync does that",
        )


def _doing(lock: LockState) -> str:
    if lock.holder is not None:
        return _named(lock.holder)
    return "did not end by itself" if lock.died is not None else "ended"


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
