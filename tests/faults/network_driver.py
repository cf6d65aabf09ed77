"""A whole run inside a network namespace of its own: simulator and run in one process, as always.

Run as `python -m tests.faults.network_driver FOLDER HOST SETTINGS`, where HOST (`api` or `store`)
is the one that is called by its name, `localhost`; prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from mirror.events import HostPaused, RetryScheduled
from mirror.simulator import Simulator
from tests.faults.kit import recorded_at, site


def by_name(origin: str) -> str:
    """The origin of a host that is called by its name."""
    return origin.replace("127.0.0.1", "localhost")


async def drive(folder: Path, host: str, settings: dict[str, Any]) -> dict[str, Any]:
    """One run; what its test wants to know."""
    if host == "store":
        origin = Simulator.store_origin.fget
        assert origin is not None
        Simulator.store_origin = property(lambda sim: by_name(origin(sim)))  # type: ignore
    async with site(folder) as there:
        if host == "api":
            settings = {"domain": by_name(there.simulator.domain), **settings}
        report = await asyncio.wait_for(there.run(**settings), 50)
        if report.exit_code == 0:
            there.complete(report)
        found = socket.getaddrinfo("localhost", 1, socket.AF_INET, socket.SOCK_STREAM)
        return {
            "code": report.exit_code,
            "error": report.error,
            "seconds": report.seconds,
            "frames": [report.frames.mirrored, report.frames.failed, report.frames.pending],
            "retries": sorted({event.reason for event in there.told(RetryScheduled)}),
            "paused": sorted({event.hop for event in there.told(HostPaused)}),
            "asked": {hop: there.simulator.count(hop) for hop in ("login", "resolve", "download")},
            "recorded": len(recorded_at(there.dest)),
            "addresses": [str(address[0]) for *_, address in found],
        }


if __name__ == "__main__":
    given = asyncio.run(drive(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
    os.write(1, json.dumps(given).encode())
