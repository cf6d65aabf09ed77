"""Failing disks: `mirror` as a process under `strace`, which fails its system calls on chosen
files, and small tmpfs mounts that really are full or read-only.

Temporaries have names nobody can foresee, so a process under test gets a fixed first half for
them; the Nth temporary of a run is `temporary(dest, N)`, the first being the ledger's scratch file.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror.store import Destination
from mirror.store.steps import Reached
from tests.e2e.command import Ended, environment, finish
from tests.faults.kit import Site

TOKEN = "feed" * 4
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_HOOK = f"import secrets\nsecrets.token_hex = lambda _=None: {TOKEN!r}\n"
_CALL = re.compile(r"^\d+\s+(?P<name>\w+)\((?P<words>.*)\)\s+= (?P<result>.*)$")


@dataclass(frozen=True)
class Call:
    """One system call of the log. `words`: its arguments as strace writes them."""

    name: str
    words: str
    result: str

    @property
    def path(self) -> str:
        """Of the descriptor that is its first argument."""
        found = re.match(r"\d+<([^>]*)>", self.words)
        return found[1] if found else ""

    @property
    def injected(self) -> bool:
        return "(INJECTED)" in self.result


@asynccontextmanager
async def running(
    *words: str | Path, env: Mapping[str, str], before: Sequence[str | Path] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`mirror` with these words as a process, `before` it what starts it; ended in any case."""
    process = await asyncio.create_subprocess_exec(
        *map(str, (*before, sys.executable, "-m", "mirror", *words)),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # a strace that dies leaves what it traced
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; the test's own timeout ends it."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.01)


async def sync(site: Site, **env: str) -> Ended:
    """One `mirror sync --json` of the site's export, as a process."""
    words = ("sync", site.export, "--dest", site.dest, "--json", "--quiet")
    async with running(*words, env=environment(site.simulator, **env)) as process:
        return await finish(process)


def temporary(dest: Path, number: int) -> str:
    """The path of the Nth temporary of a process under `strace`."""
    return f"{dest}/.mirror/tmp/{TOKEN}-{number}"


@dataclass(frozen=True)
class Strace:
    """Runs `mirror sync` with system calls that fail."""

    folder: Path

    def hook(self) -> str:
        """The PYTHONPATH of a process whose temporaries have names that can be foreseen."""
        hook = self.folder / "hook"
        hook.mkdir(exist_ok=True)
        (hook / "sitecustomize.py").write_text(_HOOK)
        return f"{hook}:{Path.cwd()}"

    async def sync(
        self, site: Site, *inject: str, trace: str, paths: Sequence[str] = (), **env: str
    ) -> tuple[Ended, list[Call]]:
        """One run, and its calls. `inject`: as strace's `-e inject=`, counted by thread; `trace`:
        the calls that are logged. With `paths`, only calls on those (a path, or a name below an
        open folder) fail or are logged."""
        log = self.folder / "strace.log"
        chosen = [word for path in paths for word in ("-P", path, "-P", Path(path).name)]
        faults = [word for one in inject for word in ("-e", f"inject={one}")]
        before = ("strace", "-f", "--seccomp-bpf", "-qqq", "-y", "-s", "8", "-o", log)
        before += (*chosen, "-e", f"trace={trace}", *faults)
        around = environment(site.simulator, PYTHONPATH=self.hook(), **env)
        words = ("sync", site.export, "--dest", site.dest, "--json", "--quiet")
        async with running(*words, env=around, before=before) as process:
            ended = await finish(process)
        return ended, list(_calls(log.read_text()))


def _calls(log: str) -> Iterator[Call]:
    """The calls of a log; one that another thread's call interrupts is put together again."""
    begun: dict[str, str] = {}
    for written in log.splitlines():
        line = written
        thread = line.split(maxsplit=1)[0]
        if line.endswith("<unfinished ...>"):
            begun[thread] = line.removesuffix("<unfinished ...>").rstrip()
            continue
        if resumed := re.match(r"^\d+\s+<\.\.\. \w+ resumed>(.*)$", line):
            line = begun.pop(thread) + resumed[1]
        if found := _CALL.match(line):
            yield Call(found["name"], found["words"], found["result"])


@pytest.fixture
def strace(tmp_path: Path) -> Strace:
    """Skips where processes can't be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-qqq", "-e", "trace=fsync", "-o", "/dev/null", "true"],
        capture_output=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip("processes can't be traced here")
    return Strace(tmp_path)


Mount = Callable[[str], Path]
"""Mount options to the place; the second time, it is mounted anew with others."""


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Mount]:
    """A file system of its own, unmounted at the end. Skips where mounting is forbidden."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a tmpfs needs root on Linux")
    place = tmp_path / "disk"
    place.mkdir()
    mounted: list[str] = []

    def do(options: str) -> Path:
        action = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if mounted:
            action = ["mount", "-o", f"remount,{options}", str(place)]
        tried = subprocess.run(action, capture_output=True, text=True, check=False)
        if tried.returncode:
            assert not mounted, tried.stderr
            pytest.skip("mounting is not allowed here")
        mounted.append(options)
        return place

    try:
        yield do
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def temporaries(dest: Path) -> list[str]:
    """What is left where temporaries are."""
    return [path.name for path in (dest / ".mirror" / "tmp").iterdir()]


def at_steps(patch: pytest.MonkeyPatch, reached: Reached) -> None:
    """Tell every step of the runs of this process to `reached`."""
    opened = Destination.open
    patch.setattr(Destination, "open", lambda root, layout: opened(root, layout, reached))


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Path]:
    """An ext4 file system of its own that turns read-only at an error."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4", path=SBIN):
        pytest.skip("a loop device needs root, mkfs.ext4 and Linux")
    image, place = tmp_path / "ext4.img", tmp_path / "ext4"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(24 * 1024**2)
    subprocess.run(["mkfs.ext4", "-q", image], env={"PATH": SBIN}, check=True)
    action = ["mount", "-o", "loop,errors=remount-ro", str(image), str(place)]
    if subprocess.run(action, capture_output=True, check=False).returncode:
        pytest.skip("mounting a loop device is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def break_file_system(place: Path) -> None:
    """What the kernel does when it finds the file system's own data broken."""
    device = place.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("a test\n")
