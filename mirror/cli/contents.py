"""The tables of `mirror inspect`: what is in exports, for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap

from mirror.cli.tables import Section
from mirror.export import (
    Counts,
    ExportSummary,
    Outside,
    PhaseCounts,
    Repeats,
    ShapesPerFrame,
    VideoCoverage,
    VideoSequence,
)
from mirror.observe.phrases import duration, number, size
from mirror.observe.text import printable

_MOST_SEQUENCES = 20
_PHASE_COLUMNS = ("entries", "duration", "point events", "open ends", "backwards")


def sections(summary: ExportSummary) -> Iterator[Section]:
    """All tables, those with nothing to say left out."""
    total = summary.total
    columns = ("export", "size", "sequences", "frames", "repeated", "labelled")
    rows = [
        (printable(export.path), size(export.size), *_headline(export.counts))
        for export in summary.exports
    ]
    if len(rows) > 1:
        whole = sum(export.size for export in summary.exports)
        rows.append(("together", size(whole), *_headline(total)))
    yield Section(columns, rows, _repeats(total.repeats))
    yield from _annotations(total)
    if total.phases:
        yield _phases(total)
    if len(summary.videos) > 1:
        yield _by_video(summary.videos)
    if summary.by_sequence or summary.videos:
        yield _sequences(summary)


def _headline(counts: Counts) -> tuple[str, ...]:
    numbers = (counts.sequences, counts.frames, counts.repeated_frames)
    labelled = f"{counts.labelled_frames:,}{_of(counts.coverage.labelled)}"
    return (*(f"{amount:,}" for amount in numbers), labelled)


def _of(share: float | None) -> str:
    return "" if share is None else f" ({percent(share)})"


def percent(share: float) -> str:
    """A share, so that only all is 100 % and only nothing is 0 %."""
    if share in {0, 1}:
        return f"{share:.0%}".replace("%", " %")
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"


def _repeats(repeats: Repeats) -> str:
    parts = [
        f"{amount:,} {where}"
        for amount, where in (
            (repeats.in_entry, "within one frame list"),
            (repeats.in_export, "in another stage of the sequence"),
            (repeats.across_exports, "in another of these exports"),
        )
        if amount
    ]
    return f"frames that occur again: {', '.join(parts)}" if parts else ""


def _annotations(counts: Counts) -> Iterator[Section]:
    if counts.labels:
        yield Section(
            ("label", "entries", "frames", "of all frames"),
            [
                (
                    printable(code),
                    f"{entries:,}",
                    f"{counts.label_frames.get(code, 0):,}",
                    percent(counts.coverage.labels.get(code, 0)),
                )
                for code, entries in counts.labels.items()
            ],
        )
    if counts.shapes:
        yield Section(
            ("shape", "entries"),
            [(printable(kind), f"{entries:,}") for kind, entries in counts.shapes.items()],
            "\n".join(_remarks(counts)),
        )
    if spread := counts.shapes_per_frame:
        yield Section(
            ("labelled frames", "fewest shapes", "median", "mean", "most"),
            [_spread(counts.labelled_frames, spread)],
        )


def _spread(labelled: int, spread: ShapesPerFrame) -> tuple[str, ...]:
    median, mean = f"{spread.median:,g}", f"{spread.mean:,.2f}"
    return f"{labelled:,}", f"{spread.least:,}", median, mean, f"{spread.most:,}"


def _remarks(counts: Counts) -> Iterator[str]:
    if counts.outside:
        yield _outside(counts.outside, counts.points_outside)
    if counts.unreadable_at:
        yield (
            f"{number(counts.unreadable_shapes, 'shape')} with a point that has no x and y that are"
            f" numbers\nfirst: {counts.unreadable_at}"
        )


def _outside(outside: Outside, points: int) -> str:
    words = [
        f"{number(points, 'point')} outside the frame (x or y beyond 0..1), by at most"
        f" {_distance(outside.farthest)}",
        f"first: {outside.first_at}",
    ]
    if outside.farthest_at != outside.first_at:
        words.append(f"farthest: {outside.farthest_at}")
    return "\n".join(words)


def _distance(farthest: float) -> str:
    """In widths or heights of the frame."""
    many = f"{farthest:,.1f} times" if farthest >= 1 else f"{percent(farthest)} of"
    return f"{many} its width or height"


def _phases(counts: Counts) -> Section:
    return Section(
        ("phase", *_PHASE_COLUMNS),
        [_phase(code, phase) for code, phase in counts.phases.items()],
        _covered(counts.video),
    )


def _phase(code: str, phase: PhaseCounts) -> tuple[str, ...]:
    return (
        printable(code),
        f"{phase.annotations:,}",
        duration(phase.milliseconds / 1000),
        f"{phase.point_events:,}",
        f"{phase.open_ends:,}",
        f"{phase.backwards:,}",
    )


def _covered(video: VideoCoverage) -> str:
    if video.share is None:
        return ""
    return (
        f"phases cover {percent(video.share)} of {duration(video.span_milliseconds / 1000)}, from 0"
        f" to the last end of {number(video.sequences, 'sequence')}"
    )


def _by_video(videos: tuple[VideoSequence, ...]) -> Section:
    rows: list[tuple[str, ...]] = []
    for video in videos[:_MOST_SEQUENCES]:
        rows.append((_name(video), "", "", "", "", ""))
        rows += [
            (f"  {code}", *amounts) for code, *amounts in starmap(_phase, video.phases.items())
        ]
    hidden = len(videos) - _MOST_SEQUENCES
    return Section(
        ("phases by sequence", *_PHASE_COLUMNS),
        rows,
        f"and {number(hidden, 'more sequence')}; --json lists all" if hidden > 0 else "",
    )


def _name(video: VideoSequence) -> str:
    return video.root_id or f"(no ids: sequence {video.sequence} of {printable(video.export)})"


def _sequences(summary: ExportSummary) -> Section:
    """Each sequence; how much of its time is annotated, where any sequence's is."""
    videos = {(each.workspace_id, each.root_id): each for each in summary.videos if each.root_id}
    nameless = [each for each in summary.videos if not each.root_id]
    rows: list[tuple[str, ...]] = [
        (
            each.root_id,
            f"{each.frames:,}",
            f"{each.labelled_frames:,}",
            *_times(videos.get((each.workspace_id, each.root_id))),
        )
        for each in summary.by_sequence[:_MOST_SEQUENCES]
    ]
    rows += [(_name(each), "0", "0", *_times(each)) for each in nameless]
    columns = ("sequence (rootId)", "frames", "labelled", "last end", "phases cover")
    hidden = len(summary.by_sequence) + len(nameless) - _MOST_SEQUENCES
    width = len(columns) if summary.videos else 3
    return Section(
        columns[:width],
        [row[:width] for row in rows[:_MOST_SEQUENCES]],
        f"and {hidden:,} more; --json lists all" if hidden > 0 else "",
    )


def _times(video: VideoSequence | None) -> tuple[str, str]:
    if video is None:
        return "", ""
    span = video.span_milliseconds
    share = percent(video.covered_milliseconds / span) if span else ""
    return duration(span / 1000), share
