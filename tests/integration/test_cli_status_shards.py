"""`mirror status` and its neighbours while shards are not merged."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from store_kit import Store, group, store
from typer.testing import CliRunner, Result

import mirror
from mirror.cli import status as status_module
from mirror.cli.commands import build_app
from mirror.errors import DestinationError
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.simulator import DatasetSpec, Fault
from mirror.store import (
    Committer,
    Destination,
    Failure,
    FrameWriter,
    Ledger,
    PendingFrame,
    look_at_shards,
)
from mirror.sync.merging import merge_shards
from tests.faults.kit import Site, site

SPEC = DatasetSpec(sequences=3, frames_per_sequence=40, frame_bytes=3_000)
FRAMES = 120
MISSING = Fault("status", "download", frames=0.2, code=404)


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [*map(str, words)])


def status(*words: str | Path) -> Result:
    return call("status", *words)


def as_object(dest: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(dest, "--json", *words).stdout)
    return found


def rows(dest: Path) -> list[str]:
    return [" ".join(line.split()) for line in status(dest).stdout.splitlines()]


def of(text: str) -> dict[str, Shard]:
    return {"shard": Shard.parse(text)}


def merge(dest: Path) -> None:
    merge_shards(dest, Settings(), print)


def counted(found: dict[str, Any]) -> dict[str, Any]:
    """What a merge must not change."""
    failed = sorted(tuple(each.values()) for each in found["failed_frames"])
    sequences = {each["root_id"]: each for each in found["sequences"]}
    kept = {name: found[name] for name in ("frames", "bytes", "failures")}
    exports = [export["sha256"] for export in found["exports"]]
    return {**kept, "sequences": sequences, "failed": failed, "exports": exports}


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Site]:
    """A fifth of its frames can't be had."""
    async with site(tmp_path, MISSING, spec=SPEC) as found:
        yield found


@contextmanager
def process(whole: Store, shard: Shard) -> Iterator[Store]:
    """One of a run's processes, with its share of what was asked for."""
    whole.ledger.hand_out(shard)
    layout = whole.destination.layout
    with (
        Destination.open_part(whole.root, layout, shard) as part,
        Ledger.open(part) as ledger,
    ):
        yield Store(part, ledger, FrameWriter(part, 1024**2), Committer(part, ledger))


def shares(frames: list[PendingFrame], count: int = 2) -> list[list[PendingFrame]]:
    return [
        [frame for frame in frames if Shard(index, count).holds(frame.ref)]
        for index in range(count)
    ]


# --- all together -------------------------------------------------------------------------------


async def test_what_is_said_before_a_merge_is_what_is_there_after_it(one: Site) -> None:
    for text in ("0/3", "1/3", "2/3"):
        await one.run(request=of(text))
    before = counted(as_object(one.dest, "--failures"))
    assert before["frames"]["total"] == FRAMES
    assert before["frames"]["mirrored"] > 60
    assert before["frames"]["failed"] > 10
    assert before["frames"]["pending"] == 0
    merge(one.dest)
    assert counted(as_object(one.dest, "--failures")) == before


async def test_shards_that_have_not_begun_are_counted_from_their_siblings(one: Site) -> None:
    report = await one.run(request=of("1/4"))
    found = as_object(one.dest)
    assert found["frames"] == {
        "total": FRAMES,
        "mirrored": report.frames.mirrored,
        "failed": report.frames.failed,
        "pending": FRAMES - report.frames.total,
    }
    lines = rows(one.dest)
    assert lines[0].startswith(f"{one.dest}: {report.frames.mirrored} of 120 frames mirrored (")
    assert "3 of 4 shards have not begun (or are merged)" in lines
    await one.run(request=of("0/4"))
    await one.run(request=of("3/4"))
    assert "1 of 4 shards has not begun (or is merged)" in rows(one.dest)


async def test_what_the_whole_had_recorded_counts_once(one: Site) -> None:
    await one.run(request={"limit": 50})
    whole = as_object(one.dest)["frames"]
    for text in ("0/2", "1/2"):
        await one.run(request=of(text))
    before = counted(as_object(one.dest, "--failures"))
    assert before["frames"]["total"] == FRAMES
    assert before["frames"]["mirrored"] > whole["mirrored"]
    merge(one.dest)
    assert counted(as_object(one.dest, "--failures")) == before


async def test_a_file_that_a_shard_found_gone_counts_as_a_merge_has_it(tmp_path: Path) -> None:
    gone = Fault("status", "download", attempts="2-", code=404)
    async with site(tmp_path, gone, spec=SPEC) as one:
        await one.run()
        for path in one.dest.glob("*/*.png"):
            path.unlink()
        for text in ("0/2", "1/2"):
            await one.run(request=of(text))
        before = counted(as_object(one.dest, "--failures"))
        assert before["frames"]["mirrored"] == before["bytes"] == 0
        assert len(before["failed"]) == FRAMES
        merge(one.dest)
        assert counted(as_object(one.dest, "--failures")) == before


async def test_shards_of_several_counts_have_no_sum(one: Site) -> None:
    await one.run(request=of("0/2"))
    await one.run(request=of("1/3"))
    lines = rows(one.dest)
    assert lines[0] == f"{one.dest}: no shard is merged yet"
    assert "shards of 2 and of 3: their frames overlap, so the rows have no sum" in lines
    assert not any("have not begun" in line for line in lines)
    assert as_object(one.dest)["frames"]["total"] == 0


async def test_a_merge_that_is_quicker_than_status_is_seen(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came between a look at the whole and one at the shards."""
    await one.run(request=of("0/2"))
    before = as_object(one.dest)["frames"]
    looks: list[Path] = []

    def late(dest: Path, whole: Any) -> Any:
        if not looks:
            merge(dest)
        looks.append(dest)
        return look_at_shards(dest, whole)

    monkeypatch.setattr(status_module, "look_at_shards", late)
    assert as_object(one.dest)["frames"] == before
    assert len(looks) == 2


# --- a row for each -----------------------------------------------------------------------------


async def test_a_shard_is_shown_with_how_far_it_is(one: Site) -> None:
    reports = [(await one.run(request=of(text))).frames for text in ("0/2", "1/2")]
    found = as_object(one.dest)["shards"]
    assert [each["total"] for each in found] == [report.total for report in reports]
    assert [each["pending"] for each in found] == [0, 0]
    assert sum(each["total"] for each in found) == FRAMES
    first = reports[0]
    row = f"0/2 {first.mirrored} of {first.total} 100 % {first.failed} ended"
    assert row in rows(one.dest)


def test_a_shard_that_has_no_ledger_yet_has_no_total(tmp_path: Path) -> None:
    (tmp_path / ".mirror/shards/0-of-2").mkdir(parents=True)
    (shard,) = as_object(tmp_path)["shards"]
    assert (shard["total"], shard["mirrored"], shard["pending"]) == (None, 0, None)
    assert "0/2 0 0 ended" in rows(tmp_path)


def test_while_a_run_has_processes_the_whole_is_told(tmp_path: Path) -> None:
    """What failed before and is mirrored now, too; and that the run merges by itself."""
    with store(tmp_path / "frames") as one:
        frames = one.ask(group(*(f"f{number}" for number in range(12))))
        one.committer.commit([], [Failure(frame, "timeout", "late", 1) for frame in frames[:6]])
        ours, _ = shares(one.ledger.pending(0, 100))
        with process(one, Shard(0, 2)) as first, process(one, Shard(1, 2)):
            first.committer.commit(
                first.write(ours[:-1]), [Failure(ours[-1], "not_found", "404", 9)]
            )
            found = as_object(one.root, "--failures")
            done = len(ours) - 1
            again = sum(
                frame in frames[:6] for frame in [each._replace(attempts=0) for each in ours]
            )
            assert found["frames"] == {
                "total": 12,
                "mirrored": done,
                "failed": 6 - again + 1,
                "pending": 12 - done - (6 - again + 1),
            }
            assert found["failures"] == {"timeout": 6 - again, "not_found": 1}
            assert len(found["failed_frames"]) == 6 - again + 1
            assert [each["total"] for each in found["shards"]] == [len(ours), 12 - len(ours)]
            assert [each["running"] for each in found["shards"]] == [True, True]
            told = status(one.root).stdout
            assert "merged when the run ends" in told
            assert "mirror merge" not in told
            assert "running (process " in told
        one.ledger.fold_shards()
        after = as_object(one.root, "--failures")
        assert counted(after) == counted(found)


async def test_looking_writes_nothing(one: Site) -> None:
    await one.run(request={"limit": 10})
    await one.run(request=of("0/2"))
    before = {path: path.stat().st_mtime_ns for path in one.dest.rglob("*")}
    status(one.dest)
    status(one.dest, "--failures")
    assert before == {path: path.stat().st_mtime_ns for path in one.dest.rglob("*")}


# --- what has failed ----------------------------------------------------------------------------


async def test_failures_of_shards_are_listed_and_nothing_else(one: Site) -> None:
    reports = [await one.run(request=of(text)) for text in ("0/2", "1/2")]
    failed = {(each.root_id, each.frame_id) for report in reports for each in report.failures}
    result = status(one.dest, "--failures")
    assert result.exit_code == 1
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert {len(line) for line in lines} == {6}
    assert {(line[1], line[2]) for line in lines} == failed
    assert {line[3] for line in lines} == {"object_missing"}
    assert len(lines) == len(failed) == sum(r.frames.failed for r in reports)
    objects = as_object(one.dest, "--failures")["failed_frames"]
    assert [each["frame_id"] for each in objects] == [line[2] for line in lines]


async def test_a_frame_that_several_ledgers_have_is_listed_once(one: Site) -> None:
    await one.run(request={"limit": 60})
    for text in ("0/2", "1/2", "0/3", "2/3"):
        await one.run(request=of(text))
    before = status(one.dest, "--failures").stdout.splitlines()
    assert len(before) > 10
    merge(one.dest)
    assert sorted(before) == sorted(status(one.dest, "--failures").stdout.splitlines())


async def test_what_a_shard_has_mirrored_since_is_no_failure(tmp_path: Path) -> None:
    once = Fault("status", "download", attempts="1-2", code=404)
    async with site(tmp_path, once, spec=SPEC) as one:
        await one.run()
        assert len(status(one.dest, "--failures").stdout.splitlines()) == FRAMES
        report = await one.run(request=of("0/2"))
        assert report.frames.mirrored
        left = status(one.dest, "--failures")
        assert len(left.stdout.splitlines()) == FRAMES - report.frames.mirrored
        await one.run(request=of("1/2"))
        assert (status(one.dest, "--failures").exit_code, status(one.dest).exit_code) == (0, 0)
        assert status(one.dest, "--failures").stdout == ""
        assert as_object(one.dest, "--failures")["failed_frames"] == []


def test_more_failures_than_are_read_at_once_are_all_listed(tmp_path: Path) -> None:
    with store(tmp_path / "frames") as one:
        frames = one.ask(group(*(f"f{number}" for number in range(9_000))))
        ours, _ = shares(frames)
        with process(one, Shard(0, 2)) as first:
            failures = [Failure(frame, "not_found", "404", 1) for frame in ours]
            first.committer.commit([], failures)
        assert len(ours) > 4_300
        listed = status(one.root, "--failures").stdout.splitlines()
        assert [line.split("\t")[2] for line in listed] == [each.ref.frame_id for each in ours]


# --- others, and the hint -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("purge", "DEST", "--sequence", "r"),
        ("preview", "EXPORT", "--frames", "DEST", "--out", "OUT"),
        ("annotations", "EXPORT", "--to", "coco", "--frames", "DEST", "--out", "OUT"),
    ],
    ids=lambda words: words[0],
)
async def test_where_nothing_is_merged_that_is_what_is_said(
    one: Site, tmp_path: Path, words: tuple[str, ...]
) -> None:
    one.dest = tmp_path / "my frames"
    await one.run(request=of("0/2"))
    places = {"DEST": one.dest, "EXPORT": one.export, "OUT": tmp_path / "out"}
    result = call(*(places.get(word, word) for word in words))
    assert result.exit_code == 74
    assert "The ledger of a shard at" in result.stderr
    assert f"is not merged: run `mirror merge '{one.dest}'` once its run has ended" in result.stderr
    assert "holds no ledger" not in result.stderr


async def test_the_data_set_says_so_too(one: Site) -> None:
    for text in ("0/2", "1/2"):
        await one.run(request=of(text))
    with pytest.raises(DestinationError, match=r"ledgers of 2 shards .* are not merged: run"):
        mirror.FrameDataset(one.dest, one.export)


async def test_the_hint_can_be_typed(one: Site, tmp_path: Path) -> None:
    one.dest = tmp_path / "my frames"
    await one.run(request=of("0/2"))
    assert f"mirror merge '{one.dest}'" in rows(one.dest)


async def test_on_a_narrow_terminal_ids_and_words_stay_whole(
    one: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("0/2", "1/3"):
        await one.run(request=of(text))
    merge(one.dest)
    await one.run(request=of("0/2"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    text = re.sub(r"\x1b\[[0-9;]*m", "", status(one.dest).stdout)
    lines = [line.rstrip() for line in text.splitlines()]
    for each in as_object(one.dest)["sequences"]:
        assert each["root_id"] in lines
    assert "not merged yet: once their runs have" in lines
    assert f"  mirror merge {one.dest}" in lines
    assert all(len(line) <= 40 for line in lines if str(one.dest.parent) not in line)
