"""Sessions, TLS, and which addresses a connection to the store may go to.

Invariants: nothing from the environment (proxies, netrc), no cookies, no decompression, no
redirects; certificates are always checked; an answer nobody asked for is given to nobody. The
address rule sees the very address that is connected to, whether it came from a name or stood in the
URL, so a name that changes its mind gains nothing. How many requests are in flight is limited in
`sync/`, not here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

import mirror
from mirror.errors import ConfigurationError
from mirror.savant.translate import RefusedAddressError
from mirror.settings import Settings

KEEP_ALIVE = 4.0
"""Seconds. uvicorn closes an idle connection after 5; ours must go first."""

READ_BUFFER = 64 * 1024
"""Bytes of a body that wait unread before the reading pauses (twice that at most)."""

_AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str, int]]

# The IANA special-purpose address registries; spelled out, because `is_global` of the standard
# library changed its mind between releases.
_PRIVATE_4 = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
)
_SPECIAL_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
_PRIVATE_6 = IPv6Network("fc00::/7")
_GLOBAL_6 = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_MAPPED_6 = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_6TO4 = IPv6Network("2002::/16")
# What clouds answer with credentials; two of them lie inside private ranges.
_METADATA = frozenset(
    ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "fd00:ec2::254")
)


def address_allowed(address: str, *, loopback: bool, private: bool) -> bool:
    """Whether a connection to the store may go to `address`.

    `loopback`: this machine is allowed. `private`: an organisation's own ranges are allowed (not
    link-local, not the metadata services).
    """
    parsed = _unwrap(ip_address(address))
    if parsed.is_loopback:
        return loopback
    if parsed in _METADATA:
        return False
    if isinstance(parsed, IPv4Address):
        if any(parsed in network for network in _PRIVATE_4):
            return private
        return not any(parsed in network for network in _SPECIAL_4)
    if parsed in _PRIVATE_6:
        return private
    return parsed in _GLOBAL_6 and not any(parsed in network for network in _SPECIAL_6)


def _unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address in _MAPPED_6 or address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        if address in _6TO4:
            return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address


def guarded_sockets(*, loopback: bool, private: bool) -> Callable[[_AddressInfo], socket.socket]:
    """A socket factory that refuses forbidden addresses before anything is sent to them."""

    def make(info: _AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not address_allowed(address[0], loopback=loopback, private=private):
            raise RefusedAddressError
        return socket.socket(family, kind, protocol)

    return make


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """The system's trust, and `ca_bundle` beside it. Blocks: it reads files.

    Raises `ConfigurationError` where the bundle can't be used.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_bundle is not None:
        try:
            context.load_verify_locations(cafile=ca_bundle)
        except OSError as error:  # ssl.SSLError is one
            why = "no PEM certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(
                f"MIRROR_CA_BUNDLE {str(ca_bundle)!r} can't be used: {why}. Give a file of PEM"
                " certificates."
            ) from None
    return context


class Names(AbstractResolver):
    """Another resolver, whose empty answers are failures: aiohttp would trip over them."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises `OSError` where it has none."""
        found = await self._inner.resolve(host, port, family)
        if not found:
            raise OSError(None, "the name has no address")
        return found

    async def close(self) -> None:
        """Close the other resolver."""
        await self._inner.close()


def open_connector(
    tls: ssl.SSLContext,
    names: Names,
    sockets: Callable[[_AddressInfo], socket.socket] | None,
) -> aiohttp.TCPConnector:
    """Connections without a limit of their own, kept for `KEEP_ALIVE` seconds."""
    return aiohttp.TCPConnector(
        ssl=tls, limit=0, keepalive_timeout=KEEP_ALIVE, resolver=names, socket_factory=sockets
    )


class _Request(aiohttp.ClientRequest):
    """A request that goes out only where nothing waits to be read.

    What a host says on an idle connection (a proxy's 408, a body sent twice) would be taken for the
    answer to the next request, and every answer after it for the wrong one.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is None or conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError  # asked again, on another connection
        return await super().send(conn)


def open_session(connector: aiohttp.TCPConnector, settings: Settings) -> aiohttp.ClientSession:
    """A session that adds nothing of its own to a request."""
    return aiohttp.ClientSession(
        connector=connector,
        request_class=_Request,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=READ_BUFFER,
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=settings.connect_timeout, sock_read=settings.read_timeout
        ),
        headers={
            "User-Agent": f"savant-mirror/{mirror.__version__}",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
        },
    )
