"""Which frames a run asks for: what is read beforehand, refused, and asked of the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from store_kit import store

from mirror.errors import ExportError, UsageError
from mirror.export import ExportFile, Selection
from mirror.store import Failure, Ledger
from mirror.sync.plan import ask, check_exports, check_selection
from mirror.sync.request import SyncRequest


def entry(root: str, *frames: str, code: str | None = None) -> dict[str, object]:
    labels = [{"code": code}] if code else []
    found = [{"id": frame, "labels": labels} for frame in frames]
    return {"rootId": root, "workspaceId": "w", "featureSet": found}


class Exports:
    """Opens exports of given sequences."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def open(self, name: str, *entries: dict[str, object]) -> ExportFile:
        path = self._folder / name
        path.write_text(json.dumps({"sequences": entries}))
        return self._stack.enter_context(ExportFile.open(path))


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Exports]:
    with ExitStack() as stack:
        yield Exports(tmp_path, stack)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with store(tmp_path / "frames") as one:
        yield one.ledger


def request(selection: Selection | None = None, **more: object) -> SyncRequest:
    return SyncRequest((), Path("frames"), selection or Selection(), **more)


def asked(ledger: Ledger) -> list[str]:
    return [str(frame.ref) for frame in ledger.pending(0, 100)]


def test_a_new_export_is_read_to_its_end(exports: Exports) -> None:
    broken = exports.open("a.json", entry("r1", "f1"), entry("r2", "f2", "f/3"))
    with pytest.raises(ExportError, match="sequence 1"):
        check_exports([broken], frozenset())


def test_a_known_export_is_not_read_again_and_does_not_hide_a_new_one(exports: Exports) -> None:
    broken = exports.open("a.json", entry("r1", "f/1"))
    check_exports([broken], frozenset({broken.sha256}))
    other = exports.open("b.json", entry("r2", "f/2"))
    with pytest.raises(ExportError, match=r"b\.json"):
        check_exports([broken, other], frozenset({broken.sha256}))


def test_roots_of_two_exports_that_differ_by_case_are_refused(exports: Exports) -> None:
    both = [exports.open("a.json", entry("root", "f")), exports.open("b.json", entry("ROOT", "f"))]
    with pytest.raises(ExportError, match="differ only by case"):
        check_exports(both, frozenset(export.sha256 for export in both))


def test_a_sequence_that_is_in_no_export_is_named(exports: Exports) -> None:
    export = exports.open("a.json", entry("r1", "f1"))
    check_selection([export], Selection(sequences=frozenset({"r1"})))
    with pytest.raises(UsageError) as caught:
        check_selection([export], Selection(sequences=frozenset({"r1", "z", "q"})))
    assert str(caught.value) == (
        "No sequence with the rootId 'q' in these exports; `mirror inspect` lists them."
    )


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(labels=frozenset({"liver", "hook"})), "hook or liver"),
        (Selection(labelled_only=True), "anything"),
    ],
)
def test_a_selection_of_nothing_is_refused(
    exports: Exports, selection: Selection, wanted: str
) -> None:
    export = exports.open("a.json", entry("r1", "f1"))
    check_selection([export], Selection())
    with pytest.raises(UsageError) as caught:
        check_selection([export], selection)
    assert str(caught.value) == (
        f"No frame of these exports is labelled with {wanted}; `mirror inspect` lists the labels."
    )
    labelled = exports.open("b.json", entry("r1", "f1", code="liver"))
    check_selection([export, labelled], selection)


def test_an_export_without_frames_is_no_wrong_selection(exports: Exports) -> None:
    check_selection([exports.open("a.json", {"rootId": "r1"})], Selection())


def test_everything_of_all_exports_is_asked_for_and_told(
    exports: Exports, ledger: Ledger, tmp_path: Path
) -> None:
    one = exports.open("a.json", entry("r1", "f1", "f2"), entry("r2"))
    two = exports.open("b.json", entry("r1", "f2", "f3"))
    entries = ask(ledger, [one, two], request())
    assert asked(ledger) == ["r1/f1", "r1/f2", "r1/f3"]
    assert [(each.path, each.sequences, each.frames, each.left) for each in entries] == [
        (str(tmp_path / "a.json"), 2, 2, 0),
        (str(tmp_path / "b.json"), 1, 2, 0),
    ]
    assert entries[0].sha256 == hashlib.sha256((tmp_path / "a.json").read_bytes()).hexdigest()


def test_what_left_an_export_of_the_same_path_is_told(exports: Exports, ledger: Ledger) -> None:
    ask(ledger, [exports.open("a.json", entry("r1", "f1", "f2"))], request())
    entries = ask(ledger, [exports.open("a.json", entry("r1", "f2"))], request())
    assert [(each.frames, each.left) for each in entries] == [(1, 1)]
    assert asked(ledger) == ["r1/f2"]


def test_the_ledger_knows_an_export_by_its_whole_path(
    exports: Exports, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.open("a.json", entry("r1", "f1"))
    with ExportFile.open(Path("a.json")) as export:
        entries = ask(ledger, [export], request())
    assert [each.path for each in entries] == ["a.json"]
    rows = ledger._db.execute("SELECT path, size, sequences FROM exports").fetchall()
    assert rows == [(str(tmp_path / "a.json"), (tmp_path / "a.json").stat().st_size, 1)]


def test_a_selection_and_a_limit_narrow_what_is_asked_for(exports: Exports, ledger: Ledger) -> None:
    one = exports.open("a.json", entry("r1", "f1", "f2"), entry("r2", "f3", code="liver"))
    ask(ledger, [one], request(Selection(labels=frozenset({"liver"}))))
    assert asked(ledger) == ["r2/f3"]
    ask(ledger, [one], request(limit=2))
    assert asked(ledger) == ["r1/f1", "r1/f2"]
    ask(ledger, [one], request(Selection(sequences=frozenset({"r1"})), limit=1))
    assert asked(ledger) == ["r1/f1"]


def fail(ledger: Ledger, reasons: Sequence[str | None]) -> None:
    frames = ledger.pending(0, 100)
    failures = [
        Failure(frame, reason, "why", 1)
        for frame, reason in zip(frames, reasons, strict=True)
        if reason
    ]
    ledger.record([], failures)


@pytest.mark.parametrize(
    ("wanted", "limit", "expected"),
    [
        ("*", None, ["r1/f2", "r1/f3", "r1/f4"]),
        ("timeout", None, ["r1/f2", "r1/f4"]),
        ("*", 2, ["r1/f2", "r1/f3"]),
        ("timeout", 2, ["r1/f2", "r1/f4"]),
    ],
)
def test_retrying_asks_for_what_failed_and_limits_that(
    exports: Exports, ledger: Ledger, wanted: str, limit: int | None, expected: list[str]
) -> None:
    one = exports.open("a.json", entry("r1", "f1", "f2", "f3", "f4"))
    ask(ledger, [one], request())
    fail(ledger, [None, "timeout", "not_found", "timeout"])
    ask(ledger, [one], request(retry_failed=wanted, limit=limit))
    assert asked(ledger) == expected


def test_frames_that_were_purged_are_told(
    exports: Exports, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ledger.ingest
    monkeypatch.setattr(ledger, "ingest", lambda *given: replace(real(*given), purged=7))
    (told,) = ask(ledger, [exports.open("a.json", entry("r1", "f1"))], request())
    assert (told.frames, told.purged) == (1, 7)
