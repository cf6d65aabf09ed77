"""The result of a run, for people, on standard output."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mirror.observe.phrases import clean, duration, number, size, word
from mirror.observe.text import printable
from mirror.sync.report import RunReport

_MOST_NAMED = 10
_STYLES = {"complete": "bold green", "partial": "bold yellow", "interrupted": "bold yellow"}


def print_report(report: RunReport) -> None:
    """Outcome, counts, and what to do next where something is missing."""
    console = Console(highlight=False, soft_wrap=True)
    frames = report.frames
    if report.dry_run:
        whose = f"Shard {report.shard}, " if report.shard else ""
        console.print(
            f"{whose}{number(frames.total, 'frame')}: {frames.pending:,} to fetch,"
            f" {frames.already_mirrored:,} already mirrored. Nothing was written."
        )
        return
    console.print(Text(_headline(report), style=_STYLES.get(report.outcome, "bold red")))
    if frames.total:
        console.print(_counts(report))
    elif report.shard is None and report.error is None:
        console.print("There was nothing to mirror; `mirror inspect` shows what an export holds.")
    for line in _advice(report):
        console.print(Text(line))


def _headline(report: RunReport) -> str:
    frames = report.frames
    if report.error is not None and not frames.total:
        return f"{report.outcome.capitalize()} before anything was fetched"
    there = frames.total - frames.failed - frames.pending
    whose = f" of shard {report.shard}" if report.shard else ""
    return (
        f"{report.outcome.capitalize()}. Of {number(frames.total, 'frame')}{whose} asked for,"
        f" {there:,} {'is' if there == 1 else 'are'} at {clean(report.destination)}"
    )


def tell_checksums(dest: Path) -> None:
    """Where the checksums are, and how to check them."""
    named = printable(str(dest))
    Console(highlight=False, soft_wrap=True).print(
        Text(
            f"Checksums are in {named}/.mirror/SHA256SUMS; to check them:\n"
            f"  cd {named} && sha256sum --check --quiet .mirror/SHA256SUMS"
        )
    )


def _counts(report: RunReport) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    table.add_column(justify="right")
    table.add_column()
    frames = report.frames
    rate = f", {frames.mirrored / report.seconds:,.0f} frames/s" if report.seconds > 0 else ""
    rows = [
        (frames.mirrored, f"mirrored, {size(report.bytes)} in {duration(report.seconds)}{rate}"),
        (frames.already_mirrored, "already mirrored"),
        (frames.failed, "failed"),
        (frames.pending, "pending"),
    ]
    for amount, text in rows:
        if amount:
            table.add_row(f"{amount:,}", text)
    return table


def _advice(report: RunReport) -> list[str]:
    lines = [
        f"{export.left:,} frames of an earlier {clean(export.path)} are not in it any more;"
        " they stay at the destination."
        for export in report.exports
        if export.left
    ]
    lines += [
        f"{number(export.purged, 'frame')} of {clean(export.path)}"
        f" {'was' if export.purged == 1 else 'were'} purged at this destination: left out."
        for export in report.exports
        if export.purged
    ]
    if report.set_aside:
        lines.append(
            f"{len(report.set_aside):,} files that stood in a frame's place were set aside, the"
            f" first to {clean(report.set_aside[0])}."
        )
    if report.failures:
        reasons = Counter(failure.reason for failure in report.failures)
        counted = ", ".join(f"{amount} {word(reason)}" for reason, amount in reasons.most_common())
        lines.append(f"Failed ({counted}):")
        lines += [
            f"  {failure.root_id}/{failure.frame_id}  {failure.reason}: {clean(failure.detail)}"
            for failure in report.failures[:_MOST_NAMED]
        ]
        if report.failures_total > _MOST_NAMED:
            lines.append(f"  … and {report.failures_total - _MOST_NAMED:,} more.")
        lines.append(f"`mirror status {clean(report.destination)} --failures` lists them all.")
    if report.shard and report.error is None:
        count = report.shard.partition("/")[2]
        lines.append(
            f"When all {count} shards have ended: `mirror merge {clean(report.destination)}`."
        )
    return lines
