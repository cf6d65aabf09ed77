"""A28: a request to erase a patient. Files, rows and copies go, and the audit trail says so."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from mirror.simulator import DatasetSpec
from tests.e2e.command import environment, finish, mirror
from tests.faults.kit import Site, frames_at, promises, recorded_at, site


def naming(dest: Path, text: str) -> list[str]:
    """Every file that names it, by its name or in its bytes, but for the audit trail."""
    return [
        str(path)
        for path in dest.rglob("*")
        if path.name != "audit.jsonl"
        and (
            text in str(path.relative_to(dest))
            or (path.is_file() and text.encode() in path.read_bytes())
        )
    ]


def roots(one: Site) -> dict[str, list[str]]:
    """Frame ids by root, as the export has them."""
    sequences = json.loads(one.export.read_bytes())["sequences"]
    return {each["rootId"]: [frame["id"] for frame in each["featureSet"]] for each in sequences}


async def purge(one: Site, *words: str) -> tuple[int, str, str]:
    ended = await mirror("purge", one.dest, *words, env=environment())
    return ended.code, ended.out, ended.err


async def test_attack_28_a_patient_is_erased_and_does_not_come_back(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run(write_checksums=True))
        (root, frames), (other, kept) = roots(one).items()
        spoiled = one.dest / root / f"{frames[0]}.png"
        spoiled.write_bytes(b"rotten")
        one.complete(await one.run())  # leaves a copy that was set aside
        assert len(naming(one.dest, frames[0])) >= 3
        (one.dest / ".mirror/tmp/left-by-a-dead-run").write_bytes(b"half a picture")

        code, out, err = await purge(one, "--sequence", root)
        assert code == 0, err
        assert "6 frames erased" in out
        for name in (root, *frames):
            assert naming(one.dest, name) == []
        assert list((one.dest / ".mirror/tmp").iterdir()) == []
        assert frames_at(one.dest).keys() == recorded_at(one.dest).keys() == set(kept)
        promises(one.dest, one.dataset)
        begun, done = map(json.loads, (one.dest / ".mirror/audit.jsonl").read_text().splitlines())
        assert (begun["action"], done["action"]) == ("purge_begun", "purged")
        assert done["sequences"][0]["root_id"] == root
        assert done["erased"]["frames"] == 6

        # neither the same export nor an edited one brings it back
        for _ in range(2):
            asked = one.simulator.count("resolve")
            report = await one.run()
            assert report.exit_code == 0
            assert (report.frames.total, report.exports[0].purged) == (6, 6)
            assert one.simulator.count("resolve") == asked
            assert frames_at(one.dest).keys() == set(kept)
            one.export.write_bytes(one.export.read_bytes() + b"\n")
        # nor a lost ledger
        (one.dest / ".mirror/ledger.sqlite3").unlink()
        assert (await one.run()).frames.total == 6
        assert other in {path.name for path in one.dest.iterdir()}
        assert naming(one.dest, root) == []


async def test_attack_28_single_frames(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        (root, frames), _ = roots(one).items()
        code, _, err = await purge(one, "--frame", f"{root}/{frames[1]}", "--frame", frames[2])
        assert code == 0, err
        assert naming(one.dest, frames[1]) == naming(one.dest, frames[2]) == []
        assert len(recorded_at(one.dest)) == 10
        report = await one.run()
        assert (report.exit_code, report.frames.total) == (0, 10)
        dry = await mirror(
            "sync", one.export, "--dest", one.dest, "--dry-run", "--json", env=environment()
        )
        assert json.loads(dry.out)["frames"]["pending"] == 0


async def test_attack_28_it_can_be_asked_for_twice(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        root = next(iter(roots(one)))
        assert (await purge(one, "--sequence", root))[0] == 0
        code, out, _ = await purge(one, "--sequence", root)
        assert (code, "nothing was left" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "Name what to erase"),
        (["--sequence", "nobody"], "knows no sequence 'nobody'"),
        (["--frame", "nobody"], "knows no frame 'nobody'"),
        (["--sequence", "../.."], "knows no sequence"),
        (["--frame", "*"], "knows no frame"),
    ],
)
async def test_attack_28_nothing_is_erased_by_mistake(
    tmp_path: Path, words: list[str], says: str
) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        code, _, err = await purge(one, *words)
        assert (code, says in err) == (2, True), err
        assert "Nothing was erased" in err
        one.complete(await one.run())


async def test_attack_28_a_purge_waits_for_no_run_and_makes_no_destination(tmp_path: Path) -> None:
    ended = await mirror("purge", tmp_path / "no", "--sequence", "x", env=environment())
    assert (ended.code, (tmp_path / "no").exists()) == (74, False)


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 75), (b"\x04", 75), (b"y\n", 0)])
async def test_attack_28_on_a_terminal_it_asks_first(
    tmp_path: Path, answer: bytes, code: int
) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        root = next(iter(roots(one)))
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, answer)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mirror", "purge", one.dest, "--sequence", root),
            env=environment(),
            stdin=terminal,
            stdout=PIPE,
            stderr=PIPE,
        )
        ended = await finish(process)
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert ended.code == code, ended.err
    assert ("Nothing was erased" in ended.err) == (code == 75)
    assert len(recorded_at(one.dest)) == (12 if code else 6)


async def test_attack_28_a_million_names_are_not_needed(tmp_path: Path) -> None:
    """A sequence is one line of the audit trail, however many frames it had."""
    spec = DatasetSpec(sequences=1, frames_per_sequence=300, frame_bytes=300)
    async with site(tmp_path, spec=spec) as one:
        assert (await one.run(concurrency=32)).exit_code == 0
        root = next(iter(roots(one)))
        assert (await purge(one, "--sequence", root))[0] == 0
        assert (one.dest / ".mirror/audit.jsonl").stat().st_size < 1000
