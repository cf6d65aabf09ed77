"""A run of the real command in a process of its own, which comes to its end at a chosen step.

Nothing of the command is replaced: its destination only gets another observer of steps.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mirror.cli import app, commands, sync  # noqa: F401 - loaded once for all that are forked
from mirror.store import Destination, Layout, Ledger, Reached, Step
from mirror.store.steps import pass_by

SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
"""EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH: from then on nothing reaches the disk."""


@dataclass(frozen=True)
class Orders:
    """When and how a run ends. Without a step it ends by itself.

    `at`, `count`: the step, and which time it is reached. `cut`: the mount whose power is cut
    first. `hold`: stay at the step instead, and make this file, until somebody ends the process.
    `tally`: a file that gets a line for each step, and for each record that was made. `appear`:
    files that somebody else makes once the final names were looked at.
    """

    at: Step | None = None
    count: int = 1
    cut: Path | None = None
    hold: Path | None = None
    tally: Path | None = None
    appear: dict[Path, bytes] = field(default_factory=dict)


def cut_power(folder: int) -> None:
    """As if the machine behind the file system of an open folder lost its power now. No other
    thread of this process goes on meanwhile: the interpreter's lock is kept."""
    flags = ctypes.c_uint32(WITHOUT_FLUSH)
    if ctypes.PyDLL(None).ioctl(folder, ctypes.c_ulong(SHUTDOWN), ctypes.byref(flags)):
        raise OSError("the file system could not be shut down")


class Watcher:
    """Counts steps, and does as ordered."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._left = orders.count
        self._appear = dict(orders.appear)
        self._one = threading.RLock()  # two threads must not be at the last step at once
        self._tally = -1
        if orders.tally is not None:
            self._tally = os.open(orders.tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(self, line: str) -> None:
        if self._tally >= 0:
            os.write(self._tally, f"{line}\n".encode())

    def reached(self, step: Step) -> None:
        with self._one:
            self.tell(step)
            if step is Step.TEMPORARY_WRITTEN:
                self._let_appear()
            if step is not self._orders.at:
                return
            self._left -= 1
            last = not self._left
            if last and self._orders.hold is None:
                self._end()
        if last:
            Path(self._orders.hold or "").touch()
            threading.Event().wait()

    def _end(self) -> None:
        if self._orders.cut is not None:
            folder = os.open(self._orders.cut, os.O_RDONLY)
            sys.setswitchinterval(60)  # with the power everything ends at once
            cut_power(folder)
        os.kill(os.getpid(), signal.SIGKILL)

    def _let_appear(self) -> None:
        while self._appear:
            path, content = self._appear.popitem()
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())


def main(orders: Orders, words: Sequence[str], env: dict[str, str], said: Path) -> None:
    """Run `mirror` with these words and this environment; what it says goes to `said`, the
    standard error to a file beside it."""
    os.environ.clear()
    os.environ.update(env)
    for descriptor, path in ((1, said), (2, said.with_suffix(".err"))):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    watch(Watcher(orders))
    sys.argv = ["mirror", *words]
    app.main()


def watch(watcher: Watcher) -> None:
    """Have every destination of this process tell the watcher its steps."""
    opening, recording = Destination.open.__func__, Ledger.record

    def opened(
        cls: type[Destination], root: Path, layout: Layout, _: Reached = pass_by
    ) -> Destination:
        return opening(cls, root, layout, watcher.reached)

    def recorded(self: Ledger, written: list, failures: list) -> None:
        recording(self, written, failures)
        watcher.tell(f"recorded {len(written)}")

    Destination.open = classmethod(opened)
    Ledger.record = recorded
