"""The command `mirror`: its subcommands and its version."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

import mirror
from mirror.cli.shell import register
from mirror.cli.speech import asked_for_json, speak
from mirror.errors import ExitCode

COMMANDS = (
    "sync",
    "status",
    "verify",
    "inspect",
    "annotations",
    "preview",
    "doctor",
    "watch",
    "purge",
    "merge",
    "demo",
    "simulate",
)
"""In the order of the help. Each is the function of that name in the module of that name."""

_TYPERS_INTERRUPTED = 130
"""What typer makes of `KeyboardInterrupt`; no exit code of ours."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mirror {mirror.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Bring every frame of a SAVANT export onto your storage: complete, verified, durable, once.

    First time? [bold]mirror demo[/] shows the whole job without an account or a network.
    """


def build_app(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(
        name="mirror",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in commands:
        register(app, getattr(import_module(f"mirror.cli.{name}"), name))
    return app


def run(words: Sequence[str]) -> int:
    """Run this command line; its exit code. A signal leaves as `KeyboardInterrupt`."""
    # typer knows no option whose value may be left out
    words = ["--retry-failed=*" if word == "--retry-failed" else word for word in words]
    # a command does not wait for the others' imports
    known = words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS
    code = _call(build_app(known), words, as_json=asked_for_json(words))
    if code == _TYPERS_INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _call(app: typer.Typer, words: Sequence[str], *, as_json: bool) -> int:
    try:
        code = app(words, standalone_mode=not as_json)
    except SystemExit as ended:
        code = ended.code
    except Exception as error:
        # what is wrong with the command line, which typer would draw a box around
        if (tell := getattr(error, "format_message", None)) is None:
            raise
        speak(tell(), as_json=True)
        code = getattr(error, "exit_code", ExitCode.USAGE)
    return code if isinstance(code, int) else 0
