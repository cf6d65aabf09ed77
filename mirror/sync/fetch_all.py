"""What is asked for and not mirrored, fetched: in this process, or in several."""

from __future__ import annotations

from mirror.events import Events
from mirror.savant import connect
from mirror.settings import Settings
from mirror.store import Destination
from mirror.sync.pipeline import Pipeline, Surroundings
from mirror.sync.processes import Processes
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop


async def fetch_all(
    settings: Settings, events: Events, stop: Stop, destination: Destination, disk: Disk
) -> None:
    """Until every frame is recorded, or the run is stopped. Raises `MirrorError`."""
    if settings.processes > 1:
        await Processes(settings, events, stop, destination.root).run(disk)
        return
    async with connect(settings, events.emit) as remote:
        around = Surroundings(settings, events, stop, remote, destination, disk)
        await Pipeline(around).run()
