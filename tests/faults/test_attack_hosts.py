"""Where a run connects to, and what it tells there (attacks 9 to 16 and 26).

The strict runs look names up in `Internet`: the API and the store have names, the store a public
address, and every connection is written down; what is not this machine's goes nowhere.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from mirror.events import RetryScheduled
from mirror.simulator import Dataset, DatasetSpec, Fault
from tests.e2e.command import environment, mirror
from tests.faults.attack_kit import (
    Trap,
    add_headers,
    ended,
    name_store,
    reasons,
    trap,
    twist,
)
from tests.faults.kit import SMALL, Site, site

API, STORE, PUBLIC = "api.attack.test", "store.attack.test", "93.184.216.34"


@pytest.fixture
def snare() -> Iterator[Trap]:
    """A port of this machine that nobody may connect to."""
    with trap() as one:
        yield one


@dataclass
class Internet(AbstractResolver):
    """Names and addresses. `names`: the answers for a name, one look-up after the other; the last
    for good. `hosts`: the port of this machine that a public address stands for."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    connected: list[tuple[str, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.names.get(host, [[]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None

    def elsewhere(self, *allowed: str) -> list[tuple[str, int]]:
        """The connections that went to other addresses than these."""
        return [one for one in self.connected if one[0] not in allowed]


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    """Names are looked up in it, and connections pass through it."""
    world = Internet({API: [["127.0.0.1"]], STORE: [[PUBLIC]]})
    loop_class = asyncio.selector_events.BaseSelectorEventLoop
    connect = loop_class.sock_connect

    async def sock_connect(self: Any, sock: socket.socket, address: tuple[str, int]) -> None:
        host, port = address[:2]
        world.connected.append((host, port))
        if host == PUBLIC:
            address = ("127.0.0.1", port)
        elif not host.startswith("127."):
            raise ConnectionRefusedError(111, "nothing leaves this machine")
        await connect(self, sock, address)

    monkeypatch.setattr(loop_class, "sock_connect", sock_connect)
    monkeypatch.setattr("mirror.savant.remote.DefaultResolver", lambda: world)
    return world


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_tls(authority: trustme.CA, *names: str, **more: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **more).configure_cert(context)
    return context


@asynccontextmanager
async def strict(
    folder: Path, authority: trustme.CA, bundle: Path, *faults: Fault
) -> AsyncIterator[tuple[Site, dict[str, Any]]]:
    """A platform as it is in the world: https, names, a public store; and the settings for it."""
    tls = server_tls(authority, API, STORE, "127.0.0.1", "::1", PUBLIC)
    async with site(folder, *faults, ssl_context=tls) as here:
        api, store = (one.rpartition(":")[2] for one in (here.simulator.domain, origin(here)))
        name_store(here.simulator, f"https://{STORE}:{store}")
        yield here, {"domain": f"https://{API}:{api}", "ca_bundle": bundle}


def origin(here: Site) -> str:
    return here.simulator.store_origin


def port_of(here: Site) -> int:
    return int(origin(here).rpartition(":")[2])


def faults_for(urls: list[str], spec: DatasetSpec) -> list[Fault]:
    frames = list(Dataset(spec).frame_ids())
    assert len(urls) <= len(frames), len(urls)
    return [
        Fault("frame_path", frames=[frame], kind="value", value=url)
        for frame, url in zip(frames, urls, strict=False)
    ]


MANY = DatasetSpec(sequences=2, frames_per_sequence=30, frame_bytes=3_000)


# --- attacks 9, 11 and 13: what a URL says --------------------------------------------------------


def schemes(port: int) -> list[str]:
    return [
        "file:///etc/passwd",
        "file://127.0.0.1/etc/passwd",
        f"ftp://127.0.0.1:{port}/x",
        f"gopher://127.0.0.1:{port}/_GET",
        f"ws://127.0.0.1:{port}/x",
        f"s3://127.0.0.1:{port}/x",
        f"unix://127.0.0.1:{port}/x",
        "data:image/png;base64,iVBORw0KGgo=",
        "javascript:alert(1)",
        f"//127.0.0.1:{port}/x",
        f"/\\127.0.0.1:{port}/x",
        f"HTTP://127.0.0.1:{port}/x",
        f"hTTps://127.0.0.1:{port}/x",
        f" http://127.0.0.1:{port}/x",
        f"http:127.0.0.1:{port}/x",
        f"http:/127.0.0.1:{port}/x",
        f"http:///127.0.0.1:{port}/x",
        f"http:\\\\127.0.0.1:{port}\\x",
        f"url:http://127.0.0.1:{port}/x",
        f"view-source:http://127.0.0.1:{port}/x",
    ]


def odd_numbers(port: int) -> list[str]:
    hosts = ["2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1", "017700000001"]
    hosts += ["127.1", "127.0.1", "127.0.0.01", "127.0.0.1.", "127.000.000.001", "127.0.0.0x1"]
    hosts += ["1.0.0.127.in-addr.arpa.0x1", "127.0.0.1.5", "4294967296", "0", "127.0.0.256"]
    # full-width digits, circled digits, other scripts' dots
    hosts += ["\uff11\uff12\uff17.0.0.1", "①②⑦.0.0.1", "127\u30020\u30020\u30021", "127.0.0.1%00"]
    return [f"http://{host}:{port}/x" for host in hosts]


def look_alikes(port: int) -> list[str]:
    own = f"127.0.0.1:{port}"
    return [
        f"http://store@{own}/x",
        f"http://store:443@{own}/x",
        f"http://{STORE}%40{own}/x",
        f"http://{STORE}\\@{own}/x",
        f"http://{STORE}#@{own}/x",
        f"http://{STORE}?@{own}/x",
        f"http://{own}\\.{STORE}/x",
        f"http://{own}\t/x",
        f"http://127.0.0.1\n:{port}/x",
        f"http://127.0.0.1:{port}\r\nHost: evil/x",
        f"http://127.0.0.1:{port}/x\r\nX-Evil: 1",
        f"http://127.0.0.1:{port}/x y",
        f"http://127.0.0.1:{port}/x\0",
        f"http://127.0.0.1:{port}:{port}/x",
        "http://127.0.0.1:0/x",
        "http://127.0.0.1:00/x",
        "http://127.0.0.1:65536/x",
        f"http://127.0.0.1:0{port}0/x",
        f"http://127.0.0.1:+{port}/x",
        f"http://127.0.0.1:-{port}/x",
        "http://127.0.0.1:\u0661\u0662/x",
        f"http://loc\u0430lhost:{port}/x",
        f"http://\uff4cocalhost:{port}/x",
        f"http://localhost.:{port}/x",
        f"http://localhost.evil.test:{port}/x",
        f"http://127.0.0.1.evil.test:{port}/x",
        f"http://xn--lcalhost-x4a:{port}/x",
        f"http://[::1%25lo]:{port}/x",
        f"http://[::1%lo]:{port}/x",
        f"http://[::ffff:127.0.0.1%25lo]:{port}/x",
        f"http://[127.0.0.1]:{port}/x",
        f"http://[::1:{port}/x",
        f"http://[v1.x]:{port}/x",
        f"http://:{port}/x",
        f"http://.:{port}/x",
        f"http://{'a' * 64}.test:{port}/x",
        f"http://{'a.' * 127}test:{port}/x",
        f"http://127.0.0.1:{port}/{'x' * 9000}",
        f"http://127.0.0.1:{port}/x?y#z",
        f"http://127.0.0.1:{port}?x",
    ]


@pytest.mark.parametrize("kind", [schemes, odd_numbers, look_alikes])
async def test_attack_09_11_13_urls_that_are_not_what_they_seem_are_not_followed(
    tmp_path: Path, snare: Trap, kind: Any
) -> None:
    """On the laxest platform there is, plain http on this machine; the other frames arrive."""
    urls = kind(snare.port)
    async with site(tmp_path, *faults_for(urls, MANY), spec=MANY) as here:
        report = await here.run(max_attempts=2)
        frames = list(here.dataset.frame_ids())
        wrong = {
            url: reasons(report).get(frame, "mirrored")
            for frame, url in zip(frames, urls, strict=False)
        }
        assert set(wrong.values()) <= {"unsafe_url", "no_frame_path"}, wrong
        assert (report.exit_code, report.frames.failed) == (1, len(urls)), wrong
        assert report.frames.mirrored == here.simulator.count("download") == 60 - len(urls)
        assert snare.untouched
        assert not any(
            str(snare.port) in one.detail for one in report.failures if "/x" in one.detail
        )


async def test_attack_09_plain_http_is_not_followed_from_an_https_domain(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet, snare: Trap
) -> None:
    """Not to this machine, not to a public store, whatever else is allowed."""
    hosts = ["127.0.0.1", "localhost", "[::1]", STORE, PUBLIC, API]
    faults = faults_for([f"http://{host}:{snare.port}/x?y" for host in hosts], SMALL)
    async with strict(tmp_path, authority, bundle, *faults) as (here, settings):
        report = await here.run(**settings, allow_private_store=True)
        assert set(reasons(report).values()) <= {"unsafe_url"}
        assert snare.untouched


# --- attacks 10 and 12: where a connection goes ---------------------------------------------------

FORBIDDEN = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.7", "224.0.0.1", "240.0.0.1"),
    *("255.255.255.255", "100.100.100.200", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"),
    *("::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254"),
    *("2001:db8::1", "2001::1", "100::1", "64:ff9b:1::7f00:1"),
]
PRIVATE = ["10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "100.64.0.1", "fd00::1"]
PRIVATE += ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:c0a8:101::"]


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("private", [False, True])
async def test_attack_10_a_store_at_a_forbidden_address_is_never_connected_to(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet, private: bool
) -> None:
    """In the URL itself, and behind a name; metadata services and this machine not even where
    private addresses are allowed."""
    addresses = FORBIDDEN + ([] if private else PRIVATE)
    urls = []
    for number, address in enumerate(addresses):
        internet.names[f"n{number}.attack.test"] = [[address]]
        urls += [f"https://{literal(address)}:9/x", f"https://n{number}.attack.test:9/x"]
    for start in range(0, len(urls), 12):
        folder = tmp_path / str(start)
        folder.mkdir()
        part = urls[start : start + 12]
        async with strict(folder, authority, bundle, *faults_for(part, SMALL)) as (here, settings):
            frames = list(here.dataset.frame_ids())
            report = await here.run(**settings, allow_private_store=private, max_attempts=2)
        found = reasons(report)
        wrong = {url: found.get(frame) for frame, url in zip(frames, part, strict=False)}
        assert set(wrong.values()) == {"unsafe_url"}, wrong
    assert internet.elsewhere("127.0.0.1", PUBLIC) == []
    assert 9 not in {port for _, port in internet.connected}


async def test_attack_10_private_addresses_are_connected_to_where_configured(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet
) -> None:
    """What shows that the test above could have seen a connection."""
    some = ["10.0.0.1", "fd00::1", "::ffff:10.0.0.1"]
    for number, address in enumerate(some):
        folder = tmp_path / str(number)
        folder.mkdir()
        lead = faults_for([f"https://{literal(address)}:9/x"], SMALL)
        async with strict(folder, authority, bundle, *lead) as (here, settings):
            await here.run(
                **settings, allow_private_store=True, max_attempts=1, outage_patience=0.2
            )
    assert {host for host, port in internet.connected if port == 9} == set(some)


async def test_attack_10_one_good_address_beside_bad_ones_leads_to_the_good_one(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet
) -> None:
    internet.names[STORE] = [["127.0.0.1", "169.254.169.254", "::1", PUBLIC]]
    async with strict(tmp_path, authority, bundle) as (here, settings):
        here.complete(await here.run(**settings))
        assert {host for host, port in internet.connected if port == port_of(here)} == {PUBLIC}


@pytest.mark.parametrize("second", ["127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"])
async def test_attack_12_a_name_that_changes_its_mind_gains_nothing(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet, second: str
) -> None:
    """The first look-up is harmless; the store then cuts connections, so that others follow."""
    internet.names[STORE] = [[PUBLIC], [second]]
    cut = Fault("close", after=3, how="reset")
    async with strict(tmp_path, authority, bundle, cut) as (here, settings):
        report = await here.run(**settings, concurrency=1, max_attempts=3)
        assert report.exit_code == 1, report
        assert set(reasons(report).values()) == {"unsafe_url"}
        assert report.frames.mirrored == 3
        assert internet.asked.count(STORE) >= 2
        assert {host for host, port in internet.connected if port == port_of(here)} == {PUBLIC}


# --- attack 13: the allow-list --------------------------------------------------------------------


async def test_attack_13_only_the_exact_host_and_port_of_the_allow_list_is_followed(
    tmp_path: Path, authority: trustme.CA, bundle: Path, internet: Internet
) -> None:
    async with strict(tmp_path, authority, bundle) as (here, settings):
        port = port_of(here)
        for entry in (STORE, f"{STORE}:{port + 1}", f"x{STORE}:{port}", f"attack.test:{port}"):
            report = await here.run(**settings, store_hosts=entry)
            assert set(reasons(report).values()) == {"unsafe_url"}, entry
            assert here.simulator.count("download") == 0
        assert STORE not in internet.asked
        for entry in (f"*.attack.test:{port}", f"https://{STORE}:{port}", f"{STORE}:{port}/x", "*"):
            assert (await ended(here, **settings, store_hosts=entry))[0] == 78, entry
        here.complete(await here.run(**settings, store_hosts=f"{STORE.upper()}:{port}"))


# --- attack 14: redirects -------------------------------------------------------------------------

CODES = [300, 301, 302, 303, 304, 305, 306, 307, 308]


@pytest.mark.parametrize("hop", ["resolve", "download"])
async def test_attack_14_a_redirect_is_never_followed(
    tmp_path: Path, snare: Trap, hop: str
) -> None:
    """Whatever its number, its way of writing a place, and the headers that browsers obey."""
    frames = list(Dataset(SMALL).frame_ids())
    places = [f"{snare.url}/x", f"//127.0.0.1:{snare.port}/x", "/elsewhere", ""]
    faults = [
        Fault("redirect", hop=hop, frames=[frame], code=code, location=places[n % len(places)])
        for n, (frame, code) in enumerate(zip(frames, CODES, strict=False))
    ]
    async with site(tmp_path, *faults) as here:
        lure = add_headers(Refresh=f"0;url={snare.url}/x", Link=f"<{snare.url}>; rel=preload")
        twist(here.simulator, "api", lure)
        twist(here.simulator, "store", lure)
        report = await here.run(max_attempts=2)
        assert (report.exit_code, report.frames.failed) == (1, len(CODES))
        assert set(reasons(report).values()) == {"redirected"}
        assert {one.attempts for one in report.failures} == {1}
        assert here.simulator.count("other") == 0
        assert snare.untouched


@pytest.mark.parametrize("code", CODES)
async def test_attack_14_the_password_follows_no_redirect(
    tmp_path: Path, snare: Trap, code: int
) -> None:
    redirect = Fault("redirect", hop="login", code=code, location=f"{snare.url}/auth/jwt/login")
    async with site(tmp_path, redirect) as here:
        code, told = await ended(here)
        assert code == 69, told
        assert "SAVANT_DOMAIN" in told
        assert here.simulator.count("login") == len(here.simulator.requests) == 1
        assert snare.untouched


# --- attack 15: what the store is told ------------------------------------------------------------

PLAIN_HEADERS = {"host", "user-agent", "accept", "accept-encoding"}


async def test_attack_15_the_store_gets_no_token_no_cookie_and_no_word_more(
    tmp_path: Path,
) -> None:
    """Both hosts set cookies for each other and ask for credentials; a second run is no wiser."""
    cookie = "session=canary; Path=/; Domain=127.0.0.1; SameSite=None"
    async with site(tmp_path, Fault("expired_url", frames=0.3, attempts=1)) as here:
        lure = add_headers(
            Set_Cookie=cookie, WWW_Authenticate='Basic realm="x"', Accept_CH="Sec-CH-UA"
        )
        twist(here.simulator, "api", lure)
        twist(here.simulator, "store", lure)
        await here.run(request={"limit": 5})
        here.complete(await here.run())
        for request in here.simulator.requests:
            names = {name.lower() for name in request.headers}
            if request.hop == "download":
                assert names == PLAIN_HEADERS
                assert request.headers["User-Agent"].startswith("savant-mirror/")
            assert not names & {"cookie", "referer", "origin", "proxy-authorization"}
        asked = [one for one in here.simulator.requests if one.hop == "resolve"]
        assert {len(one.headers.getall("Authorization")) for one in asked} == {1}  # type: ignore[attr-defined]


# --- attack 16: the environment -------------------------------------------------------------------


async def test_attack_16_proxies_netrc_and_friends_of_the_environment_are_ignored(
    tmp_path: Path, snare: Trap
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in (".netrc", "_netrc", ".wgetrc", ".curlrc"):
        (home / name).write_text(
            "machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n"
        )
        (home / name).chmod(0o600)
    env = {
        name: snare.url
        for base in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "socks_proxy")
        for name in (base, base.upper())
    }
    env |= {"NO_PROXY": "", "no_proxy": "", "HOME": str(home), "NETRC": str(home / ".netrc")}
    env |= {"AWS_ACCESS_KEY_ID": "canary", "AWS_SECRET_ACCESS_KEY": "canary"}
    async with site(tmp_path) as here:
        told = await mirror(
            "sync", here.export, "--dest", here.dest, env=environment(here.simulator, **env)
        )
        assert told.code == 0, told.err
        assert snare.untouched
        for request in here.simulator.requests:
            assert "canary" not in str(dict(request.headers))
            if request.hop != "resolve":
                assert "Authorization" not in request.headers


# --- attack 26: certificates ----------------------------------------------------------------------

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def bad_certificates(authority: trustme.CA) -> dict[str, ssl.SSLContext]:
    expired = {"not_before": PAST, "not_after": PAST + datetime.timedelta(days=30)}
    early = PAST.replace(year=2100)
    return {
        "unknown CA": server_tls(trustme.CA(), "127.0.0.1"),
        "another name": server_tls(authority, "evil.test"),
        "a wildcard beside": server_tls(authority, "*.0.0.1"),
        "expired": server_tls(authority, "127.0.0.1", **expired),
        "not yet valid": server_tls(
            authority,
            "127.0.0.1",
            not_before=early,
            not_after=early + datetime.timedelta(days=30),
        ),
        "only the common name": server_tls(authority, "evil.test", common_name="127.0.0.1"),
    }


@pytest.mark.parametrize("host", ["api", "store"])
async def test_attack_26_a_bad_certificate_is_refused_and_nothing_is_said_to_its_host(
    tmp_path: Path, authority: trustme.CA, bundle: Path, host: str
) -> None:
    for what, tls in bad_certificates(authority).items():
        folder = tmp_path / what
        folder.mkdir()
        good = server_tls(authority, "127.0.0.1")
        async with site(folder, ssl_context=good) as here:
            await here.simulator.refuse(host)
            listening = here.simulator._hosts[host]
            listening._config = replaced(listening._config, ssl_context=tls)
            await here.simulator.accept(host)
            code, told = await ended(here, ca_bundle=bundle)
            assert (code, "MIRROR_CA_BUNDLE" in told) == (69, True), (what, told)
            hops = {one.hop for one in here.simulator.requests}
            assert hops == (set() if host == "api" else {"login", "resolve"}), what
            assert here.told(RetryScheduled) == [], what


async def test_attack_26_no_switch_turns_checking_off(tmp_path: Path) -> None:
    """Not one that other programs know, nor one that somebody might guess."""
    switches = {
        "PYTHONHTTPSVERIFY": "0",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "CURL_INSECURE": "1",
        "AIOHTTP_NO_VERIFY": "1",
        "MIRROR_INSECURE": "true",
        "MIRROR_VERIFY": "false",
        "MIRROR_VERIFY_TLS": "false",
        "MIRROR_VERIFY_SSL": "0",
        "MIRROR_TLS_VERIFY": "0",
        "MIRROR_SSL": "false",
        "MIRROR_ALLOW_PRIVATE_STORE": "true",
        "SAVANT_VERIFY": "false",
    }
    async with site(tmp_path, ssl_context=server_tls(trustme.CA(), "127.0.0.1")) as here:
        env = environment(here.simulator, **switches)
        words = ("sync", here.export, "--dest", here.dest)
        told = await mirror(*words, env=env)
        assert told.code == 69
        assert "not trusted" in told.err
        assert (await mirror(*words, "--insecure", "-k", "--no-verify", env=env)).code == 2
        (tmp_path / "c.toml").write_text("verify_tls = false\n")
        assert (await mirror(*words, "--config", tmp_path / "c.toml", env=env)).code == 78
        assert here.simulator.requests == []


async def test_attack_26_old_tls_is_refused(
    tmp_path: Path, authority: trustme.CA, bundle: Path
) -> None:
    tls = server_tls(authority, "127.0.0.1")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):  # which are about just this
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    async with site(tmp_path, ssl_context=tls) as here:
        code, told = await ended(here, ca_bundle=bundle, outage_patience=0.5)
        assert code == 69, told
        assert here.simulator.requests == []
