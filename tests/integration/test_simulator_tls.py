"""The simulator over TLS, and a connection that ends without TLS's goodbye."""

from __future__ import annotations

import asyncio
import socket
import ssl
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from simulator_support import exact, first_frame, presigned, raw, simulator

from mirror.simulator import Fault


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_both_hops_over_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, client = contexts
    connector = aiohttp.TCPConnector(ssl=client)
    async with (
        simulator(ssl_context=server) as sim,
        aiohttp.ClientSession(connector=connector) as s,
    ):
        assert sim.domain.startswith("https://")
        async with s.get(exact(await presigned(sim, s))) as answer:
            assert await answer.read() == sim.dataset.png(first_frame(sim)[1])


def read_over_tls(url: str, client: ssl.SSLContext) -> tuple[bytes, str]:
    """All that comes, and how: a strict client tells a goodbye from a cut."""
    parts = urlsplit(url)
    target = url.split(parts.netloc, 1)[1]
    received = b""
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=5) as plain,
        client.wrap_socket(
            plain, server_hostname=parts.hostname, suppress_ragged_eofs=False
        ) as secure,
    ):
        secure.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        try:
            while piece := secure.recv(1 << 16):
                received += piece
        except ssl.SSLEOFError:
            return received, "cut"
        return received, "goodbye"


@pytest.mark.parametrize(
    ("fault", "end"), [(Fault("tls_cut", at=0.5), "cut"), (Fault("early_fin", at=0.5), "goodbye")]
)
async def test_fault_26_tls_cut_without_close_notify(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], fault: Fault, end: str
) -> None:
    server, client = contexts
    connector = aiohttp.TCPConnector(ssl=client)
    async with (
        simulator(fault, ssl_context=server) as sim,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        url = await presigned(sim, session)
        received, how = await asyncio.to_thread(read_over_tls, url, client)
    body = sim.dataset.png(first_frame(sim)[1])
    assert received.partition(b"\r\n\r\n")[2] == body[: len(body) // 2]
    assert how == end


@pytest.mark.parametrize(("action", "end"), [("reset_mid_body", "reset"), ("tls_cut", "eof")])
async def test_fault_18_a_reset_over_tls_is_a_reset_and_a_cut_is_none(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], action: str, end: str
) -> None:
    server, client = contexts
    connector = aiohttp.TCPConnector(ssl=client)
    async with (
        simulator(Fault(action), ssl_context=server) as sim,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        answer = await raw(await presigned(sim, session), context=client)
    assert (answer.status, answer.end) == (200, end)
