"""The file that keeps each label's number."""

from __future__ import annotations

from pathlib import Path

import pytest
from annotations_kit import frame, label, sequence
from datasets_kit import BOX, EVERY_KIND, dataset, mirrored, of_kind, read_back

from mirror.annotations.datasets import Categories
from mirror.errors import DestinationError, UsageError


def test_codes_are_sorted_at_first_and_new_ones_come_after(tmp_path: Path) -> None:
    categories = Categories.load(None)
    categories.take_in({"b": "Bee", "a": "Ay"})
    assert categories.codes == ["a", "b"]
    categories.save(tmp_path / "map.json")
    again = Categories.load(tmp_path / "map.json")
    again.take_in({"0": "Zero", "b": "renamed", "B": "Big"})
    assert again.codes == ["a", "b", "0", "B"]
    assert [(each.id, each.code, each.name) for each in again][:2] == [
        (0, "a", "Ay"),
        (1, "b", "Bee"),
    ]
    assert again.id_of("B") == 3
    assert len(again) == 4


def test_an_empty_map_can_be_kept(tmp_path: Path) -> None:
    Categories.load(None).save(tmp_path / "map.json")
    assert Categories.load(tmp_path / "map.json").codes == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"categories": [{"id": 1, "code": "a", "name": "A"}]}',
        '{"categories": [{"id": 0, "code": "a"}]}',
        '{"categories": [{"id": 0, "code": "a", "name": "A"}, {"id": 1, "code": "a", "name": ""}]}',
        '{"categories": [], "more": 1}',
    ],
)
def test_a_damaged_map_is_refused_rather_than_numbered_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "map.json").write_text(text)
    with pytest.raises(UsageError, match="does not hold the numbers of labels"):
        Categories.load(tmp_path / "map.json")


def test_a_map_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(DestinationError, match="can't be read"):
        Categories.load(tmp_path / "map.json")


def test_numbers_stay_when_labels_come_and_go(tmp_path: Path) -> None:
    for name in ("first", "later"):
        (tmp_path / name).mkdir()
    first = dataset("coco_instances", mirrored(tmp_path / "first", *EVERY_KIND))
    assert first.categories.codes == ["duct", "liver", "smoke", "tool"]
    grown = mirrored(tmp_path / "later", sequence("r", frame("f", label("bile", BOX))))
    later = dataset("coco_instances", grown, categories=first.categories)
    assert later.categories.codes == ["duct", "liver", "smoke", "tool", "bile"]
    items = read_back(later, "coco_instances")
    assert [code for _, code, _ in of_kind(items, "bbox")] == ["bile"]
    assert [each.label for each in items[0].annotations] == [4]
