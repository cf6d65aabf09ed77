"""One line for a tally's state: for people, for machines. Plain functions of a tally and a time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal, Protocol

from mirror.observe import phrases
from mirror.observe.tally import Tally
from mirror.observe.text import json_text, stamp

Moment = Literal["started", "progress", "finished"]

_ENDS = {
    "complete": "Complete",
    "partial": "Finished, some frames failed",
    "interrupted": "Interrupted",
    "failed": "Failed",
}


class LineStyle(Protocol):
    """How a tally becomes one line, without its end."""

    def __call__(self, moment: Moment, tally: Tally, at: datetime) -> str:
        """The state of `tally`; `at` is now."""


def plain_line(moment: Moment, tally: Tally, at: datetime) -> str:
    """A line for people: the time, then words and figures."""
    parts = {"started": _started, "progress": _progress, "finished": _finished}[moment](tally)
    return f"{stamp(at)} {' · '.join(parts)}"


def json_line(moment: Moment, tally: Tally, at: datetime) -> str:
    """A line for machines, in the shape of the log's lines.

    Times in seconds, sizes in bytes, rates a second; `frames` as in the run report.
    """
    rates = tally.rates()
    line: dict[str, Any] = {
        "timestamp": stamp(at),
        "level": "info",
        "event": moment if tally.running or tally.finished else "preparing",
        "frames": {
            "total": tally.total,
            "mirrored": tally.mirrored + tally.adopted,
            "already_mirrored": tally.already_mirrored,
            "failed": tally.failed,
            "pending": tally.pending,
        },
        "bytes": tally.bytes,
        "seconds": round(tally.elapsed, 3),
        "frames_per_second": round(rates.frames, 1),
        "bytes_per_second": round(rates.bytes),
        "seconds_left": None if rates.left is None or not tally.running else round(rates.left),
        "retries": tally.retries,
        "in_flight": tally.in_flight,
        "limits": tally.limits,
        "paused": sorted(tally.paused),
        "stopping": tally.stopping is not None,
    }
    if tally.verifying is not None:
        line["event"] = "verifying"
        line["verifying"] = asdict(tally.verifying)
    if tally.finished is not None:
        line["outcome"] = tally.finished.outcome
    return json_text(line)


def _started(tally: Tally) -> list[str]:
    return [
        f"Mirroring {phrases.number(tally.total, 'frame')}",
        f"{tally.already_mirrored:,} already mirrored",
        f"{tally.pending:,} to fetch",
    ]


def _progress(tally: Tally) -> list[str]:
    if not tally.running:
        return [phrases.preparation(tally)]
    parts = [phrases.percent(tally), *phrases.progress(tally), *phrases.traffic(tally)]
    return [*parts, *phrases.hindrances(tally)]


def _finished(tally: Tally) -> list[str]:
    end = _ENDS[tally.finished.outcome] if tally.finished is not None else "Finished"
    return [end, *phrases.progress(tally), *phrases.troubles(tally)]
