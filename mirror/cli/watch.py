"""`mirror watch`: the long-running service."""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import mirror
from mirror.cli.running import bind_signals, fit_descriptors, start_logging
from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.errors import ExitCode, MirrorError, UsageError
from mirror.events import Events, Idle
from mirror.observe.display import progress_display
from mirror.observe.logs import get_logger
from mirror.observe.metrics import Metrics
from mirror.observe.narrator import log_listener
from mirror.service.health import STUCK_AFTER, Pulse
from mirror.service.http import DEFAULT_PORT, Address, serve
from mirror.service.watch import Surroundings, SyncOne
from mirror.service.watch import watch as watch_inbox
from mirror.settings import Settings
from mirror.sync.interpreter import settle
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop


def watch(
    shell: Shell,
    inbox: Annotated[
        Path, typer.Argument(metavar="INBOX", help="The folder that exports are put into.")
    ],
    dest: Annotated[
        Path,
        typer.Option(
            "--dest", metavar="DEST", parser=folder, help="The folder that the frames go to."
        ),
    ],
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            help=f"Serve metrics and health on this port.  [dim]\\[default: {DEFAULT_PORT}][/]",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only warnings.")] = False,
) -> None:
    """Sync every export that appears or changes in INBOX, until told to stop.

    An export is a file named *.json. It is taken once it has stopped growing,
    so copying into the inbox is safe. Serves /metrics, /healthz and /readyz.
    SIGTERM lets the run in hand drain; then the service ends with 0.

    [bold]Example[/]

    mirror watch inbox --dest frames
    """
    _check_apart(inbox, dest)
    settings = shell.settings(metrics_port=metrics_port)
    start_logging(settings, quiet=quiet)
    settings = fit_descriptors(settings, get_logger().warning)
    folders = _Folders(inbox, dest)
    raise typer.Exit(run_loop(_serve(folders, settings, quiet=quiet, debug=shell.debug)))


@dataclass(frozen=True, slots=True)
class _Folders:
    inbox: Path
    dest: Path


def _check_apart(inbox: Path, dest: Path) -> None:
    """Else files of the one would be taken for files of the other."""
    first, second = Path(os.path.realpath(inbox)), Path(os.path.realpath(dest))
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise UsageError(
            f"The inbox {str(inbox)!r} and the destination {str(dest)!r} lie in one another;"
            " give two folders that are apart."
        )


async def _serve(folders: _Folders, settings: Settings, *, quiet: bool, debug: bool) -> ExitCode:
    settings.credentials()  # said now, not when the first export comes
    settle()
    stop = Stop()
    bind_signals(stop)
    metrics = Metrics(mirror.__version__)
    pulse = Pulse(stuck_after=max(STUCK_AFTER, 3 * settings.rescan_seconds))
    events = Events(metrics, pulse, log_listener(get_logger(), str(folders.dest)))
    port = DEFAULT_PORT if settings.metrics_port is None else settings.metrics_port
    async with AsyncExitStack() as stack:
        bound = await stack.enter_async_context(
            serve(Address.of(settings, port), render_metrics=metrics.render, health=pulse.health)
        )
        if not quiet:
            stack.enter_context(progress_display(events, sys.stderr, settings.log_format))
        get_logger().info("Serving metrics and health.", host=settings.http_host, port=bound)
        around = Surroundings(
            sync_one=_syncer(folders.dest, settings, events, stop, debug=debug),
            stop=stop,
            pulse=pulse,
            count_export=metrics.count_export,
            logger=get_logger(),
        )
        return await watch_inbox(folders.inbox, settings.rescan_seconds, around)


def _syncer(
    dest: Path, settings: Settings, events: Events, stop: Stop, *, debug: bool = False
) -> SyncOne:
    async def sync_one(path: Path) -> int:
        # a run subscribes what it needs to its own events, which end with it
        own = Events(events.emit)
        sentence: str | None
        try:
            report = await run_sync(SyncRequest((path,), dest), settings, own, stop)
        except MirrorError as error:
            exit_code, sentence = error.exit_code, str(error)
        except Exception as error:  # noqa: BLE001 - a bug that one export brings out ends no service
            _log_bug(error, debug=debug)
            return ExitCode.INTERNAL
        else:
            exit_code, sentence = ExitCode(report.exit_code), report.error
        finally:
            events.emit(Idle())
        if sentence:
            tell = get_logger().warning if stop.requested else get_logger().error
            tell(sentence)
        return exit_code

    return sync_one


def _log_bug(error: Exception, *, debug: bool) -> None:
    # the message of a foreign error may hold a URL, so only its type is shown
    get_logger().error(
        f"Internal error ({type(error).__name__}). This is a bug; what is mirrored so far is safe."
        " This export is left alone until it changes; start with --debug for the traceback.",
        exc_info=error if debug else None,
    )
