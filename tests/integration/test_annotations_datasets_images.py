"""How datasets come by their images, and what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from annotations_kit import frame, label, sequence, write
from datasets_kit import BOX, EVERY_KIND, OUTLINE, dataset, mirrored

from mirror.annotations import Choice, Collection, Problems, Tally
from mirror.annotations.datasets import Categories, ImageMode, write_dataset
from mirror.errors import DestinationError, UsageError
from mirror.export import ExportFile


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return mirrored(tmp_path, *EVERY_KIND)


def test_copies_have_the_same_bytes_and_are_private(export: Path) -> None:
    made = dataset("coco", export, mode=ImageMode.COPY)
    copy, frame = made.out / "images/all/r1/f1.png", made.frames / "r1/f1.png"
    assert copy.read_bytes() == frame.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.stat().st_ino != frame.stat().st_ino


def test_hard_links_are_the_frames_themselves(export: Path) -> None:
    made = dataset("voc", export, mode=ImageMode.HARDLINK)
    link, frame = made.out / "JPEGImages/r1/f1.png", made.frames / "r1/f1.png"
    assert link.samefile(frame)
    assert not link.is_symlink()


def test_a_reference_is_one_link_to_the_destination(export: Path) -> None:
    made = dataset("cvat", export, mode=ImageMode.REFERENCE)
    assert (made.out / "images").readlink() == made.frames
    assert 'name="r1/f1.png"' in (made.out / "all.xml").read_text()


def test_a_reference_of_yolo_is_a_link_for_each_frame(export: Path) -> None:
    made = dataset("yolo_ultralytics", export, mode=ImageMode.REFERENCE, split="train=0.5,val=0.5")
    links = list(made.out.glob("images/*/*.png"))
    assert sorted(link.name for link in links) == [
        "r1+f1.png",
        "r1+f2.png",
        "r1+f3.png",
        "r2+f1.png",
    ]
    assert all(link.is_symlink() and link.is_file() for link in links)
    for link in links:
        split = link.parent.name
        assert f"./images/{split}/{link.name}\n" in (made.out / f"{split}.txt").read_text()
        assert (made.out / "labels" / split / f"{link.stem}.txt").is_file()


def test_links_across_disks_are_refused_with_a_way_out(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "cross-device")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UsageError, match="another disk: use --images copy"):
        dataset("coco", export, mode=ImageMode.HARDLINK)


def test_what_else_the_disk_says_is_not_hidden(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="full"):
        dataset("coco", export, mode=ImageMode.HARDLINK)


@pytest.mark.parametrize("mode", [ImageMode.COPY, ImageMode.HARDLINK])
def test_a_recorded_frame_whose_file_is_gone_is_told(export: Path, mode: ImageMode) -> None:
    (export.parent / "frames/r1/f2.png").unlink()
    with pytest.raises(DestinationError, match=r"r1/f2\.png' is recorded and not there"):
        dataset("coco", export, mode=mode)


def test_without_frames_there_are_no_sizes(tmp_path: Path) -> None:
    export = write(tmp_path / "a.json", *EVERY_KIND)
    for name in ("coco", "masks", "kitti"):
        with ExportFile.open(export) as opened:
            collection = Collection([opened], None, Problems())
            with pytest.raises(UsageError, match=f"--to {name} needs .* --frames DEST"):
                write_dataset(
                    name,
                    collection,
                    tmp_path,
                    Tally(),
                    images=ImageMode.COPY,
                    categories=Categories.load(None),
                )


def test_an_unknown_format_is_refused(export: Path) -> None:
    with pytest.raises(UsageError, match="no image dataset format 'cocoa'"):
        dataset("cocoa", export)


def test_yolo_without_train_and_val_is_refused(tmp_path: Path, export: Path) -> None:
    with pytest.raises(UsageError, match=r"no place for frames in all: give --split train=0\.8"):
        dataset("yolo_ultralytics", export)
    (tmp_path / "alone").mkdir()
    alone = mirrored(tmp_path / "alone", sequence("r", frame("f", label("tool", BOX))))
    with pytest.raises(UsageError, match="there are none in"):
        dataset("yolo_ultralytics", alone, split="train=0.5,val=0.5")


def test_a_code_that_would_leave_the_folder_is_refused(tmp_path: Path) -> None:
    export = mirrored(tmp_path, sequence("r", frame("f", label("../../evil", BOX))))
    for name in ("voc", "imagenet"):
        with pytest.raises(UsageError, match="can't be written as"):
            dataset(name, export)
    assert dataset("coco", export).counts()["annotations"] == 1


def test_labels_that_were_not_asked_for_have_no_number(export: Path) -> None:
    made = dataset("coco", export, choice=Choice(labels=frozenset({"duct"}), unlabelled=False))
    assert made.categories.codes == ["duct"]
    assert made.counts() == {"frames": 1, "shapes": 1, "annotations": 1}
    assert made.skipped() == {"unlabelled": 3, "outside": 1}


def test_any_other_format_of_datumaro_is_written_uncounted(tmp_path: Path) -> None:
    export = mirrored(tmp_path, sequence("r", frame("f", label("tool", BOX, OUTLINE))))
    made = dataset("yolo", export)
    (labels,) = made.out.rglob("r+f.txt")
    assert labels.read_text() == "0 0.500000 0.250000 0.500000 0.500000\n"
    assert made.tally.noted == {"given_to_datumaro_and_not_counted": 2}
    (image,) = made.out.rglob("*.png")
    assert image.read_bytes() == (made.frames / "r/f.png").read_bytes()
    assert not list(dataset("yolo", export, mode=ImageMode.REFERENCE).out.rglob("*.png"))
    with pytest.raises(UsageError, match="use --images copy"):
        dataset("kitti", export, mode=ImageMode.HARDLINK)


@pytest.mark.parametrize(
    ("name", "why"), [("kitti_raw", "not a point cloud"), ("tf_detection_api", "further libraries")]
)
def test_a_format_that_can_not_take_frames_says_why(export: Path, name: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        dataset(name, export)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("imagenet_txt", ImageMode.COPY),
        ("yolo", ImageMode.COPY),
        ("masks", ImageMode.REFERENCE),
        ("masks", ImageMode.COPY),
    ],
)
def test_a_frame_whose_file_is_gone_is_not_passed_over(
    tmp_path: Path, name: str, mode: ImageMode
) -> None:
    export = mirrored(tmp_path, sequence("r", frame("f", label("tool", BOX, OUTLINE)), frame("g")))
    (tmp_path / "frames/r/f.png").unlink()
    with pytest.raises(DestinationError, match="recorded and not there"):
        dataset(name, export, mode=mode)
