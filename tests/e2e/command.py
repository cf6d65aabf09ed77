"""The installed command as a process, against the simulator in this one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.simulator import Simulator

QUICK = {
    "MIRROR_BACKOFF_BASE": "0.01",
    "MIRROR_BACKOFF_CAP": "0.05",
    "MIRROR_OUTAGE_PATIENCE": "2",
    "MIRROR_COMMIT_SECONDS": "0.1",
}


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    code: int
    out: str
    err: str


def environment(simulator: Simulator | None = None, **more: str) -> dict[str, str]:
    """What a process gets: nothing of ours but the account of `simulator`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MIRROR_", "SAVANT_"))
    }
    account = (
        {
            "SAVANT_DOMAIN": simulator.domain,
            "SAVANT_USERNAME": simulator.account.username,
            "SAVANT_PASSWORD": simulator.account.password,
        }
        if simulator
        else {}
    )
    return kept | QUICK | account | {"COLUMNS": "200"} | more


async def start(
    *words: str | Path, env: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `mirror` with these words."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mirror",
        *map(str, words),
        env=environment() if env is None else env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Ended:
    """Wait for its end."""
    out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def mirror(*words: str | Path, env: Mapping[str, str] | None = None) -> Ended:
    """Run `mirror` with these words to its end."""
    return await finish(await start(*words, env=env))


def frames_at(dest: Path) -> dict[str, bytes]:
    """Every file below a destination that is not its state, by frame id."""
    return {
        path.stem: path.read_bytes()
        for path in dest.rglob("*")
        if path.is_file() and ".mirror" not in path.parts
    }
