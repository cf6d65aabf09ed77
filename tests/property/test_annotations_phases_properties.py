"""Whatever the video annotations, what a frame shows agrees with a plain reading of the rules."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import webvtt
from hypothesis import given
from hypothesis import strategies as st
from webvtt.models import Timestamp

from mirror.annotations import Collection, Problems, Tally
from mirror.annotations.phases import write_activitynet, write_cholec80, write_webvtt
from mirror.annotations.phases.rules import Span, in_order
from mirror.annotations.phases.sampling import frame_count, frames_of, rate_of, winners
from mirror.annotations.phases.words import words_of
from mirror.export import ExportFile

rates = st.sampled_from([1.0, 5.0, 23.976, 25.0, 29.97, 50.0, 0.5]) | st.floats(0.1, 60)
codes = st.sampled_from(["a", "b", "c d", "unlabelled", "e\tf", "ü\U0001f986"])


@st.composite
def intervals(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(st.none() | st.integers(0, 3000))
    end = draw(st.none() | st.integers(start or 0, 3000))
    label = {"code": draw(codes), "displayName": draw(st.text(max_size=6))}
    return {"timestampStart": start, "timestampEnd": end, "label": label}


listed = st.lists(intervals(), min_size=1, max_size=8)
durations = st.none() | st.integers(1, 4000)


def _brute(spans: Sequence[Span], frame: int, rate: Fraction, count: int) -> Span | None:
    """Every span asked whether it is seen at the frame, the last to begin preferred."""
    instants = [Fraction(n * 1000) / rate for n in range(count)]
    found = None
    for span in spans:
        covered = [n for n in range(count) if span.start <= instants[n] < span.end]
        seen = covered or [min(floor(Fraction(span.start) * rate / 1000), count - 1)]
        if frame in seen and (found is None or span.start >= found.start):
            found = span
    return found


def _spans(listed: list[dict[str, Any]], duration: int | None) -> tuple[list[Span], int]:
    times = [each[key] or 0 for each in listed for key in ("timestampStart", "timestampEnd")]
    length = max([*times, duration or 0])
    return [
        Span(
            each["label"]["code"],
            each["label"]["displayName"] or each["label"]["code"],
            each["timestampStart"] or 0,
            length if each["timestampEnd"] is None else each["timestampEnd"],
        )
        for each in listed
    ], length


def _convert(
    listed: list[dict[str, Any]], duration: int | None, writer: Any, **options: Any
) -> tuple[dict[str, bytes], Tally]:
    entry = {"rootId": "r", "workspaceId": "w", "videoAnnotations": listed}
    with tempfile.TemporaryDirectory() as folder:
        export, out = Path(folder, "e.json"), Path(folder, "out")
        export.write_text(json.dumps({"sequences": [{**entry, "videoDuration": duration}]}))
        out.mkdir()
        tally = Tally()
        with ExportFile.open(export) as opened:
            writer(Collection([opened], None, Problems()), out, tally, **options)
        return {path.name: path.read_bytes() for path in out.iterdir()}, tally


@given(st.integers(0, 10**8), rates)
def test_a_video_has_as_many_frames_as_its_length_takes(length: int, fps: float) -> None:
    exact = Fraction(str(fps))
    count = frame_count(length, rate_of(fps))
    assert count == max(1, ceil(length * exact / 1000))
    assert (count - 1) / exact * 1000 <= length
    assert count / exact * 1000 >= length


@given(listed, durations, rates)
def test_every_frame_shows_what_began_last(
    listed: list[dict[str, Any]], duration: int | None, fps: float
) -> None:
    spans, length = _spans(listed, duration)
    rate = rate_of(fps)
    count = frame_count(length, rate)
    ordered = in_order(spans)
    runs = list(winners([frames_of(span, rate, count) for span in ordered], count))
    shown = [None if place is None else ordered[place] for frames, place in runs for _ in frames]
    assert shown == [_brute(spans, frame, rate, count) for frame in range(count)]


@given(listed, durations, st.sampled_from([5.0, 25.0, 29.97]), st.frozensets(codes, max_size=2))
def test_cholec80_files_agree_with_each_other_and_with_the_rules(
    listed: list[dict[str, Any]], duration: int | None, fps: float, tools: frozenset[str]
) -> None:
    files, tally = _convert(listed, duration, write_cholec80, fps=fps, tools=tools)
    spans, length = _spans(listed, duration)
    rate, step = Fraction(str(fps)), round(fps)
    count = max(1, ceil(length * rate / 1000))
    words = words_of({span.code for span in spans} | tools)
    phases = [line.split("\t") for line in files["r-phase.txt"].decode().split("\n")[1:-1]]
    wanted = [span for span in spans if span.code not in tools]
    expected = (_brute(wanted, frame, rate, count) for frame in range(count))
    assert phases == [
        [str(n), words[span.code] if span else "unlabelled"] for n, span in enumerate(expected)
    ]
    header, *rows = [line.split("\t") for line in files["r-tool.txt"].decode().split("\n")[:-1]]
    shown = sorted(tools or {span.code for span in spans})
    assert header == ["Frame", *(words[code] for code in shown)]
    assert [row[0] for row in rows] == [str(n) for n in range(0, count, step)]
    for number, row in enumerate(rows):
        for code, cell in zip(shown, row[1:], strict=True):
            own = [span for span in spans if span.code == code]
            seen = _brute(own, number * step, rate, count) is not None
            assert cell == str(int(seen))
    assert tally.written["intervals"] == len(listed)


def _milliseconds(timestamp: str) -> int:
    found: int = Timestamp.from_string(timestamp).in_milliseconds()
    return found


@given(listed, durations)
def test_a_vtt_parser_reads_every_cue_back(
    listed: list[dict[str, Any]], duration: int | None
) -> None:
    files, tally = _convert(listed, duration, write_webvtt)
    spans, _ = _spans(listed, duration)
    captions = webvtt.from_string(files["r.vtt"].decode(), strict=True).captions
    found = [(_milliseconds(each.start), _milliseconds(each.end)) for each in captions]
    assert found == [
        (span.start, span.end if span.end > span.start else span.start + 1000)
        for span in sorted(spans, key=lambda span: span.start)
    ]
    assert [each.identifier for each in captions] == [str(n + 1) for n in range(len(spans))]
    assert all(len(each.lines) == 1 and each.lines[0].strip() for each in captions)
    assert tally.noted["open_ends"] == sum(each["timestampEnd"] is None for each in listed)
    assert tally.noted["open_starts"] == sum(each["timestampStart"] is None for each in listed)


@given(listed, durations)
def test_activitynet_segments_are_the_spans(
    listed: list[dict[str, Any]], duration: int | None
) -> None:
    files, _ = _convert(listed, duration, write_activitynet)
    spans, length = _spans(listed, duration)
    entry = json.loads(files["activitynet.json"])["database"]["r"]
    assert entry["duration"] == length / 1000
    found = [(*each["segment"], each["label"]) for each in entry["annotations"]]
    assert sorted(found) == sorted(
        (span.start / 1000, span.end / 1000, span.code) for span in spans
    )


@given(st.lists(st.text(min_size=1, max_size=4), max_size=8))
def test_every_code_has_a_word_of_its_own(codes: list[str]) -> None:
    words = words_of(codes)
    assert set(words) == set(codes)
    assert len(set(words.values())) == len(words)
    for word in words.values():
        assert word.split() == [word]
        assert word.isprintable()
        assert word not in ("unlabelled", "Frame")
