"""The rules of reading that need no file: case twins, kinds of shape, points, selections."""

from __future__ import annotations

import msgspec
import pytest

from mirror.export import Selection
from mirror.export.selection import case_twins
from mirror.export.shapes import NO_TYPE, Phase, Shape, outside


@pytest.mark.parametrize(
    ("ids", "twins"),
    [
        ([], None),
        (["a", "b", "0-1"], None),
        (["A", "B"], None),
        (["a", "b", "A"], ("a", "A")),
        (["A", "b", "a"], ("a", "A")),
        (["Ab", "x", "aB"], ("Ab", "aB")),
    ],
)
def test_attack_5_ids_that_differ_only_by_case_are_found(
    ids: list[str], twins: tuple[str, str] | None
) -> None:
    assert case_twins(dict.fromkeys(ids)) == twins


@pytest.mark.parametrize(
    ("selection", "everything"),
    [
        (Selection(), True),
        (Selection(sequences=frozenset({"r"})), False),
        (Selection(labels=frozenset({"c"})), False),
        (Selection(labelled_only=True), False),
    ],
)
def test_a_selection_knows_whether_it_narrows(selection: Selection, everything: bool) -> None:
    assert selection.everything is everything


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"rectangle","shape_type":"keypoint"}', "rectangle"),
        ('{"shape_type":"keypoint"}', "keypoint"),
        ('{"type":null,"shape_type":"keypoint"}', "keypoint"),
        ('{"type":"ellipse"}', "ellipse"),
        ("{}", NO_TYPE),
    ],
)
def test_a_shape_has_its_kind_from_type_then_from_shape_type(text: str, kind: str) -> None:
    assert msgspec.json.decode(text, type=Shape).kind == kind


def _shape(points: str, kind: str = "close_polygon") -> Shape:
    return msgspec.json.decode(f'{{"type":"{kind}","points":{points}}}', type=Shape)


@pytest.mark.parametrize(
    ("points", "beyond"),
    [
        ("null", None),
        ("[]", None),
        ('[{"x":0,"y":1},{"x":0.5,"y":0.0}]', None),
        ('[{"x":-0.25,"y":1},{"x":0.5,"y":0.5},{"x":0,"y":1.5}]', (2, 0.5)),
        ('[{"x":2,"y":-2}]', (1, 2.0)),
        ('[{"x":3.5,"y":-2}]', (1, 2.5)),
    ],
)
def test_points_outside_the_frame_are_counted_and_measured(
    points: str, beyond: tuple[int, float] | None
) -> None:
    assert outside(_shape(points)) == beyond


def test_a_shape_without_points_has_none_outside() -> None:
    assert outside(Shape(type="rectangle")) is None


@pytest.mark.parametrize("points", ["[1]", "{}", '[{"x":"0","y":0}]', '[{"x":1e999,"y":0}]'])
def test_points_must_be_points_but_for_an_unknown_kind(points: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        outside(_shape(points))
    assert outside(_shape(points, "mask")) is None


@pytest.mark.parametrize("text", ["{}", '{"label":null}', '{"label":{}}', '{"label":{"code":""}}'])
def test_a_phase_without_a_code_is_counted_under_a_name_of_its_own(text: str) -> None:
    assert msgspec.json.decode(text, type=Phase).code == "(no code)"
