"""`mirror sync` as users run it."""

import asyncio
import json
import random
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mirror.simulator import Behaviour, Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from tests.e2e.command import environment, finish, frames_at, mirror, start

SPEC = DatasetSpec(sequences=3, frames_per_sequence=40, frame_bytes=20_000)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset(SPEC)


@pytest.fixture
def export(dataset: Dataset, tmp_path: Path) -> Path:
    dataset.write_export(tmp_path / "batch.json")
    return tmp_path / "batch.json"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "frames"


@pytest.fixture
async def platform(dataset: Dataset) -> AsyncIterator[Simulator]:
    async with Simulator(dataset) as simulator:
        yield simulator


def truth(dataset: Dataset) -> dict[str, bytes]:
    return {frame: dataset.png(frame) for frame in dataset.frame_ids()}


async def test_a_whole_export_arrives_and_the_second_run_asks_for_nothing(
    platform: Simulator, dataset: Dataset, export: Path, dest: Path
) -> None:
    env = environment(platform)
    ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
    report = json.loads(ended.out)
    assert ended.code == 0, ended.err
    assert report["outcome"] == "complete"
    assert report["frames"] == {
        "total": 120,
        "mirrored": 120,
        "already_mirrored": 0,
        "failed": 0,
        "pending": 0,
    }
    assert report["logins"] == 1
    assert report["exports"][0]["frames"] == 120
    assert frames_at(dest) == truth(dataset)
    asked = len(platform.requests)
    again = await mirror("sync", export, "--dest", dest, "--json", env=env)
    assert json.loads(again.out)["frames"]["already_mirrored"] == 120
    assert len(platform.requests) == asked


async def test_attack_15_the_token_never_goes_to_the_store(
    platform: Simulator, export: Path, dest: Path
) -> None:
    await mirror("sync", export, "--dest", dest, env=environment(platform))
    downloads = [request for request in platform.requests if request.hop == "download"]
    assert downloads
    for request in downloads:
        names = {name.lower() for name in request.headers}
        assert not names & {"authorization", "cookie"}


async def test_faults_on_most_frames_end_complete(
    dataset: Dataset, export: Path, dest: Path
) -> None:
    plan = FaultPlan(
        [
            Fault("html_error", hop="resolve", frames=0.15, attempts=1),
            Fault("truncated_json", hop="resolve", frames=0.1, attempts=1),
            Fault("close", hop="resolve", frames=0.1, attempts=1),
            Fault("slow_down", hop="download", frames=0.15, attempts=1),
            Fault("reset_mid_body", hop="download", frames=0.15, attempts=1),
            Fault("early_fin", hop="download", frames=0.1, attempts=1),
            Fault("bit_flip", hop="download", frames=0.1, attempts=1),
            Fault("expired_url", hop="download", frames=0.1, attempts=1),
        ]
    )
    async with Simulator(dataset, plan=plan) as platform:
        ended = await mirror("sync", export, "--dest", dest, "--json", env=environment(platform))
    report = json.loads(ended.out)
    assert (ended.code, report["frames"]["mirrored"]) == (0, 120), ended.err
    assert report["retries"] > 40
    assert frames_at(dest) == truth(dataset)


async def test_fault_39_killed_again_and_again_it_loses_nothing(
    dataset: Dataset, export: Path, dest: Path
) -> None:
    """SIGKILL at random moments; after each, every final name holds a whole frame."""
    chance = random.Random(7)
    expected = truth(dataset)
    behaviour = Behaviour(api_latency=0.02, store_latency=0.02)
    async with Simulator(dataset, behaviour=behaviour) as platform:
        env = environment(platform, MIRROR_CONCURRENCY="4")
        for _ in range(6):
            process = await start("sync", export, "--dest", dest, "--quiet", env=env)
            before = len(platform.requests)
            while len(platform.requests) == before and process.returncode is None:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 0.4))
            if process.returncode is None:
                process.kill()
            await finish(process)
            found = frames_at(dest)
            assert found == {frame: expected[frame] for frame in found}
        ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
    assert (ended.code, json.loads(ended.out)["outcome"]) == (0, "complete"), ended.err
    assert frames_at(dest) == expected
    assert not list((dest / ".mirror" / "tmp").iterdir())


async def test_fault_53_sigterm_drains_and_says_how_to_go_on(
    dataset: Dataset, export: Path, dest: Path
) -> None:
    behaviour = Behaviour(store_latency=0.2)
    async with Simulator(dataset, behaviour=behaviour) as platform:
        env = environment(platform, MIRROR_CONCURRENCY="4")
        process = await start("sync", export, "--dest", dest, "--json", env=env)
        while platform.count("download") < 8:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        ended = await finish(process)
    report = json.loads(ended.out)
    assert (ended.code, report["outcome"], report["exit_code"]) == (75, "interrupted", 75)
    assert report["frames"]["mirrored"] == len(frames_at(dest)) >= 4
    assert "resumes" in ended.err


async def test_fault_48_a_held_destination_is_left_alone(
    dataset: Dataset, export: Path, dest: Path
) -> None:
    async with Simulator(dataset, behaviour=Behaviour(store_latency=0.3)) as platform:
        env = environment(platform, MIRROR_CONCURRENCY="2")
        first = await start("sync", export, "--dest", dest, env=env)
        while platform.count("download") < 2:
            await asyncio.sleep(0.01)
        second = await mirror("sync", export, "--dest", dest, "--json", env=env)
        first.kill()
        await finish(first)
    assert second.code == 75
    assert str(first.pid) in second.err
    assert json.loads(second.out)["exit_code"] == 75


async def test_metrics_are_served_while_it_runs(
    dataset: Dataset, export: Path, dest: Path, unused_tcp_port: int
) -> None:
    async with Simulator(dataset, behaviour=Behaviour(store_latency=0.3)) as platform:
        env = environment(platform, MIRROR_CONCURRENCY="2")
        words = ("sync", export, "--dest", dest, "--metrics-port", str(unused_tcp_port))
        process = await start(*words, env=env)
        while platform.count("download") < 4:
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{unused_tcp_port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=5).read())
        process.kill()
        await finish(process)
    text = page.decode()
    assert 'mirror_requests_total{hop="resolve",status="200"}' in text
    assert dataset.root_ids[0] not in text


async def test_fault_61_a_taken_metrics_port_is_a_warning(
    platform: Simulator, export: Path, dest: Path
) -> None:
    taken = platform.domain.rsplit(":", 1)[1]
    ended = await mirror(
        "sync", export, "--dest", dest, "--metrics-port", taken, env=environment(platform)
    )
    assert ended.code == 0
    assert "goes on without" in ended.err


async def test_dry_run_writes_nothing_and_asks_nothing(
    platform: Simulator, export: Path, dest: Path
) -> None:
    words = ("sync", export, "--dest", dest, "--dry-run", "--json")
    ended = await mirror(*words)  # no account is needed
    report = json.loads(ended.out)
    assert (ended.code, report["frames"]["pending"], report["dry_run"]) == (0, 120, True)
    assert not dest.exists()
    assert not platform.requests
    env = environment(platform)
    await mirror("sync", export, "--dest", dest, "--limit", "50", env=env)
    before = sorted(dest.rglob("*"))
    report = json.loads((await mirror(*words, env=env)).out)
    assert report["frames"]["already_mirrored"] == 50
    assert report["frames"]["pending"] == 70
    assert sorted(dest.rglob("*")) == before


async def test_refused_credentials_are_tried_once(
    platform: Simulator, export: Path, dest: Path
) -> None:
    env = environment(platform, SAVANT_PASSWORD="wr0ng-canary")
    ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
    assert ended.code == 77
    assert platform.count("login") == 1
    assert platform.account.username in ended.err
    assert "canary" not in ended.err + ended.out


async def test_fault_13_an_absent_platform_ends_with_69(export: Path, dest: Path) -> None:
    env = environment(SAVANT_DOMAIN="http://127.0.0.1:9", SAVANT_USERNAME="u", SAVANT_PASSWORD="p")
    ended = await mirror("sync", export, "--dest", dest, "--json", env=env)
    report = json.loads(ended.out)
    assert (ended.code, report["outcome"]) == (69, "failed")
    assert report["frames"]["pending"] == 120
    assert "Traceback" not in ended.err


async def test_attack_22_no_secret_in_any_output_or_file(
    dataset: Dataset, export: Path, dest: Path, tmp_path: Path
) -> None:
    plan = FaultPlan(
        [
            Fault("status", hop="resolve", frames=0.2, attempts=1, code=500),
            Fault("validation_error", hop="resolve", frames=0.1),
            Fault("reset_mid_body", hop="download", frames=0.2, attempts=1),
            Fault("signature_error", hop="download", frames=0.2),
        ]
    )
    behaviour = Behaviour(password="canary-pass-w0rd")
    async with Simulator(dataset, plan=plan, behaviour=behaviour) as platform:
        words = ("sync", export, "--dest", dest, "--debug", "--log-format", "json")
        ended = await mirror(*words, env=environment(platform))
        tokens = {
            request.headers["Authorization"].split()[-1]
            for request in platform.requests
            if "Authorization" in request.headers
        }
    assert ended.code == 1
    assert tokens
    written = b"".join(p.read_bytes() for p in (dest / ".mirror").rglob("*") if p.is_file())
    everything = (ended.out + ended.err).encode() + written
    for secret in ("canary-pass-w0rd", "X-Amz-Signature=", "bearer ", *tokens):
        assert secret.encode() not in everything


async def test_what_people_see_without_json(platform: Simulator, export: Path, dest: Path) -> None:
    ended = await mirror("sync", export, "--dest", dest, env=environment(platform))
    assert "Complete. Of 120 frames asked for, 120 are at" in ended.out
    assert "Mirroring 120 frames" in ended.err
    quiet = await mirror("sync", export, "--dest", dest, "--quiet", env=environment(platform))
    assert quiet.err == ""


async def test_too_few_descriptors_lower_concurrency_and_nothing_fails(
    platform: Simulator, export: Path, dest: Path
) -> None:
    """The soft limit is raised to the hard one; where that is low, too, less is done at once."""
    words = ("-m", "mirror", "sync", str(export), "--dest", str(dest), "--concurrency", "64")
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'ulimit -Sn 64; ulimit -Hn 300; exec "$0" "$@"', sys.executable, *words),
        env=environment(platform),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ended = await finish(process)
    assert ended.code == 0, ended.err
    assert ended.err.count("limit of open files") == 1
    assert "lowered to 22" in ended.err
    assert "out_of_sockets" not in ended.err
