"""`mirror simulate`: the embedded API and store alone, to rehearse against."""

from __future__ import annotations

import asyncio
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.shell import Shell, writable
from mirror.cli.signals import run_loop
from mirror.errors import UsageError
from mirror.simulator import (
    Behaviour,
    Dataset,
    DatasetSpec,
    FaultPlan,
    PlanError,
    PortInUseError,
    Simulator,
)

_HOPS = ("login", "resolve", "download", "other")


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    dataset: Dataset
    plan: FaultPlan
    behaviour: Behaviour
    export: Path | None


def simulate(
    shell: Shell,
    sequences: Annotated[
        int, typer.Option("--sequences", metavar="N", min=1, help="How many sequences.")
    ] = 4,
    frames: Annotated[
        int, typer.Option("--frames", metavar="N", min=0, help="Frames in each sequence.")
    ] = 50,
    frame_bytes: Annotated[
        int,
        typer.Option("--frame-bytes", metavar="BYTES", min=300, help="About the size of each PNG."),
    ] = 40_000,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Another seed, other ids and pictures.")
    ] = 1,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            metavar="FILE",
            parser=writable,
            help="Write the export of these frames here.",
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="What goes wrong, as TOML."),
    ] = None,
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="The API's port; 0: a free one."
        ),
    ] = 0,
    store_port: Annotated[
        int,
        typer.Option(
            "--store-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="The store's port; 0: a free one.",
        ),
    ] = 0,
    latency: Annotated[
        float,
        typer.Option(
            "--latency", metavar="SECONDS", min=0, help="Seconds before each answer, on both hosts."
        ),
    ] = 0.0,
    capacity: Annotated[
        int | None,
        typer.Option(
            "--capacity",
            metavar="N",
            min=1,
            help="Requests in flight that a host bears; beyond: 429 or 503.",
        ),
    ] = None,
    token_lifetime: Annotated[
        float,
        typer.Option(
            "--token-lifetime", metavar="SECONDS", min=0.1, help="Seconds a token is valid."
        ),
    ] = 3600.0,
    url_lifetime: Annotated[
        float,
        typer.Option(
            "--url-lifetime",
            metavar="SECONDS",
            min=0.1,
            max=604_800,
            help="Seconds a presigned URL is valid.",
        ),
    ] = 3600.0,
) -> None:
    """Serve a simulated API and object store on this machine, until Ctrl-C.

    It prints the settings to use, and at the end what was requested.
    The same options always give the same frames. What may go wrong, and
    how a plan is written: docs/simulator.md.

    [bold]Example[/]

    mirror simulate --export batch.json --plan faults.toml --port 8801
    """
    del shell  # no setting matters here
    spec = DatasetSpec(sequences, frames, frame_bytes, seed)
    behaviour = Behaviour(
        token_lifetime=token_lifetime,
        url_lifetime=url_lifetime,
        api_latency=latency,
        store_latency=latency,
        capacity=capacity,
        port=port,
        store_port=store_port,
        keep_requests=0,
    )
    run_loop(_serve(_Rehearsal(Dataset(spec), _load_plan(plan), behaviour, export)))


def _load_plan(path: Path | None) -> FaultPlan:
    if path is None:
        return FaultPlan()
    try:
        return FaultPlan.load(path)
    except PlanError as error:
        raise UsageError(f"--plan {error}.") from None


async def _serve(rehearsal: _Rehearsal) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(rehearsal.dataset, plan=rehearsal.plan, behaviour=rehearsal.behaviour)
    try:
        async with simulator:
            if rehearsal.export is not None:
                _write_export(rehearsal.dataset, rehearsal.export)
            _say(_greeting(simulator, rehearsal.export))
            await stop.wait()
    except PortInUseError as error:
        raise UsageError(
            f"Port {error.port} is in use: give another with --port or --store-port, or 0 for a"
            " free one."
        ) from None
    _say(_summary(simulator))


def _write_export(dataset: Dataset, path: Path) -> None:
    try:
        dataset.write_export(path)
    except OSError as error:
        raise UsageError(f"--export {str(path)!r} can't be written: {error.strerror}.") from None


def _greeting(simulator: Simulator, export: Path | None) -> list[str]:
    dataset = simulator.dataset
    file = shlex.quote(str(export)) if export else "batch.json"
    hint = [] if export else ["# (start it with --export batch.json to have that file)"]
    return [
        f"export SAVANT_DOMAIN={simulator.domain}",
        f"export SAVANT_USERNAME={shlex.quote(simulator.account.username)}",
        f"export SAVANT_PASSWORD={shlex.quote(simulator.account.password)}",
        f"# {len(dataset):,} frames in {dataset.spec.sequences:,} sequences; the store is"
        f" {simulator.store_origin}. Ctrl-C ends it.",
        "# Next, in another shell, after the three lines above:",
        f"#   mirror sync {file} --dest frames",
        *hint,
    ]


def _summary(simulator: Simulator) -> list[str]:
    lines = [f"# Requested: {sum(simulator.statuses.values()):,}"]
    for hop in _HOPS:
        counts = {status: n for (name, status), n in simulator.statuses.items() if name == hop}
        for status in sorted(counts, key=lambda code: code or 0):
            answered = "no answer" if status is None else str(status)
            lines.append(f"#   {hop:<9} {answered:<9} {counts[status]:>9,}")
    return lines


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)
    typer.get_text_stream("stdout").flush()
