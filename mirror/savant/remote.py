"""The remote side as the rooms above see it: `connect`, and the `Remote` it yields."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import DefaultResolver
from aiohttp.abc import AbstractResolver

from mirror.events import Listener
from mirror.frames import FrameRef
from mirror.savant.api import Api
from mirror.savant.network import Names, guarded_sockets, open_connector, open_session, tls_context
from mirror.savant.store import BodyStream, Download
from mirror.savant.urls import ApiUrls, StoreRule
from mirror.savant.values import PresignedUrl
from mirror.savant.wire import Clock, Wire
from mirror.settings import Settings


class Remote:
    """The API and the store. Every method may be called again, and from many tasks at once.

    Failures are `FrameError`s; `CredentialsError`, `ProtocolError` and `CertificateError` end the
    run. Cancelling a call closes its connection and leaves the rest as it was. Nothing waits here
    to try again.
    """

    def __init__(self, api: Api, store: Wire, limits: tuple[int, int]) -> None:
        self._api = api
        self._store = store
        self._limits = limits

    async def login(self) -> None:
        """Have a token, by a login if there is none. Raises `CredentialsError` on refusal."""
        await self._api.login()

    async def resolve(self, ref: FrameRef) -> PresignedUrl:
        """A fresh presigned URL for a frame, checked against the rules. Logs in where needed."""
        return await self._api.resolve(ref)

    def download(self, url: PresignedUrl) -> AbstractAsyncContextManager[BodyStream]:
        """The body behind a presigned URL. Leaving the context early closes the connection."""
        return Download(self._store, url, self._limits)


@asynccontextmanager
async def connect(
    settings: Settings,
    emit: Listener,
    *,
    resolver: AbstractResolver | None = None,
    clock: Clock = time.monotonic,
) -> AsyncIterator[Remote]:
    """Open both sessions; nothing is sent yet. Raises `ConfigurationError`.

    `resolver` looks names up, the system's by default; it is closed at the end. `clock` is
    monotonic, in seconds.
    """
    username, password = settings.credentials()
    urls, rule = ApiUrls(settings.domain), StoreRule.of(settings)
    tls = await asyncio.to_thread(tls_context, settings.ca_bundle)
    guard = guarded_sockets(loopback=settings.loopback, private=settings.allow_private_store)
    # room for a lookup, a connection and a first byte, twice: aiohttp resends on a stale connection
    silence = settings.read_timeout
    patience = 2 * (settings.connect_timeout + silence)
    names = Names(resolver or DefaultResolver())
    async with (
        open_session(open_connector(tls, names, None), settings) as to_api,
        open_session(open_connector(tls, names, guard), settings) as to_store,
    ):
        api = Api(Wire(to_api, emit, clock, patience, silence), urls, rule, username, password)
        limits = (int(settings.max_frame_bytes), int(settings.min_rate))
        try:
            yield Remote(api, Wire(to_store, emit, clock, patience, silence), limits)
        finally:
            await api.close()
            await names.close()
