"""A remote side in memory and a settings maker, for tests of the pipeline on real files."""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mirror.errors import FrameError
from mirror.events import Event, Events, RequestFinished, RequestStarted
from mirror.frames import FrameRef
from mirror.settings import Settings
from mirror.sources import load_settings
from mirror.sync.report import RunReport
from mirror.sync.request import SyncRequest
from mirror.sync.run import run_sync
from mirror.sync.stop import Stop


def png(text: str, size: int = 300) -> bytes:
    """A small whole PNG, different for each text."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    header = (1).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"tEXt", b"frame\0" + text.encode().ljust(size, b"."))
    body += chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def write_export(path: Path, sequences: Mapping[str, list[str]], workspace: str = "w") -> Path:
    """An export with these frames; frames whose id starts with 'l' carry the label 'lab'."""
    document = {
        "sequences": [
            {
                "rootId": root,
                "workspaceId": workspace,
                "featureSet": [
                    {"id": frame, "labels": [{"code": "lab"}] if frame.startswith("l") else []}
                    for frame in frames
                ],
            }
            for root, frames in sequences.items()
        ]
    }
    path.write_bytes(orjson.dumps(document))
    return path


class Stream:
    """A body in memory."""

    def __init__(self, chunks: list[bytes], length: int | None) -> None:
        self.length = length
        self._chunks = iter(chunks)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


Script = Callable[[str, str, int], FrameError | bytes | None]
"""(hop, frame id, attempt of that hop) to an error, other bytes, or None for all well."""


@dataclass
class FakeRemote:
    """Resolves and downloads at once; `script` decides what goes wrong."""

    emit: Callable[[Event], None] = lambda _: None
    script: Script = lambda hop, frame, attempt: None
    announce: bool = True
    hold: asyncio.Event | None = None
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    started: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_in_flight(self, number: int) -> None:
        """Until so many downloads are under way."""
        async with self.started:
            await self.started.wait_for(lambda: self.in_flight >= number)

    def _step(self, hop: str, frame: str) -> bytes | None:
        self.attempts[hop, frame] += 1
        found = self.script(hop, frame, self.attempts[hop, frame])
        if isinstance(found, FrameError):
            raise found
        return found

    def count(self, hop: str) -> int:
        """Requests of a hop."""
        return sum(number for (name, _), number in self.attempts.items() if name == hop)

    async def resolve(self, ref: FrameRef) -> str:
        self.emit(RequestStarted("resolve"))
        await asyncio.sleep(0)
        try:
            self._step("resolve", ref.frame_id)
        finally:
            self.emit(RequestFinished("resolve", "200", 0.0))
        return ref.frame_id

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[Stream]:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.emit(RequestStarted("download"))
        try:
            other = self._step("download", url)
            async with self.started:
                self.started.notify_all()
            if self.hold is not None:
                await self.hold.wait()
            body = png(url) if other is None else other
            middle = len(body) // 2
            yield Stream([body[:middle], body[middle:]], len(body) if self.announce else None)
        finally:
            self.in_flight -= 1
            self.emit(RequestFinished("download", "200", 0.0))


def quick(**more: Any) -> Settings:
    """Settings that wait for nothing longer than they must."""
    given = {
        "username": "u",
        "password": "p",
        "domain": "http://127.0.0.1:1",
        "backoff_base": 0.001,
        "backoff_cap": 0.002,
        "outage_patience": 0.3,
        "commit_seconds": 0.05,
        "concurrency": 8,
    }
    return load_settings(**(given | more))


@dataclass
class Run:
    """One run against a fake remote, and all that it told."""

    remote: FakeRemote
    stop: Stop = field(default_factory=Stop)
    events: list[Event] = field(default_factory=list)

    async def sync(
        self,
        monkeypatch: Any,
        export: Path,
        destination: Path,
        settings: Settings | None = None,
        **request: Any,
    ) -> RunReport:
        @asynccontextmanager
        async def connect(_: Settings, emit: Callable[[Event], None]) -> AsyncIterator[FakeRemote]:
            self.remote.emit = emit
            yield self.remote

        monkeypatch.setattr("mirror.sync.fetch_all.connect", connect)
        asked = SyncRequest(exports=(export,), destination=destination, **request)
        events = Events(self.events.append)
        return await run_sync(asked, settings or quick(), events, self.stop)
