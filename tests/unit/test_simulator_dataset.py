"""A dataset's ids and frames."""

from __future__ import annotations

import uuid

import pytest

from mirror.simulator import Dataset, DatasetSpec
from mirror.simulator.ids import FrameIds
from mirror.simulator.shelf import FrameName, Shelf, object_name, object_path


def small(**changes: int) -> Dataset:
    return Dataset(
        DatasetSpec(**{"sequences": 2, "frames_per_sequence": 3, "frame_bytes": 400, **changes})
    )


def test_ids_look_like_random_uuids_and_are_distinct() -> None:
    ids = list(small(frames_per_sequence=500).frame_ids())
    assert len(set(ids)) == 1000
    assert {uuid.UUID(one).version for one in ids} == {4}


def test_a_place_is_read_back_from_an_id() -> None:
    ids = FrameIds(7)
    for place in [(0, 0), (1, 2), (2**20, 2**31)]:
        assert ids.place(ids.make(*place)) == place


@pytest.mark.parametrize(
    "strange", ["", "x", str(uuid.UUID(int=5, version=4)), FrameIds(2).make(0, 0)]
)
def test_an_id_nobody_made_has_no_place(strange: str) -> None:
    assert FrameIds(1).place(strange) is None


def test_an_id_beyond_the_spec_is_no_frame() -> None:
    beyond = list(small(frames_per_sequence=4).frames_of(0))[3]
    assert small().place(beyond) is None
    with pytest.raises(KeyError):
        small().png(beyond)


def test_sequences_hold_all_frames_in_order() -> None:
    dataset = small()
    assert len(dataset) == 6
    assert [frame for _, frames in dataset.sequences for frame in frames] == list(
        dataset.frame_ids()
    )
    assert [root for root, _ in dataset.sequences] == list(dataset.root_ids)


def test_equal_specs_hold_equal_frames_and_another_seed_other_ones() -> None:
    one, same, other = small(), small(), small(seed=2)
    assert one.sequences == same.sequences
    assert [one.png(i) for i in one.frame_ids()] == [same.png(i) for i in same.frame_ids()]
    assert one.workspace_id != other.workspace_id
    assert not set(one.frame_ids()) & set(other.frame_ids())


@pytest.mark.parametrize(
    "wrong", [{"sequences": 0}, {"frames_per_sequence": -1}, {"frame_bytes": 10}]
)
def test_a_spec_that_cannot_be_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DatasetSpec(**wrong)


def test_the_shelf_holds_a_frame_under_its_own_root_and_workspace_alone() -> None:
    dataset = small()
    shelf = Shelf(dataset)
    (root, frames), (other_root, _) = dataset.sequences
    assert shelf.has(FrameName(dataset.workspace_id, root, frames[0]))
    assert not shelf.has(FrameName(dataset.workspace_id, other_root, frames[0]))
    assert not shelf.has(FrameName("elsewhere", root, frames[0]))


def test_added_bytes_stand_before_the_drawn_ones() -> None:
    dataset = small()
    shelf = Shelf(dataset)
    name = FrameName(dataset.workspace_id, dataset.root_ids[0], next(dataset.frame_ids()))
    shelf.add(name, b"mine")
    assert shelf.body(name) == (b"mine", '"918b81db5e91d031548b963c93845e5b"')


@pytest.mark.parametrize("odd", ["a/b", "a%2fb", "a?b#c", "ü", "a b", "..", "%"])
def test_any_id_survives_the_way_through_an_object_path(odd: str) -> None:
    name = FrameName("w", odd, odd)
    path = object_path(name)
    assert path.isascii()
    assert "?" not in path
    assert object_name(path) == name


@pytest.mark.parametrize(
    "path", ["/", "/savant-frames/prod%3D1/w/r/f.jpg", "/other/prod%3D1/w/r/f.png"]
)
def test_another_path_names_no_frame(path: str) -> None:
    assert object_name(path) is None
