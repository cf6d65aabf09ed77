"""`mirror status`: what it prints, how it exits, and that it only reads."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_kit import Store, body, group, png, store
from typer.testing import CliRunner, Result

from mirror.cli import duplicates
from mirror.cli.commands import build_app
from mirror.store import Body, Failure, Written


def status(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), ["status", *map(str, arguments)])


def as_object(dest: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(dest, "--json").stdout)
    return found


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Store]:
    """A run that goes on: one frame mirrored, one failed, one pending."""
    with store(tmp_path / "frames") as one:
        a, b, _ = one.ask(group("a", "b"), group("c", root="r2"))
        one.committer.commit(one.write([a]), [Failure(b, "not_found", "404", 1)])
        one.destination.write_state("report.json", [b'{"outcome": "partial", "exit_code": 1}'])
        yield one


def test_a_run_that_goes_on_is_shown_to_people(half: Store) -> None:
    result = status(half.root)
    assert result.exit_code == 1
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    size = len(png(1))
    assert f"{half.root}: 1 of 3 frames mirrored ({size} B), 1 failed, 1 pending" in lines
    assert any(line.startswith(f"A run is going on: process {os.getpid()} on ") for line in lines)
    assert any(line.startswith("Last run: partial (exit code 1), ended 20") for line in lines)
    assert "r1 1 1 0 2" in lines
    assert "r2 0 0 1 1" in lines
    assert "not_found 1" in lines
    assert any(line.startswith("batch.json 3 1 20") for line in lines)


def test_the_same_for_machines(half: Store) -> None:
    found = as_object(half.root)
    assert found["destination"] == str(half.root)
    assert found["frames"] == {"total": 3, "mirrored": 1, "failed": 1, "pending": 1}
    assert found["bytes"] == len(png(1))
    counted = {"total": 2, "mirrored": 1, "failed": 1, "pending": 0}
    assert found["sequences"][0] == {"workspace_id": "w1", "root_id": "r1", **counted}
    assert [each["root_id"] for each in found["sequences"]] == ["r1", "r2"]
    assert found["failures"] == {"not_found": 1}
    assert found["exports"][0]["frames"] == 3
    assert found["running"] is True
    assert found["run"]["pid"] == os.getpid()
    assert (found["last_run"]["outcome"], found["last_run"]["exit_code"]) == ("partial", 1)


def test_a_run_that_was_killed_is_told_from_one_that_ended(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(group("a"))
    assert "by itself" not in status(tmp_path).stdout
    holder = {"pid": 4711, "host": "pod-3", "since": "2026-01-02T03:04:05+00:00"}
    (tmp_path / ".mirror/lock").write_text(json.dumps(holder))
    assert "did not end by itself: process 4711 on pod-3, since 2026-01-02T03:04:05" in (
        status(tmp_path).stdout
    )
    found = as_object(tmp_path)
    assert (found["running"], found["died"]) == (False, holder)


def test_nothing_failed_and_nobody_there(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.committer.commit(one.write(one.ask(group("a"))), [])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = status(tmp_path)
    assert result.exit_code == 0
    assert "going on" not in result.stdout
    assert "Last run" not in result.stdout
    found = as_object(tmp_path)
    assert (found["running"], found["run"], found["last_run"]) == (False, None, None)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_long_list_of_sequences_is_cut_for_people_only(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        one.ask(*(group("a", root=f"r{n}") for n in range(23)))
    result = status(tmp_path)
    assert "r19" in result.stdout
    assert "r20" not in result.stdout
    assert "and 3 more; --json lists all" in result.stdout
    assert len(as_object(tmp_path)["sequences"]) == 23


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_no_ledger_is_said_in_one_sentence(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("mine")
    result = status(tmp_path / where)
    assert result.exit_code == 74
    assert "holds no ledger" in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "nowhere").exists()


def test_an_unreadable_report_is_no_last_run(half: Store) -> None:
    half.destination.write_state("report.json", [b'{"outcome": '])
    assert as_object(half.root)["last_run"] is None


def test_on_a_terminal_the_tables_say_the_same(
    half: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    text = status(half.root).stdout
    assert "\x1b[" in text
    assert all(word in text for word in ("r1", "r2", "not_found", "batch.json", "pending"))


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """Two groups of equal frames, one of them over two sequences, and a frame like no other."""
    root = tmp_path / "frames"
    with store(root) as one:
        frames = one.ask(group("a", "b", "c", "d"), group("a", "x", root="r2"))
        same = {1: png(1), 2: png(1), 5: png(1), 3: png(3, side=40), 4: png(3, side=40)}
        bodies = [
            Body(frame, [same[frame.row]], len(same[frame.row]))
            if frame.row in same
            else body(frame)
            for frame in frames
        ]
        written = [each for each in one.writer.write(bodies) if isinstance(each, Written)]
        one.committer.commit(written, [])
    return root


def test_frames_with_equal_bytes_are_counted_and_listed(repeated: Path) -> None:
    result = status(repeated, "--duplicates")
    assert result.exit_code == 0
    small, large = len(png(1)), len(png(3, side=40))
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith(f"{repeated}: 6 of 6 frames mirrored")
    assert lines[1] == (
        "5 mirrored frames in 2 groups of equal bytes: 3 repeat another one,"
        f" {large + 2 * small} B spent twice. One group has frames of several sequences."
    )
    groups = [f"r1/a 3 {small} B {2 * small} B 2", f"r1/c 2 {large} B {large} B 1"]
    groups.sort(key=lambda line: -int(line.split()[-3]))
    assert lines[4:6] == groups
    assert "r1 4" in lines
    assert "r2 1" in lines


def test_machines_are_given_every_group_of_equal_frames(repeated: Path) -> None:
    with_them = json.loads(status(repeated, "--duplicates", "--json", "--failures").stdout)
    found = with_them.pop("duplicates")
    assert with_them == json.loads(status(repeated, "--json", "--failures").stdout)
    small, large = len(png(1)), len(png(3, side=40))
    by_size = {each["size"]: each for each in found.pop("each")}
    assert found == {
        "groups": 2,
        "frames": 5,
        "spent_twice": large + 2 * small,
        "across_sequences": 1,
    }
    frames = [{"workspace_id": "w1", "root_id": "r1", "frame_id": name} for name in "abcd"]
    elsewhere = {"workspace_id": "w1", "root_id": "r2", "frame_id": "a"}
    assert by_size[small]["frames"] == [*frames[:2], elsewhere]
    assert by_size[large]["frames"] == frames[2:]
    assert set(by_size[large]) == {"sha256", "size", "frames"}


def test_no_two_frames_alike(half: Store) -> None:
    result = status(half.root, "--duplicates")
    assert result.exit_code == 1, "a frame has failed, whatever is asked"
    assert "No two mirrored frames have equal bytes.\n" in result.stdout
    found = json.loads(status(half.root, "--duplicates", "--json").stdout)["duplicates"]
    assert found == {"each": [], "groups": 0, "frames": 0, "spent_twice": 0, "across_sequences": 0}


def test_only_the_largest_groups_are_listed_for_people(
    repeated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_MOST_GROUPS", 1)
    monkeypatch.setattr(duplicates, "_MOST_SEQUENCES", 1)
    told = status(repeated, "--duplicates").stdout
    assert "and 1 smaller group; --json lists all, with their frames" in told
    assert "and 1 more sequence\n" in told
    assert ("r1/a" in told) != ("r1/c" in told)
    found = json.loads(status(repeated, "--duplicates", "--json").stdout)
    assert len(found["duplicates"]["each"]) == 2


def test_where_no_group_has_several_sequences_the_column_is_left_out(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        frames = one.ask(group("a", "b"))
        written = one.writer.write([Body(frame, [png(1)], len(png(1))) for frame in frames])
        one.committer.commit([each for each in written if isinstance(each, Written)], [])
    told = status(tmp_path, "--duplicates").stdout
    assert "several sequences" not in told
    lines = [line.split() for line in told.splitlines()]
    assert ["r1/a", "2", str(len(png(1))), "B", str(len(png(1))), "B"] in lines


def test_two_lists_at_once_are_refused(half: Store) -> None:
    result = status(half.root, "--failures", "--duplicates")
    assert result.exit_code == 2
    assert "--failures and --duplicates are two lists" in result.stderr
    assert result.stdout == ""


def test_before_shards_are_merged_there_is_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / ".mirror/shards/0-of-2").mkdir(parents=True)
    found = json.loads(status(tmp_path, "--duplicates", "--json").stdout)
    assert found["duplicates"]["groups"] == 0
    assert "no shard is merged yet" in status(tmp_path, "--duplicates").stdout


def test_the_document_names_every_field(repeated: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    found = json.loads(status(repeated, "--duplicates", "--failures", "--json").stdout)
    top, inner = text.split("## Frames with equal bytes")
    for part, fields in (top, found), (inner, found["duplicates"]):
        table = part[max(part.find("| field |"), part.find("| in `duplicates`")) :]
        first = re.findall(r"^\| (`.*?`) \|", table, flags=re.MULTILINE)
        assert sorted(re.findall(r"`(\w+)`", " ".join(first))) == sorted(fields)
