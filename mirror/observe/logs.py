"""The log: structlog and the standard library's logging through one chain, to one stream.

Invariants: values are redacted and escaped last, right before they are rendered, whoever logged
them (attack row A24). Nothing is cached: `sys.stderr` is looked up when a line is written, so that
a live display which wraps it is not torn.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from mirror.observe.text import REDACTED, json_text, printable, redact, trace_text

_SECRET_KEYS = frozenset({"password", "token", "access_token", "http_token", "authorization"})


class _Writer(logging.Handler):
    """Writes each line in one piece to the stream that `find` gives at that moment."""

    def __init__(self, find: Callable[[], TextIO]) -> None:
        super().__init__()
        self._find = find

    def emit(self, record: logging.LogRecord) -> None:
        try:
            stream = self._find()
            stream.write(self.format(record) + "\n")
            stream.flush()
        except OSError:
            pass  # nowhere is left to say so
        except Exception:  # noqa: BLE001 - as logging's own handlers: a log line never ends a run
            self.handleError(record)


def configure_logging(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["auto", "text", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send every log line to `stream` (None: standard error), `auto` meaning text."""
    find: Callable[[], TextIO] = _standard_error if stream is None else lambda: stream
    handler = _Writer(find)
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True),
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _make_fit,
                _json if form == "json" else _text(colors=_has_colors(find())),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # asyncio says at debug which selector it uses, and nothing a user can act on
    logging.getLogger("asyncio").setLevel(logging.INFO)
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _standard_error() -> TextIO:
    return sys.stderr


def get_logger() -> FilteringBoundLogger:
    """The logger of the house."""
    logger: FilteringBoundLogger = structlog.get_logger("mirror")
    return logger


def _has_colors(stream: TextIO) -> bool:
    dull = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not dull


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return json_text(event)


def _text(*, colors: bool) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        pad_event_to=0,
        pad_level=False,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _make_fit(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Every value redacted and on one line; a traceback keeps its lines, each indented."""
    trace = event.pop("exception", None)
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    fit = {key: _fit_value(key, value) for key, value in {**first, **event}.items()}
    if trace:
        fit["exception"] = trace_text(str(trace))
    return fit


def _fit_value(key: str, value: Any) -> Any:
    if key in _SECRET_KEYS:
        return REDACTED
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {printable(str(name)): _fit_value(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_fit_value("", item) for item in value]
    return printable(redact(str(value)))
