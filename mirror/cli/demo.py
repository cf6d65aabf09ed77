"""`mirror demo`: the main job, start to end, against the embedded simulator."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from mirror.cli.output import print_report
from mirror.cli.running import run_visibly
from mirror.cli.shell import Shell, folder
from mirror.cli.signals import run_loop
from mirror.errors import DestinationError
from mirror.simulator import Behaviour, Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest

SPEC = DatasetSpec(sequences=4, frames_per_sequence=60, frame_bytes=120_000)
BEHAVIOUR = Behaviour(api_latency=0.05, store_latency=0.1, keep_requests=0)
FAULTS = FaultPlan(
    [
        Fault("html_error", hop="resolve", frames=0.04, attempts=1),
        Fault("slow_down", hop="download", frames=0.04, attempts=1),
        Fault("reset_mid_body", hop="download", frames=0.04, attempts=1),
        Fault("bit_flip", hop="download", frames=0.02, attempts=1),
    ]
)


def demo(
    shell: Shell,
    dest: Annotated[
        Path,
        typer.Option("--dest", metavar="DIR", parser=folder, help="Where the demo's frames go."),
    ] = Path("mirror-demo"),
) -> None:
    """Show the whole job: no account, no network, nothing to prepare.

    Starts a simulated platform on this machine, makes an export of 240 frames, and syncs it. A few
    answers are made to fail, as they do in life: errors, cut connections, a damaged picture.

    [bold]Example[/]

    mirror demo --dest try-it
    """
    export = _place_for_export(dest)
    report = run_loop(_run(shell, dest, export))
    print_report(report)
    if report.error:
        shell.say(report.error)
        raise typer.Exit(report.exit_code)
    first = next(iter(sorted(dest.glob("*/*.png"))), dest)
    mirror = "mirror" if shutil.which("mirror") else sys.argv[0]
    typer.echo(
        "The retries are the demo's own: it makes some answers fail, to show that none is lost.\n\n"
        f"The frames are in {dest}/, the first of them is\n  {first}\n\n"
        "Go on with\n"
        f"  {mirror} status {dest}\n"
        f"  {mirror} inspect {export}\n"
        f"  {mirror} annotations {export} --to csv --out tables\n"
        "or with your own batch: set SAVANT_USERNAME and SAVANT_PASSWORD, then\n"
        f"  {mirror} sync YOUR-EXPORT.json --dest frames"
    )
    raise typer.Exit(report.exit_code)


def _place_for_export(dest: Path) -> Path:
    state = dest / ".mirror"
    export = state / "demo-export.json"
    try:
        dest.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.mkdir(mode=0o700, exist_ok=True)
        export.touch(mode=0o600)
    except OSError as error:
        raise DestinationError(
            f"The destination {str(dest)!r} can't be written: {error.strerror}. Give another"
            " folder with --dest."
        ) from None
    return export


async def _run(shell: Shell, dest: Path, export: Path) -> RunReport:
    dataset = Dataset(SPEC)
    dataset.write_export(export)
    async with Simulator(dataset, plan=FAULTS, behaviour=BEHAVIOUR) as simulator:
        settings = shell.settings(
            domain=simulator.domain,
            username=simulator.account.username,
            password=simulator.account.password,
        )
        request = SyncRequest(exports=(export,), destination=dest)
        return await run_visibly(request, settings, quiet=False)
