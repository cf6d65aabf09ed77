"""Rows 13 to 17: connections that are refused, led astray, swallowed, or dead when used again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from mirror.events import HostPaused, HostResumed, RequestFinished
from mirror.simulator import Fault, Simulator
from tests.faults.kit import site
from tests.faults.network_driver import by_name
from tests.faults.network_kit import FRAMES, VICTIMS, asked, inject, retries, soon, unavailable

# --- row 13 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "name"), [("api", "The API"), ("store", "The store")])
async def test_fault_13_connection_refused_opens_the_circuit_and_ends_with_69(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Any, name: str
) -> None:
    soon(monkeypatch, first=0.05, last=1.0)
    async with site(tmp_path) as there:
        await there.simulator.refuse(host)
        report = await there.run(outage_patience=0.7)
        unavailable(there, report, f"{name} is unavailable", "refuses connections", "127.0.0.1")
        hops = ("login", "resolve") if host == "api" else ("download",)
        tried = [e for e in there.told(RequestFinished) if e.hop in hops and e.status == "error"]
        assert 3 <= len(tried) <= 12, "single probes after the circuit has opened"
        assert {(e.hop, e.reason) for e in there.told(HostPaused)} == {
            ("resolve" if host == "api" else "download", "connection")
        }
        delays = [event.delay for event in there.told(HostPaused)]
        assert delays[-1] > delays[0], "it backs off"


@pytest.mark.parametrize("host", ["api", "store"])
async def test_fault_13_a_host_that_listens_again_is_found_by_a_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    """No frame is charged with the outage, not even where one attempt is all it has."""
    soon(monkeypatch, first=0.1, last=0.2)
    async with site(tmp_path) as there:
        await there.simulator.refuse(host)
        running = asyncio.create_task(there.run(outage_patience=30, max_attempts=1, concurrency=4))
        while not there.told(HostPaused):
            await asyncio.sleep(0.02)
        await there.simulator.accept(host)
        report = await running
        if host == "api":  # the login says it of all frames, so none is tried in vain
            there.complete(report)
            assert len(there.told(HostResumed)) == 1, "the circuit is closed again"
        else:
            assert report.exit_code in {0, 1}
            assert report.frames.failed <= 4, "those that came before the circuit had opened"
            there.complete(await there.run())
        assert len(asked(there, "download")) == len(FRAMES)


# --- row 14 ---------------------------------------------------------------------------------------


class Fickle(AbstractResolver):
    """Looks names up: one answer after the other, the last one for good. None: there is no such."""

    def __init__(self, *answers: list[str] | None) -> None:
        self.answers = list(answers)
        self.lookups = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.lookups += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if found is None:
            raise OSError(None, "DNS lookup failed")
        return [
            ResolveResult(hostname=host, host=one, port=port, family=family, proto=0, flags=0)
            for one in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("host", ["api", "store"])
@pytest.mark.parametrize(
    "first",
    [(None, None), ([], []), (None, []), (["127.0.0.2"],)],
    ids=["failure", "empty", "both", "moved"],
)
async def test_fault_14_a_name_is_looked_up_afresh_and_the_frames_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, first: tuple[list[str] | None, ...]
) -> None:
    """The last: where the answer was of no use, it is not kept for the next try, either."""
    soon(monkeypatch)
    names = Fickle(*first, ["127.0.0.1"])
    inject(monkeypatch, resolver=names)
    origin = Simulator.store_origin.fget
    assert origin is not None
    async with site(tmp_path) as there:
        settings = {}
        if host == "api":
            settings["domain"] = by_name(there.simulator.domain)
        else:
            monkeypatch.setattr(
                Simulator, "store_origin", property(lambda sim: by_name(origin(sim)))
            )
        report = await there.run(**settings, concurrency=1, outage_patience=4)
        there.complete(report)
        assert names.lookups >= len(first) + 1
        assert {event.reason for event in retries(there)} == {"connection"}
        assert there.simulator.count("download") == len(FRAMES)


async def test_fault_14_a_name_that_never_resolves_ends_with_69(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon(monkeypatch)
    inject(monkeypatch, resolver=Fickle(None))
    async with site(tmp_path) as there:
        report = await there.run(domain=by_name(there.simulator.domain), outage_patience=0.5)
        unavailable(there, report, "The API is unavailable", "localhost", "can't be resolved")
        assert there.simulator.requests == []


# --- rows 15 and 16: in a network of their own ----------------------------------------------------

SILENT, NO_ROUTE, ALIVE = "10.99.0.2", "10.99.0.3", "127.0.0.1"
NETWORK = f"""
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/gai.conf" /etc/gai.conf
ip link set lo up
ip link add here type veth peer name nowhere
ip addr add 10.99.0.1/24 dev here
ip link set here up
ip link set nowhere up
ip neigh add {SILENT} lladdr 02:00:00:00:00:02 dev here nud permanent
ip route add unreachable {NO_ROUTE}/32
"""
"""A name with addresses from a hosts file; what goes to the silent one is swallowed."""
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where no network namespace can be made."""
    for tool in ("unshare", "ip", "mount"):
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"needs {tool}")
    folder = tmp_path_factory.mktemp("network")
    tried = inside(folder, [ALIVE], ["true"])
    if tried.returncode:
        pytest.skip(f"a network namespace can't be made here: {tried.stderr.strip()[-200:]}")


def inside(
    folder: Path, addresses: list[str], command: list[str]
) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace in which `localhost` has these addresses.

    The namespace, with all that is mounted and linked in it, ends with the command.
    """
    (folder / "hosts").write_text("".join(f"{one} localhost\n" for one in addresses))
    (folder / "gai.conf").write_text("precedence ::ffff:10.99.0.0/112 100\n")
    script = f'set -e\n{NETWORK}\nshift\nexec "$@"'
    return subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script, "sh", str(folder), *command],
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def run_inside(folder: Path, host: str, addresses: list[str], **settings: Any) -> dict[str, Any]:
    """A whole run in such a network."""
    driver = [sys.executable, "-m", "tests.faults.network_driver"]
    ended = inside(folder, addresses, [*driver, str(folder), host, json.dumps(settings)])
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    assert set(found["addresses"]) == set(addresses)
    return found


@pytest.mark.parametrize("host", ["api", "store"])
def test_fault_15_one_dead_address_of_several_and_the_others_are_used(
    tmp_path: Path, network: None, host: str
) -> None:
    """The first address swallows what is sent there, another has no route, the third is good."""
    found = run_inside(
        tmp_path, host, [SILENT, NO_ROUTE, ALIVE], allow_private_store=True, connect_timeout=5.0
    )
    assert found["addresses"][0] == SILENT, "the dead one is tried first"
    assert (found["code"], found["frames"], found["recorded"]) == (0, [12, 0, 0], 12)
    assert (found["retries"], found["paused"]) == ([], []), "nobody pays for it"
    assert found["asked"] == {"login": 1, "resolve": 12, "download": 12}
    assert found["seconds"] < 5, "the time to connect is not used up first"


@pytest.mark.parametrize(("host", "name"), [("api", "The API"), ("store", "The store")])
def test_fault_16_a_blackholed_connect_times_out(
    tmp_path: Path, network: None, host: str, name: str
) -> None:
    found = run_inside(
        tmp_path,
        host,
        [SILENT],
        allow_private_store=True,
        connect_timeout=0.3,
        read_timeout=30.0,
        outage_patience=1.5,
    )
    assert found["code"] == 69
    assert f"{name} is unavailable" in found["error"]
    assert "did not accept a connection in time" in found["error"]
    assert (found["frames"], found["recorded"]) == ([0, 0, 12], 0)
    assert found["asked"]["download"] == 0
    assert found["paused"] == ["resolve" if host == "api" else "download"]
    assert found["seconds"] < 20


def test_fault_15_no_address_of_several_is_good(tmp_path: Path, network: None) -> None:
    found = run_inside(tmp_path, "api", [NO_ROUTE], outage_patience=0.5)
    assert (found["code"], found["frames"]) == (69, [0, 0, 12])
    assert "no route leads to it" in found["error"]


# --- row 17 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["fin", "reset"])
@pytest.mark.parametrize("hop", ["resolve", "download"])
async def test_fault_17_a_stale_connection_is_replaced_and_not_charged(
    tmp_path: Path, hop: str, how: str
) -> None:
    """Frames that have a single attempt arrive all the same."""
    fault = Fault("stale_close", hop=hop, frames=VICTIMS, attempts=1, how=how)
    async with site(tmp_path, fault) as there:
        report = await there.run(max_attempts=1, concurrency=1)
        there.complete(report)
        assert report.retries == 0
        assert there.simulator.count(hop) == len(FRAMES) + len(VICTIMS)
        assert report.requests.resolve == report.requests.download == len(FRAMES)
        assert there.told(HostPaused) == there.told(HostResumed) == []


async def test_fault_17_a_login_over_a_stale_connection_is_sent_again(tmp_path: Path) -> None:
    """A token that ends means a login over a connection that is in use, and that may be dead."""
    faults = (
        Fault("revoke_tokens", after=4, limit=1),
        Fault("stale_close", hop="login", attempts=2),
    )
    async with site(tmp_path, *faults) as there:
        report = await there.run(max_attempts=1, concurrency=1)
        there.complete(report)
        assert report.retries == 0
        assert there.simulator.count("login") == 3
        assert report.logins == 2


async def test_fault_17_a_host_that_closes_every_connection_it_used_loses_no_frame(
    tmp_path: Path,
) -> None:
    """Keep-alive is promised and never kept, on both hops, by twelve at a time."""
    faults = (Fault("stale_close", hop="resolve"), Fault("stale_close", hop="download"))
    async with site(tmp_path, *faults) as there:
        there.complete(await there.run(concurrency=12))
