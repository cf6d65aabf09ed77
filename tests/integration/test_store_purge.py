"""Erasing frames and everything that names them, on real files."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from store_kit import files, group, ids, names, record, store

from mirror.errors import DestinationError, LedgerError, UsageError
from mirror.store import (
    Destination,
    Erased,
    Layout,
    Ledger,
    LedgerReader,
    Purge,
    Purged,
    PurgeTarget,
    audit_of,
    find_target,
    unfinished,
    write_checksums,
)
from mirror.store.audit import FrameName, SequenceName

R1 = PurgeTarget(sequences=(SequenceName("w1", "r1"),))
A = PurgeTarget(frames=(FrameName("w1", "r1", "a"),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three frames of two sequences, mirrored, and one that is pending."""
    with store(tmp_path / "dest") as one:
        frames = one.ask(group("a", "b"), group("c", "d", root="r2"))
        one.committer.commit(one.write(frames[:3]), [])
    return tmp_path / "dest"


def erase(root: Path, target: PurgeTarget) -> Erased:
    with Destination.open(root, Layout()) as destination, Purge.open(destination) as purging:
        return purging.erase(target, lambda _: None)


def rows(root: Path) -> list[str]:
    with LedgerReader.open(root) as reader:
        return [each.ref.frame_id for each in reader.mirrored()]


def naming(root: Path, text: str) -> list[str]:
    """Files, and names of files and folders, with `text` in them; the audit trail is left out."""
    return [
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.name != "audit.jsonl"
        and (text in path.name or (path.is_file() and text.encode() in path.read_bytes()))
    ]


def audit(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / ".mirror/audit.jsonl").read_text().splitlines()]


def test_attack_28_a_sequence_leaves_no_file_row_or_name(root: Path) -> None:
    with store(root) as one:
        write_checksums(one.destination, one.ledger.mirrored())
    long = "sequence-to-be-forgotten"
    with store(root) as one:
        more = one.ask(group("x1", "x2", root=long), sha256="cd" * 32)
        one.committer.commit(one.write(more), [])
        write_checksums(one.destination, one.ledger.mirrored())
        one.destination.write_state("report.json", [f'{{"failures": "{long}"}}'.encode()])
    (root / ".mirror/ledger.damaged-then.sqlite3").write_text(long)
    assert len(naming(root, long)) >= 4
    erased = erase(root, PurgeTarget(sequences=(SequenceName("w1", long),)))
    assert naming(root, long) == []
    assert (erased.frames, erased.files, erased.ledgers) == (2, 2, 1)
    assert rows(root) == ["a", "b", "c"]
    assert files(root) == {"r1/a.png", "r1/b.png", "r2/c.png"}
    assert "r1/a.png" in (root / ".mirror/SHA256SUMS").read_text()


def test_one_frame_goes_and_its_neighbours_stay(root: Path) -> None:
    size = (root / "r1/a.png").stat().st_size
    erased = erase(root, A)
    assert (erased.frames, erased.files, erased.bytes) == (1, 1, size)
    assert files(root) == {"r1/b.png", "r2/c.png"}
    assert rows(root) == ["b", "c"]
    with LedgerReader.open(root) as reader:
        assert reader.frames_named("a", None, None) == []


def test_with_its_last_frame_a_sequence_goes(root: Path) -> None:
    """Else the ledger would go on naming it."""
    erase(root, PurgeTarget(frames=(FrameName("w1", "r1", "a"),)))
    with LedgerReader.open(root) as reader:
        assert reader.sequences_named("r1", None) == [("w1", "r1")]
    erase(root, PurgeTarget(frames=(FrameName("w1", "r1", "b"),)))
    with LedgerReader.open(root) as reader:
        assert reader.sequences_named("r1", None) == []
        assert reader.sequences_named("r2", None) == [("w1", "r2")]


TEMPLATES = ("{root_id}/{frame_id}.png", "{frame_id}/x-{root_id}-y/{frame_id}.png")


@pytest.mark.parametrize("template", TEMPLATES)
def test_attack_28_files_that_the_ledger_forgot_go_with_their_sequence(
    tmp_path: Path, template: str
) -> None:
    """It was lost, and the export edited since. What others have, by root or workspace, stays."""
    layout = Layout(template)
    others = {"r1": ["b"], "r1x": ["a"], "r2": ["a"]}
    kept = {template.format(root_id=r, frame_id=f) for r, ids in others.items() for f in ids}
    gone = {template.format(root_id="r1", frame_id=frame) for frame in ("a", "c")}
    for path in (*kept, *gone, *(f".mirror/set-aside/{path}.2" for path in (*gone, *kept))):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"a picture")
    with Destination.open(tmp_path, layout) as destination:
        with Ledger.open(destination) as ledger:
            groups = [group("c"), group(*others["r1"], workspace="w2")]
            ledger.ingest(record(), groups)
        with Purge.open(destination) as purging:
            erased = purging.erase(R1, lambda _: None)
    assert (erased.frames, erased.files, erased.set_aside) == (1, 2, 2)
    assert files(tmp_path) == kept
    assert {path[: -len(".2")] for path in files(tmp_path / ".mirror/set-aside")} == kept


def test_attack_28_another_workspace_does_not_hide_what_the_ledger_forgot(tmp_path: Path) -> None:
    paths = {"w1/r1/a.png", "w2/r1/a.png"}
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(b"a picture")
    layout = Layout("{workspace_id}/{root_id}/{frame_id}.png")
    with Destination.open(tmp_path, layout) as destination:
        with Ledger.open(destination) as ledger:
            ledger.ingest(record(), [group("c"), group("a", workspace="w2")])
        with Purge.open(destination) as purging:
            purging.erase(R1, lambda _: None)
    assert files(tmp_path) == {"w2/r1/a.png"}


def test_where_ids_run_together_only_what_is_recorded_goes(tmp_path: Path) -> None:
    (tmp_path / "r1-a-b.png").write_bytes(b"of r1-a, maybe")
    with Destination.open(tmp_path, Layout("{root_id}-{frame_id}.png")) as destination:
        with Ledger.open(destination) as ledger:
            ledger.ingest(record(), [group("c")])
        with Purge.open(destination) as purging:
            purging.erase(R1, lambda _: None)
    assert files(tmp_path) == {"r1-a-b.png"}


def test_the_audit_trail_says_what_when_and_by_whom(root: Path) -> None:
    erase(root, R1)
    begun, done = audit(root)
    assert begun["action"] == "purge_begun"
    assert done["action"] == "purged"
    assert done["sequences"] == [{"workspace_id": "w1", "root_id": "r1"}]
    assert done["erased"]["frames"] == 2
    assert done["at"].endswith("Z")
    assert "@" in done["by"]
    assert (root / ".mirror/audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_copies_that_were_set_aside_go_too(root: Path) -> None:
    aside = root / ".mirror/set-aside/r1"
    aside.mkdir(parents=True)
    for name in ("a.png.1", "a.png.12", "b.png.1", "aa.png.1"):
        (aside / name).write_bytes(b"old")
    assert erase(root, A).set_aside == 2
    assert names(aside) == ["aa.png.1", "b.png.1"]


def test_a_pending_frame_goes_with_whatever_stands_at_its_name(root: Path) -> None:
    (root / "r2/d.png").write_bytes(b"foreign")
    erased = erase(root, PurgeTarget(frames=(FrameName("w1", "r2", "d"),)))
    assert (erased.frames, erased.files) == (1, 1)
    assert files(root) == {"r1/a.png", "r1/b.png", "r2/c.png"}


def test_what_holds_other_things_is_left(root: Path) -> None:
    (root / "r1/notes.txt").write_text("mine")
    (root / "r1/a.png").unlink()
    (root / "r1/a.png").mkdir()
    (root / "r1/a.png/mine").write_text("mine, too")
    erased = erase(root, R1)
    assert (erased.frames, erased.files, erased.folders_left) == (2, 1, 1)
    assert files(root) == {"r1/notes.txt", "r1/a.png/mine", "r2/c.png"}


def test_a_link_goes_and_what_it_leads_to_stays(root: Path, tmp_path: Path) -> None:
    (tmp_path / "other.png").write_bytes(b"mine")
    (root / "r1/a.png").unlink()
    (root / "r1/a.png").symlink_to(tmp_path / "other.png")
    erase(root, A)
    assert not (root / "r1/a.png").is_symlink()
    assert (tmp_path / "other.png").read_bytes() == b"mine"


def test_attack_06_a_folder_swapped_for_a_link_ends_it(root: Path, tmp_path: Path) -> None:
    (root / "r1").rename(tmp_path / "elsewhere")
    (root / "r1").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DestinationError, match="symbolic link"):
        erase(root, R1)
    assert names(tmp_path / "elsewhere") == ["a.png", "b.png"]


def test_what_was_purged_is_not_taken_in_again(root: Path) -> None:
    erase(root, A)
    with store(root) as one:
        result = one.ledger.ingest(record("ef" * 32), [group("a", "b", "e")])
        assert (result.frames, result.added, result.purged) == (3, 1, 1)
        one.ledger.ask_exports(["ef" * 32], None)
        assert ids(one.ledger.pending(0, 10)) == ["e"]
        again = one.ledger.ingest(record("ef" * 32), [])
        assert (again.frames, again.purged) == (3, 1)


def test_what_was_purged_stays_away_when_the_ledger_is_lost(root: Path) -> None:
    erase(root, R1)
    (root / ".mirror/ledger.sqlite3").unlink()
    with store(root) as one:
        assert ids(one.ask(group("a", "new"), group("c", "d", root="r2"))) == ["c", "d"]


@pytest.mark.parametrize("step", ["_erase_files", "_scrub"])
def test_a_purge_cut_short_is_known_left_out_and_finished(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Purge, step, cut)
        with pytest.raises(KeyboardInterrupt):
            erase(root, R1)
    assert unfinished(audit_of(root)) == R1
    with store(root) as one:
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.keep_unpurged()
        assert ids(one.ledger.pending(0, 10)) == ["d"]
        # nothing is recorded that may be gone
        assert {each.ref.root_id for each in one.ledger.mirrored()} == {"r2"}
    erase(root, R1)
    assert unfinished(audit_of(root)) is None
    assert naming(root, "r1") == []
    with store(root) as one:
        one.ledger.ask_exports([record().sha256], None)
        assert not one.ledger.keep_unpurged()


def test_two_purges_cut_short_are_finished_together(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    c = FrameName("w1", "r2", "c")
    for target in (R1, PurgeTarget(frames=(c,))):
        with monkeypatch.context() as patched:
            patched.setattr(Purge, "_scrub", cut)
            with pytest.raises(KeyboardInterrupt):
                erase(root, target)
    both = unfinished(audit_of(root))
    assert both == PurgeTarget(R1.sequences, (c,))
    erase(root, both)
    assert unfinished(audit_of(root)) is None


def test_a_frame_whose_row_was_lost_meanwhile_is_erased_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Purge, "_erase_files", cut)
        with pytest.raises(KeyboardInterrupt):
            erase(root, A)
    (root / ".mirror/ledger.sqlite3").unlink()
    with store(root) as one:
        one.ask(group("b"), group("c", root="r2"))
    assert erase(root, A).files == 1
    assert "r1/a.png" not in files(root)


def test_what_is_still_in_the_log_is_not_called_erased(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / ".mirror/ledger.sqlite3"
    with Destination.open(root, Layout()) as destination, Purge.open(destination) as purging:
        reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        with closing(reader):
            reader.execute("BEGIN")
            reader.execute("SELECT COUNT(*) FROM frames").fetchone()
            purging._db.execute("PRAGMA busy_timeout = 50")
            with pytest.raises(LedgerError, match="another program"):
                purging.erase(A, lambda _: None)
    assert unfinished(audit_of(root)) == A
    erase(root, A)
    assert unfinished(audit_of(root)) is None


def test_ids_are_compared_as_the_ledger_does_without_case(root: Path) -> None:
    erase(root, PurgeTarget(sequences=(SequenceName("w1", "r1"),)))
    with store(root) as one:
        assert ids(one.ask(group("A", root="R1"), sha256="ef" * 32)) == []


def test_single_frames_of_a_purge_cut_short_are_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Purge, "_erase_files", cut)
    with pytest.raises(KeyboardInterrupt):
        erase(root, A)
    with store(root) as one:
        one.ledger.ask_exports([record().sha256], None)
        assert one.ledger.keep_unpurged()
        assert ids(one.ledger.pending(0, 10)) == ["d"]


@pytest.mark.parametrize("content", [b"{", b'{"at": 1}\n', b"\xff\n", b'{"action": "other"}\n'])
def test_a_damaged_audit_trail_ends_a_run_before_anything_comes_back(
    root: Path, content: bytes
) -> None:
    erase(root, A)
    (root / ".mirror/audit.jsonl").write_bytes(content)
    with store(root) as one, pytest.raises(DestinationError, match="restore it"):
        one.ask(group("a"), sha256="ef" * 32)


def test_attack_07_an_audit_trail_that_is_a_link_is_not_followed(
    root: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text("")
    (root / ".mirror/audit.jsonl").symlink_to(tmp_path / "other")
    with pytest.raises(DestinationError, match="symbolic link"):
        erase(root, A)
    assert files(root) == {"r1/a.png", "r1/b.png", "r2/c.png"}


def test_a_damaged_ledger_is_not_taken_for_an_empty_one(root: Path) -> None:
    path = root / ".mirror/ledger.sqlite3"
    path.write_bytes(b"no ledger" * 1000)
    with pytest.raises(LedgerError, match="then purge"):
        erase(root, A)
    assert files(root) == {"r1/a.png", "r1/b.png", "r2/c.png"}


def test_many_frames_go_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.store.purge.PAGE", 7)
    with store(tmp_path) as one:
        one.committer.commit(one.write(one.ask(group(*[f"f{n}" for n in range(50)]))), [])
    told: list[int] = []
    with Destination.open(tmp_path, Layout()) as destination, Purge.open(destination) as purging:
        purging.erase(R1, lambda so_far: told.append(so_far.frames))
    assert told == [7, 14, 21, 28, 35, 42, 49, 50]
    assert files(tmp_path) == set()
    assert not (tmp_path / "r1").exists()


# --- names ----------------------------------------------------------------------------------------


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[LedgerReader]:
    with store(tmp_path, Layout("{workspace_id}/{root_id}/{frame_id}.png")) as one:
        one.ask(group("a", "b"), group("a", root="r2"), group("z", workspace="w2"))
    with LedgerReader.open(tmp_path) as found:
        yield found


def test_a_sequence_by_its_root_or_with_its_workspace(reader: LedgerReader) -> None:
    assert find_target(reader, [], ["r2"], []) == PurgeTarget((SequenceName("w1", "r2"),))
    assert find_target(reader, [], ["w2/r1"], []) == PurgeTarget((SequenceName("w2", "r1"),))


def test_a_frame_by_its_id_alone_or_with_its_root(reader: LedgerReader) -> None:
    assert find_target(reader, [], [], ["b"]).frames == (FrameName("w1", "r1", "b"),)
    assert find_target(reader, [], [], ["r2/a"]).frames == (FrameName("w1", "r2", "a"),)
    both = find_target(reader, [], ["r2"], ["a"])  # frames of this sequence, not the whole of it
    assert both == PurgeTarget((), (FrameName("w1", "r2", "a"),))


@pytest.mark.parametrize(
    ("sequences", "frames", "says"),
    [
        (["r1"], [], "w1/r1 or w2/r1"),
        ([], ["a"], "w1/r1/a or w1/r2/a"),
        (["nope"], [], "no sequence 'nope'"),
        ([], ["r2/b"], "no frame 'r2/b'"),
        (["r2"], ["b"], "no frame 'b'"),
        ([], [""], "no frame ''"),
        ([], ["x/w1/r2/a"], "no frame 'x/w1/r2/a'"),
        (["%"], [], "no sequence '%'"),
    ],
)
def test_nothing_is_guessed(
    reader: LedgerReader, sequences: list[str], frames: list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=says) as told:
        find_target(reader, [], sequences, frames)
    assert "Nothing was erased" in str(told.value)


def test_what_the_audit_trail_names_is_found_again(root: Path) -> None:
    erase(root, R1)
    erase(root, PurgeTarget(frames=(FrameName("w1", "r2", "c"),)))
    with LedgerReader.open(root) as reader:
        assert find_target(reader, audit_of(root), ["r1"], []) == R1
        frames = find_target(reader, audit_of(root), [], ["r2/c"]).frames
    assert frames == (FrameName("w1", "r2", "c"),)
    assert erase(root, R1).frames == 0


def test_a_destination_without_purges_leaves_groups_as_they_are(tmp_path: Path) -> None:
    whole = group("a", "b")
    assert Purged([]).without(whole) is whole
    assert audit_of(tmp_path / "nothing") == []
    with Destination.open(tmp_path, Layout()) as destination, Ledger.open(destination) as ledger:
        assert not ledger.keep_unpurged()
