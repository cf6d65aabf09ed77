"""One run with everything that listens to it: progress, log, metrics, signals."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import mirror
from mirror.events import Events, Idle
from mirror.observe.display import progress_display
from mirror.observe.logs import configure_logging, get_logger, log_listener
from mirror.observe.metrics import Metrics
from mirror.service.health import Health
from mirror.service.http import Address, serve_if_possible
from mirror.settings import Settings, unknown_environment
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop


def bind_signals(stop: Stop) -> None:
    """SIGINT and SIGTERM ask to stop; asked twice, the run aborts. Call it inside the loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.request, signal.Signals(number).name)


def start_logging(settings: Settings, *, quiet: bool) -> None:
    """The log to standard error; `quiet` leaves warnings and errors."""
    level = settings.log_level
    if quiet and level in {"debug", "info"}:
        level = "warning"
    configure_logging(level, settings.log_format)
    for sentence in unknown_environment():
        get_logger().warning(sentence)


async def run_visibly(request: SyncRequest, settings: Settings, *, quiet: bool) -> RunReport:
    """`run_sync` as a person or an orchestrator sees it."""
    start_logging(settings, quiet=quiet)
    stop, events = Stop(), Events()
    bind_signals(stop)
    events.subscribe(log_listener(get_logger()))
    async with AsyncExitStack() as stack:
        if settings.metrics_port is not None:
            metrics = Metrics(mirror.__version__)
            events.subscribe(metrics)
            await stack.enter_async_context(
                serve_if_possible(
                    Address.of(settings, settings.metrics_port),
                    render_metrics=metrics.render,
                    health=Health,
                    warn=get_logger().warning,
                )
            )
        if not quiet:
            stack.enter_context(progress_display(events, sys.stderr, settings.log_format))
        try:
            return await run_sync(request, settings, events, stop)
        finally:
            events.emit(Idle())
