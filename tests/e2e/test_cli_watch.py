"""`mirror watch` as a process: an inbox, the simulator, signals, exit codes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from mirror.simulator import Behaviour, Dataset, DatasetSpec, Simulator

SPEC = DatasetSpec(2, 5, 2000)


class Service:
    """The process, and what it says on standard error."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.said = ""

    async def until(self, words: str) -> None:
        """Until it says `words`."""
        assert self.process.stderr is not None
        while words not in self.said:
            line = await self.process.stderr.readline()
            assert line, f"it ended without saying {words!r}:\n{self.said}"
            self.said += line.decode()

    async def end(self) -> int:
        """Its exit code."""
        assert self.process.stderr is not None
        self.said += (await self.process.stderr.read()).decode()
        return await self.process.wait()

    async def get(self, path: str) -> tuple[int, str]:
        found = re.search(r"port=(\d+)", self.said)
        assert found
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{found[1]}{path}") as answer,
        ):
            return answer.status, await answer.text()


@asynccontextmanager
async def started(
    simulator: Simulator | None, *words: str, password: str | None = None
) -> AsyncIterator[Service]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MIRROR_", "SAVANT_"))
    }
    environment["MIRROR_RESCAN_SECONDS"] = "0.05"
    if simulator is not None:
        environment["SAVANT_DOMAIN"] = simulator.domain
        environment["SAVANT_USERNAME"] = simulator.account.username
        environment["SAVANT_PASSWORD"] = password or simulator.account.password
    command = (sys.executable, "-m", "mirror", "watch", *words)
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE, env=environment)
    try:
        async with asyncio.timeout(30):
            yield Service(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


async def test_an_export_that_appears_is_mirrored_and_sigterm_ends_with_0(
    inbox: Path, tmp_path: Path
) -> None:
    dataset, frames = Dataset(SPEC), tmp_path / "frames"
    async with (
        Simulator(dataset) as simulator,
        started(simulator, str(inbox), "--dest", str(frames), "--metrics-port=0") as service,
    ):
        await service.until("Watching the inbox.")
        assert (await service.get("/healthz"))[0] == 200
        dataset.write_export(inbox / "batch.json")
        await service.until("The run ended.")
        assert "outcome=complete" in service.said
        status, metrics = await service.get("/metrics")
        assert status == 200
        assert 'mirror_exports_total{outcome="complete"} 1.0' in metrics
        assert f'mirror_frames_total{{outcome="mirrored"}} {len(dataset)}.0' in metrics
        assert f'mirror_ledger_frames{{state="mirrored"}} {len(dataset)}.0' in metrics
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == 0
    assert len(list(frames.glob("*/*.png"))) == len(dataset)
    assert simulator.account.password not in service.said


async def test_fault_53_sigterm_in_the_middle_drains_and_the_next_start_resumes(
    inbox: Path, tmp_path: Path
) -> None:
    """Nothing is fetched twice but what was in flight, and the service still ends with 0."""
    dataset, frames = Dataset(DatasetSpec(2, 150, 2000)), tmp_path / "frames"
    dataset.write_export(inbox / "batch.json")
    words = (str(inbox), "--dest", str(frames), "--metrics-port=0")
    async with Simulator(dataset, behaviour=Behaviour(store_latency=0.2)) as simulator:
        async with started(simulator, *words) as service:
            await service.until("Mirroring 300 frames")
            service.process.send_signal(signal.SIGTERM)
            assert await service.end() == 0
        assert "Stopping (SIGTERM)" in service.said
        assert len(list(frames.glob("*/*.png"))) < 300
        async with started(simulator, *words) as service:
            await service.until("outcome=complete")
            service.process.send_signal(signal.SIGINT)
            assert await service.end() == 0
        assert simulator.count("download") <= 300
    assert len(list(frames.glob("*/*.png"))) == 300


async def test_a_broken_export_does_not_hold_up_a_good_one(inbox: Path, tmp_path: Path) -> None:
    (inbox / "broken.json").write_text('{"sequences": [')
    os.utime(inbox / "broken.json", (1, 1))
    dataset = Dataset(SPEC)
    dataset.write_export(inbox / "good.json")
    async with (
        Simulator(dataset) as simulator,
        started(
            simulator, str(inbox), "--dest", str(tmp_path / "frames"), "--metrics-port=0"
        ) as service,
    ):
        await service.until("export=broken.json outcome=failed exit_code=65")
        await service.until("export=good.json outcome=complete exit_code=0")
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == 0


async def test_fault_1_refused_credentials_end_the_service_with_77(
    inbox: Path, tmp_path: Path
) -> None:
    dataset = Dataset(SPEC)
    dataset.write_export(inbox / "batch.json")
    async with (
        Simulator(dataset) as simulator,
        started(
            simulator,
            str(inbox),
            "--dest",
            str(tmp_path / "frames"),
            "--metrics-port=0",
            password="wrong-password",
        ) as service,
    ):
        assert await service.end() == 77
        assert simulator.count("login") == 1
    assert "wrong-password" not in service.said


async def test_wrong_configurations_end_with_78(inbox: Path, tmp_path: Path) -> None:
    """No account, no inbox, a port that is taken: said at once, not when an export comes."""
    dest = ("--dest", str(tmp_path / "frames"))
    async with started(None, str(inbox), *dest) as service:
        assert await service.end() == 78
        assert "SAVANT_USERNAME" in service.said
    async with Simulator(Dataset(SPEC)) as simulator:
        async with started(simulator, str(inbox / "none"), *dest, "--metrics-port=0") as service:
            assert await service.end() == 78
            assert "can't be listed" in service.said
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with started(simulator, str(inbox), *dest, f"--metrics-port={port}") as service:
                assert await service.end() == 78
                assert "address already in use" in service.said


async def test_a_name_that_is_not_utf8_does_not_end_the_service(
    inbox: Path, tmp_path: Path
) -> None:
    dataset = Dataset(SPEC)
    dataset.write_export(inbox / "x\udcff.json")
    os.utime(inbox / "x\udcff.json", (1, 1))
    dataset.write_export(inbox / "good.json")
    async with (
        Simulator(dataset) as simulator,
        started(
            simulator, str(inbox), "--dest", str(tmp_path / "frames"), "--metrics-port=0"
        ) as service,
    ):
        await service.until("export=good.json outcome=complete exit_code=0")
        assert "exit_code=65" in service.said
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == 0


@pytest.mark.parametrize("dest", ["inbox", "inbox/frames", ".", "link"])
async def test_an_inbox_and_a_destination_in_one_another_are_a_wrong_command_line(
    inbox: Path, tmp_path: Path, dest: str
) -> None:
    (tmp_path / "link").symlink_to(inbox)
    async with (
        Simulator(Dataset(SPEC)) as simulator,
        started(
            simulator, str(inbox), "--dest", str(tmp_path / dest), "--metrics-port=0"
        ) as service,
    ):
        assert await service.end() == 2
        assert "inbox" in service.said
    assert not (inbox / "frames").exists()
