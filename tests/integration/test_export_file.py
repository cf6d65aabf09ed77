"""Opening real files: what is read, what is refused, what closing does."""

from __future__ import annotations

import gc
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import ExportError
from mirror.export import ExportFile, Selection, decode_annotations, select_frames

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    path.write_bytes((SAMPLES / "frame-batch.json").read_bytes())
    return path


def _held(path: Path) -> bool:
    """Whether this process still has the file open or mapped."""
    gc.collect()
    process = Path("/proc/self")
    if not process.exists():
        pytest.skip("needs /proc to look into")
    handles = [handle.resolve() for handle in process.joinpath("fd").iterdir()]
    return path in handles or str(path) in process.joinpath("maps").read_text()


def _write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "made.json"
    path.write_text(json.dumps(content))
    return path


def test_an_export_gives_its_sequences_in_order_with_their_ids(export: Path) -> None:
    document = json.loads(export.read_bytes())
    with ExportFile.open(export) as opened:
        assert opened.path == export
        assert opened.size == export.stat().st_size
        assert [(p.index, p.workspace_id, p.root_id) for p in opened.sequences] == [
            (index, entry["workspaceId"], entry["rootId"])
            for index, entry in enumerate(document["sequences"])
        ]
        assert [bytes(memoryview(p.raw))[:1] for p in opened.sequences] == [b"{"] * 4
        assert "4 sequences" in repr(opened)
        assert repr(opened.sequences[0]).startswith("<SequenceSlice 0 795b929e")
    assert "closed" in repr(opened)


def test_the_hash_is_that_of_the_whole_file_and_may_be_asked_for_in_a_thread(export: Path) -> None:
    with ExportFile.open(export) as opened:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(opened.sha256))
        thread.start()
        thread.join()
        assert found == [hashlib.sha256(export.read_bytes()).hexdigest()]
    assert opened.sha256 == found[0], "once hashed it is known, closed or not"


def test_a_byte_order_mark_is_skipped_but_hashed(export: Path) -> None:
    export.write_bytes(b"\xef\xbb\xbf" + export.read_bytes())
    with ExportFile.open(export) as opened:
        assert len(opened.sequences) == 4
        assert opened.sha256 == hashlib.sha256(export.read_bytes()).hexdigest()


def test_whole_sequences_are_what_json_makes_of_them(export: Path) -> None:
    document = json.loads(export.read_bytes())
    with ExportFile.open(str(export)) as opened:
        assert [decode_annotations(piece) for piece in opened.sequences] == document["sequences"]


def test_closing_gives_the_file_back_and_ends_the_sequences(export: Path) -> None:
    opened = ExportFile.open(export)
    assert _held(export)
    opened.close()
    opened.close()
    assert not _held(export)
    with pytest.raises(ValueError, match="closed"):
        _ = opened.sequences


def test_a_slice_that_outlives_its_export_stays_readable_and_then_lets_go(export: Path) -> None:
    with ExportFile.open(export) as opened:
        piece = opened.sequences[0]
    assert decode_annotations(piece)["rootId"] == piece.root_id
    del piece, opened
    assert not _held(export)


def test_an_export_that_cannot_be_read_is_not_kept_open(tmp_path: Path) -> None:
    path = _write(tmp_path, {"sequences": [{"rootId": 3}]})
    with pytest.raises(ExportError):
        ExportFile.open(path)
    assert not _held(path)


def test_fault_60_an_export_that_changes_while_it_is_read_is_noticed(export: Path) -> None:
    with ExportFile.open(export) as opened:
        with export.open("ab") as file:
            file.write(b" ")
        with pytest.raises(ExportError, match="changed while it was read"):
            _ = opened.sha256


def test_a_sequence_without_frames_may_lack_its_ids_and_names_nothing(tmp_path: Path) -> None:
    entries = [{}, {"rootId": None, "featureSet": []}, {"rootId": "r", "featureSet": None}]
    with ExportFile.open(_write(tmp_path, {"sequences": entries})) as opened:
        assert [(p.workspace_id, p.root_id) for p in opened.sequences] == [
            ("", ""),
            ("", ""),
            ("", "r"),
        ]
        assert list(select_frames([opened], Selection())) == []


def test_unknown_fields_are_ignored_wherever_they_stand(tmp_path: Path) -> None:
    frame = {"labels": None, "x": {"id": "no"}, "id": "f", "y": [1, {"sequences": []}]}
    entry = {"q": 1.5e300, "featureSet": [frame], "workspaceId": "w", "rootId": "r"}
    path = _write(tmp_path, {"a": [[[]]], "sequences": [entry], "z": None})
    with ExportFile.open(path) as opened:
        (group,) = select_frames([opened], Selection())
    assert group.frame_ids == ("f",)


def test_an_export_with_very_many_sequences_is_cut(tmp_path: Path) -> None:
    entries = [
        {"rootId": f"r{n}", "workspaceId": "w", "featureSet": [{"id": "f"}]} for n in range(5000)
    ]
    with ExportFile.open(_write(tmp_path, {"sequences": entries})) as opened:
        assert sum(len(g.frame_ids) for g in select_frames([opened], Selection())) == 5000
        workspaces = {id(piece.workspace_id) for piece in opened.sequences}
        assert len(workspaces) == 1, "one string serves all"
