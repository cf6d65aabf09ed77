"""Shards, processes and merging as users run them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirror.simulator import Behaviour, Dataset, DatasetSpec, Simulator
from tests.e2e.command import environment, frames_at, mirror, start

SPEC = DatasetSpec(sequences=3, frames_per_sequence=40, frame_bytes=20_000)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    Dataset(SPEC).write_export(tmp_path / "batch.json")
    return tmp_path / "batch.json"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "frames"


@pytest.fixture
async def platform() -> AsyncIterator[Simulator]:
    async with Simulator(Dataset(SPEC)) as simulator:
        yield simulator


async def test_the_parts_of_an_indexed_job_and_their_merge(
    platform: Simulator, export: Path, dest: Path
) -> None:
    env = environment(platform)
    ended = await asyncio.gather(
        mirror(
            "sync", export, "--dest", dest, "--shards", "2", env=env | {"JOB_COMPLETION_INDEX": "0"}
        ),
        mirror(
            "sync", export, "--dest", dest, "--shards", "2", env=env | {"SLURM_ARRAY_TASK_ID": "1"}
        ),
    )
    assert [one.code for one in ended] == [0, 0], ended
    assert "of shard 0/2 asked for" in ended[0].out
    assert f"When all 2 shards have ended: `mirror merge {dest}`." in ended[1].out
    report = json.loads((dest / ".mirror/shards/1-of-2/report.json").read_text())
    assert report["shard"] == "1/2"
    before = await mirror("status", dest, "--json", env=env)
    shards = json.loads(before.out)["shards"]
    assert [(each["index"], each["count"], each["running"]) for each in shards] == [
        (0, 2, False),
        (1, 2, False),
    ]
    assert sum(each["mirrored"] for each in shards) == 120
    shown = await mirror("status", dest, env=env)
    assert "0/2" in shown.out
    assert "mirror merge" in shown.out

    folded = await mirror("merge", dest, "--json", env=env)
    assert folded.code == 0, folded.err
    assert json.loads(folded.out) == {
        "destination": str(dest),
        "shards": 2,
        "mirrored": 120,
        "failed": 0,
        "damaged": 0,
        "frames": {"total": 120, "mirrored": 120, "failed": 0, "pending": 0},
    }
    status = json.loads((await mirror("status", dest, "--json", env=env)).out)
    assert status["frames"]["mirrored"] == 120
    assert [export["frames"] for export in status["exports"]] == [120]
    again = await mirror("merge", dest, env=env)
    assert (again.code, "no shard" in again.out) == (0, True)
    assert "120 of 120 frames are mirrored, 0 failed, 0 pending." in again.out
    assert (await mirror("verify", dest, env=env)).code == 0


async def test_processes_have_one_report_and_leave_nothing(
    platform: Simulator, export: Path, dest: Path
) -> None:
    ended = await mirror(
        "sync", export, "--dest", dest, "--processes", "2", "--json", env=environment(platform)
    )
    report = json.loads(ended.out)
    assert (ended.code, report["outcome"], report["frames"]["mirrored"]) == (0, "complete", 120)
    assert report["requests"] == {"resolve": 120, "download": 120}
    assert len(frames_at(dest)) == 120
    assert not (dest / ".mirror" / "shards").exists()


async def test_when_the_first_process_is_killed_the_others_end_and_the_next_run_resumes(
    export: Path, dest: Path
) -> None:
    async with Simulator(Dataset(SPEC), behaviour=Behaviour(store_latency=0.2)) as platform:
        env = environment(platform) | {"MIRROR_COMMIT_SECONDS": "0.1"}
        run = await start(
            "sync", export, "--dest", dest, "--processes", "2", "--concurrency", "4", env=env
        )
        while not frames_at(dest):
            await asyncio.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
        await run.wait()
        ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
        for _ in range(20):  # the others may still be committing what has arrived
            if ended.code != 75:
                break
            await asyncio.sleep(0.2)
            ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
        assert ended.code == 0, ended.err
        report = json.loads(ended.out)
        assert report["frames"]["already_mirrored"] > 0
        assert platform.count("download") <= 120 + 8
        assert len(frames_at(dest)) == 120
        assert not (dest / ".mirror" / "shards").exists()


@pytest.mark.parametrize(
    ("words", "indices", "code", "said"),
    [
        (["--shard", "3/2"], {}, 2, "counted from 0"),
        (["--shard", "two"], {}, 2, "I/N is allowed"),
        (["--shards", "2"], {}, 2, "JOB_COMPLETION_INDEX"),
        (["--shards", "2"], {"JOB_COMPLETION_INDEX": "2"}, 2, "0 to 1"),
        (["--shards", "2"], {"SLURM_ARRAY_TASK_ID": "x"}, 2, "0 to 1"),
        (["--shards", "0"], {}, 78, "shards"),
        (["--processes", "0"], {}, 78, "processes"),
        (["--processes", "2", "--shard", "0/2"], {}, 2, "--processes"),
        (["--shards", "2", "--shard", "1/2"], {"JOB_COMPLETION_INDEX": "0"}, 2, "one of the two"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_done(
    export: Path,
    dest: Path,
    words: list[str],
    indices: dict[str, str],
    code: int,
    said: str,
) -> None:
    env = {"SAVANT_DOMAIN": "http://127.0.0.1:9", "SAVANT_USERNAME": "u", "SAVANT_PASSWORD": "p"}
    ended = await mirror("sync", export, "--dest", dest, *words, env=env | indices)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert not dest.exists()


async def test_a_merge_says_what_no_shard_has_brought(
    platform: Simulator, export: Path, dest: Path
) -> None:
    env = environment(platform) | {"MIRROR_SHARDS": "3"}
    ended = await mirror("sync", export, "--dest", dest, "--shard", "1/3", env=env)
    assert ended.code == 0, ended.err
    there = len(frames_at(dest))
    rehearsed = await mirror("sync", export, "--dest", dest, "--shard", "1/3", "--dry-run", env=env)
    assert rehearsed.out.startswith(f"Shard 1/3, {there} frames: 0 to fetch, {there} already")
    merged = await mirror("merge", dest, env=env)
    assert merged.code == 0
    assert f"{there} of 120 frames are mirrored, 0 failed, {120 - there} pending." in merged.out
    assert f"`mirror sync EXPORT --dest {dest}` fetches those." in merged.out


async def test_a_shard_of_another_number_than_the_settings_is_refused(
    platform: Simulator, export: Path, dest: Path
) -> None:
    env = environment(platform) | {"MIRROR_SHARDS": "8"}
    ended = await mirror("sync", export, "--dest", dest, "--shard", "0/4", env=env)
    assert ended.code == 2
    assert "MIRROR_SHARDS" in ended.err
    assert not dest.exists()


async def test_shards_that_could_not_be_merged_are_refused(
    platform: Simulator, export: Path, dest: Path
) -> None:
    """They lay the frames out differently."""
    env = environment(platform)
    other = env | {"MIRROR_PATH_TEMPLATE": "x/{root_id}/{frame_id}.png"}
    first = await mirror("sync", export, "--dest", dest, "--shard", "0/2", env=env)
    assert first.code == 0, first.err
    there = len(frames_at(dest))
    second = await mirror("sync", export, "--dest", dest, "--shard", "1/2", env=other)
    assert second.code == 78
    assert "MIRROR_PATH_TEMPLATE" in second.err
    assert len(frames_at(dest)) == there
    third = await mirror("sync", export, "--dest", dest, "--shard", "1/2", env=env)
    assert third.code == 0, third.err
    assert (await mirror("merge", dest, env=env)).code == 0
