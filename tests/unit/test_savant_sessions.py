"""How the sessions to both hosts are made: each setting, without a connection."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

import mirror
from mirror.savant.network import (
    KEEP_ALIVE,
    READ_BUFFER,
    Names,
    guarded_sockets,
    open_connector,
    open_session,
    tls_context,
)
from mirror.sources import load_settings


class Book(AbstractResolver):
    """Finds one address, or none; what it was asked."""

    def __init__(self, found: list[ResolveResult]) -> None:
        self.found = found
        self.asked: list[tuple[object, ...]] = []
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append((host, port, family))
        return self.found

    async def close(self) -> None:
        self.closed = True


ADDRESS = ResolveResult(hostname="h", host="8.8.8.8", port=443, family=2, proto=6, flags=0)


async def test_names_hand_on_question_and_answer() -> None:
    book = Book([ADDRESS])
    names = Names(book)
    assert await names.resolve("h", 443, socket.AF_INET6) == [ADDRESS]
    assert await names.resolve("h") == [ADDRESS]
    assert book.asked == [("h", 443, socket.AF_INET6), ("h", 0, socket.AF_UNSPEC)]
    await names.close()
    assert book.closed


async def test_fault_14_a_name_without_an_address_is_a_failure() -> None:
    with pytest.raises(OSError, match="the name has no address") as caught:
        await Names(Book([])).resolve("h")
    assert (caught.value.errno, caught.value.strerror) == (None, "the name has no address")


async def test_a_connector_is_bounded_by_nothing_but_our_own_limits() -> None:
    tls, names = tls_context(None), Names(Book([]))
    guard = guarded_sockets(loopback=False, private=False)
    connector = open_connector(tls, names, guard)
    try:
        assert (connector.limit, connector.limit_per_host) == (0, 0)
        assert connector._ssl is tls
        assert connector._resolver is names
        assert connector._socket_factory is guard
        assert connector._keepalive_timeout == KEEP_ALIVE
    finally:
        await connector.close()


def test_attack_26_certificates_and_names_are_always_checked() -> None:
    tls = tls_context(None)
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_http_1_1_is_what_is_agreed_upon() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("h").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client = tls_context(None)
    authority.configure_trust(client)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname="h")
    theirs = server.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (ours, theirs):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert ours.selected_alpn_protocol() == "http/1.1"


async def test_attack_15_16_a_session_adds_nothing_of_its_own() -> None:
    settings = load_settings(connect_timeout=3, read_timeout=4)
    connector = open_connector(tls_context(None), Names(Book([])), None)
    async with open_session(connector, settings) as session:
        assert session.connector is connector
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
        assert session.trust_env is False
        assert session.auto_decompress is False
        assert session._read_bufsize == READ_BUFFER
        assert session.timeout == aiohttp.ClientTimeout(total=None, sock_connect=3, sock_read=4)
        assert dict(session.headers) == {
            "User-Agent": f"savant-mirror/{mirror.__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        }


class _Protocol:
    def __init__(self, *, should_close: bool) -> None:
        self.should_close = should_close


class _Connection:
    def __init__(self, protocol: _Protocol | None) -> None:
        self.protocol = protocol


@pytest.mark.parametrize("protocol", [None, _Protocol(should_close=True)])
async def test_a_request_is_not_sent_where_something_waits_or_nobody_is(
    protocol: _Protocol | None,
) -> None:
    settings = load_settings()
    connector = open_connector(tls_context(None), Names(Book([])), None)
    async with open_session(connector, settings) as session:
        request = session._request_class.__new__(session._request_class)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await request.send(_Connection(protocol))
