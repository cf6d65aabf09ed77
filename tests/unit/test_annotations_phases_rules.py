"""The rules for phases, each alone: lengths, open ends, overlaps, frames, rows, words."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mirror.annotations import Interval
from mirror.annotations.phases.rules import Span, close, count_overlaps, in_order, length_of
from mirror.annotations.phases.sampling import frame_count, frames_of, rate_of, rows_of, winners
from mirror.annotations.phases.webvtt import in_one_line, timestamp
from mirror.annotations.phases.words import UNLABELLED, words_of
from mirror.errors import UsageError

PAL = Fraction(25)


def span(start: int, end: int, code: str = "a") -> Span:
    return Span(code, code.title(), start, end)


def interval(start: int, end: int | None) -> Interval:
    return Interval("a", "A", start, end)


def test_a_video_is_as_long_as_the_export_says() -> None:
    assert length_of([interval(0, 500), interval(600, None)], 9000) == 9000


def test_without_a_duration_a_video_ends_at_the_latest_time_named() -> None:
    assert length_of([interval(0, 500), interval(600, None)], None) == 600
    assert length_of([], None) == 0


def test_no_interval_ends_after_the_video_whatever_its_duration() -> None:
    assert length_of([interval(0, 500), interval(0, 70)], 100) == 500


def test_an_open_end_is_the_end_of_the_video() -> None:
    assert close(interval(200, None), 900) == span(200, 900)._replace(name="A")
    assert close(interval(200, 300), 900).end == 300


def test_an_open_interval_that_starts_at_the_end_is_a_point_event() -> None:
    assert close(interval(900, None), 900).is_point
    assert not close(interval(899, None), 900).is_point


def test_spans_that_start_together_keep_their_order() -> None:
    listed = [span(5, 9, "c"), span(1, 2, "b"), span(5, 6, "a")]
    assert [each.code for each in in_order(listed)] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("ordered", "count"),
    [
        ([], 0),
        ([span(0, 10), span(10, 20)], 0),
        ([span(0, 10), span(9, 20)], 1),
        ([span(0, 100), span(10, 20), span(30, 40)], 2),
        ([span(0, 10), span(10, 10), span(10, 20)], 1),
        ([span(5, 5), span(5, 5)], 1),
        ([span(0, 0)], 0),
    ],
)
def test_a_span_overlaps_that_begins_while_another_lasts(ordered: list[Span], count: int) -> None:
    assert count_overlaps(ordered) == count


@pytest.mark.parametrize("fps", [0, -1, 1001, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="--fps"):
        rate_of(fps)


def test_a_rate_is_what_was_written_and_not_the_nearest_binary_number() -> None:
    assert rate_of(29.97) == Fraction(2997, 100)
    assert rate_of(25) == 25


@pytest.mark.parametrize(
    ("length", "count"), [(0, 1), (1, 1), (40, 1), (41, 2), (1000, 25), (1001, 26)]
)
def test_a_part_of_a_frame_counts_as_one(length: int, count: int) -> None:
    assert frame_count(length, PAL) == count


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (0, 1000, range(25)),
        (0, 1, range(1)),
        (1, 80, range(1, 2)),
        (1, 81, range(1, 3)),
        (40, 80, range(1, 2)),
        (39, 39, range(1)),
        (40, 40, range(1, 2)),
        (41, 60, range(1, 2)),
        (1000, 1000, range(24, 25)),
    ],
)
def test_a_span_is_seen_in_the_frames_whose_instant_it_covers_or_in_one(
    start: int, end: int, frames: range
) -> None:
    assert frames_of(span(start, end), PAL, 25) == frames


def test_what_began_last_wins_and_what_began_before_goes_on_after_it() -> None:
    runs = list(winners([range(10), range(2, 4), range(3, 6), range(12, 13)], 14))
    shown = [place for frames, place in runs for _ in frames]
    assert shown == [0, 0, 1, 2, 2, 2, 0, 0, 0, 0, None, None, 3, None]


@pytest.mark.parametrize(
    ("frames", "rows"),
    [(range(26), [0, 1]), (range(1, 25), []), (range(25, 26), [1]), (range(26, 76), [2, 3])],
)
def test_a_row_sees_what_its_one_frame_shows(frames: range, rows: list[int]) -> None:
    assert list(rows_of(frames, 25)) == rows


def test_timestamps_have_two_digits_of_hours_or_more() -> None:
    assert timestamp(0) == "00:00:00.000"
    assert timestamp(3_723_004) == "01:02:03.004"
    assert timestamp(360_000_000) == "100:00:00.000"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Calot triangle", "Calot triangle"),
        ("a\nb\r\n\tc", "a b c"),
        ("  a  ", "a"),
        ("a\u2028b\x0cc\x00d", "a b c d"),
        (" \n", "the_code"),
    ],
)
def test_a_cue_has_one_line(name: str, line: str) -> None:
    assert in_one_line(Span("the_code", name, 0, 1)) == line


def test_a_cue_that_nothing_visible_names_says_so() -> None:
    assert in_one_line(Span("\n", " ", 0, 1)) == "unnamed"


def test_codes_that_are_words_stay_and_others_make_way_for_them() -> None:
    found = words_of(["a b", "a_b", "a\tb", "c", UNLABELLED, "Frame", 'x"y'])
    assert found == {
        "a_b": "a_b",
        "c": "c",
        "a\tb": "a_b_2",
        "a b": "a_b_3",
        "Frame": "Frame_2",
        UNLABELLED: "unlabelled_2",
        'x"y': "x_y",
    }
