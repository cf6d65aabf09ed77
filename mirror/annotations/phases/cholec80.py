"""Phases in the form of Cholec80: for each video a phase file and a tool file, tab-separated.

`NAME-phase.txt` has the header `Frame`, `Phase` and a line for every frame of the video, counted
from 0; `NAME-tool.txt` has the header `Frame` and a column for each tool, and a line with 0s and 1s
for one frame a second (of 25 frames a second, frames 0, 25, 50, …), as in Twinanda et al., EndoNet,
2017. The same columns stand in every tool file, so the video annotations of all sequences are held
until they are written: some 200 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from mirror.annotations.collection import Collection
from mirror.annotations.phases.rules import count_overlaps
from mirror.annotations.phases.sampling import frame_count, frames_of, rate_of, rows_of, winners
from mirror.annotations.phases.videos import Video, videos
from mirror.annotations.phases.words import UNLABELLED, words_of
from mirror.annotations.problems import Problem, ProblemKind, Problems
from mirror.annotations.tally import Note, Tally

LONGEST = 48 * 3_600_000
"""Milliseconds. No operation lasts longer; a line a frame of such a time would fill a disk."""


class _Columns(NamedTuple):
    """`phases`: by code, the word in phase files; `tools`: by code, the column in tool files."""

    phases: dict[str, str]
    tools: dict[str, str]


def write_cholec80(
    collection: Collection, out: Path, tally: Tally, fps: float, tools: frozenset[str]
) -> None:
    """`<name>-phase.txt` and `<name>-tool.txt` in the folder `out` for each sequence with video
    annotations.

    `fps`: frames a second of the videos. `tools`: codes that are tools, and no phases; where there
    are none, every label is both. Raises `UsageError`, `ExportError`, and `OSError` where the disk
    refuses.
    """
    rate = rate_of(fps)
    found = list(_not_endless(videos(collection, tally), collection.problems))
    codes = {span.code for video in found for span in video.spans}
    words = words_of(codes | tools)
    tally.note(Note.REWORDED, sum(word != code for code, word in words.items()))
    columns = _Columns(
        phases={code: words[code] for code in codes - tools},
        tools={code: words[code] for code in sorted(tools or codes)},
    )
    for video in found:
        (out / video.name).parent.mkdir(parents=True, exist_ok=True)
        count = frame_count(video.length, rate)
        _write(out / f"{video.name}-phase.txt", _phase_lines(video, rate, columns, tally))
        _write(out / f"{video.name}-tool.txt", _tool_lines(video, rate, columns, tally))
        tally.wrote("sequences")
        tally.wrote("intervals", len(video.spans))
        tally.wrote("phase_lines", count)
        tally.wrote("tool_lines", len(range(0, count, _step(rate))))


def _not_endless(found: Iterator[Video], problems: Problems) -> Iterator[Video]:
    for video in found:
        if video.length <= LONGEST:
            yield video
        else:
            what = f"it lasts {video.length / 3_600_000:,.0f} hours, too long for a line a frame"
            for _ in video.spans:
                problems.add(Problem(ProblemKind.TIMES, f"sequence {video.name}", what))


def _step(rate: Fraction) -> int:
    """Frames from one line of a tool file to the next."""
    return max(1, round(rate))


def _phase_lines(video: Video, rate: Fraction, columns: _Columns, tally: Tally) -> Iterator[str]:
    phases = [span for span in video.spans if span.code in columns.phases]
    count = frame_count(video.length, rate)
    shown = set()
    yield "Frame\tPhase\n"
    for frames, place in winners([frames_of(span, rate, count) for span in phases], count):
        word = UNLABELLED if place is None else columns.phases[phases[place].code]
        shown.add(place)
        for frame in frames:
            yield f"{frame}\t{word}\n"
    tally.note(Note.OVERLAPS, count_overlaps(phases))
    tally.note(Note.HIDDEN, sum(place not in shown for place in range(len(phases))))


def _tool_lines(video: Video, rate: Fraction, columns: _Columns, tally: Tally) -> Iterator[str]:
    count, step = frame_count(video.length, rate), _step(rate)
    frames = range(0, count, step)
    present = {code: bytearray(b"0" * len(frames)) for code in columns.tools}
    for span in video.spans:
        if span.code in present:
            rows = rows_of(frames_of(span, rate, count), step)
            present[span.code][rows.start : rows.stop] = b"1" * len(rows)
            tally.note(Note.BETWEEN_ROWS, int(not rows))
    yield "\t".join(["Frame", *columns.tools.values()]) + "\n"
    for frame, row in zip(frames, zip(*present.values(), strict=True), strict=True):
        yield "\t".join([str(frame), *(chr(each) for each in row)]) + "\n"


def _write(path: Path, lines: Iterator[str]) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
