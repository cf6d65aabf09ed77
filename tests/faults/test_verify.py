"""Row 50: a mirrored file deleted or rotted is found by `verify`, and fetched by `--repair`."""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mirror.events import Events
from mirror.simulator import DatasetSpec, Fault
from mirror.sources import load_settings
from mirror.store import by_content, reader
from mirror.store import recorded_at as pages_of
from mirror.sync.repair import repair_destination
from mirror.sync.stop import Stop
from tests.e2e.command import Ended, environment, finish, mirror
from tests.faults.kit import QUICK, SMALL, Site, frames_at, promises, recorded_at, site


def files(one: Site) -> list[Path]:
    return sorted(one.dest.glob("*/*.png"))


def damage(one: Site) -> dict[str, str]:
    """Harm four frames in four ways, as `dd` and `rm` would; path to the word for it."""
    gone, short, rotten, other = files(one)[:4]
    gone.unlink()
    short.write_bytes(short.read_bytes()[:100])
    with rotten.open("r+b") as file:
        file.seek(200)
        file.write(bytes([file.read(1)[0] ^ 4]))
    twin = files(one)[-1].read_bytes()
    other.write_bytes(twin)
    size = "wrong_content" if len(twin) == recorded_at(one.dest)[other.stem][0] else "wrong_size"
    words = {gone: "gone", short: "wrong_size", rotten: "wrong_content", other: size}
    return {str(path.relative_to(one.dest)): word for path, word in words.items()}


async def verify(one: Site, *words: str) -> tuple[Ended, dict[str, Any]]:
    ended = await mirror("verify", one.dest, "--json", *words, env=environment(one.simulator))
    return ended, json.loads(ended.out) if ended.out else {}


async def test_fault_50_verify_names_each_damaged_frame_and_changes_nothing(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        ended, found = await verify(one)
        assert (ended.code, found["damaged"]) == (0, [])
        harmed = damage(one)
        before, asked = frames_at(one.dest), len(one.simulator.requests)
        records = recorded_at(one.dest)
        ended, found = await verify(one)
        assert ended.code == 1
        assert {each["path"]: each["damage"] for each in found["damaged"]} == harmed
        assert found["frames"] | {"unrecorded": 0} == {
            "recorded": 12,
            "verified": 12,
            "damaged": 4,
            "repaired": 0,
            "unrecorded": 0,
        }
        # nothing adopted, nothing asked for, nothing moved
        assert (frames_at(one.dest), recorded_at(one.dest)) == (before, records)
        assert len(one.simulator.requests) == asked
        people = await mirror("verify", one.dest, env=environment())
        assert people.code == 1
        assert all(f"{path}: {word}" in people.out for path, word in harmed.items())
        assert "--repair" in people.out


async def test_fault_50_quick_compares_sizes_only(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        harmed = damage(one)
        ended, found = await verify(one, "--quick")
        assert ended.code == 1
        visible = {path: word for path, word in harmed.items() if word != "wrong_content"}
        assert {each["path"]: each["damage"] for each in found["damaged"]} == visible


async def test_fault_50_repair_fetches_what_is_damaged_and_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        harmed = damage(one)
        spoiled = {
            path: (one.dest / path).read_bytes() for path in harmed if (one.dest / path).exists()
        }
        asked = one.simulator.count("download")
        ended, found = await verify(one, "--repair")
        assert ended.code == 0, ended.err
        assert found["frames"]["repaired"] == 4
        assert one.simulator.count("download") - asked == 4
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 12
        # what stood there is kept
        kept = {path.read_bytes() for path in (one.dest / ".mirror/set-aside").rglob("*.png.*")}
        assert kept == set(spoiled.values())
        assert (await verify(one))[0].code == 0


async def test_fault_50_a_repair_without_a_platform_ends_with_69_and_sync_resumes(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        damage(one)
        await one.simulator.refuse("api")
        ended, found = await verify(one, "--repair")
        assert (ended.code, found["frames"]["repaired"]) == (69, 0)
        await one.simulator.accept("api")
        one.complete(await one.run())


async def test_fault_50_a_frame_that_is_gone_from_the_platform_too_is_failed(
    tmp_path: Path,
) -> None:
    lost = Fault("status", hop="resolve", attempts="2-", code=404)
    async with site(tmp_path, lost) as one:
        one.complete(await one.run())
        files(one)[0].unlink()
        ended, found = await verify(one, "--repair")
        assert ended.code == 1
        assert found["repair"]["failures"][0]["reason"] == "not_found"
        assert len(recorded_at(one.dest)) == 11


async def test_fault_50_a_repair_that_is_stopped_leaves_frames_to_the_next_run(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        damage(one)
        stop = Stop()
        account = one.simulator.account
        settings = load_settings(
            domain=one.simulator.domain,
            username=account.username,
            password=account.password,
            **QUICK,
        )
        stop.request("SIGTERM")
        verified, report = await repair_destination(
            one.dest, by_content, settings, (Events(), lambda _: None), stop
        )
        assert (report.exit_code, verified.frames) == (75, 0)
        assert (await one.run()).exit_code == 0  # a run looks at presence and sizes alone …
        ended, _ = await verify(one, "--repair")  # … the rest is for verify
        assert ended.code == 0
        promises(one.dest, one.dataset)


SLOW = """
import sys, time
import mirror.store.verification as verification, mirror.cli.app
whole = verification.by_content
def slow(*given):
    print("reading", file=sys.stderr, flush=True)
    time.sleep(0.2)
    return whole(*given)
import mirror.cli.verify
mirror.cli.verify.by_content = slow
sys.argv = ["mirror", "verify", sys.argv[1], "--quiet"]
mirror.cli.app.main()
"""


async def test_fault_50_a_verification_can_be_interrupted(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SLOW, str(one.dest), env=environment(), stdout=PIPE, stderr=PIPE
    )
    assert process.stderr is not None
    assert await process.stderr.readline() == b"reading\n"
    process.send_signal(signal.SIGTERM)
    ended = await finish(process)
    assert ended.code == 75
    assert "Interrupted" in ended.err
    assert "Traceback" not in ended.err


async def test_fault_50_sha256sum_agrees(tmp_path: Path) -> None:
    """The checksums are written by sync and by verify, and kept true by a repair and later runs."""
    check = ["sha256sum", "--check", "--strict", "--quiet", ".mirror/SHA256SUMS"]
    async with site(tmp_path) as one:
        env = environment(one.simulator)
        words = ("sync", one.export, "--dest", one.dest, "--write-checksums")
        assert (await mirror(*words, "--limit", "5", env=env)).code == 0
        sums = one.dest / ".mirror/SHA256SUMS"
        assert len(sums.read_text().splitlines()) == 5
        assert (await mirror("sync", one.export, "--dest", one.dest, env=env)).code == 0
        assert len(sums.read_text().splitlines()) == 12
        assert subprocess.run(check, cwd=one.dest, check=False).returncode == 0
        sums.unlink()
        assert (await mirror("verify", one.dest, "--write-checksums", env=env)).code == 0
        lines = dict(reversed(line.split("  ")) for line in sums.read_text().splitlines())
        truth = {str(path.relative_to(one.dest)): path.read_bytes() for path in files(one)}
        assert lines == {path: sha256(body).hexdigest() for path, body in truth.items()}


async def test_fault_50_what_is_pending_is_not_called_whole(tmp_path: Path) -> None:
    async with site(tmp_path, Fault("status", hop="resolve", frames=0.3, code=404)) as one:
        report = await one.run()
        assert report.exit_code == 1
        ended, found = await verify(one)
        assert ended.code == 0
        assert found["frames"]["unrecorded"] == report.frames.failed > 0
        people = await mirror("verify", one.dest, env=environment())
        assert "pending or failed" in people.out


@pytest.mark.parametrize("words", [[], ["--repair"], ["--write-checksums"]])
async def test_fault_50_no_destination_is_made(tmp_path: Path, words: list[str]) -> None:
    env = environment() | {"SAVANT_USERNAME": "u", "SAVANT_PASSWORD": "p"}
    ended = await mirror("verify", tmp_path / "nothing", *words, env=env)
    assert ended.code == 74
    assert "holds no ledger" in ended.err
    assert not (tmp_path / "nothing").exists()


async def test_fault_50_repair_waits_for_no_other_run(tmp_path: Path) -> None:
    slow = Fault("delay", hop="download", seconds=3, frames=0.2)
    async with site(tmp_path, slow, spec=SMALL) as one:
        running = asyncio.create_task(one.run())
        while not (one.dest / ".mirror/ledger.sqlite3").exists():
            await asyncio.sleep(0.02)
        ended, _ = await verify(one, "--repair")
        assert ended.code == 75
        assert "Another run holds" in ended.err
        reading, _ = await verify(one)  # reading disturbs nobody
        assert reading.code == 0
        one.complete(await running)


async def test_fault_50_what_a_repair_left_the_next_repair_fetches(tmp_path: Path) -> None:
    """And nothing else: what was never mirrored is for `sync` to ask for."""
    async with site(tmp_path) as one:
        assert (await one.run(request={"limit": 8})).exit_code == 0
        files(one)[0].write_bytes(b"rotten")
        await one.simulator.refuse("api")
        assert (await verify(one, "--repair"))[0].code == 69
        await one.simulator.accept("api")
        assert len(recorded_at(one.dest)) == 7
        ended, found = await verify(one, "--repair")
        assert (ended.code, found["frames"]["repaired"]) == (0, 1)
        promises(one.dest, one.dataset)
        assert len(recorded_at(one.dest)) == 8


async def test_fault_50_findings_come_before_checksums_that_cant_be_written(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        one.complete(await one.run())
        gone = files(one)[0]
        gone.unlink()
        with (one.dest / ".mirror/lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            ended, found = await verify(one, "--write-checksums")
        assert ended.code == 75
        assert [each["damage"] for each in found["damaged"]] == ["gone"]


async def test_fault_50_a_run_that_begins_meanwhile_hides_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is read page by page, each as it is by then."""
    two = reader._MIRRORED.replace("4096", "2")
    monkeypatch.setattr(reader, "_MIRRORED", two)
    async with site(tmp_path, spec=DatasetSpec(1, 12, 300)) as one:
        assert (await one.run(request={"limit": 6})).exit_code == 0
        frames = pages_of(one.dest)
        seen = [next(frames).ref.frame_id for _ in range(2)]
        one.complete(await one.run())
        seen += [each.ref.frame_id for each in frames]
        assert sorted(seen) == sorted(one.dataset.frame_ids())
