"""Every export that can't be read is refused in one sentence that says where and why."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mirror.errors import ExitCode, ExportError
from mirror.export import (
    ExportFile,
    Selection,
    decode_annotations,
    select_frames,
    summarize,
)

DEEP = b"[" * 100_000


def _read(path: Path, selection: Selection | None = None) -> list[tuple[str, ...]]:
    with ExportFile.open(path) as export:
        groups = select_frames([export], selection or Selection())
        return [group.frame_ids for group in groups]


def _refusal(path: Path, selection: Selection | None = None) -> str:
    with pytest.raises(ExportError) as caught:
        _read(path, selection)
    told = str(caught.value)
    assert caught.value.exit_code is ExitCode.EXPORT
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "\n" not in told
    assert told.endswith(".")
    assert told.replace("…", "").isascii()
    return told


def _bytes(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    return path


def _frames(tmp_path: Path, *frames: Any) -> Path:
    entry = {"rootId": "r", "workspaceId": "w", "featureSet": list(frames)}
    return _bytes(tmp_path, json.dumps({"sequences": [{}, entry]}).encode())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = _refusal(tmp_path / "none.json")
    assert "none.json' can't be read: No such file or directory" in told


def test_a_folder_is_no_export(tmp_path: Path) -> None:
    assert "is a directory" in _refusal(tmp_path)


def test_a_name_that_no_file_can_have_is_no_traceback() -> None:
    assert "can't be read" in _refusal(Path("a\x00b"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = _bytes(tmp_path, b"{}")
    path.chmod(0)
    assert "Permission denied" in _refusal(path)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_a_device_is_refused_and_not_read_forever(device: str) -> None:
    if not Path(device).is_char_device():
        pytest.skip("no such device here")
    assert "no regular file" in _refusal(Path(device))


@pytest.mark.timeout(10)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in _refusal(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n\t " * 2000, "nothing but white space"),
        (b"\xef\xbb\xbf", "nothing but white space"),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (b"PK\x03\x04", "is compressed"),
        ('{"sequences":[]}'.encode("utf-16"), "is UTF-16"),
        (b"hello", "byte 0: the JSON is broken"),
        (b'{"sequences":[{"a":', "byte 19: the file ends in the middle"),
        (b'{"sequences":[{"a":tru}]}', "byte 20: the JSON is broken"),
        (b'\xef\xbb\xbf{"sequences":[{"a":tru}]}', "byte 23: the JSON is broken"),
        (b'{"sequences":[{"a":1,}]}', "byte 21: the JSON is broken (trailing comma in object)"),
        (b'{"sequences":[{"a":01}]}', "byte 20: the JSON is broken (invalid number)"),
        (b'{"sequences":[{"a":"\x01"}]}', "byte 20: the JSON is broken"),
        (b'{"sequences":[{"a":NaN}]}', "byte 19: the JSON is broken"),
        (b'{"sequences":[]} garbage', "byte 17: the JSON is broken (trailing characters)"),
        (b'{"sequences":[]}\x00', "byte 16: the JSON is broken (trailing characters)"),
        (b"[]", "expected object, got array"),
        (b"null", "expected object, got null"),
        (b"{}", "missing required field 'sequences'"),
        (b'{"sequences":null}', "sequences: expected array, got null"),
        (b'{"sequences":{}}', "sequences: expected array, got object"),
        (b'{"sequences":[{},1]}', "sequence 1: expected object, got number"),
        (b'{"sequences":[{},null]}', "sequence 1: expected object, got null"),
        (b'{"sequences":[{"rootId":3}]}', "sequence 0, rootId: expected string or null, got"),
        (b'{"sequences":[{"rootId":""}]}', "sequence 0: rootId '' can't be an id: it is empty"),
        (b'{"sequences":[{"workspaceId":"a/b"}]}', "sequence 0: workspaceId 'a/b' can't be"),
        (b'{"sequences":[{"featureSet":{}}]}', "sequence 0, featureSet: expected array or null"),
        (b'{"sequences":[{"featureSet":"nullx"}]}', "featureSet: expected array or null"),
        (b'{"sequences":[{"featureSet":[{}]}]}', "sequence 0: it has frames but no rootId"),
        (
            b'{"sequences":[{"rootId":"r","featureSet":[1]}]}',
            "(rootId 'r'): it has frames but no w",
        ),
        (
            b'{"sequences":[{"rootId":"\xff"}]}',
            "sequence 0: the text is not UTF-8 (first at byte 25",
        ),
        (b'{"sequences":[],"\xff":1,"x":"sequences"}', "the text is not UTF-8 (first at byte 17"),
        (b'{"sequences":[{"rootId":"\\ud800\\u0041 "}]}', "byte 37: the JSON is broken"),
    ],
)
def test_attack_20_wrong_files_are_told_with_their_place(
    tmp_path: Path, content: bytes, told: str
) -> None:
    assert told in _refusal(_bytes(tmp_path, content))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (7, "frame 1: expected object, got number"),
        (None, "frame 1: expected object, got null"),
        ({}, "frame 1: object missing required field 'id'"),
        ({"id": None}, "frame 1, id: expected string, got null"),
        ({"id": 12}, "frame 1, id: expected string, got number"),
        ({"id": 10**400}, "frame 1, id:"),
        ({"id": ["a"]}, "frame 1, id: expected string, got array"),
    ],
)
def test_attack_20_a_frame_of_another_shape_is_told_with_its_place(
    tmp_path: Path, frame: Any, told: str
) -> None:
    path = _frames(tmp_path, {"id": "fine"}, frame)
    assert f"sequence 1 (rootId 'r'), {told}" in _refusal(path)


@pytest.mark.parametrize(
    "bad",
    [
        *["../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "..\\x"],  # A1
        *["a\x00b", "a\x1bb", "a\u202eb", "a\nb", "é", "a\u200bb"],  # A2
        *[".", "..", ".hidden", "trailing.", "CON", "nul.png", "COM1"],  # A3
        "x" * 201,  # A4
        *["a?b", "a#b", "a%2fb", "a b", "a&b", ""],  # A8
    ],
)
def test_attacks_1_2_3_4_8_hostile_ids_are_refused_with_their_place(
    tmp_path: Path, bad: str
) -> None:
    told = _refusal(_frames(tmp_path, {"id": "fine"}, {"id": bad}))
    assert "sequence 1 (rootId 'r'), frame 1: id '" in told
    assert "can't be an id" in told
    entry = {"rootId": bad, "workspaceId": "w", "featureSet": [{"id": "f"}]}
    told = _refusal(_bytes(tmp_path, json.dumps({"sequences": [entry]}).encode()))
    assert "sequence 0: rootId '" in told


def test_attack_2_a_lone_surrogate_in_an_id_is_refused(tmp_path: Path) -> None:
    path = _bytes(
        tmp_path,
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"\\udc80abcdef"}]}]}',
    )
    assert "the JSON is broken" in _refusal(path)


def test_bytes_that_are_no_utf8_in_an_id_are_told_with_their_byte(tmp_path: Path) -> None:
    content = (
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"a"},{"id":"\xff"}]}]}'
    )
    told = _refusal(_bytes(tmp_path, content))
    assert "sequence 0 (rootId 'r'), frame 1: the text is not UTF-8" in told
    assert f"byte {content.index(0xFF)} " in told


@pytest.mark.parametrize(
    "content",
    [
        DEEP,
        b'{"sequences":' + DEEP,
        b'{"x":' + DEEP,
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":' + DEEP,
        b'{"a":' * 100_000,
    ],
)
def test_attack_19_nesting_bombs_are_refused(tmp_path: Path, content: bytes) -> None:
    told = _refusal(_bytes(tmp_path, content))
    assert "nested too deeply" in told or "expected" in told


@pytest.mark.parametrize(
    "around",
    [
        b'{"sequences":[{"x":%s}]}',
        b'{"sequences":[{"videoAnnotations":[{"x":%s}]}]}',
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"f","x":%s}]}]}',
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"f","labels":'
        b'[{"shapes":[{"points":[{"x":1,"y":1,"z":%s}]}]}]}]}]}',
    ],
)
def test_attack_19_at_the_edge_of_what_is_too_deep_it_is_read_or_refused(
    tmp_path: Path, around: bytes
) -> None:
    """The readers stand at different depths of the stack, so each meets the edge elsewhere."""
    refusals = []
    for depth in range(850, 1000):
        path = _bytes(tmp_path, around % (b"[" * depth + b"]" * depth))
        try:
            with ExportFile.open(path) as export:
                for _ in select_frames([export], Selection()):
                    pass
                summarize([export])
                decode_annotations(export.sequences[0])
        except ExportError as error:
            refusals.append(str(error))
    assert all("nested too deeply" in told or "depth limit" in told for told in refusals)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"sequences":[],"sequences":[{}]}', "bad.json': the key 'sequences' occurs twice"),
        (b'{"sequences":[],"\\u0073equences":[{}]}', "the key 'sequences' occurs twice"),
        (b'{"seq\\u0075ences":[{}],"sequences":[]}', "the key 'sequences' occurs twice"),
        (b'{"sequences":[{"rootId":"a","rootId":"b"}]}', "sequence 0: the key 'rootId' occurs"),
        (b'{"sequences":[{"featureSet":[],"f":1,"featureSet":[]}]}', "key 'featureSet' occurs"),
        (b'{"sequences":[{"rootId":"a","root\\u0049d":"b"}]}', "the key 'rootId' occurs twice"),
    ],
)
def test_attack_20_keys_that_occur_twice_are_refused(
    tmp_path: Path, content: bytes, told: str
) -> None:
    assert told in _refusal(_bytes(tmp_path, content))


def test_a_value_that_looks_like_the_key_is_no_second_key(tmp_path: Path) -> None:
    assert _read(_bytes(tmp_path, b'{"name":"sequences","sequences":[{"sequences":1}]}')) == []


def test_attack_20_a_sequence_of_countless_fields_is_refused_early(tmp_path: Path) -> None:
    entry = {f"k{number}": 1 for number in range(1001)}
    told = _refusal(_bytes(tmp_path, json.dumps({"sequences": [entry]}).encode()))
    assert "sequence 0: more than 1000 fields" in told


def test_of_two_ids_of_one_frame_the_last_counts_for_every_reader(tmp_path: Path) -> None:
    path = _bytes(
        tmp_path,
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"a","id":"b"}]}]}',
    )
    assert _read(path) == [("b",)]
    with ExportFile.open(path) as export:
        assert decode_annotations(export.sequences[0])["featureSet"] == [{"id": "b"}]


def test_attack_5_frames_that_differ_only_by_case_end_the_reading(tmp_path: Path) -> None:
    told = _refusal(_frames(tmp_path, {"id": "ab"}, {"id": "c"}, {"id": "aB"}))
    assert "(rootId 'r'): the frame ids 'ab' and 'aB' differ only by case" in told


def test_attack_5_roots_that_differ_only_by_case_are_found_before_any_frame_is_read(
    tmp_path: Path,
) -> None:
    paths = []
    for root in ("Root", "root"):
        entry = {"rootId": root, "workspaceId": "w", "featureSet": [{"id": "f"}]}
        paths.append(tmp_path / f"{root}-batch.json")
        paths[-1].write_text(json.dumps({"sequences": [entry]}))
    with ExportFile.open(paths[0]) as one, ExportFile.open(paths[1]) as two:
        with pytest.raises(ExportError, match="'root' and 'Root' differ only by case") as caught:
            select_frames([one, two], Selection())
        assert "Root-batch.json" in str(caught.value)
        assert "root-batch.json" in str(caught.value)
        only = Selection(sequences=frozenset({"root"}))
        assert [group.root_id for group in select_frames([one, two], only)] == ["root"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "labels: expected array or null, got object"),
        ([None], "labels[0]: expected object, got null"),
        ([{"code": 3}], "labels[0].code: expected string or null, got number"),
    ],
)
def test_labels_of_another_shape_are_told_where_labels_are_asked_for(
    tmp_path: Path, labels: Any, told: str
) -> None:
    path = _frames(tmp_path, {"id": "a"}, {"id": "b", "labels": labels})
    assert _read(path) == [("a", "b")], "without labels in question they are not looked at"
    for selection in (Selection(labelled_only=True), Selection(labels=frozenset({"c"}))):
        assert f"frame 1, {told}" in _refusal(path, selection)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"videoAnnotations": {}}, "sequence 0, videoAnnotations: expected array or null"),
        (
            {"videoAnnotations": [{"timestampStart": "1"}]},
            "videoAnnotations[0].timestampStart: expected number or null, got string",
        ),
        ({"videoAnnotations": [{"timestampEnd": 1e300}]}, "timestampEnd: expected number <="),
    ],
)
def test_annotations_of_another_shape_are_told_when_they_are_counted(
    tmp_path: Path, entry: Any, told: str
) -> None:
    path = _bytes(tmp_path, json.dumps({"sequences": [entry]}).encode())
    with ExportFile.open(path) as export, pytest.raises(ExportError) as caught:
        summarize([export])
    assert told in str(caught.value)


def test_shapes_whose_points_are_none_are_counted_with_the_place_of_the_first(
    tmp_path: Path,
) -> None:
    wrong = {"code": "c", "shapes": [{"type": "keypoint", "points": [1]}]}
    frames = [{"id": "f"}, {"id": "g", "labels": [{}, wrong]}, {"id": "h", "labels": [wrong]}]
    path = _frames(tmp_path, *frames)
    with ExportFile.open(path) as export:
        counts = summarize([export]).total
    assert (counts.unreadable_shapes, counts.shapes) == (2, {"keypoint": 2})
    assert str(counts.unreadable_at).endswith("frame 1, labels[1].shapes[0]")


@pytest.mark.parametrize(
    ("inside", "told"),
    [
        (b'"\xff"', "the text is not UTF-8 (first at byte"),
        (b"1e999", "number is infinity"),
        (b"[" * 990 + b"[" * 60 + b"]" * 1050, ""),
    ],
)
def test_whole_sequences_that_cannot_be_built_are_told(
    tmp_path: Path, inside: bytes, told: str
) -> None:
    path = _bytes(tmp_path, b'{"sequences":[{"rootId":"r","x":%s}]}' % inside)
    with pytest.raises(ExportError, match=r"bad\.json'") as caught, ExportFile.open(path) as export:
        decode_annotations(export.sequences[0])
    assert told in str(caught.value)


def test_video_labels_that_are_no_utf8_are_told(tmp_path: Path) -> None:
    content = b'{"sequences":[{"videoAnnotations":[{"label":{"code":"\xff"}}]}]}'
    told = r"sequence 0: the text is not UTF-8 .*byte 53"
    path = _bytes(tmp_path, content)
    with ExportFile.open(path) as export, pytest.raises(ExportError, match=told):
        summarize([export])
