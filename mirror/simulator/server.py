"""The simulator: an API and an object store on two loopback ports, and everything they were asked.

It imports nothing of the rest of the project, so that a shared mistake cannot cancel out.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType
from typing import Literal, Self

from mirror.simulator.api import Account, Api
from mirror.simulator.capacity import Beyond
from mirror.simulator.dataset import Dataset
from mirror.simulator.host import Backstage, Host, HostConfig
from mirror.simulator.journal import Journal, RecordedRequest
from mirror.simulator.plan import Chooser, FaultPlan
from mirror.simulator.shelf import FrameName, Shelf, object_path
from mirror.simulator.signing import LONGEST_LIFETIME, UrlSigner
from mirror.simulator.store import Store
from mirror.simulator.tokens import TokenOffice

HostName = Literal["api", "store"]

_STORE_KEEPALIVE = 20.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How sound hosts behave. Times are seconds.

    `token_lifetime`: None for ever. `tokens_show_exp`: whether the JWT says when it ends.
    `capacity`: requests that each host works on at once; `beyond` it the API answers 429 and the
    store SlowDown ("refuse"), or they wait for their turn ("queue"). `api_keepalive`: after so long
    uvicorn closes an idle connection. `port`, `store_port`: 0 for a free one. `keep_requests`: how
    many requests are kept in memory, None for all.
    """

    username: str = "demo@example.com"
    password: str = field(default="demo-password", repr=False)
    token_lifetime: float | None = 3600.0
    tokens_show_exp: bool = True
    url_lifetime: float = 3600.0
    api_latency: float = 0.0
    store_latency: float = 0.0
    capacity: int | None = None
    beyond: Beyond = "refuse"
    api_keepalive: float = 5.0
    port: int = 0
    store_port: int = 0
    ssl_context: SSLContext | None = None
    keep_requests: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.url_lifetime <= LONGEST_LIFETIME:
            raise ValueError(f"url_lifetime: up to {LONGEST_LIFETIME:g} seconds, as on S3")


class Simulator:
    """Listens while it is entered. Ports, origins and `domain` are known from then on."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        plan: FaultPlan | None = None,
        behaviour: Behaviour | None = None,
    ) -> None:
        self.dataset = dataset
        self.behaviour = behaviour or Behaviour()
        self.account = Account(self.behaviour.username, self.behaviour.password)
        self._journal = Journal(self.behaviour.keep_requests)
        self._shelf = Shelf(dataset)
        secret = os.urandom(32)
        self._tokens = TokenOffice(
            secret, self.behaviour.token_lifetime, self.behaviour.tokens_show_exp
        )
        self._signer = UrlSigner(secret, self.behaviour.url_lifetime)
        backstage = Backstage(
            self._journal, Chooser(plan or FaultPlan()), dataset.other_png, self._expire
        )
        api = Api(self.account, self._tokens, self._shelf, self._presign)
        self._hosts: dict[HostName, Host] = {
            "api": Host(api, self._host_config("api"), backstage),
            "store": Host(Store(self._shelf, self._signer), self._host_config("store"), backstage),
        }

    def __repr__(self) -> str:
        return f"Simulator({self.domain}, {sum(self._journal.hops.values())} requests)"

    async def __aenter__(self) -> Self:
        """Listen on both ports. Raises `PortInUseError`."""
        await self._hosts["store"].open()
        try:
            await self._hosts["api"].open()
        except BaseException:
            await self._hosts["store"].close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop every connection and stop listening."""
        for host in self._hosts.values():
            await host.close()

    @property
    def domain(self) -> str:
        """The API's origin: the setting `domain` of a client."""
        return self._hosts["api"].origin

    @property
    def store_origin(self) -> str:
        """The object store's origin."""
        return self._hosts["store"].origin

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request in the order of arrival, as far as they are kept."""
        return self._journal.requests

    @property
    def statuses(self) -> dict[tuple[str, int | None], int]:
        """How many requests of a hop were answered with a status (None: with nothing)."""
        return dict(self._journal.statuses)

    @property
    def logins(self) -> int:
        """How many tokens were handed out."""
        return self._tokens.issued

    def count(self, hop: str) -> int:
        """How many requests of a hop (login, resolve, download, other) arrived."""
        return self._journal.hops[hop]

    def peak(self, host: HostName) -> int:
        """The most requests that were in flight on a host at once."""
        return self._hosts[host].busiest

    def change_capacity(self, host: HostName, capacity: int | None) -> None:
        """Let a host work on more or fewer requests at once, from now on."""
        self._hosts[host].capacity.change(capacity)

    def expire_tokens(self) -> None:
        """End every token handed out so far."""
        self._tokens.expire()

    def expire_urls(self) -> None:
        """End every URL minted so far: `Request has expired`."""
        self._signer.url_epoch += 1

    def expire_credentials(self) -> None:
        """End the credentials that signed the URLs minted so far: `ExpiredToken`."""
        self._signer.credential_epoch += 1

    def add_frame(self, workspace_id: str, root_id: str, frame_id: str, png: bytes) -> None:
        """Add a frame, or put other bytes under one there is."""
        self._shelf.add(FrameName(workspace_id, root_id, frame_id), png)

    async def refuse(self, host: HostName) -> None:
        """Stop listening and drop connections: new ones are refused. `accept` ends it."""
        await self._hosts[host].close()

    async def accept(self, host: HostName) -> None:
        """Listen again, on the same port."""
        await self._hosts[host].open()

    def _presign(self, name: FrameName) -> str:
        origin = self.store_origin
        host = origin.partition("://")[2]
        return origin + self._signer.presign(object_path(name), host, time.time())

    def _expire(self, what: str) -> None:
        {"tokens": self.expire_tokens, "urls": self.expire_urls}[what]()

    def _host_config(self, name: HostName) -> HostConfig:
        behaviour = self.behaviour
        is_api = name == "api"
        return HostConfig(
            port=behaviour.port if is_api else behaviour.store_port,
            capacity=behaviour.capacity,
            beyond=behaviour.beyond,
            latency=behaviour.api_latency if is_api else behaviour.store_latency,
            keepalive=behaviour.api_keepalive if is_api else _STORE_KEEPALIVE,
            ssl_context=behaviour.ssl_context,
        )
