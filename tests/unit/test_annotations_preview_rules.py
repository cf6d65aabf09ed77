"""What a preview decides without an image: colours, scale, tags, lanes, ticks, which frames."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mirror.annotations.preview.colours import PALETTE, channels, colour_of, ink_on
from mirror.annotations.preview.layout import Entry, Form, flow, legend_text, plan, scale_of
from mirror.annotations.preview.sampling import Spread, evenly, share_out
from mirror.annotations.preview.tracks import (
    MOST_LANES,
    arrange,
    axis_length,
    clock,
    stack,
    text_width,
    ticks,
)
from mirror.annotations.preview.wording import drawable, drawn_name, markup, short
from mirror.annotations.values import (
    Box,
    Interval,
    Keypoint,
    Label,
    Outline,
    Point,
    Polyline,
    Rectangle,
    Shape,
    UnknownShape,
)


def measure(text: str, size: int) -> float:
    return 0.5 * size * len(text)


def points(*pairs: tuple[float, float]) -> tuple[Point, ...]:
    return tuple(Point(x, y) for x, y in pairs)


def overlap(one: Box, other: Box) -> bool:
    apart = one.right <= other.left or other.right <= one.left
    return not (apart or one.bottom <= other.top or other.bottom <= one.top)


@pytest.mark.parametrize(
    ("code", "colour"),
    [
        ("gallbladder", "#0db28f"),
        ("grasper", "#51bccc"),
        ("liver", "#fc62ec"),
        ("胆囊", "#f45693"),
        ("", "#28f96c"),
    ],
)
def test_the_colour_of_a_label_never_changes(code: str, colour: str) -> None:
    assert colour_of(code) == colour


def test_a_code_of_lone_surrogates_has_a_colour() -> None:
    assert colour_of("\ud800") in PALETTE


def test_common_labels_of_one_set_have_colours_of_their_own() -> None:
    tools = ("grasper", "hook", "bipolar", "scissors", "clipper", "irrigator", "specimen_bag")
    anatomy = ("gallbladder", "cystic_duct", "cystic_artery", "liver")
    assert len({colour_of(code) for code in tools + anatomy}) == len(tools + anatomy)


def test_text_on_every_colour_has_the_better_contrast() -> None:
    assert ink_on("#ffffff") == ink_on("#f9e04c") == "#000000"
    assert ink_on("#000000") == ink_on("#0a1f6b") == "#ffffff"
    assert len(set(PALETTE)) == len(PALETTE)
    assert channels("#0a1f6b") == (10, 31, 107)


def test_lines_and_text_grow_with_the_picture() -> None:
    small, middle, large = scale_of(320, 180), scale_of(1920, 1080), scale_of(3840, 2160)
    assert (small.line, small.font) == (2, 11)
    assert middle.line == 4
    assert 20 <= middle.font <= 30
    assert large.line == 9
    assert large.font == 2 * middle.font
    assert scale_of(1, 1) == scale_of(4, 4)


def test_every_kind_becomes_a_mark_in_pixels_and_the_small_lies_on_the_large() -> None:
    shapes: tuple[Shape, ...] = (
        Keypoint(points((0.5, 0.5))),
        Rectangle(points((0.75, 0.5), (0.25, 0.25))),
        Outline(points((0, 0), (1, 0), (1, 1), (0, 1))),
        Polyline(points((0, 0), (1, 1))),
    )
    drawing = plan([Label("a", "A", shapes)], 400, 200, measure)
    forms = [mark.form for mark in drawing.marks]
    assert forms[:2] == [Form.AREA, Form.BOX]
    assert set(forms[2:]) == {Form.DOT, Form.LINE}
    assert drawing.marks[1].points == points((100, 50), (300, 50), (300, 100), (100, 100))
    assert drawing.legend == (Entry("a", "A", 4),)


def test_what_cannot_be_drawn_is_counted() -> None:
    ellipse = UnknownShape((), "ellipse", {})
    outside = Keypoint(points((1.5, 0.5)))
    drawing = plan([Label("a", "A", (ellipse, ellipse, outside))], 400, 200, measure)
    assert not drawing.marks
    assert drawing.unknown == {"ellipse": 2}
    assert drawing.outside == 1
    assert legend_text(drawing.legend[0]) == "A (no shape drawn)"


def test_absurd_coordinates_are_brought_near() -> None:
    far = Outline(points((-1e308, 0.5), (1e308, 0.5), (0.5, 1e308)))
    drawing = plan([Label("a", "A", (far,))], 100, 100, measure)
    assert all(-200 <= x <= 300 and -200 <= y <= 300 for x, y in drawing.marks[0].points)


def test_tags_lie_within_the_picture_and_not_over_each_other() -> None:
    shapes = tuple(
        Rectangle(points((x / 10, y / 4), (x / 10 + 0.08, y / 4 + 0.2)))
        for x in range(10)
        for y in range(4)
    )
    drawing = plan([Label("gallbladder", "Gallbladder", shapes)], 1280, 720, measure)
    boxes = [tag.box for tag in drawing.tags]
    assert 5 <= len(boxes) <= 40
    assert all(b.left >= 0 and b.top >= 0 and b.right <= 1280 and b.bottom <= 720 for b in boxes)
    assert sum(box.area for box in boxes) <= 0.3 * 1280 * 720
    pairs = [(one, two) for n, one in enumerate(boxes) for two in boxes[:n] if overlap(one, two)]
    assert len(pairs) < len(boxes)


def test_a_tag_keeps_off_other_marks_where_it_can() -> None:
    above = Label("gallbladder", "Gallbladder", (Rectangle(points((0.3, 0.2), (0.7, 0.58))),))
    below = Label("grasper", "Grasper", (Rectangle(points((0.4, 0.6), (0.6, 0.7))),))
    tag = plan([above, below], 640, 360, measure).tags[1]
    assert tag.text == "Grasper"
    assert tag.box.top > 0.7 * 360


def test_a_point_on_a_shape_of_its_label_has_no_second_tag() -> None:
    box, tip = Rectangle(points((0.2, 0.2), (0.6, 0.6))), Keypoint(points((0.4, 0.4)))
    apart = Keypoint(points((0.9, 0.9)))
    assert len(plan([Label("a", "A", (box, tip))], 640, 360, measure).tags) == 1
    assert len(plan([Label("a", "A", (box, apart))], 640, 360, measure).tags) == 2
    labels = [Label("a", "A", (box,)), Label("b", "B", (tip,))]
    assert len(plan(labels, 640, 360, measure).tags) == 2


def test_a_picture_that_is_smaller_than_its_text_has_no_tags() -> None:
    drawing = plan([Label("a", "A name", (Keypoint(points((0.5, 0.5))),))], 8, 8, measure)
    assert len(drawing.marks) == 1
    assert not drawing.tags


def test_a_legend_flows_into_rows() -> None:
    assert flow([60, 30, 50, 200], 100, 10) == [
        [(0, 0.0), (1, 70.0)],
        [(2, 0.0)],
        [(3, 0.0)],
    ]


def test_names_that_the_font_cannot_write_are_codes() -> None:
    assert drawable("Vésicule") == "Vesicule"
    assert drawn_name("gallbladder", "胆囊") == "gallbladder"
    assert drawn_name("胆囊", "胆囊") == "label 304d"
    assert drawn_name("\ud800", "") != drawn_name("胆", "")
    assert drawn_name("a\nb\x1b[0m", "") == "a?b?[0m"
    assert len(drawn_name("x" * 500, "y" * 500)) <= 48
    assert short("abcdefghijklmnop", 10) == "abcd...nop"


def test_markup_has_no_way_out() -> None:
    assert markup("<b a=\"'&\u202e\x00") == "&lt;b a=&quot;&#x27;&amp;\\u202e\\x00"


def test_evenly_takes_the_ends_and_what_lies_between() -> None:
    assert evenly(range(100), 5) == [0, 25, 50, 74, 99]
    assert evenly(range(3), 10) == [0, 1, 2]
    assert evenly(range(9), 1) == [4]
    assert evenly(range(9), 0) == []


def test_a_spread_holds_few_of_many() -> None:
    spread: Spread[int] = Spread(10)
    for number in range(100_000):
        spread.offer(number)
    kept = spread.thin(10)
    gaps = [after - before for before, after in pairwise(kept)]
    assert spread.count == 100_000
    assert len(kept) == 10
    assert kept[0] == 0
    assert min(gaps) > 5_000


def test_small_sequences_are_not_passed_over() -> None:
    assert share_out([1000, 2, 500], 12) == [5, 2, 5]
    assert share_out([1, 1], 10) == [1, 1]
    assert share_out([5] * 10, 3) == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert sum(share_out([7, 90, 3, 400, 12], 48)) == 48


def test_overlaps_lie_in_lanes_and_open_ends_reach_to_the_end() -> None:
    track = arrange(
        [
            Interval("a", "A", 0, 100),
            Interval("b", "B", 50, 150),
            Interval("c", "C", 100, 200),
            Interval("d", "D", 120, None),
            Interval("e", "E", 60, 60),
        ],
        None,
    )
    assert [(bar.code, bar.lane, bar.end) for bar in track.bars] == [
        ("a", 0, 100),
        ("b", 1, 150),
        ("c", 0, 200),
        ("d", 2, 200),
    ]
    assert track.bars[-1].open_end
    assert [event.at for event in track.events] == [60]
    assert (track.lanes, track.length, track.deep) == (3, 200, 0)


def test_an_open_end_reaches_to_the_duration_where_that_is_known() -> None:
    track = arrange([Interval("a", "A", 10, None)], 500)
    assert (track.length, track.bars[0].end) == (500, 500)
    assert arrange([Interval("a", "A", 10, None)], None).bars[0].end == 10


def test_too_many_overlaps_are_counted() -> None:
    track = arrange([Interval("a", "A", 0, 10)] * (MOST_LANES + 3), None)
    assert (track.lanes, track.deep) == (MOST_LANES, 3)


def test_ticks_are_round_and_few() -> None:
    assert ticks(1_830_000) == [0, 300_000, 600_000, 900_000, 1_200_000, 1_500_000, 1_800_000]
    assert ticks(1000) == [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]
    assert all(len(ticks(length)) <= 11 for length in (1, 999, 5_000_000, 10**9, 10**15))
    assert axis_length([]) == 1000


def test_times_are_shown_as_players_do() -> None:
    shown = [clock(time) for time in (0, 5_000, 200, 61_000, 3_605_250)]
    assert shown == ["0:00", "0:05", "0:00.2", "1:01", "1:00:05.25"]


def test_wide_letters_take_more_room() -> None:
    assert text_width("胆囊", 10) == 20
    assert text_width("ab", 10) == pytest.approx(11.4)


def test_names_that_would_touch_get_rows_of_their_own() -> None:
    assert list(stack([(0, 10), (5, 15), (12, 20), (16, 30)])) == [0, 1, 0, 1]
