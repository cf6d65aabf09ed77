"""What is shown: words, widths, lines for people and for machines."""

from __future__ import annotations

import io
import json
import sys
import threading
from datetime import UTC, datetime
from typing import Literal

import pytest
from rich.console import Console

from mirror.events import (
    Events,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    LimitChanged,
    Preparing,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
    Stopping,
)
from mirror.frames import FrameRef
from mirror.observe import phrases
from mirror.observe.display import LineDisplay, LiveDisplay, progress_display
from mirror.observe.lines import json_line, plain_line
from mirror.observe.tally import Tally

REF = FrameRef("w", "r", "f")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def busy_tally() -> Tally:
    clock = Clock()
    tally = Tally(clock)
    tally(RunStarted(200_000, 80_000))
    tally(LimitChanged("resolve", 64))
    tally(LimitChanged("download", 48))
    for _ in range(12):
        tally(RequestStarted("resolve"))
    for _ in range(30):
        tally(RequestStarted("download"))
    clock.now += 10
    tally(GroupCommitted(12_000, 0, 1_050_000_000, 0.5))
    return tally


def live(tally: Tally, width: int, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, **options)  # type: ignore[arg-type] # pass-through
    console.print(LiveDisplay(tally, console))
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_live_display_says_all_there_is() -> None:
    tally = busy_tally()
    tally(RetryScheduled(REF, "download", "timeout", "", 1, 0.5))
    tally(FrameFailed(REF, "not_found", "", 1))
    text = live(tally, 100, no_color=True)
    assert "46 %" in text
    assert "92,001 of 200,000 frames · 1,200/s · 105 MB/s · 1 min 30 s left" in text
    assert "API 12 of 64 in flight · store 30 of 48 in flight · 1 retry · 1 failed" in text


@pytest.mark.parametrize("width", [24, 40, 60, 80, 200])
def test_the_live_display_fits_any_width(width: int) -> None:
    tally = busy_tally()
    tally(RetryScheduled(REF, "download", "timeout", "", 1, 0.5))
    text = live(tally, width, no_color=True, color_system=None)
    assert max(map(len, text.splitlines())) <= width
    assert "46 %" in text


def test_a_paused_host_is_shown_with_its_next_try_and_gone_when_it_answers() -> None:
    tally = busy_tally()
    tally(HostPaused("download", "server_error", "", 12.0))
    assert "The store does not answer (server error): trying again in 12 s" in live(tally, 100)
    tally(HostResumed("download"))
    assert "does not answer" not in live(tally, 100)


def test_a_pause_that_is_over_says_now() -> None:
    tally = busy_tally()
    tally(HostPaused("resolve", "timeout", "", 0.1))
    assert "The API does not answer (timeout): trying again now" in live(tally, 100)


def test_stopping_is_shown_until_the_end() -> None:
    tally = busy_tally()
    tally(Stopping("SIGTERM", 20.0))
    words = "Stopping (SIGTERM): what is in flight may finish, for 20 s at most"
    assert words in live(tally, 100)
    tally(RunFinished("interrupted", 75))
    assert "Stopping" not in live(tally, 100)


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weight stays, colour goes: no SGR colour code is written."""
    tally = busy_tally()
    tally(HostPaused("download", "timeout", "", 12.0))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in live(tally, 80)
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[3" in live(tally, 80)


def test_before_the_plan_stands_it_says_what_is_done() -> None:
    tally = Tally()
    assert live(tally, 80).strip() == ""
    tally(Preparing("reading batch.json"))
    assert "  Reading batch.json" in live(tally, 80)
    assert plain_line("progress", tally, AT).endswith("Z Reading batch.json")
    assert json.loads(json_line("progress", tally, AT))["event"] == "preparing"
    tally(RunStarted(1, 0))
    assert "Reading" not in live(tally, 80)


def test_attack_24_a_cause_with_escapes_is_shown_escaped() -> None:
    tally = busy_tally()
    tally(Stopping("\x1b[2J\u202eevil", 20.0))
    text = live(tally, 200, no_color=True)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J\\u202eevil" in text


def test_the_live_display_starts_and_leaves_its_last_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    tally = busy_tally()
    with LiveDisplay(tally, console):
        tally(RunFinished("interrupted", 75))
    assert isinstance(console.file, io.StringIO)
    assert "92,000 of 200,000 frames · 1.1 GB · 10 s" in console.file.getvalue()


# --- lines --------------------------------------------------------------------------------------


def test_plain_lines_of_a_run() -> None:
    tally = busy_tally()
    assert plain_line("started", tally, AT) == (
        "2026-01-02T03:04:05Z Mirroring 200,000 frames · 80,000 already mirrored · 108,000 to fetch"
    )
    tally(HostPaused("download", "timeout", "", 12.0))
    tally(Stopping("SIGTERM", 20.0))
    assert plain_line("progress", tally, AT) == (
        "2026-01-02T03:04:05Z 46 % · 92,000 of 200,000 frames · 1,200/s · 105 MB/s"
        " · 1 min 30 s left · API 12 of 64 in flight · store 30 of 48 in flight"
        " · The store does not answer (timeout): trying again in 12 s"
        " · Stopping (SIGTERM): what is in flight may finish, for 20 s at most"
    )
    tally(RunFinished("partial", 1))
    assert plain_line("finished", tally, AT) == (
        "2026-01-02T03:04:05Z Finished, some frames failed · 92,000 of 200,000 frames"
        " · 1.1 GB · 10 s"
    )


def test_json_lines_are_one_object_with_the_report_s_words() -> None:
    tally = busy_tally()
    line = json_line("progress", tally, AT)
    assert "\n" not in line
    said = json.loads(line)
    assert said["event"] == "progress"
    assert said["timestamp"] == "2026-01-02T03:04:05Z"
    assert said["frames"] == {
        "total": 200_000,
        "mirrored": 12_000,
        "already_mirrored": 80_000,
        "failed": 0,
        "pending": 108_000,
    }
    assert said["frames_per_second"] == 1200
    assert said["seconds_left"] == 90
    tally(RunFinished("complete", 0))
    assert json.loads(json_line("finished", tally, AT))["outcome"] == "complete"


class Lines(io.StringIO):
    """A stream that lets a test wait for a line."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, text: str) -> int:
        done = super().write(text)
        self.written.set()
        return done


def test_the_line_display_writes_at_the_start_meanwhile_and_at_the_end() -> None:
    stream, tally = Lines(), Tally()
    display = LineDisplay(tally, stream, interval=0.01, style=lambda moment, *_: moment)
    events = Events(tally, display)
    with display:
        events.emit(RunStarted(10, 0))
        stream.written.clear()
        assert stream.written.wait(10)
        events.emit(RunFinished("complete", 0))
    words = stream.getvalue().splitlines()
    assert words[0] == "started"
    assert words[-1] == "finished"
    assert set(words[1:-1]) == {"progress"}


def test_the_line_display_is_silent_while_nothing_runs() -> None:
    stream = Lines()
    with LineDisplay(Tally(), stream, interval=0.001):
        assert not stream.written.wait(0.05)
    assert stream.getvalue() == ""


def test_without_a_terminal_lines_are_written() -> None:
    stream, events = io.StringIO(), Events()
    with progress_display(events, stream):
        events.emit(RunStarted(3, 1))
    assert "Mirroring 3 frames" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_machines_get_json() -> None:
    stream, events = io.StringIO(), Events()
    with progress_display(events, stream, "json"):
        events.emit(RunStarted(3, 1))
    assert json.loads(stream.getvalue())["event"] == "started"


def test_a_terminal_gets_the_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_display(Events(), io.StringIO()), LiveDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_display(Events(), io.StringIO()), LineDisplay)


# --- phrases ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (88_123, "88.1 kB"),
        (999_499, "999 kB"),
        (999_700, "1.0 MB"),
        (3_300_000_000, "3.3 GB"),
        (7e18, "7000 PB"),
    ],
)
def test_sizes(octets: float, words: str) -> None:
    assert phrases.size(octets) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 00 s"),
        (61, "1 min 01 s"),
        (3600, "1 h 00 min"),
        (90_000, "25 h 00 min"),
        (200_000, "2 days 7 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert phrases.duration(seconds) == words


def test_a_hundred_percent_means_all() -> None:
    tally = Tally()
    assert phrases.percent(tally) == "0 %"
    tally(RunStarted(1000, 999))
    assert phrases.percent(tally) == "99 %"
    tally(GroupCommitted(1, 0, 1, 0.1))
    assert phrases.percent(tally) == "100 %"
    tally(RunStarted(0, 0))
    tally(RunFinished("complete", 0))
    assert phrases.percent(tally) == "100 %"


def test_a_slow_run_shows_a_decimal_and_an_unknown_end() -> None:
    tally = Tally(Clock())
    tally(RunStarted(1, 0))
    assert phrases.progress(tally) == ["0 of 1 frame", "0.0/s", "0 B/s", "time left unknown"]


def test_packing_never_splits_a_part() -> None:
    assert phrases.pack(["one", "two", "three"], 9) == ["one · two", "three"]
    assert phrases.pack(["longer than the line"], 5) == ["longer than the line"]
    assert phrases.pack([], 5) == []


def test_the_log_goes_through_the_live_display_and_the_result_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Standard error is redirected, so that lines land above the bar; standard output is not."""
    monkeypatch.setenv("TERM", "xterm")
    terminal, result = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys, "stdout", result)
    with LiveDisplay(busy_tally(), Console(file=terminal, width=80, force_terminal=True)):
        sys.stderr.write("a line of the log\n")
        sys.stdout.write("the result\n")
    assert "a line of the log" in terminal.getvalue()
    assert result.getvalue() == "the result\n"


class Broken(io.StringIO):
    """A stream on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stream_that_breaks_ends_no_run(form: Literal["text", "json"]) -> None:
    events = Events()
    with progress_display(events, Broken(), form):
        events.emit(RunStarted(10, 0))
        events.emit(RunFinished("complete", 0))


def test_a_terminal_that_goes_away_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    events, stderr = Events(), sys.stderr
    display = progress_display(events, Broken())
    assert isinstance(display, LiveDisplay)
    with display:
        events.emit(RunStarted(10, 0))
        events.emit(RunFinished("complete", 0))
    assert sys.stderr is stderr
