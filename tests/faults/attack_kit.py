"""What attacks are made of: hostile exports, twisted answers, traps, a look at what was touched."""

from __future__ import annotations

import json
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from mirror.errors import MirrorError
from mirror.events import Event
from mirror.simulator import Simulator
from mirror.simulator.answers import Answer
from mirror.simulator.request import Desk, Received
from mirror.simulator.shelf import FrameName
from mirror.sync.report import RunReport
from tests.faults.kit import Site

Sequence = tuple[object, object, list[object]]
"""Workspace, root, frame ids: anything that JSON can hold."""


def write_export(path: Path, *sequences: Sequence) -> Path:
    """An export that names these frames, whatever they are called."""
    entries = [
        {"workspaceId": workspace, "rootId": root, "featureSet": [{"id": each} for each in frames]}
        for workspace, root, frames in sequences
    ]
    path.write_text(json.dumps({"sequences": entries}))
    return path


async def refusal(site: Site, **settings: Any) -> MirrorError:
    """The error that ends a run before its destination is held."""
    try:
        report = await site.run(**settings)
    except MirrorError as error:
        return error
    raise AssertionError(f"the run was not refused: {report}")


async def ended(site: Site, **given: Any) -> tuple[int, str]:
    """Exit code and sentence of a run, whether it came to hold its destination or not."""
    try:
        report = await site.run(**given)
    except MirrorError as error:
        return int(error.exit_code), str(error)
    return int(report.exit_code), str(report.error)


def reasons(report: RunReport) -> dict[str, str]:
    """Why each frame failed, by frame id."""
    return {failure.frame_id: failure.reason for failure in report.failures}


# --- what was touched -----------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, tuple[str, str]]:
    """Everything below a folder: what it is, and its content's digest or where it leads."""
    return {str(path.relative_to(folder)): _look(path) for path in sorted(folder.rglob("*"))}


def _look(path: Path) -> tuple[str, str]:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return "link", str(path.readlink())
    if stat.S_ISREG(found.st_mode):
        return oct(found.st_mode), sha256(path.read_bytes()).hexdigest()
    return oct(found.st_mode), ""


def modes(folder: Path) -> dict[str, int]:
    """The permissions of everything below a folder, itself included, but for links."""
    paths = [folder, *folder.rglob("*")]
    found = {}
    for path in paths:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # a temporary that went meanwhile
        if not stat.S_ISLNK(mode):
            found[str(path.relative_to(folder))] = stat.S_IMODE(mode)
    return found


class Reacting(list[Event]):
    """The events of a run; `react` is called with each as it happens, on the loop's thread."""

    def __init__(self, react: Callable[[Event], None]) -> None:
        super().__init__()
        self._react = react

    def append(self, event: Event) -> None:
        super().append(event)
        self._react(event)


# --- hosts that lie -------------------------------------------------------------------------------

Twist = Callable[[Received, Answer], Answer]
"""From a request and the right answer to the one that is sent."""


@dataclass(frozen=True)
class TwistedDesk:
    """A desk whose answers are twisted."""

    inner: Desk
    twist: Twist

    @property
    def banner(self) -> str:
        return self.inner.banner

    def identify(self, method: str, path: str) -> tuple[str, FrameName | None]:
        return self.inner.identify(method, path)

    def answer(self, received: Received) -> Answer:
        return self.twist(received, self.inner.answer(received))

    def overload(self) -> Answer:
        return self.inner.overload()


def twist(simulator: Simulator, host: str, how: Twist) -> None:
    """From now on, what `host` ("api" or "store") says is what `how` makes of it."""
    found = simulator._hosts[host]
    found._desk = TwistedDesk(found._desk, how)


def add_headers(**headers: str) -> Twist:
    """The right answer with these headers, too."""
    return lambda _, answer: answer.with_headers(**headers)


def name_store(simulator: Simulator, origin: str) -> None:
    """Presigned URLs lead to `origin` from now on, and are signed for it."""
    host = origin.partition("://")[2]

    def presign(name: FrameName) -> str:
        url = simulator._presign(name)
        _, _, rest = url.partition("://")
        path = "/" + rest.partition("/")[2].partition("?")[0]
        return origin + simulator._signer.presign(path, host, time.time())

    api = simulator._hosts["api"]
    api._desk = replace(api._desk, presign=presign)


# --- traps ----------------------------------------------------------------------------------------


class Trap:
    """A listening socket that nobody may connect to. Connections wait in its queue."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.port = int(sock.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def untouched(self) -> bool:
        """Whether nobody has connected."""
        try:
            self._sock.accept()[0].close()
        except BlockingIOError:
            return True
        return False


@contextmanager
def trap() -> Iterator[Trap]:
    """A trap on a port of 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield Trap(sock)
