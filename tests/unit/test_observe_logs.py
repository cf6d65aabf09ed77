"""The log: one chain for everybody, nothing secret, nothing that moves a cursor."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mirror.errors import ExitCode
from mirror.events import (
    Event,
    FileSetAside,
    FrameFailed,
    GroupCommitted,
    HostPaused,
    HostResumed,
    LoggedIn,
    Preparing,
    RequestStarted,
    RetryScheduled,
    RunFinished,
    RunStarted,
    Stopping,
)
from mirror.frames import FrameRef
from mirror.observe.logs import configure_logging, get_logger
from mirror.observe.narrator import log_listener
from mirror.observe.text import printable, redact

REF = FrameRef("w", "r", "f")
SECRETS = ("hunter2", "SIGSIG", "TOKTOK", "eyJhbGciOi")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_have_time_level_and_event_first() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    get_logger().info("Something.", frames=3, ratio=0.5, nothing=None, many=[1, "a"], by={"a": 1})
    (line,) = logged(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["level"] == "info"
    assert line["event"] == "Something."
    assert line["frames"] == 3
    assert line["many"] == [1, "a"]
    assert line["by"] == {"a": 1}
    assert line["nothing"] is None


def test_json_lines_are_compact_as_progress_and_sentences_are() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    get_logger().info("Größe.", many=[1, "a"], ratio=float("nan"))
    line = stream.getvalue()
    assert line.endswith('Z","level":"info","event":"Größe.","many":[1,"a"],"ratio":null}\n')


def test_the_level_holds_back_what_is_below() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    get_logger().info("hidden")
    logging.getLogger("elsewhere").info("hidden")
    get_logger().warning("seen")
    assert [line["event"] for line in logged(stream)] == ["seen"]


def test_the_standard_library_s_log_takes_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    logging.getLogger("aiohttp.client").warning("GET %s", "https://h/p?X-Amz-Signature=SIGSIG")
    (line,) = logged(stream)
    assert line["event"] == "GET https://h/p?[redacted]"
    assert line["level"] == "warning"


def test_text_has_no_colour_but_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def write(stream: io.StringIO) -> str:
        configure_logging("info", "auto", stream)
        get_logger().info("Plain words.", key="value", code=ExitCode.EXPORT)
        return stream.getvalue()

    assert "Plain words. key=value code=65" in write(io.StringIO())
    assert "\x1b" not in write(io.StringIO())
    assert "\x1b[" in write(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in write(Terminal())


def test_standard_error_is_looked_up_for_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live display replaces `sys.stderr`; a handler that kept the old one would tear it."""
    configure_logging("info")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    get_logger().info("after")
    assert "after" in stream.getvalue()


def test_configuring_twice_writes_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", "json", first)
    configure_logging("info", "json", second)
    get_logger().info("once")
    assert first.getvalue() == ""
    assert len(logged(second)) == 1


def test_a_broken_stream_does_not_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    configure_logging("info", "text", Full())
    get_logger().info("lost")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["text", "json"])
def test_attack_24_log_injection_through_values_is_escaped(form: Any) -> None:
    """A value can't start a line of its own, move the cursor, or turn the text around."""
    stream = io.StringIO()
    configure_logging("info", form, stream)
    evil = "a\n2026 [error] forged\r\x1b[31m\u202e\u2028\x00\ud800"
    get_logger().info(evil, value=evil, items=[evil], pairs={evil: evil})
    logging.getLogger("other").info("%s", evil)
    text = stream.getvalue()
    assert len(text.splitlines()) == 2
    assert not set(text) & set("\r\x1b\u202e\u2028\x00\ud800")
    assert "forged" in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_attack_22_secrets_are_redacted_wherever_they_stand(form: Any) -> None:
    """Message, value, nested value, traceback, the standard library's arguments."""
    stream = io.StringIO()
    configure_logging("info", form, stream)
    leak = (
        "https://user:hunter2@h/p?X-Amz-Signature=SIGSIG Authorization: Bearer TOKTOKTOKTOK"
        " {'password': 'hunter2', 'access_token': 'eyJhbGciOi.eyJzdWIi.c2ln'} eyJhbGciOi.e30.x"
    )
    logger = get_logger()
    logger.info(leak, detail=leak, nested={"a": [leak]}, password="hunter2", token=SECRETS[2])
    try:
        raise ValueError(leak)  # noqa: TRY301 - a traceback with a secret in it
    except ValueError:
        logger.exception("It broke.")
        logging.getLogger("other").exception("It broke: %s", leak)
    text = stream.getvalue()
    assert "ValueError" in text
    for secret in SECRETS:
        assert secret not in text


def test_a_traceback_s_lines_are_indented_so_that_none_can_pose_as_a_log_line() -> None:
    stream = io.StringIO()
    configure_logging("info", "text", stream)
    try:
        raise ValueError("a\n2026-01-01 [error] forged")  # noqa: TRY301 - see above
    except ValueError:
        get_logger().exception("It broke.")
    assert not any(line.startswith("2026-01-01") for line in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("event", "level", "words"),
    [
        (RetryScheduled(REF, "download", "timeout", "slow", 2, 1.5), "debug", "tried again"),
        (GroupCommitted(3, 1, 500, 0.2), "debug", "durable"),
        (LoggedIn(), "debug", "Logged in"),
        (Preparing("planning"), "debug", "Preparing"),
        (RunStarted(10, 2), "debug", "plan"),
        (RunFinished("complete", 0), "debug", "ended"),
        (HostResumed("resolve"), "info", "The API answers again."),
        (FrameFailed(REF, "not_found", "gone", 1), "warning", "A frame failed."),
        (
            HostPaused("download", "timeout", "no byte", 12.0),
            "warning",
            "No useful answer from the store; next try in 12 s.",
        ),
        (FileSetAside(REF, "kept"), "warning", "set aside"),
        (Stopping("SIGTERM", 20.0), "warning", "Stopping (SIGTERM)"),
    ],
    ids=lambda case: type(case).__name__ if not isinstance(case, str) else "",
)
def test_events_become_lines(event: Event, level: str, words: str) -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    log_listener(get_logger())(event)
    (line,) = logged(stream)
    assert line["level"] == level
    assert words in line["event"]


def test_a_failed_frame_is_named_with_its_reason() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    log_listener(get_logger())(FrameFailed(REF, "not_found", "gone", 3))
    (line,) = logged(stream)
    assert line["frame"] == "r/f"
    assert (line["reason"], line["detail"], line["attempts"]) == ("not_found", "gone", 3)


def test_hot_events_say_nothing() -> None:
    stream = io.StringIO()
    configure_logging("debug", "json", stream)
    log_listener(get_logger())(RequestStarted("resolve"))
    assert stream.getvalue() == ""


def test_ordinary_text_is_left_as_it_is() -> None:
    text = "Größe 12 µm, 日本語, it's 50 % of https://example.com/a/b"
    assert printable(redact(text)) == text


def test_a_hundred_failed_frames_are_told_then_one_line_says_where_the_others_are() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    listen = log_listener(get_logger(), "my frames")
    for _ in range(250):
        listen(FrameFailed(REF, "not_found", "gone", 1))
    *told, last = logged(stream)
    assert [line["event"] for line in told] == ["A frame failed."] * 100
    assert last["level"] == "warning"
    assert last["event"] == (
        "Further failed frames are counted only; `mirror status 'my frames' --failures` lists them."
    )


def test_each_run_of_a_service_tells_its_own_failed_frames() -> None:
    stream = io.StringIO()
    configure_logging("warning", "json", stream)
    listen = log_listener(get_logger())
    for _ in range(2):
        listen(RunStarted(200, 0))
        for _ in range(101):
            listen(FrameFailed(REF, "not_found", "gone", 1))
    events = [line["event"] for line in logged(stream)]
    assert events.count("A frame failed.") == 200
    assert len(events) == 202
    assert "mirror status DEST --failures" in events[100]
