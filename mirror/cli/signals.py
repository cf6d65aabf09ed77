"""SIGINT and SIGTERM wherever no event loop listens for them: both raise `KeyboardInterrupt`.

Only the standard library is imported here, so that the signals are caught before anything else of
the program is loaded. A run binds them to its `Stop` instead (`running.py`).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def catch_signals() -> None:
    """From now on, either signal raises `KeyboardInterrupt`, or cancels what `run_loop` runs."""
    # this very handler, for asyncio takes its place where it stands
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_interrupt)


def _as_interrupt(_: int, __: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


def ignore_signals() -> None:
    """The exit code stands and the process is about to end: nothing is left to interrupt."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`; a loop that ends takes its signal handlers with it, so ours are set again."""
    try:
        return asyncio.run(main)
    finally:
        catch_signals()
