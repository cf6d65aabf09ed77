"""One sync from start to end: exports read and checked, the destination held, the run.

The order is a promise: settings and exports are checked before anything is written, the destination
is held before the ledger is touched.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from mirror.errors import InterruptedRunError
from mirror.events import Events, FileSetAside, Preparing, PurgeUnfinished
from mirror.export import ExportFile
from mirror.frames import FrameRef
from mirror.settings import Settings
from mirror.shards import Shard
from mirror.store import (
    STATE,
    Destination,
    Layout,
    claim_exports,
    copy_whole,
    known_exports,
    place_of,
)
from mirror.sync.held import HeldRun
from mirror.sync.plan import ask, ask_again, check_exports, check_selection
from mirror.sync.processes import fold_shards
from mirror.sync.report import ExportEntry, RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.saving import Disk
from mirror.sync.stop import Stop


async def run_sync(
    request: SyncRequest, settings: Settings, events: Events, stop: Stop
) -> RunReport:
    """Bring every frame of the request to its destination.

    Raises `MirrorError` for what is found before the destination is held; what ends the run later
    is in the report's `error` and `exit_code`.
    """
    settings.credentials()
    layout = Layout(settings.path_template, settings.file_mode, settings.dir_mode)
    with ExitStack() as stack:
        exports = await _read_exports(request, events, stack)
        if stop.requested:
            raise InterruptedRunError(f"Interrupted by {stop.cause}; nothing was written.")
        destination = await _hold(request, layout, exports, stack)
        if request.shard is not None:  # the whole has a file of checksums, its shards have none
            settings = settings.model_copy(update={"write_checksums": False})

        loop = asyncio.get_running_loop()

        def tell(ref: FrameRef, kept_at: str) -> None:
            loop.call_soon_threadsafe(events.emit, FileSetAside(ref, kept_at))

        async def plan(disk: Disk) -> list[ExportEntry]:
            events.emit(Preparing("planning"))
            await _begin(request.shard, disk, events)
            entries = await disk.commit(ask, disk.ledger, exports, request)
            await disk.commit(ask_again, disk.ledger, destination, tell)
            if await disk.commit(disk.ledger.keep_unpurged):
                events.emit(PurgeUnfinished())
            return entries

        run = HeldRun(plan, settings, events, stop, destination)
        return await run.go(str(request.destination), request.shard)


async def _hold(
    request: SyncRequest, layout: Layout, exports: list[ExportFile], stack: ExitStack
) -> Destination:
    """The destination, or the part of it that is the shard's, with a ledger to begin from."""
    if request.shard is None:
        return stack.enter_context(Destination.open(request.destination, layout))
    held = Destination.open_shard(request.destination, layout, request.shard)
    stack.enter_context(held)
    claim_exports(held, request.shard, [export.sha256 for export in exports])
    await asyncio.to_thread(copy_whole, held)
    return held


async def _begin(shard: Shard | None, disk: Disk, events: Events) -> None:
    """What other ledgers of the destination have recorded, this one knows."""
    if shard is None:
        await fold_shards(disk, events)
    else:
        await disk.commit(disk.ledger.fold_others, shard)


async def _read_exports(request: SyncRequest, events: Events, stack: ExitStack) -> list[ExportFile]:
    exports: list[ExportFile] = []
    for path in request.exports:
        events.emit(Preparing(f"reading {path.name}"))
        exports.append(stack.enter_context(await asyncio.to_thread(ExportFile.open, path)))
    check_selection(exports, request.selection)
    known = await asyncio.to_thread(_known_exports, request)
    await asyncio.to_thread(check_exports, exports, known)
    return exports


def _known_exports(request: SyncRequest) -> frozenset[str]:
    """The SHA-256 of every export that a ledger of the request holds; writes nothing.

    None where that can't be read: then exports are read to their end once more, and what is wrong
    with the ledger is found, or mended, when the run opens it.
    """
    places = [STATE]
    if request.shard is not None:
        places.append(place_of(request.shard))
    found = [known_exports(request.destination, place) for place in places]
    return frozenset().union(*found)
