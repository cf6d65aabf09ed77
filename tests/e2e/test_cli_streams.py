"""Standard output or standard error that can't be written: the run goes on to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest

from mirror.simulator import Dataset, DatasetSpec, Simulator
from tests.e2e.command import environment, frames_at

SPEC = DatasetSpec(2, 10, 2000)
LIVE = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
"""Makes rich take whatever standard error is for a terminal."""


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(SPEC)


@pytest.fixture
def export(dataset: Dataset, tmp_path: Path) -> Path:
    dataset.write_export(tmp_path / "batch.json")
    return tmp_path / "batch.json"


@pytest.fixture
async def platform(dataset: Dataset) -> AsyncIterator[Simulator]:
    async with Simulator(dataset) as simulator:
        yield simulator


@pytest.fixture
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


async def mirror(
    *words: str | Path,
    env: Mapping[str, str],
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirror", *map(str, words), env=env, stdout=stdout, stderr=stderr
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out or b"").decode(), (err or b"").decode()


@pytest.mark.parametrize("broken", ["full", "unread"])
@pytest.mark.parametrize("more", [{}, LIVE, {"MIRROR_LOG_FORMAT": "json"}])
async def test_a_broken_standard_error_changes_nothing(
    platform: Simulator,
    export: Path,
    tmp_path: Path,
    broken: str,
    more: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    code, out, _ = await mirror(
        *("sync", export, "--dest", tmp_path / "d", "--json", "--log-level", "debug"),
        env=environment(platform, **more),
        stderr=request.getfixturevalue(broken),
    )
    assert code == 0
    assert json.loads(out)["outcome"] == "complete"
    assert len(frames_at(tmp_path / "d")) == 20


async def test_an_error_that_cant_be_said_keeps_its_exit_code(full: int, tmp_path: Path) -> None:
    words = ("inspect", tmp_path / "none.json")
    assert (await mirror(*words, env=environment(), stderr=full))[0] == 65
    assert (await mirror(*words, "--debug", env=environment(), stderr=full))[0] == 65
    assert (await mirror("sync", env=environment(), stderr=full))[0] == 2


@pytest.mark.parametrize("words", [(), ("--json",)])
async def test_a_result_that_cant_be_printed_is_74_after_the_run(
    platform: Simulator, export: Path, tmp_path: Path, full: int, words: tuple[str, ...]
) -> None:
    dest = tmp_path / "d"
    code, _, err = await mirror(
        *("sync", export, "--dest", dest, "--quiet", *words), env=environment(platform), stdout=full
    )
    assert code == 74
    assert err == (
        "mirror: The result can't be printed on standard output: No space left on device. What was"
        " done is done; make room, then ask again.\n"
    )
    assert len(frames_at(dest)) == 20
    assert json.loads((dest / ".mirror" / "report.json").read_bytes())["outcome"] == "complete"


@pytest.mark.parametrize("words", [(), ("--json",)])
async def test_a_result_that_nobody_reads_is_141_after_the_run(
    platform: Simulator, export: Path, tmp_path: Path, unread: int, words: tuple[str, ...]
) -> None:
    dest = tmp_path / "d"
    code, _, err = await mirror(
        *("sync", export, "--dest", dest, "--quiet", *words),
        env=environment(platform),
        stdout=unread,
    )
    assert (code, err) == (128 + signal.SIGPIPE, "")
    assert len(frames_at(dest)) == 20


@pytest.mark.parametrize(
    "words",
    [("inspect",), ("inspect", "--json"), ("--version",), ("--help",), ("sync", "--help")],
)
@pytest.mark.parametrize(("broken", "expected"), [("full", 74), ("unread", 141)])
async def test_every_command_s_output(
    export: Path,
    words: tuple[str, ...],
    broken: str,
    expected: int,
    request: pytest.FixtureRequest,
) -> None:
    given = (*words, export) if words[0] == "inspect" else words
    stdout = request.getfixturevalue(broken)
    code, _, err = await mirror(*given, env=environment(), stdout=stdout)
    assert code == expected, err
    assert "Traceback" not in err
    assert bool(err) is (expected == 74)


@pytest.mark.parametrize(("closed", "expected"), [("2>&-", 0), (">&-", 74), (">&- 2>&-", 74)])
def test_a_closed_stream_is_never_taken_for_a_file(
    export: Path, closed: str, expected: int
) -> None:
    """The next file that is opened would get its number, and what is said would go into it."""
    command = f'exec "$0" -m mirror inspect "$1" {closed}'
    ended = subprocess.run(
        ["sh", "-c", command, sys.executable, str(export)],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert ended.returncode == expected, ended.stderr


async def test_what_standard_output_can_t_encode_is_escaped(export: Path) -> None:
    env = environment(PYTHONIOENCODING="iso-8859-1")
    code, out, err = await mirror("doctor", env=env)
    assert code == 78, err
    assert "\\u2717" in out
