"""Phases as WebVTT: subtitles that any player shows over the video.

<https://www.w3.org/TR/webvtt1/>. A cue is a span, and its text the label's name; overlapping spans
are overlapping cues. Cues are numbered from 1, in the order of their starts.
"""

from __future__ import annotations

from pathlib import Path

from mirror.annotations.collection import Collection
from mirror.annotations.phases.rules import Span, count_overlaps
from mirror.annotations.phases.videos import Video, videos
from mirror.annotations.tally import Note, Tally

POINT_CUE = 1000
"""Milliseconds that the cue of a point event lasts: a cue must end after it starts."""
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def write_webvtt(collection: Collection, out: Path, tally: Tally) -> None:
    """`<name>.vtt` in the folder `out` for each sequence with video annotations. Raises
    `ExportError`, and `OSError` where the disk refuses."""
    reworded: set[str] = set()
    for video in videos(collection, tally):
        path = out / f"{video.name}.vtt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(_text(video))
        reworded.update(span.name for span in video.spans if in_one_line(span) != span.name)
        tally.note(Note.OVERLAPS, count_overlaps(video.spans))
        tally.wrote("sequences")
        tally.wrote("intervals", len(video.spans))
    tally.note(Note.REWORDED, len(reworded))


def in_one_line(span: Span) -> str:
    """Its name with blanks in place of what would break a line or can't be seen; its code where
    nothing remains, else `unnamed`."""
    for text in (span.name, span.code):
        seen = "".join(each if each.isprintable() else " " for each in text)
        if line := " ".join(seen.split()):
            return line
    return "unnamed"


def timestamp(time: int) -> str:
    """`00:01:02.003`, of milliseconds; more than 99 hours take more digits."""
    seconds, milliseconds = divmod(time, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{milliseconds:03}"


def _text(video: Video) -> str:
    return "\n".join(["WEBVTT\n", *(_cue(n, span) for n, span in enumerate(video.spans, 1))])


def _cue(number: int, span: Span) -> str:
    end = span.start + POINT_CUE if span.is_point else span.end
    times = f"{timestamp(span.start)} --> {timestamp(end)}"
    return f"{number}\n{times}\n{in_one_line(span).translate(_ESCAPED)}\n"
