"""docs/running.md: what it tells to type exists, and the example prints what it shows."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from mirror.simulator import Behaviour, Dataset, DatasetSpec, Simulator
from tests.e2e.command import environment, frames_at, mirror, start

ROOT = Path(__file__).parents[2]
RUNNING = (ROOT / "docs/running.md").read_text(encoding="utf-8")
REPORT = (ROOT / "docs/report.md").read_text(encoding="utf-8")
MANIFESTS = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "deploy/kubernetes").rglob("*.yaml")
)
DEST = "/shared/frames"


def test_what_is_applied_is_there() -> None:
    applied = set(re.findall(r"kubectl apply -k (\S+)", RUNNING + MANIFESTS))
    assert {Path(each).name for each in applied} == {"job", "watch", "shards", "loader"}
    assert all((ROOT / each / "kustomization.yaml").is_file() for each in applied)


def test_what_is_asked_for_is_in_the_manifests() -> None:
    named = set(re.findall(r"(?:\bjob|\bpod|job-name|\bended)[ /=](mirror-[a-z]+)", RUNNING))
    assert named >= {"mirror-sync", "mirror-shards", "mirror-merge", "mirror-loader"}
    assert named <= set(re.findall(r"^  name: (\S+)$", MANIFESTS, re.MULTILINE))


def test_what_is_resumed_is_suspended() -> None:
    resumed = set(re.findall(r'patch job (\S+) -p \'{"spec":{"suspend":false}}\'', RUNNING))
    suspended = re.findall(
        r"^  name: (\S+)\nspec:\n(?:  #.*\n)*  suspend: true$", MANIFESTS, re.MULTILINE
    )
    assert resumed == set(suspended) == {"mirror-sync", "mirror-shards", "mirror-merge"}


def alike(text: str) -> list[str]:
    """The lines without their numbers, which the clock and the export decide."""
    return [
        re.sub(r"\d[\d,.]*( kB| MB)?", "N", line).strip()
        for line in text.replace(DEST, "DEST").splitlines()
    ]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    Dataset(SPEC).write_export(tmp_path / "batch.json")
    return tmp_path / "batch.json"


SPEC = DatasetSpec(sequences=4, frames_per_sequence=30, frame_bytes=20_000)


async def test_the_worked_example_prints_what_it_shows(tmp_path: Path, export: Path) -> None:
    (example,) = re.findall(r"```console\n(\$ mirror sync.*?)```", RUNNING, re.DOTALL)
    steps = [part.partition("\n") for part in example.split("$ ")[1:]]
    assert [command.split()[1] for command, _, _ in steps] == ["sync", "sync", "merge", "sync"]
    dest = str(tmp_path / "frames")
    async with Simulator(Dataset(SPEC)) as platform:
        for command, _, shown in steps:
            words = command.partition("#")[0].split()[1:]
            put = {DEST: dest, "batch.json": str(export)}
            ended = await mirror(*(put.get(w, w) for w in words), env=environment(platform))
            assert ended.code == 0, ended.err
            assert alike(ended.out.replace(dest, DEST)) == alike(shown)


async def test_a_run_whose_terminal_goes_ends_at_once_and_resumes(
    tmp_path: Path, export: Path
) -> None:
    words = ("sync", export, "--dest", tmp_path / "frames", "--concurrency", "4", "--json")
    async with Simulator(Dataset(SPEC), behaviour=Behaviour(store_latency=0.05)) as platform:
        run = await start(*words, env=environment(platform))
        while not frames_at(tmp_path / "frames"):  # noqa: ASYNC110 - another process puts them there
            await asyncio.sleep(0.01)
        run.send_signal(signal.SIGHUP)
        out, _ = await run.communicate()
        assert (run.returncode, out) == (-signal.SIGHUP, b"")
        again = await mirror(*words, env=environment(platform))
    frames = json.loads(again.out)["frames"]
    assert (again.code, frames["mirrored"] + frames["already_mirrored"]) == (0, 120)
    assert frames["already_mirrored"] > 0


async def test_the_fields_of_a_merge_are_documented(tmp_path: Path, export: Path) -> None:
    dest = tmp_path / "frames"
    async with Simulator(Dataset(SPEC)) as platform:
        env = environment(platform)
        await mirror("sync", export, "--dest", dest, "--shard", "0/2", env=env)
        ended = await mirror("merge", dest, "--json", env=env)
    assert ended.code == 0, ended.err
    rows = re.findall(r"^\| (`.*?) \|", REPORT.partition("## Of a merge")[2], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(
        json.loads(ended.out)
    )
