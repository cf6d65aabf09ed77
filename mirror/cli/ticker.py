"""How far long work has come, on standard error: live on a terminal, else a line every 10 s."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.live import Live
from rich.text import Text

_SECONDS = 10.0


@contextmanager
def ticking(tell: Callable[[], str], *, quiet: bool) -> Iterator[None]:
    """While the context lasts, what `tell` says; nothing where `quiet`."""
    console = Console(file=sys.stderr, highlight=False)
    if quiet:
        yield
    elif console.is_terminal:
        with Live(
            console=console, get_renderable=lambda: Text(tell(), style="dim"), transient=True
        ):
            yield
    else:
        yield from _lines(tell, console)


def _lines(tell: Callable[[], str], console: Console) -> Iterator[None]:
    done = Event()

    def repeat() -> None:
        while not done.wait(_SECONDS):
            console.print(tell())

    thread = Thread(target=repeat, name="ticker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
