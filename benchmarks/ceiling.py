"""How much the server alone can give: wrk, against each hop."""

from __future__ import annotations

import os
import re
import subprocess

from benchmarks.measuring import RunFailedError
from benchmarks.nginx import Server

SECONDS = 5


def ceiling(server: Server) -> dict[str, float]:
    """Answers a second, by hop. Raises `RunFailedError`."""
    frame = "0" * 8
    urls = {
        "resolve": f"{server.domain}/sequences/root/frames/{frame}?workspace_id=w",
        "download": server.frame_url(frame),
    }
    return {hop: _ask(url) for hop, url in urls.items()}


def _ask(url: str) -> float:
    threads = str(os.cpu_count() or 1)
    command = ["wrk", f"-t{threads}", "-c64", f"-d{SECONDS}s", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Requests/sec:\s*([0-9.]+)", done.stdout)
    if done.returncode or found is None or "Non-2xx" in done.stdout:
        raise RunFailedError(f"wrk failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return float(found[1])
