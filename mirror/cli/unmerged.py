"""The shards of `mirror status`: those that are not merged, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mirror.cli.tables import Section
from mirror.observe.phrases import number
from mirror.observe.text import printable
from mirror.store import LockState, ShardState, Unmerged, merging


def as_object(state: ShardState) -> dict[str, Any]:
    """What `--json` has of a shard."""
    return {
        "index": state.shard.index,
        "count": state.shard.count,
        "total": state.total,
        "mirrored": state.mirrored,
        "failed": state.failed,
        "pending": state.pending,
        "running": state.lock.holder is not None,
        "run": state.lock.holder and asdict(state.lock.holder),
        "died": state.lock.died and asdict(state.lock.died),
    }


def section(dest: Path, found: Unmerged, whole: LockState) -> Iterator[Section]:
    """A row for each; nothing where there are none. `whole`: who holds the destination."""
    if found.shards:
        remarks = [*_overlap(found)]
        remarks += ["merged when the run ends"] if whole.holder else _to_do(dest, found)
        yield Section(
            ("shard", "mirrored", "done", "failed", "run"),
            [_row(each) for each in found.shards],
            "\n".join(remarks),
        )


def _row(state: ShardState) -> tuple[str, ...]:
    mirrored, done = f"{state.mirrored:,}", ""
    if state.total is not None:
        mirrored += f" of {state.total:,}"
        settled = state.mirrored + state.failed  # rounded down, so that 100 % means all
        done = f"{100 * settled // state.total} %" if state.total else "100 %"
    return str(state.shard), mirrored, done, f"{state.failed:,}", _doing(state.lock)


def _doing(lock: LockState) -> str:
    if holder := lock.holder:
        host = printable(holder.host) or "an unknown host"
        return f"running (process {holder.pid or '?'} on {host})"
    return "did not end by itself" if lock.died is not None else "ended"


def _overlap(found: Unmerged) -> Iterator[str]:
    if len(found.counts) > 1:
        counts = " and of ".join(f"{count:,}" for count in found.counts)
        yield f"shards of {counts}: their frames overlap, so the rows have no sum"


def _to_do(dest: Path, found: Unmerged) -> Iterator[str]:
    begun, count = len(found.shards), found.counts[-1]
    if len(found.counts) == 1 and begun < count:
        has, is_ = ("has", "is") if count - begun == 1 else ("have", "are")
        yield f"{count - begun:,} of {number(count, 'shard')} {has} not begun (or {is_} merged)"
    yield "not merged yet: once their runs have ended, the next sync does that, or"
    yield f"  {printable(merging(dest))}"  # whole, to be copied
