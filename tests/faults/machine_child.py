"""The real command in a process of its own, which is killed at some step of whatever it does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from mirror.cli import app, purge, verify  # noqa: F401 - loaded once for all that are forked
from mirror.store import Step
from tests.faults.crash_child import watch


class Killer:
    """Kills this process when the step is reached for so many times; None: any step."""

    def __init__(self, step: Step | None, count: int) -> None:
        self._step = step
        self._left = count
        self._one = threading.Lock()

    def tell(self, _: str) -> None:
        """Nothing is kept of what happens."""

    def reached(self, step: Step) -> None:
        with self._one:
            if self._step in {None, step}:
                self._left -= 1
                if not self._left:
                    os.kill(os.getpid(), signal.SIGKILL)


def main(killer: tuple[Step | None, int], words: Sequence[str], env: dict, said: Path) -> None:
    """Run `mirror` with these words; what it says goes to `said`, errors to a file beside it."""
    os.environ.clear()
    os.environ.update(env)
    for descriptor, path in ((1, said), (2, said.with_suffix(".err"))):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    watch(Killer(*killer))
    sys.argv = ["mirror", *words]
    app.main()
