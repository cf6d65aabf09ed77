"""`mirror demo`, and what every command's help owes a reader."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mirror.cli.commands import build_app
from tests.e2e.command import frames_at, mirror

COMMANDS = (
    *("sync", "status", "inspect", "annotations", "preview", "doctor", "watch", "demo"),
    "simulate",
)


async def test_the_demo_mirrors_its_frames_and_says_where_they_are(tmp_path: Path) -> None:
    dest = tmp_path / "demo"
    ended = await mirror("demo", "--dest", dest)
    assert ended.code == 0, ended.err
    assert len(frames_at(dest)) == 240
    assert "Complete. Of 240 frames asked for, 240 are at" in ended.out
    assert "retries" in ended.err
    assert str(next(iter(sorted(dest.glob("*/*.png"))))) in ended.out
    again = await mirror("demo", "--dest", dest)
    assert "already mirrored" in again.out


async def test_a_demo_that_cant_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = await mirror("demo", "--dest", tmp_path / "file")
    assert ended.code == 74
    assert "--dest" in ended.err


async def test_without_a_word_it_shows_the_help() -> None:
    ended = await mirror()
    assert "Usage" in ended.out + ended.err
    assert "Traceback" not in ended.err
    assert ended.code in {0, 2}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_and_the_common_options(command: str) -> None:
    shown = CliRunner().invoke(build_app(), [command, "--help"], env={"COLUMNS": "120"}).output
    assert "Example" in shown
    assert f"mirror {command}" in shown
    for option in ("--config", "--log-level", "--log-format", "--debug"):
        assert option in shown
