"""`mirror simulate` as a process: what it prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from simulator_support import raw


@asynccontextmanager
async def simulate(*options: str) -> AsyncIterator[tuple[Process, str]]:
    """The running command and all that it prints before it waits."""
    process = await start(*options)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            greeting = (await process.stdout.readuntil(b"mirror sync")).decode()
            greeting += (await process.stdout.readline()).decode()
        yield process, greeting
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def start(*options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirror", "simulate", *options, stdout=PIPE, stderr=PIPE
    )


async def refused(*options: str) -> tuple[int | None, str]:
    process = await start(*options)
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


def domain_in(greeting: str) -> str:
    found = re.search(r"^export SAVANT_DOMAIN=(\S+)$", greeting, re.MULTILINE)
    assert found
    return found.group(1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal_and_says_what_was_requested(
    tmp_path: Path, number: signal.Signals
) -> None:
    export = tmp_path / "batch.json"
    options = ("--sequences", "1", "--frames", "3", "--export", str(export))
    async with simulate(*options) as (process, greeting):
        assert "export SAVANT_USERNAME=" in greeting
        assert "export SAVANT_PASSWORD=" in greeting
        assert f"mirror sync {export} --dest frames" in greeting
        assert len(json.loads(export.read_text())["sequences"][0]["featureSet"]) == 3
        assert (await raw(f"{domain_in(greeting)}/auth/jwt/login", method="POST")).status == 422
        process.send_signal(number)
        async with asyncio.timeout(30):
            summary, errors = await process.communicate()
        assert process.returncode == 0
        assert errors == b""
        assert re.search(r"login +422 +1\n", summary.decode())


async def test_the_plan_is_obeyed(tmp_path: Path) -> None:
    plan = tmp_path / "faults.toml"
    plan.write_text('[[fault]]\naction = "hang"\nhop = "login"\nlimit = 1\n')
    async with simulate("--plan", str(plan), "--capacity", "5") as (process, greeting):
        assert "start it with --export" not in greeting
        url = f"{domain_in(greeting)}/auth/jwt/login"
        assert (await raw(url, method="POST", patience=0.5)).head == b""
        assert (await raw(url, method="POST")).status == 422
        process.terminate()
        summary, _ = await process.communicate()
        assert re.search(r"login +no answer +1\n", summary.decode())


async def test_a_wrong_plan_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    plan = tmp_path / "faults.toml"
    plan.write_text('[[fault]]\naction = "stall"\natt = 1\n')
    code, errors = await refused("--plan", str(plan))
    assert code == 2
    assert "faults.toml: rule 1 (stall): 'att' is no key" in errors


async def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = await refused("--store-port", str(port))
    assert code == 2
    assert f"Port {port} is in use" in errors


async def test_an_export_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    code, errors = await refused("--export", str(tmp_path / "nowhere" / "batch.json"))
    assert code == 2
    assert "batch.json' can't be written: No such file or directory" in errors
