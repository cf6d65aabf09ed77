"""A client made of a socket: it sees what really comes over the wire, and how it ends."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode, urlsplit

import aiohttp
import yarl

from mirror.simulator import Dataset, DatasetSpec, Fault, FaultPlan, Simulator
from mirror.simulator.server import Behaviour

End = Literal["eof", "reset", "open"]


@dataclass(frozen=True, slots=True)
class Wire:
    """What came: everything up to the blank line, everything after it, and how it ended."""

    head: bytes
    body: bytes
    end: End

    @property
    def status(self) -> int | None:
        return int(self.head.split()[1]) if self.head else None

    def header(self, name: str) -> str | None:
        for line in self.head.decode().split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


async def raw(
    url: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    patience: float = 10,
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> Wire:
    """One request on a connection of its own; reads until the end, or `patience` of silence."""
    parts = urlsplit(url)
    target = url.split(parts.netloc, 1)[1]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    try:
        await ask(writer, parts.netloc, target, method, body, headers)
        return await read_all(reader, patience)
    finally:
        writer.transport.abort()


async def ask(
    writer: asyncio.StreamWriter,
    host: str,
    target: str,
    method: str = "GET",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> None:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


async def read_all(reader: asyncio.StreamReader, patience: float) -> Wire:
    received, end = b"", "open"
    while end == "open":
        try:
            async with asyncio.timeout(0.05 if is_whole(received) else patience):
                piece = await reader.read(1 << 20)
        except TimeoutError:
            break
        except ConnectionResetError:
            end = "reset"
        else:
            received += piece
            end = "open" if piece else "eof"
    head, _, body = received.partition(b"\r\n\r\n")
    return Wire(head, body, end)  # type: ignore[arg-type]


def is_whole(received: bytes) -> bool:
    """Whether all has come that was announced, an end of the connection included."""
    head, blank, body = received.partition(b"\r\n\r\n")
    if not blank:
        return False
    wire = Wire(head, body, "open")
    length = wire.header("Content-Length")
    return length is not None and len(body) >= int(length) and wire.header("Connection") is None


def simulator(*faults: Fault, **behaviour: object) -> Simulator:
    """A small simulator with this plan."""
    dataset = Dataset(DatasetSpec(sequences=2, frames_per_sequence=5, frame_bytes=20_000))
    return Simulator(
        dataset,
        plan=FaultPlan(faults),
        behaviour=Behaviour(**behaviour),  # type: ignore[arg-type]
    )


def first_frame(sim: Simulator) -> tuple[str, str]:
    """(root id, frame id)."""
    root, frames = sim.dataset.sequences[0]
    return root, frames[0]


def login_form(sim: Simulator) -> bytes:
    account = sim.account
    return urlencode({"username": account.username, "password": account.password}).encode()


async def login_raw(sim: Simulator, *, patience: float = 10) -> Wire:
    return await raw(
        f"{sim.domain}/auth/jwt/login",
        method="POST",
        body=login_form(sim),
        patience=patience,
        Content_Type="application/x-www-form-urlencoded",
    )


def resolve_url(sim: Simulator, frame: tuple[str, str] | None = None) -> str:
    root, frame_id = frame or first_frame(sim)
    return (
        f"{sim.domain}/sequences/{root}/frames/{frame_id}"
        f"?workspace_id={sim.dataset.workspace_id}&presigned_url=True"
    )


async def token(sim: Simulator, session: aiohttp.ClientSession) -> str:
    account = sim.account
    form = {"username": account.username, "password": account.password}
    async with session.post(f"{sim.domain}/auth/jwt/login", data=form) as answer:
        assert answer.status == 200
        return str((await answer.json())["access_token"])


async def presigned(
    sim: Simulator, session: aiohttp.ClientSession, frame: tuple[str, str] | None = None
) -> str:
    """Log in and resolve one frame."""
    headers = {"Authorization": f"bearer {await token(sim, session)}"}
    async with session.get(resolve_url(sim, frame), headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["frame"]["frame_path"])


def exact(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)
