"""`--log-format json`: every line on standard error is an object, in one style."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from mirror.simulator import Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from tests.e2e.command import environment, mirror
from tests.e2e.test_cli_bad_input import ACCOUNT, GOOD


def objects(err: str) -> list[dict[str, Any]]:
    """The lines, each as compact as orjson writes it, the time, the level and the event first."""
    assert err
    found = []
    for line in err.splitlines():
        said = json.loads(line)
        assert orjson.dumps(said).decode() == line
        assert list(said)[:3] == ["timestamp", "level", "event"]
        assert said["timestamp"].endswith("Z")
        assert len(said["timestamp"]) == 20
        found.append(said)
    return found


def asked_for(way: str, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """The words and the environment that ask for it in one of the three ways."""
    config = folder / "settings.toml"
    config.write_text('log_format = "json"\n')
    return {
        "option": (("--log-format", "json"), {}),
        "environment": ((), {"MIRROR_LOG_FORMAT": "json"}),
        "file": (("--config", str(config)), {}),
    }[way]


WAYS = ("option", "environment", "file")


@pytest.mark.parametrize("way", WAYS)
async def test_progress_log_and_sentences_of_a_run(way: str, tmp_path: Path) -> None:
    dataset = Dataset(DatasetSpec(1, 20, 2000))
    dataset.write_export(tmp_path / "batch.json")
    plan = FaultPlan([Fault("status", code=404, hop="resolve", frames=0.3)])
    more, env = asked_for(way, tmp_path)
    async with Simulator(dataset, plan=plan) as platform:
        words = ("sync", tmp_path / "batch.json", "--dest", tmp_path / "d")
        ended = await mirror(*words, *more, env=environment(platform, **env))
    assert ended.code == 1, ended.err
    events = [said["event"] for said in objects(ended.err)]
    assert {"started", "finished", "A frame failed."} <= set(events)
    assert "Finished" not in ended.err
    assert "Partial." in ended.out  # the result is for people unless --json


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("words", "change", "code"),
    [
        (("sync", "{folder}/none.json", "--dest", "{folder}/d"), {}, 65),
        (("sync", "{folder}/none.json", "--dest", "{folder}/d", "--debug"), {}, 65),
        (("sync", "{folder}/none.json", "--dest"), {}, 2),
        (("sync", "{folder}/none.json", "--dest", ""), {}, 2),
        (("sync", "{folder}/none.json", "--dest", "{folder}/d"), {"MIRROR_CONCURRENCY": "x"}, 78),
        (("watch", "{folder}", "--dest", "{folder}/d"), {}, 2),
        (("inspect", "{folder}/none.json"), {}, 65),
        (("status", "{folder}/none"), {}, 74),
    ],
)
async def test_what_goes_wrong(
    way: str, words: tuple[str, ...], change: dict[str, str], code: int, tmp_path: Path
) -> None:
    more, env = asked_for(way, tmp_path)
    given = [word.format(folder=tmp_path) for word in words]
    # before an option that lacks its value
    ended = await mirror(given[0], *more, *given[1:], env=environment() | ACCOUNT | env | change)
    assert ended.code == code, ended.err
    *log, said = objects(ended.err)
    assert all(line["level"] == "debug" for line in log)
    assert said["level"] == "error"
    assert ("exception" in said) is ("--debug" in words)


async def test_a_sentence_with_line_breaks_and_odd_bytes_stays_on_one_line(tmp_path: Path) -> None:
    export = tmp_path / "batch.json"
    export.write_text(GOOD)
    words = ("sync", export, "--dest", tmp_path / "d", "--sequence", "x\udcff\ny", "--dry-run")
    ended = await mirror(*words, "--log-format", "json", env=environment() | ACCOUNT)
    assert ended.code == 2, ended.err
    objects(ended.err)
