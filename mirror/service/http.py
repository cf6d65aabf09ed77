"""Metrics and health over HTTP.

Invariants: loopback, unless a token guards it (attack row A25); only `/healthz` answers without the
token, since probes can't hold one. No page tells an id, a path or a version of the software below.
"""

from __future__ import annotations

import hmac
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mirror.errors import ConfigurationError
from mirror.service.health import Health
from mirror.settings import Settings, is_loopback

DEFAULT_PORT = 9464
"""Where `watch` serves unless told otherwise."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

RenderMetrics = Callable[[str], tuple[bytes, str]]
"""From an Accept header to the text and its content type."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; `port` 0 takes a free one. `token`: what requests must bear, if any."""

    host: str
    port: int
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings, port: int) -> Address:
        """The settings' host and token, with `port`."""
        token = settings.http_token
        return cls(settings.http_host, port, token.get_secret_value() if token else None)


@asynccontextmanager
async def serve(
    address: Address, *, render_metrics: RenderMetrics, health: Callable[[], Health]
) -> AsyncIterator[int]:
    """Serve `/metrics`, `/healthz` and `/readyz` while the context lasts; yields the port.

    `ConfigurationError` where the address is taken, or open to the network without a token.
    """
    if address.token is None and not is_loopback(address.host):
        raise ConfigurationError(
            f"http_host {address.host!r} is open to the network: set http_token as well,"
            " or use 127.0.0.1."
        )
    # a header of 8 KiB is more than any probe sends; bodies are not read at all
    runner = web.AppRunner(
        _application(address.token, render_metrics, health), access_log=None, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            raise ConfigurationError(
                f"Metrics and health can't be served at {address.host} port {address.port}:"
                f" {_why(error)}. Choose another with --metrics-port."
            ) from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_if_possible(
    address: Address,
    *,
    render_metrics: RenderMetrics,
    health: Callable[[], Health],
    warn: Callable[[str], object],
) -> AsyncIterator[int | None]:
    """As `serve`, but where that is impossible the work goes on without (fault row 61).

    Yields the port, or None after `warn` was told why.
    """
    async with AsyncExitStack() as stack:
        port: int | None = None
        try:
            port = await stack.enter_async_context(
                serve(address, render_metrics=render_metrics, health=health)
            )
        except ConfigurationError as error:
            warn(f"{error} The work goes on without.")
        yield port


def _why(error: OSError) -> str:
    # asyncio rewords strerror and puts the address in; a failed look-up has its own numbers
    number = error.errno
    if number is None or isinstance(error, socket.gaierror):
        return str(error.strerror).lower()
    return os.strerror(number).lower()


def _application(
    token: str | None, render_metrics: RenderMetrics, health: Callable[[], Health]
) -> web.Application:
    async def metrics(request: web.Request) -> web.Response:
        body, content_type = render_metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        now = health()
        return _tell(now.alive, now.reason)

    async def readyz(_: web.Request) -> web.Response:
        now = health()
        return _tell(now.ready, now.reason)

    app = web.Application(middlewares=[_guard(token)], client_max_size=1)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.on_response_prepare.append(_harden)
    return app


def _tell(well: bool, reason: str) -> web.Response:
    if well:
        return web.json_response({"status": "ok"})
    return web.json_response({"status": "unavailable", "reason": reason}, status=503)


def _guard(token: str | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token is not None and request.path != "/healthz" and not _bears(request, token):
            # the same answer for every path, so that none is found out
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            return await handler(request)
        except web.HTTPException as refusal:
            allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
            return web.Response(status=refusal.status, text=refusal.reason, headers=allow)

    return guard


def _bears(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    same = hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode("utf-8")
    )
    return same and scheme.lower() == "bearer"


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers.popall("Server", None)
