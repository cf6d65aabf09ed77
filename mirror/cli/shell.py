"""What every command shares: the four common options, the settings, the way an error leaves.

A command is a plain function whose first parameter is a `Shell`; `register` puts the common options
in its place. A `MirrorError` leaves as one sentence on standard error and its exit code; the
traceback shows with `--debug` alone.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from mirror.cli.speech import speak, wants_json
from mirror.cli.streams import ReaderGoneError, ResultLostError
from mirror.errors import ExitCode, MirrorError
from mirror.settings import Settings
from mirror.sources import load_settings


class LogLevel(StrEnum):
    """How much the log says."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How the log looks: for people, for machines, or by where it goes."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Shell:
    """The common options of one call."""

    config: Path | None
    log_level: LogLevel | None
    log_format: LogFormat | None
    debug: bool

    def settings(self, **options: Any) -> Settings:
        """The merged settings; `options` are this command's own, None where not given."""
        level = LogLevel.DEBUG if self.debug else self.log_level
        return load_settings(
            self.config,
            log_level=level and level.value,
            log_format=self.log_format and self.log_format.value,
            **options,
        )

    def say(self, sentence: str, error: Exception | None = None) -> None:
        """One sentence on standard error; with `--debug`, the traceback of `error`, too."""
        trace = error if self.debug else None
        speak(sentence, as_json=wants_json(self.log_format, self.config), trace=trace)


_COMMON: dict[str, Any] = {
    "config": (
        Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, as TOML.")],
        None,
    ),
    "log_level": (
        Annotated[LogLevel | None, typer.Option("--log-level", help="How much to log.")],
        None,
    ),
    "log_format": (
        Annotated[LogFormat | None, typer.Option("--log-format", help="How the log looks.")],
        None,
    ),
    "debug": (
        Annotated[bool, typer.Option("--debug", help="Log everything; show tracebacks.")],
        False,
    ),
}


def folder(given: str | Path) -> Path:
    """A folder's path. An empty one is a slip (an unset variable), not the current folder."""
    text = str(given)
    if not text.strip():
        raise typer.BadParameter("the path is empty; '.' is the current folder")
    return writable(text)


def writable(given: str | Path) -> Path:
    """The path of something to be written: named in messages and reports, so it must be text."""
    try:
        str(given).encode()
    except UnicodeEncodeError:
        raise typer.BadParameter(f"{str(given)!a} is not UTF-8; give another name") from None
    return Path(given)


def register(app: typer.Typer, command: Callable[..., None]) -> None:
    """Make `command` a subcommand of `app`, with the common options behind its own."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    common = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in _COMMON.items()
    ]

    @functools.wraps(command)
    def call(**options: Any) -> None:
        shell = Shell(**{name: options.pop(name) for name in _COMMON})
        try:
            command(shell, **options)
        except ResultLostError:
            raise
        except MirrorError as error:
            shell.say(str(error), error)
            raise typer.Exit(int(error.exit_code)) from None
        except (typer.Exit, typer.Abort, ReaderGoneError):
            raise
        except Exception as error:  # noqa: BLE001 - the last line before a user's terminal
            # the message of a foreign error may hold a URL, so only its type is shown
            shell.say(
                f"Internal error ({type(error).__name__}). This is a bug; what is mirrored so far"
                " is safe. Run again with --debug for the traceback, and please report it.",
                error,
            )
            raise typer.Exit(int(ExitCode.INTERNAL)) from None

    # typer reads the parameters from here; all are given by keyword
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    call.__signature__ = inspect.Signature([*keyword, *common])  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in [*keyword, *common]}
    app.command(name=command.__name__.replace("_", "-"))(call)
