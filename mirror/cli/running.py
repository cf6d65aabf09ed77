"""One run with what it needs around it: progress, log, metrics, signals, file descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import mirror
from mirror.events import Events, Idle
from mirror.observe.display import progress_display
from mirror.observe.logs import configure_logging, get_logger
from mirror.observe.narrator import log_listener
from mirror.settings import Settings
from mirror.sources import unknown_environment
from mirror.sync.interpreter import settle
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop

T = TypeVar("T")
MOST_DESCRIPTORS = 65_536
"""A soft limit beyond this helps nothing."""

_RESERVE = 256
"""Descriptors for all that is not a request: the ledger, temporaries, libraries, the log."""


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


def fitting_concurrency(limit: int, wanted: int) -> int:
    """How many requests may be in flight where `limit` files may be open.

    Each may need a connection and a temporary.
    """
    return max(1, min(wanted, (limit - _RESERVE) // 2))


def fit_descriptors(settings: Settings, warn: Callable[[str], None]) -> Settings:
    """Raise the limit of open files as far as it may be; fit the concurrency to what it is then."""
    limit = _raise_descriptor_limit()
    wanted = settings.concurrency
    fitting = wanted if limit == resource.RLIM_INFINITY else fitting_concurrency(limit, wanted)
    if fitting == wanted:
        return settings
    warn(
        f"The limit of open files is {limit}, too low for a concurrency of {wanted}, which is"
        f" lowered to {fitting}; `ulimit -n {2 * wanted + _RESERVE}` in the shell makes room."
    )
    return settings.model_copy(update={"concurrency": fitting})


def _raise_descriptor_limit() -> int:
    """The soft limit that then holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


Work = Callable[[Events, Stop, Settings], Coroutine[Any, Any, T]]
"""What a run does, given settings that fit this process."""


async def run_visibly(request: SyncRequest, settings: Settings, *, quiet: bool) -> RunReport:
    """`run_sync` as a person or an orchestrator sees it."""

    def work(events: Events, stop: Stop, fitting: Settings) -> Coroutine[Any, Any, RunReport]:
        return run_sync(request, fitting, events, stop)

    return await run_observed(work, settings, str(request.destination), quiet=quiet)


async def run_observed(work: Work[T], settings: Settings, named: str, *, quiet: bool) -> T:
    """`work` with progress, log, metrics and signals; `named` is the destination as given."""
    with observed(settings, named, quiet=quiet) as events:
        settings = fit_descriptors(settings, get_logger().warning)
        settle()
        stop = Stop()
        bind_signals(stop)
        async with AsyncExitStack() as stack:
            if settings.metrics_port is not None:
                await stack.enter_async_context(_served(events, settings, settings.metrics_port))
            return await work(events, stop, settings)


def _served(
    events: Events, settings: Settings, port: int
) -> contextlib.AbstractAsyncContextManager[int | None]:
    """Metrics of these events on that port, if that is possible."""
    # an HTTP server and its metrics take as long to load as all the rest, and few runs have one
    from mirror.observe.metrics import Metrics  # noqa: PLC0415 - see above
    from mirror.service.health import Health  # noqa: PLC0415 - see above
    from mirror.service.http import Address, serve_if_possible  # noqa: PLC0415 - see above

    metrics = Metrics(mirror.__version__)
    events.subscribe(metrics)
    return serve_if_possible(
        Address.of(settings, port),
        render_metrics=metrics.render,
        health=Health,
        warn=get_logger().warning,
    )


@contextlib.contextmanager
def observed(settings: Settings, named: str, *, quiet: bool) -> Iterator[Events]:
    """Events that are logged and, unless `quiet`, shown."""
    start_logging(settings, quiet=quiet)
    events = Events(log_listener(get_logger(), named))
    with contextlib.ExitStack() as stack:
        if not quiet:
            stack.enter_context(progress_display(events, sys.stderr, settings.log_format))
        try:
            yield events
        finally:
            events.emit(Idle())
