"""The steps, in order: each is tried once, for real, and stands on those before it.

Invariants: a step that needs another which failed is skipped with the reason; nothing is left
behind, neither at the destination nor on the platform. Nothing is tried again: the first answer is
what the user wants to see.
"""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mirror.doctor.check import Check, failed, skipped
from mirror.doctor.disk import examine_disk
from mirror.errors import ConfigurationError, FrameError, MirrorError
from mirror.export import ExportFile, Selection, select_frames
from mirror.frames import FrameRef
from mirror.observe.phrases import number, size
from mirror.savant import Remote, connect
from mirror.savant.probe import look_up, shake_hands
from mirror.settings import Settings
from mirror.sources import unknown_environment
from mirror.store import PngChecker

STEPS = ("configuration", "dns", "connection", "login", "export", "frame", "disk")
_NEEDS = {
    "dns": ("configuration",),
    "connection": ("dns",),
    "login": ("connection",),
    "frame": ("login",),
}
_SOON = 14
"""Days before a certificate's end from which there is a warning."""


@dataclass
class Examination:
    """What is examined, and what the steps so far have found for those to come."""

    settings: Settings
    export: Path | None
    dest: Path | None
    open: AsyncExitStack
    remote: Remote | None = None
    ref: FrameRef | None = None
    frames: int = 0
    frame_size: int | None = None
    results: dict[str, str] = field(default_factory=dict)


async def examine(
    settings: Settings, *, export: Path | None, dest: Path | None
) -> AsyncIterator[Check]:
    """Each step's outcome as it is known. The steps that ask for a file are skipped without it."""
    async with AsyncExitStack() as stack:
        patient = Examination(settings, export, dest, stack)
        for name in STEPS:
            check = await _try(name, patient)
            patient.results[name] = check.result
            yield check


def misconfigured(error: ConfigurationError) -> Iterator[Check]:
    """The outcomes where there are no settings to examine with."""
    for name in STEPS:
        yield (
            failed(name, error)
            if name == "configuration"
            else skipped(name, "the configuration is wrong")
        )


async def _try(name: str, patient: Examination) -> Check:
    for needed in _NEEDS.get(name, ()):
        if patient.results[needed] not in {"ok", "warn"}:
            return skipped(name, f"it needs the step '{needed}'")
    try:
        return await _ACTIONS[name](patient)
    except FrameError as error:
        return failed(name, error, _ADVICE.get(name, ""))
    except MirrorError as error:  # says itself what to do
        return failed(name, error)


async def _configuration(patient: Examination) -> Check:
    patient.remote = await patient.open.enter_async_context(
        connect(patient.settings, lambda _: None)
    )
    concerns = unknown_environment()
    file = patient.settings.password_file
    if file is not None and (mode := stat.S_IMODE(file.stat().st_mode)) & 0o077:
        concerns.append(f"{str(file)!r} has mode {mode:04o}: others may read it; chmod 600.")
    username, _ = patient.settings.credentials()
    what = f"{username} at {patient.settings.domain}"
    return Check("configuration", "warn" if concerns else "ok", what, " ".join(concerns))


async def _dns(patient: Examination) -> Check:
    addresses = await look_up(patient.settings)
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return Check("dns", "ok", ", ".join(addresses[:3]) + more)


async def _connection(patient: Examination) -> Check:
    found = await shake_hands(patient.settings)
    if found.expires is None:
        return Check("connection", "ok", found.tls or "plain HTTP, to this machine")
    what = f"{found.tls}, certificate valid until {found.expires:%Y-%m-%d}"
    if (found.expires - datetime.now(UTC)).days < _SOON:
        advice = "The platform's certificate ends soon: tell its support."
        return Check("connection", "warn", what, advice)
    return Check("connection", "ok", what)


async def _login(patient: Examination) -> Check:
    assert patient.remote is not None  # noqa: S101 - the step needs 'configuration'
    await patient.remote.login()
    return Check("login", "ok", "the credentials are accepted")


async def _export(patient: Examination) -> Check:
    if patient.export is None:
        return skipped("export", "no export was named: give one with --export")
    patient.ref, patient.frames = await asyncio.to_thread(_read_export, patient.export)
    what = f"{number(patient.frames, 'frame')} in {str(patient.export)!r}"
    if patient.ref is None:
        return Check("export", "warn", what, "There is nothing to mirror: choose another batch.")
    return Check("export", "ok", what)


async def _frame(patient: Examination) -> Check:
    if patient.ref is None or patient.remote is None:
        return skipped("frame", "no frame is known: see the step 'export'")
    checker = PngChecker(patient.settings.max_frame_bytes)
    since = time.monotonic()
    url = await patient.remote.resolve(patient.ref)
    got = 0
    async with patient.remote.download(url) as body:
        async for chunk in body:
            checker.feed(chunk)
            got += len(chunk)
    info = checker.finish()
    patient.frame_size = got
    spent = time.monotonic() - since
    return Check(
        "frame",
        "ok",
        f"{patient.ref}: {info.width} x {info.height} pixels, {size(got)} from {url.host}"
        f" in {spent:.1f} s",
    )


async def _disk(patient: Examination) -> Check:
    if patient.dest is None:
        return skipped("disk", "no destination was named: give one with --dest")
    needed = patient.frame_size and patient.frame_size * patient.frames
    return await asyncio.to_thread(examine_disk, patient.dest, needed)


def _read_export(path: Path) -> tuple[FrameRef | None, int]:
    first, count = None, 0
    with ExportFile.open(path) as export:
        for group in select_frames([export], Selection()):
            count += len(group.frame_ids)
            if first is None and group.frame_ids:
                first = FrameRef(group.workspace_id, group.root_id, group.frame_ids[0])
    return first, count


_ACTIONS: dict[str, Callable[[Examination], Awaitable[Check]]] = {
    "configuration": _configuration,
    "dns": _dns,
    "connection": _connection,
    "login": _login,
    "export": _export,
    "frame": _frame,
    "disk": _disk,
}
_ADVICE = {
    "dns": "Check SAVANT_DOMAIN, and this machine's DNS.",
    "connection": "Check the network, the firewall, and whether a proxy stands between.",
    "login": "If the platform is down, nothing is wrong here: try again later.",
    "frame": "Check that the export is current, and that its workspace is open to the account.",
}
