"""Metrics and status, open to the network (attack 25)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from mirror.simulator import Simulator
from tests.e2e.command import environment, mirror, start
from tests.faults.kit import Site, site

TOKEN = "a-token-for-the-pages"


@asynccontextmanager
async def watching(here: Site, folder: Path, **env: str) -> AsyncIterator[tuple[int, int]]:
    """The service as a process; its id and its port."""
    inbox = folder / "inbox"
    inbox.mkdir()
    words = ("watch", inbox, "--dest", here.dest, "--metrics-port", "0")
    process = await start(*words, env=environment(here.simulator, **env))
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            said = ""
            while "Watching" not in said:
                line = (await process.stderr.readline()).decode()
                assert line, said
                said += line
        found = re.search(r"port=(\d+)", said)
        assert found, said
        yield process.pid, int(found[1])
    finally:
        process.kill()
        await process.communicate()


def listeners(pid: int) -> set[str]:
    """The addresses that a process listens on, as the kernel writes them."""
    inodes = set()
    for link in (Path("/proc") / str(pid) / "fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink()))
        inodes |= {found[1]} if found else set()
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in (Path("/proc") / str(pid) / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == "0A" and rest[5] in inodes:
                addresses.add(local.partition(":")[0])
    return addresses


async def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as page,
    ):
        return page.status, await page.text()


@pytest.mark.parametrize("command", ["watch", pytest.param("sync", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "env",
    [
        {"MIRROR_HTTP_HOST": "0.0.0.0"},
        {"MIRROR_HTTP_HOST": "::"},
        {"MIRROR_HTTP_HOST": "0.0.0.0", "MIRROR_HTTP_TOKEN": ""},
        {"MIRROR_HTTP_HOST": "0.0.0.0", "MIRROR_HTTP_TOKEN": "  "},
        {"MIRROR_HTTP_HOST": "0"},
        {"MIRROR_HTTP_HOST": "0x7f.1"},
        {"MIRROR_HTTP_HOST": "127.0.0.1.evil.test"},
        {"MIRROR_HTTP_HOST": "10.0.0.1"},
    ],
    ids=str,
)
async def test_attack_25_an_address_open_to_the_network_needs_a_token(
    tmp_path: Path, env: dict[str, str], command: str
) -> None:
    """Refused before anything listens, is written or is asked."""
    async with site(tmp_path) as here:
        (tmp_path / "inbox").mkdir()
        first = here.export if command == "sync" else tmp_path / "inbox"
        words = (command, first, "--dest", here.dest, "--metrics-port", "0")
        told = await mirror(*words, env=environment(here.simulator, **env))
        assert told.code == 78, told
        assert "token" in told.err.lower()
        assert not here.dest.exists()
        assert here.simulator.requests == []


async def test_attack_25_an_empty_token_in_the_file_is_none(tmp_path: Path) -> None:
    """It would let in everybody who sends an empty one."""
    config = tmp_path / "c.toml"
    async with site(tmp_path) as here:
        for text in ('""', '"   "', '"\\t"'):
            config.write_text(f'http_host = "0.0.0.0"\nhttp_token = {text}\n')
            words = ("sync", here.export, "--dest", here.dest, "--metrics-port", "0")
            told = await mirror(*words, "--config", config, env=environment(here.simulator))
            assert (told.code, "http_token" in told.err) == (78, True), told


async def test_attack_25_by_default_only_this_machine_is_served(tmp_path: Path) -> None:
    """The sockets that the process listens on are the kernel's word."""
    async with site(tmp_path) as here, watching(here, tmp_path) as (pid, port):
        assert listeners(pid) == {"0100007F"}
        assert (await get(port, "/metrics"))[0] == 200
        for method in ("post", "put", "delete", "trace", "options"):
            async with aiohttp.ClientSession() as session:
                page = await session.request(method, f"http://127.0.0.1:{port}/metrics")
                assert page.status in {405, 404}
        for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/frames", "/debug", "//"):
            assert (await get(port, path))[0] == 404, path


async def test_attack_25_open_to_the_network_every_page_but_health_needs_the_token(
    tmp_path: Path,
) -> None:
    env = {"MIRROR_HTTP_HOST": "0.0.0.0", "MIRROR_HTTP_TOKEN": TOKEN}
    async with site(tmp_path) as here, watching(here, tmp_path, **env) as (pid, port):
        assert listeners(pid) == {"00000000"}
        assert (await get(port, "/healthz"))[0] == 200
        wrong = ["", "x", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", "Bearer "]
        wrong += [f"Basic {TOKEN}", f"Bearer  x {TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer \xe9"]
        for path in ("/metrics", "/readyz", "/nothing", "/healthz/../metrics", "/metrics/"):
            for one in wrong:
                status, text = await get(port, path, Authorization=one)
                assert (status, text) == (401, ""), (path, one)
            assert (await get(port, f"{path}?token={TOKEN}"))[0] == 401
        assert (await get(port, "/metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200


async def test_attack_25_a_run_serves_no_ids_and_stops_serving_at_its_end(
    tmp_path: Path, unused_tcp_port: int
) -> None:
    async with site(tmp_path, store_latency=0.3) as here:
        words = ("sync", here.export, "--dest", here.dest, "--concurrency", "1")
        process = await start(
            *words, "--metrics-port", str(unused_tcp_port), env=environment(here.simulator)
        )
        try:
            await _until(here.simulator, 2)
            assert listeners(process.pid) == {"0100007F"}
            _, text = await get(unused_tcp_port, "/metrics")
        finally:
            process.kill()
            await process.communicate()
        ids = {*here.dataset.frame_ids(), *here.dataset.root_ids, here.dataset.workspace_id}
        assert "mirror_requests_total" in text
        assert not any(one in text for one in ids)
        assert "127.0.0.1" not in text


async def _until(simulator: Simulator, downloads: int) -> None:
    async with asyncio.timeout(60):
        while simulator.count("download") < downloads:
            await asyncio.sleep(0.01)
