"""One listening host: takes requests, lets the plan interfere, sends what comes of it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from weakref import WeakSet

from aiohttp import web

from mirror.simulator.answers import Answer
from mirror.simulator.capacity import Beyond, Capacity
from mirror.simulator.catalogue import ACTIONS
from mirror.simulator.journal import Journal, RecordedRequest
from mirror.simulator.plan import Chooser, Fault
from mirror.simulator.request import Desk, Received
from mirror.simulator.script import Act, Situation
from mirror.simulator.shelf import FrameName
from mirror.simulator.wire import deliver

ADDRESS = "127.0.0.1"


class PortInUseError(OSError):
    """The port is taken. `port` says which."""

    def __init__(self, port: int) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} on {ADDRESS} is in use")
        self.port = port


@dataclass(frozen=True, slots=True)
class HostConfig:
    """`port` 0: any free one. `capacity`: requests worked on at once, None for any number.

    `beyond`: what becomes of more of them. `keepalive`: seconds an idle connection stays open.
    `latency`: seconds before an answer begins.
    """

    port: int
    capacity: int | None
    beyond: Beyond
    latency: float
    keepalive: float
    ssl_context: SSLContext | None


@dataclass(frozen=True, slots=True)
class Backstage:
    """What the two hosts share: the journal, the plan, and the strings faults may pull."""

    journal: Journal
    chooser: Chooser
    other_version: Callable[[str, int], bytes]
    expire: Callable[[str], None]


class Host:
    """A desk behind a port. It may be closed and opened again; the port stays the same."""

    def __init__(self, desk: Desk, config: HostConfig, backstage: Backstage) -> None:
        self.port = config.port
        self.in_flight = 0
        self.busiest = 0
        self.capacity = Capacity(config.capacity, config.beyond)
        self._desk = desk
        self._config = config
        self._backstage = backstage
        self._used: WeakSet[asyncio.Transport] = WeakSet()
        self._runner: web.ServerRunner | None = None

    @property
    def origin(self) -> str:
        """Scheme, address and port."""
        scheme = "https" if self._config.ssl_context else "http"
        return f"{scheme}://{ADDRESS}:{self.port}"

    async def open(self) -> None:
        """Listen. Raises `PortInUseError`."""
        server = web.Server(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self._config.keepalive,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(
            runner, ADDRESS, self.port, ssl_context=self._config.ssl_context, backlog=1024
        )
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(self.port) from None
            raise
        self.port = site.port
        self._runner = runner

    async def close(self) -> None:
        """Refuse new connections and drop those there are."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = request.raw_path
        hop, name = self._desk.identify(request.method, target.partition("?")[0])
        record = self._backstage.journal.open(
            hop,
            request.method,
            target.encode("utf-8", "surrogateescape"),
            request.headers,
            name.frame_id if name else None,
        )
        body = await request.read() if request.can_read_body else b""
        received = Received(request.method, target, request.headers, body)
        reused = self._mark_used(request)
        self.in_flight += 1
        self.busiest = max(self.busiest, self.in_flight)
        try:
            if not await self.capacity.take():
                refusal = self._branded(self._desk.overload())
                self._backstage.journal.settle(record, refusal.status)
                return await deliver(request, refusal)
            try:
                act = await self._decide(received, record, name, reused=reused)
                self._backstage.journal.settle(record, act.status)
                return await deliver(request, act)
            finally:
                self.capacity.give_back()
        finally:
            self.in_flight -= 1

    async def _decide(
        self, received: Received, record: RecordedRequest, name: FrameName | None, *, reused: bool
    ) -> Act:
        record.attempt = self._backstage.journal.next_attempt(record.hop, record.frame_id)
        if self._config.latency:
            await asyncio.sleep(self._config.latency)
        fault = self._backstage.chooser.choose(
            record.hop, record.frame_id, record.attempt, reused=reused
        )
        if fault is None:
            return self._branded(self._desk.answer(received))
        act = self._misbehave(fault, received, record, name)
        return self._branded(act) if isinstance(act, Answer) else act

    def _misbehave(
        self, fault: Fault, received: Received, record: RecordedRequest, name: FrameName | None
    ) -> Act:
        frame_id = name.frame_id if name else ""
        situation = Situation(
            hop=record.hop,
            origin=self.origin,
            answer=lambda: self._branded(self._desk.answer(received)),
            other_version=lambda: self._backstage.other_version(frame_id, record.attempt),
            expire=self._backstage.expire,
        )
        return ACTIONS[fault.action].perform(situation, **fault.params)

    def _branded(self, answer: Answer) -> Answer:
        known = answer.header("Server") is not None
        return answer if known else answer.with_headers(Server=self._desk.banner)

    def _mark_used(self, request: web.BaseRequest) -> bool:
        """Whether this connection has carried a request before; it has from now on."""
        if request.transport is None:
            return False
        reused = request.transport in self._used
        self._used.add(request.transport)
        return reused
