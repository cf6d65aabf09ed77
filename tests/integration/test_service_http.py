"""Metrics and health over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from mirror.errors import ConfigurationError
from mirror.events import LoggedIn
from mirror.observe.metrics import Metrics
from mirror.service.health import Health
from mirror.service.http import Address, serve, serve_if_possible
from mirror.settings import Settings

TOKEN = "a-very-long-token"


class Service:
    """A served process whose health a test sets."""

    def __init__(self) -> None:
        self.metrics = Metrics("1.2.3")
        self.health = Health()
        self.base = ""

    async def get(self, path: str, **headers: str) -> tuple[int, str, dict[str, str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.base}{path}", headers=headers) as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    it = Service()
    address = Address("127.0.0.1", 0)
    async with serve(address, render_metrics=it.metrics.render, health=lambda: it.health) as port:
        it.base = f"http://127.0.0.1:{port}"
        yield it


@pytest.fixture
async def guarded() -> AsyncIterator[Service]:
    it = Service()
    address = Address("127.0.0.1", 0, TOKEN)
    async with serve(address, render_metrics=it.metrics.render, health=lambda: it.health) as port:
        it.base = f"http://127.0.0.1:{port}"
        yield it


async def test_metrics_are_served(service: Service) -> None:
    service.metrics(LoggedIn())
    status, text, headers = await service.get("/metrics")
    assert status == 200
    assert "mirror_logins_total 1.0" in text
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    _, text, headers = await service.get("/metrics", Accept="application/openmetrics-text")
    assert text.endswith("# EOF\n")


async def test_health_says_why(service: Service) -> None:
    assert (await service.get("/healthz"))[:2] == (200, '{"status": "ok"}')
    assert (await service.get("/readyz"))[0] == 200
    service.health = Health(alive=True, ready=False, reason="starting")
    assert (await service.get("/healthz"))[0] == 200
    assert (await service.get("/readyz"))[:2] == (
        503,
        '{"status": "unavailable", "reason": "starting"}',
    )
    service.health = Health(alive=False, ready=False, reason="stopping")
    assert (await service.get("/healthz"))[0] == 503


async def test_nothing_else_is_there(service: Service) -> None:
    assert (await service.get("/"))[0] == 404
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{service.base}/metrics", data=b"x" * 100_000) as answer,
    ):
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/nowhere"])
async def test_every_answer_is_hardened_and_bears_no_banner(service: Service, path: str) -> None:
    _, _, headers = await service.get(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Server" not in headers


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/nowhere"])
async def test_attack_25_with_a_token_every_page_but_health_needs_it(
    guarded: Service, path: str
) -> None:
    for wrong in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer ÿ"},
    ):
        status, text, headers = await guarded.get(path, **wrong)
        assert (status, text) == (401, "")
        assert headers["WWW-Authenticate"] == "Bearer"
        assert "Server" not in headers
    assert (await guarded.get(path, Authorization=f"bearer {TOKEN}"))[0] in {200, 404}
    assert (await guarded.get("/healthz"))[0] == 200


async def test_attack_25_without_a_token_only_loopback_is_served() -> None:
    it = Service()
    with pytest.raises(ConfigurationError, match="open to the network"):
        async with serve(Address("0.0.0.0", 0), render_metrics=it.metrics.render, health=Health):
            pass  # pragma: no cover


async def test_attack_22_an_address_does_not_show_its_token() -> None:
    address = Address.of(Settings(http_token="hunter2"), 9464)
    assert address == Address("127.0.0.1", 9464, "hunter2")
    assert "hunter2" not in repr(address)
    assert Address.of(Settings(), 1).token is None


async def test_fault_61_a_taken_port_is_a_warning_and_the_work_continues() -> None:
    warnings: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        it = Service()
        async with serve_if_possible(
            Address("127.0.0.1", port),
            render_metrics=it.metrics.render,
            health=Health,
            warn=warnings.append,
        ) as bound:
            assert bound is None
    (warning,) = warnings
    assert f"port {port}: address already in use" in warning
    assert "--metrics-port" in warning


async def test_where_it_is_possible_it_is_served() -> None:
    it = Service()
    async with serve_if_possible(
        Address("127.0.0.1", 0), render_metrics=it.metrics.render, health=Health, warn=pytest.fail
    ) as port:
        it.base = f"http://127.0.0.1:{port}"
        assert (await it.get("/healthz"))[0] == 200


async def test_for_the_service_a_taken_port_is_a_wrong_configuration() -> None:
    it = Service()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match="already in use"):
            async with serve(address, render_metrics=it.metrics.render, health=Health):
                pass  # pragma: no cover


async def test_a_name_that_does_not_resolve_is_a_wrong_configuration() -> None:
    it = Service()
    with pytest.raises(ConfigurationError, match="can't be served at 256"):
        async with serve(
            Address("256.0.0.1", 0, TOKEN), render_metrics=it.metrics.render, health=Health
        ):
            pass  # pragma: no cover


async def test_the_port_is_free_afterwards_even_with_a_client_that_hangs_on() -> None:
    it = Service()
    async with serve(
        Address("127.0.0.1", 0), render_metrics=it.metrics.render, health=Health
    ) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        await writer.drain()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
