"""The generator behind the measurements writes what it says, the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.export import ExportFile, summarize

OPTIONS = ("--frames", "103", "--sequences", "10", "--shapes", "5", "--points", "3")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_export.py"


def _make(out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(out), *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def export(tmp_path: Path) -> Path:
    out = tmp_path / "made.json"
    made = _make(out, *OPTIONS)
    assert made.returncode == 0, made.stderr
    return out


def test_it_writes_the_frames_sequences_shapes_and_points_asked_for(export: Path) -> None:
    with ExportFile.open(export) as opened:
        total = summarize([opened]).total
    assert (total.sequences, total.distinct_sequences) == (10, 10)
    assert (total.frames, total.repeated_frames, total.labelled_frames) == (103, 0, 103)
    assert total.shapes == {"close_polygon": 103 * 5}
    assert total.points_outside == 0
    entries = json.loads(export.read_text())["sequences"]
    assert sorted({len(entry["featureSet"]) for entry in entries}) == [10, 11]
    shape = entries[0]["featureSet"][0]["labels"][0]["shapes"][0]
    assert len(shape["points"]) == 3


def test_the_same_arguments_give_the_same_bytes(export: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.json", tmp_path / "other.json"
    _make(again, *OPTIONS)
    _make(other, *OPTIONS, "--seed", "2")
    assert again.read_bytes() == export.read_bytes()
    assert other.read_bytes() != export.read_bytes()


def test_an_impossible_size_is_refused(tmp_path: Path) -> None:
    made = _make(tmp_path / "x.json", "--frames", "1", "--sequences", "0")
    assert made.returncode == 2
    assert "--sequences starts at 1" in made.stderr
