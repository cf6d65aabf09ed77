"""Shows a tally on standard error: live on a terminal, a line now and then elsewhere.

Invariants: both refresh in a thread of their own and only read, so a slow terminal never holds up
the event loop. Pauses, retries and stops as they happen are the log's to tell (`logs.py`); here
stands how things are now.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mirror.events import Event, Events, RunFinished, RunStarted
from mirror.observe import phrases
from mirror.observe.lines import LineStyle, Moment, json_line, plain_line
from mirror.observe.tally import Tally

REFRESH_PER_SECOND = 8
_BAR_WIDTH = 60
_INDENT = 2


def progress_display(
    events: Events, stream: TextIO, form: Literal["auto", "text", "json"] = "auto"
) -> AbstractContextManager[object]:
    """The display that suits `stream`, subscribed to `events`; `form` is the log format."""
    tally = Tally()
    events.subscribe(tally)
    stream = cast(TextIO, _Calm(stream))
    console = Console(file=stream)
    if form != "json" and console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(tally, console)
    lines = LineDisplay(tally, stream, style=json_line if form == "json" else plain_line)
    events.subscribe(lines)
    return lines


class _Calm:
    """A stream that loses what it can't write: a full disk or a closed pipe ends no run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class LiveDisplay:
    """A bar and a few lines that stay at the bottom of a terminal while the context lasts.

    Whatever else is written to `sys.stderr` meanwhile appears above them.
    """

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally = tally
        self._live = Live(
            self,
            console=console,
            refresh_per_second=REFRESH_PER_SECOND,
            redirect_stdout=False,  # standard output holds the result alone
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole display, for any width."""
        tally, width = self._tally, max(20, options.max_width - _INDENT)
        if tally.preparing:
            yield _line(phrases.preparation(tally), "")
        if not tally.running and tally.finished is None:
            return
        yield _bar(tally, width)
        separator = " | " if options.ascii_only else " · "
        for line in phrases.pack(phrases.progress(tally), width, separator):
            yield _line(line, "")
        for line in phrases.pack(phrases.traffic(tally), width, separator):
            yield _line(line, "dim")
        for line in phrases.hindrances(tally):
            yield _line(line, "yellow")


def _bar(tally: Tally, width: int) -> Padding:
    done = phrases.percent(tally)
    bar = ProgressBar(
        total=max(1, tally.total),
        completed=tally.settled,
        width=min(_BAR_WIDTH, width - len(done) - _INDENT),
        finished_style="yellow" if tally.failed else "bar.finished",
    )
    row = Table.grid(padding=(0, 0, 0, _INDENT))
    row.add_row(bar, Text(done, style="bold"))
    return Padding(row, (0, 0, 0, _INDENT))


def _line(text: str, style: str) -> Text:
    return Text(" " * _INDENT + text, style=style)


class LineDisplay:
    """A listener: a line when a run starts, every `interval` seconds, and when it ends.

    Subscribe it behind its tally.
    """

    def __init__(
        self,
        tally: Tally,
        stream: TextIO,
        interval: float = 10.0,
        style: LineStyle = plain_line,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._tally = tally
        self._stream = stream
        self._interval = interval
        self._style = style
        self._now = now
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave.set()
        self._thread.join()

    def __call__(self, event: Event) -> None:
        """Say that a run started or ended."""
        if isinstance(event, RunStarted):
            self._write("started")
        elif isinstance(event, RunFinished):
            self._write("finished")

    def _run(self) -> None:
        while not self._leave.wait(self._interval):
            if self._tally.running or self._tally.preparing:
                self._write("progress")

    def _write(self, moment: Moment) -> None:
        self._stream.write(self._style(moment, self._tally, self._now()) + "\n")
        self._stream.flush()
