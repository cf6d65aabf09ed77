"""What a measurement was made on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.contestants import PEER_PYTHON

_TOOLS = {
    "nginx": ("nginx", "-v"),
    "curl": ("curl", "--version"),
    "aria2": ("aria2c", "--version"),
    "wrk": ("wrk", "-v"),
}
_ASK_PEERS = (
    "from importlib.metadata import version\n"
    "for name in ('requests', 'aiohttp', 'aiofiles', 'img2dataset'): print(name, version(name))"
)


def describe(disk: str) -> dict[str, str]:
    """The machine by name of what is said of it."""
    found = {
        "processor": f"{os.cpu_count()} cores, {_processor()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1024**3:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": disk,
        "Python": platform.python_version(),
        "mirror": f"{metadata.version('savant-mirror')} ({_commit()})",
    }
    found |= {name: _version(name, command) for name, command in _TOOLS.items()}
    for line in _said((str(PEER_PYTHON), "-c", _ASK_PEERS)).splitlines():
        name, _, version = line.partition(" ")
        found[name] = version
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    described = _said(("git", "describe", "--always", "--dirty"))
    return "no checkout" if described.startswith("fatal") else described


def _version(name: str, command: tuple[str, ...]) -> str:
    first = _said(command).partition("\n")[0]
    found = re.search(r"\d+\.\d[\w.+-]*", first)
    return found[0] if found else f"{name} is not here"


def _said(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()
