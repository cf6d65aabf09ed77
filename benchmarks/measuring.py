"""Runs one command to its end and says what it took: its processes and nginx's, from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.nginx import Server

LOOKS = 0.1
"""Seconds between two looks at the memory."""
PATIENCE = 900.0
"""Seconds after which a run is ended, and has failed."""
_SIZES = re.compile(r"(VmRSS|VmHWM):\s+([0-9]+) kB")


class RunFailedError(Exception):
    """A command did not end well."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds and bytes, as in `Run`."""

    wall: float
    cpu: float
    server_cpu: float
    memory: int
    largest: int


def run(command: Sequence[str], environment: Mapping[str, str], log: Path, server: Server) -> Taken:
    """Run `command`. What it says goes to `log`. Raises `RunFailedError`."""
    before, since = server.cpu(), time.perf_counter()
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    watch = _Watch(process.pid)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _end(process.pid)
        process.wait()
        raise
    finally:
        wall = time.perf_counter() - since
        watch.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        why = "took too long" if watch.ended else f"ended with {process.returncode}"
        raise RunFailedError(f"{Path(command[0]).name} {why}: {_last_words(log)}")
    return Taken(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        server_cpu=server.cpu() - before,
        memory=watch.most,
        largest=watch.largest,
    )


class _Watch:
    """Looks at a process and its descendants from a thread; ends them when they take too long."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self.largest = 0
        self.ended = False
        self._pid = pid
        self._over = threading.Event()
        self._deadline = time.monotonic() + PATIENCE
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(LOOKS):
            looked = [_memory(pid) for pid in _tree(self._pid)]
            self.most = max(self.most, sum(now for now, _ in looked))
            self.largest = max(self.largest, *(peak for _, peak in looked))
            if time.monotonic() > self._deadline:
                self.ended = True
                _end(self._pid)
                return


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with suppress(OSError):  # it ended meanwhile
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Bytes resident now, and at the most since it began its program.

    Not the `ru_maxrss` of a child: that counts what we had resident when it was forked.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    found = {name: int(size) * 1024 for name, size in _SIZES.findall(status)}
    return found.get("VmRSS", 0), found.get("VmHWM", 0)


def _end(pid: int) -> None:
    """End a command with all it started: it leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _last_words(log: Path) -> str:
    """The end of what it said, without the folders of this machine."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    said = " / ".join([line for line in lines if line][-3:])[-500:]
    return re.sub(r"(?<![\w:/])/[\w.@+-]+/[^\s'\"]*/", "…/", said) or "it said nothing"
