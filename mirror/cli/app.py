"""The command `mirror`: its subcommands, its version, its one way out."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import mirror
from mirror.cli import demo, doctor, inspect, simulate, status, sync, watch
from mirror.cli.shell import register

app = typer.Typer(
    name="mirror",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mirror {mirror.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Bring every frame of a SAVANT export onto your storage: complete, verified, durable, once.

    First time? [bold]mirror demo[/] shows the whole job without an account or a network.
    """


for command in (
    sync.sync,
    status.status,
    inspect.inspect,
    watch.watch,
    doctor.doctor,
    demo.demo,
    simulate.simulate,
):
    register(app, command)


def main() -> None:
    """Run the command line. Exit codes: `docs/exit-codes.md`."""
    # typer knows no option whose value may be left out
    app(["--retry-failed=*" if word == "--retry-failed" else word for word in sys.argv[1:]])
