"""The first two steps to the API by themselves: its name, and a connection. For `doctor/`."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from yarl import URL

from mirror.savant.network import tls_context
from mirror.savant.translate import connecting
from mirror.settings import Settings


@dataclass(frozen=True, slots=True)
class Handshake:
    """A connection as it was made. `tls`: its version, None where it is plain."""

    tls: str | None
    expires: datetime | None


async def look_up(settings: Settings) -> list[str]:
    """The API's addresses. Raises `ConnectionFailedError` or `TimedOutError`."""
    host, port = _api(settings)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except OSError as error:
        # a failed lookup's errno is getaddrinfo's, not the system's
        failure = connecting(error if isinstance(error, TimeoutError) else OSError(), host)
    else:
        return list(dict.fromkeys(str(address[0]) for *_, address in found))
    raise failure


async def shake_hands(settings: Settings) -> Handshake:
    """Connect to the API and say nothing. Raises as a request to it would."""
    host, port = _api(settings)
    tls = None
    if settings.domain.startswith("https:"):
        tls = await asyncio.to_thread(tls_context, settings.ca_bundle)
    try:
        async with asyncio.timeout(settings.connect_timeout):
            _, writer = await asyncio.open_connection(host, port, ssl=tls)
    except OSError as error:  # TimeoutError and ssl.SSLError are among them
        failure = connecting(error, host)
    else:
        found = _describe(writer.get_extra_info("ssl_object"))
        writer.transport.abort()
        return found
    raise failure


def _api(settings: Settings) -> tuple[str, int]:
    url = URL(settings.domain)
    return url.host or "", url.port or 0


def _describe(secured: ssl.SSLObject | None) -> Handshake:
    if secured is None:
        return Handshake(None, None)
    certificate = secured.getpeercert() or {}
    until = certificate.get("notAfter")
    expires = (
        datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
        if isinstance(until, str)
        else None
    )
    return Handshake(secured.version(), expires)
