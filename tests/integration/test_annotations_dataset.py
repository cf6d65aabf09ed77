"""`mirror.FrameDataset`: what a training loop draws from."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from annotations_kit import FRAMES, frame, label, mirror_export, sequence, shape, write

import mirror
from mirror.annotations import Choice, Sample, Subset, parse_splits
from mirror.errors import ExportError, MissingFramesError, UsageError

BOX = shape("rectangle", (0.75, 0.5), (0.25, 0.0))


@pytest.fixture
def export(tmp_path: Path) -> Path:
    frames = [frame(f"f{number}", label("tool", BOX)) for number in range(5)]
    return write(
        tmp_path / "a.json",
        sequence("r", *frames, frame("bare")),
        *(sequence(f"s{number}", frame("g", label("tool", BOX))) for number in range(12)),
    )


def test_a_sample_has_path_size_and_annotations_in_pixels(tmp_path: Path, export: Path) -> None:
    dest = mirror_export(tmp_path / "frames", export, (40, 20))
    with mirror.FrameDataset(dest, export) as dataset:
        assert len(dataset) == 18
        sample = dataset[0]
    assert (sample.width, sample.height) == (40, 20)
    assert sample.path.read_bytes().startswith(b"\x89PNG")
    assert sample.labels[0].shapes[0].box == (10, 0, 30, 10)


def test_it_is_a_sequence(tmp_path: Path, export: Path) -> None:
    with mirror.FrameDataset(mirror_export(tmp_path / "frames", export), [export]) as dataset:
        every = list(dataset)
        assert len({sample.ref for sample in every}) == len(dataset)
        assert dataset[-1] == every[-1]
        assert dataset[2:4] == every[2:4]
        assert every[3] in dataset
        with pytest.raises(IndexError):
            dataset[len(dataset)]


def _draw(dataset: mirror.FrameDataset, number: int) -> Sample:
    return dataset[number]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_draw_the_same(tmp_path: Path, export: Path, method: str) -> None:
    with mirror.FrameDataset(mirror_export(tmp_path / "frames", export), export) as dataset:
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            theirs = [pool.submit(_draw, dataset, number).result() for number in (0, 5)]
        assert theirs == [dataset[0], dataset[5]]
        assert len(pickle.dumps(dataset)) < 2000, "an index or a file went along"


def test_subsets_part_the_frames_by_sequence(tmp_path: Path, export: Path) -> None:
    dest = mirror_export(tmp_path / "frames", export)
    splits = parse_splits("train=0.5,val=0.5", 1)
    found = []
    for name in splits.names:
        with mirror.FrameDataset(dest, export, subset=Subset(splits=splits, split=name)) as part:
            found.append({sample.ref for sample in part})
    train, val = found
    assert train
    assert val
    assert len(train | val) == 18
    assert not {ref.root_id for ref in train} & {ref.root_id for ref in val}


def test_labels_and_unlabelled_frames_can_be_left_out(tmp_path: Path, export: Path) -> None:
    dest = mirror_export(tmp_path / "frames", export)
    with mirror.FrameDataset(dest, export, subset=Subset(Choice(unlabelled=False))) as dataset:
        assert len(dataset) == 17
    none = Subset(Choice(labels=frozenset({"other"}), unlabelled=False))
    with mirror.FrameDataset(dest, export, subset=none) as dataset:
        assert len(dataset) == 0


def test_frames_that_are_not_mirrored_are_named_or_left_out(tmp_path: Path, export: Path) -> None:
    dest = mirror_export(tmp_path / "frames", export, without=["f1", "g"])
    with pytest.raises(MissingFramesError, match="13 frames are not at"):
        mirror.FrameDataset(dest, export)
    with mirror.FrameDataset(dest, export, allow_missing=True) as dataset:
        assert (len(dataset), dataset.missing) == (5, 13)


def test_what_is_wrong_is_left_out_or_raised_when_it_is_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", sequence("r", frame("f", label("c", shape("keypoint")))))
    dest = mirror_export(tmp_path / "frames", path)
    with mirror.FrameDataset(dest, path) as dataset:
        assert dataset[0].labels == (), "a label of a shape became one of the whole frame"
        assert dataset.problems.counts
    with (
        mirror.FrameDataset(dest, path, strict=True) as dataset,
        pytest.raises(ExportError, match="keypoint"),
    ):
        dataset[0]


def test_the_sample_export_is_drawn_whole(tmp_path: Path) -> None:
    with mirror.FrameDataset(mirror_export(tmp_path / "frames", FRAMES), FRAMES) as dataset:
        assert len(dataset) == 10
        assert sum(len(found.shapes) for sample in dataset for found in sample.labels) == 13


def test_a_problem_counts_once_however_often_its_frame_is_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", sequence("r", frame("f", label("c", shape("keypoint"), BOX))))
    dest = mirror_export(tmp_path / "frames", path)
    only = Subset(Choice(unlabelled=False))
    with mirror.FrameDataset(dest, path, subset=only) as dataset:
        for _ in range(3):
            assert len(dataset[0].labels[0].shapes) == 1
        assert dataset.problems.counts == {"points": 1}


def test_a_dataset_that_changed_is_not_taken_for_the_same(tmp_path: Path, export: Path) -> None:
    with mirror.FrameDataset(mirror_export(tmp_path / "frames", export), export) as dataset:
        sent = pickle.dumps(dataset)
        pickle.loads(sent).close()
        write(tmp_path / "b.json", sequence("r", frame("f4"), frame("f3"))).replace(export)
        with pytest.raises(ExportError, match="changed"):
            pickle.loads(sent)


def test_a_split_that_is_not_there_is_refused(tmp_path: Path, export: Path) -> None:
    dest = mirror_export(tmp_path / "frames", export)
    with pytest.raises(UsageError, match="no split 'trian'; there are train, val"):
        mirror.FrameDataset(
            dest, export, subset=Subset(splits=parse_splits("train=0.5,val=0.5", 0), split="trian")
        )
    with pytest.raises(UsageError, match="No export"):
        mirror.FrameDataset(dest, [])


def test_a_closed_dataset_says_so(tmp_path: Path, export: Path) -> None:
    dataset = mirror.FrameDataset(mirror_export(tmp_path / "frames", export), export)
    dataset.close()
    with pytest.raises(ValueError, match="closed"):
        dataset[0]
