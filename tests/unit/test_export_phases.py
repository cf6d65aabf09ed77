"""Phases counted and covered time, shares and medians: plain functions of values."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from mirror.export import PhaseCounts, VideoCoverage, VideoSequence
from mirror.export.distinct import Carried, Distinct, unite
from mirror.export.phases import count_phases, coverage, covered
from mirror.export.shapes import Phase

Times = list[tuple[float | None, float | None]]


def _phases(times: Times, code: str = "a") -> list[Phase]:
    return [
        msgspec.convert(
            {"label": {"code": code}, "timestampStart": start, "timestampEnd": end}, Phase
        )
        for start, end in times
    ]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], (0, 0)),
        ([(0, 1000)], (1000, 1000)),
        ([(500, 1000)], (1000, 500)),
        ([(0, 600), (400, 1000)], (1000, 1000)),
        ([(0, 1000), (200, 300), (900, 1000)], (1000, 1000)),
        ([(600, 1000), (0, 200)], (1000, 600)),
        ([(0, 100), (1000, 1000)], (1000, 100)),
        ([(0, 100), (500, None)], (100, 100)),
        ([(0, 100), (None, 500)], (500, 100)),
        ([(0, 100), (900, 200)], (100, 100)),
        ([(-50, 100)], (100, 100)),
        ([(-50, -10)], (0, 0)),
        ([(0.4, 1.6)], (2, 1)),
    ],
    ids=[
        *("nothing", "from 0", "later", "overlap", "within", "gap", "point event", "no end"),
        *("no start", "backwards", "before 0", "all before 0", "parts of milliseconds"),
    ],
)
def test_covered_time(times: Times, expected: tuple[int, int]) -> None:
    assert covered(_phases(times)) == expected


def test_phases_are_counted_by_code() -> None:
    found = count_phases([*_phases([(0, 5), (3, 3), (1, None), (9, 8)], "b"), *_phases([(1, 2)])])
    assert found == {"a": PhaseCounts(1, 1, 0, 0, 0), "b": PhaseCounts(4, 5, 1, 1, 1)}
    assert list(found) == ["a", "b"]


def _video(span: int, held: int) -> VideoSequence:
    return VideoSequence("x.json", 0, "w", "r", span, held, {})


def test_the_coverage_of_videos_is_of_their_time_not_of_their_number() -> None:
    assert coverage([_video(900, 300), _video(100, 100)]) == VideoCoverage(2, 1000, 400, 0.4)
    assert coverage([_video(0, 0)]) == VideoCoverage(1, 0, 0, None)


def _carried(shapes: int, *codes: str, entry: int = 0) -> Carried:
    return Carried(frozenset(codes), shapes, entry)


@pytest.mark.parametrize(
    ("shapes", "median"),
    [([3], 3), ([1, 4], 2.5), ([1, 1, 9], 1), ([0, 2, 2, 7], 2), ([5, 0], 2.5)],
)
def test_the_median_number_of_shapes(shapes: list[int], median: float) -> None:
    counts = Distinct()
    counts.add({f"f{number}": _carried(each, "a") for number, each in enumerate(shapes)})
    counts.add({"without a label": _carried(0)})
    spread = counts.shapes_per_frame()
    assert spread is not None
    assert spread.median == median
    assert (spread.least, spread.most) == (min(shapes), max(shapes))
    assert spread.frames == Counter(shapes)
    assert list(spread.frames) == sorted(spread.frames)
    assert spread.mean == pytest.approx(sum(shapes) / len(shapes), abs=0.005)


def test_a_frame_of_two_exports_has_the_codes_of_both_and_the_shapes_of_the_last_labelled() -> None:
    kept = {"f": _carried(1, "a"), "g": _carried(2, "a")}
    later = {"f": _carried(5, "b", entry=3), "g": _carried(0), "h": _carried(0)}
    assert unite(kept, later) == {
        "f": _carried(5, "a", "b", entry=3),
        "g": _carried(2, "a"),
        "h": _carried(0),
    }
