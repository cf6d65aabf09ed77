"""Exports that name a frame twice, and exports that change between runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.disk_kit import sync
from tests.faults.kit import frames_at, promises, recorded_at, site


def edit(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    """Change the sequences of an export, as whoever downloads it anew finds it."""
    document = json.loads(path.read_bytes())
    change(document["sequences"])
    path.write_text(json.dumps(document))


async def test_fault_59_a_frame_named_twice_is_fetched_once(tmp_path: Path) -> None:
    """Twice in its sequence, in a sequence that is there twice, and in two exports."""
    async with site(tmp_path) as one:
        other = tmp_path / "other.json"
        other.write_bytes(one.export.read_bytes())

        def repeat(sequences: list[dict[str, Any]]) -> None:
            sequences[0]["featureSet"] += sequences[0]["featureSet"][:3]
            sequences.append(sequences[1])

        edit(one.export, repeat)
        report = await one.run(request={"exports": (one.export, other)})
        one.complete(report)
        assert report.frames.total == len(one.dataset) == 12
        assert [each.frames for each in report.exports] == [12, 12]
        asked = [each.frame_id for each in one.simulator.requests if each.hop == "download"]
        assert sorted(map(str, asked)) == sorted(one.dataset.frame_ids())


async def test_fault_60_of_an_edited_export_the_difference_is_fetched_and_nothing_deleted(
    tmp_path: Path,
) -> None:
    """Four frames leave, one comes: one request a hop; the report counts what left."""
    async with site(tmp_path) as one:
        one.complete(await one.run())
        new = one.dataset.png(next(one.dataset.frame_ids()))
        root = one.dataset.root_ids[0]
        added = "0000aaaa-1111-2222-3333-444455556666"
        one.simulator.add_frame(one.dataset.workspace_id, root, added, new)
        gone: list[str] = []

        def change(sequences: list[dict[str, Any]]) -> None:
            gone.extend(frame["id"] for frame in sequences[1]["featureSet"][:4])
            del sequences[1]["featureSet"][:4]
            sequences[0]["featureSet"].append(sequences[0]["featureSet"][0] | {"id": added})

        edit(one.export, change)
        before = one.simulator.count("resolve"), one.simulator.count("download")
        report = await one.run()
        assert (report.exit_code, report.outcome) == (0, "complete")
        after = one.simulator.count("resolve"), one.simulator.count("download")
        assert after == (before[0] + 1, before[1] + 1)
        assert (report.frames.total, report.frames.mirrored) == (9, 1)
        assert [each.left for each in report.exports] == [4]
        assert set(gone) < frames_at(one.dest).keys()
        assert frames_at(one.dest).keys() == {*one.dataset.frame_ids(), added}
        promises(
            one.dest,
            one.dataset,
            truth=lambda frame: new if frame == added else one.dataset.png(frame),
        )


async def test_fault_60_frames_that_come_back_are_not_fetched_again(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        whole = one.export.read_bytes()
        one.complete(await one.run())
        edit(one.export, lambda sequences: sequences.pop())
        assert (await one.run()).frames.total == 6
        one.export.write_bytes(whole)
        report = await one.run()
        one.complete(report)
        assert report.exports[0].left == 0
        assert one.simulator.count("download") == 12


async def test_fault_60_what_left_is_told_to_people(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        edit(one.export, lambda sequences: sequences.pop())
        ended = await sync(one)
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["exports"][0]["left"] == 6
        assert len(recorded_at(one.dest)) == 12


async def test_fault_60_an_export_that_is_edited_under_a_run_changes_nothing_of_it(
    tmp_path: Path,
) -> None:
    """Moved into place, as it is to be: the run goes on with what it had opened."""
    async with site(tmp_path) as one:
        shorter = tmp_path / "shorter.json"
        shorter.write_bytes(one.export.read_bytes())
        edit(shorter, lambda sequences: sequences.pop())
        opened = one.events

        class Swap(list[Any]):
            """Moves the other export into place as soon as the run has begun."""

            def append(self, event: Any) -> None:
                if shorter.exists() and type(event).__name__ == "RunStarted":
                    shorter.replace(one.export)
                opened.append(event)

        one.events = Swap()
        report = await one.run()
        assert not shorter.exists()
        one.complete(report)
