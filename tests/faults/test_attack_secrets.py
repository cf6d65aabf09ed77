"""The canary: password, tokens and signatures, looked for in everything that comes out (attack 22).

The hosts echo whatever they are sent in every kind of answer. The tokens and signatures looked for
are those that the simulator really handed out.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import aiohttp
import pytest

from mirror.simulator import DatasetSpec
from mirror.simulator.answers import Answer
from mirror.simulator.request import Received
from tests.e2e.command import environment
from tests.faults.attack_kit import twist
from tests.faults.kit import Site, site

PASSWORD = "canary/Pass w0rd+&=%é"
HTTP_TOKEN = "canary-http-token-0123456789"
PROXY = "canary-proxy-password"
SPEC = DatasetSpec(sequences=2, frames_per_sequence=12, frame_bytes=3_000)
STATUSES = [302, 400, 401, 403, 404, 410, 416, 422, 429, 500, 503, 418]


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, and as it looks in URLs, in JSON, in a repr, and in base64."""
    raw = secret.encode()
    found = {raw, secret.encode("unicode_escape"), json.dumps(secret)[1:-1].encode()}
    found |= {quote(secret, safe=safe).encode() for safe in ("", "/", "/+=")}
    found |= {
        quote_plus(secret).encode(),
        repr(secret)[1:-1].encode(),
        ascii(secret)[1:-1].encode(),
    }
    for skip in range(3):  # wherever it stands in what was encoded
        cut = base64.b64encode(raw[skip : skip + (len(raw) - skip) // 3 * 3])
        found |= {cut, cut.replace(b"+", b"-").replace(b"/", b"_")}
    return {one for one in found if len(one) > 7}


@dataclass
class World:
    """Everything that comes out of the commands of one test. `here` is the platform; all that is
    written lands below `folder`, which is home, current and temporary folder at once."""

    here: Site
    folder: Path
    secrets_file: Path
    heard: list[bytes] = field(default_factory=list)

    def env(self, **more: str) -> dict[str, str]:
        kept = environment(self.here.simulator, HOME=str(self.folder), TMPDIR=str(self.folder))
        return kept | {"MIRROR_MAX_ATTEMPTS": "2", "MIRROR_HTTP_TOKEN": HTTP_TOKEN} | more

    async def start(
        self, *words: str | Path, python: Iterable[str] = (), **more: str
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *(python or ("-m", "mirror")),
            *map(str, words),
            env=self.env(**more),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def hear(self, process: asyncio.subprocess.Process) -> int:
        """Its exit code; what it said is kept."""
        self.heard += await process.communicate()
        assert process.returncode is not None
        return process.returncode

    async def run(self, *words: str | Path, python: Iterable[str] = (), **more: str) -> int:
        return await self.hear(await self.start(*words, python=python, **more))

    @property
    def sync(self) -> tuple[str | Path, ...]:
        return ("sync", self.here.export, "--dest", self.folder / "frames")

    def secrets(self) -> set[str]:
        """The password, and every token and signature that was handed out."""
        found = {PASSWORD, HTTP_TOKEN, PROXY}
        for request in self.here.simulator.requests:
            if request.hop == "resolve" and "Authorization" in request.headers:
                found.add(request.headers["Authorization"].split(" ", 1)[1])
            query = parse_qs(urlsplit(request.target.decode()).query)
            for name in ("X-Amz-Signature", "X-Amz-Security-Token"):
                found |= set(query.get(name, ()))
        return found

    def said(self) -> str:
        return b"\n".join(self.heard).decode("utf-8", "replace")

    def look(self) -> None:
        """No secret is in anything that was said, written or answered."""
        places = {f"said {number}": each for number, each in enumerate(self.heard)}
        for path in self.folder.rglob("*"):
            places[str(path)] = str(path.name).encode()
            if path.is_file():
                places[f"content of {path}"] = path.read_bytes()
        secrets = self.secrets()
        assert len(secrets) > 20, "the platform handed out nothing to look for"
        for secret in secrets:
            for spelling in spellings(secret):
                for place, content in places.items():
                    assert spelling not in content, (place, spelling, content[:2000])
        assert b"X-Amz-Signature=" not in b"".join(self.heard)


def echo_all(received: Received) -> bytes:
    """All that was sent, as a host that logs carelessly would say it back."""
    headers = "".join(f"{name}: {value}\n" for name, value in received.headers.items())
    return f"{received.target}\n{headers}\n".encode() + received.body


@asynccontextmanager
async def world(folder: Path, **behaviour: Any) -> AsyncIterator[World]:
    """A platform of which every other frame is answered well, the others by an echo."""
    outer = folder / "inputs"
    outer.mkdir()
    below = folder / "world"
    below.mkdir()
    (outer / "password").write_text(PASSWORD)
    async with site(outer, spec=SPEC, password=PASSWORD, **behaviour) as here:
        frames = list(here.dataset.frame_ids())
        refused: set[str] = set()
        odd = {frame: STATUSES[n // 2] for n, frame in enumerate(frames) if n % 2}

        def misbehave(kind: str, part: int) -> object:
            def twisted(received: Received, answer: Answer) -> Answer:
                frame = next((one for one in frames if one in received.target), None)
                if frame not in odd or frames.index(frame) // 2 % 2 != part:
                    return answer
                if odd[frame] == 401 and kind == "api" and frame in refused:
                    return answer  # a token that is refused for good ends the run
                refused.add(frame)
                status, body = odd[frame], echo_all(received)
                if kind == "store":
                    code = {403: "SignatureDoesNotMatch", 503: "SlowDown"}.get(status, "Odd")
                    body = b"<Error><Code>%b</Code><Url>%b</Url></Error>" % (code.encode(), body)
                said = Answer(status, body, (("Content-Type", "text/plain"),))
                return said.with_headers(Location=f"{here.simulator.domain}{received.target}")

            return twisted

        twist(here.simulator, "api", misbehave("api", 0))  # type: ignore[arg-type]
        twist(here.simulator, "store", misbehave("store", 1))  # type: ignore[arg-type]
        yield World(here, below, outer / "password")


@pytest.mark.parametrize(
    "options",
    [
        ("--debug", "--log-format", "json", "--json"),
        pytest.param(("--debug",), marks=pytest.mark.long),
        pytest.param(("--log-level", "debug", "--json"), marks=pytest.mark.long),
        pytest.param(("--log-level", "debug", "--log-format", "json"), marks=pytest.mark.long),
    ],
    ids=" ".join,
)
async def test_attack_22_no_secret_however_much_is_logged(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Every kind of answer echoes what was sent; the run, its report, `status` and `verify` tell of
    it in their own words alone."""
    async with world(tmp_path) as one:
        assert await one.run(*one.sync, *options) == 1
        assert await one.run("status", one.folder / "frames", "--json", "--failures") == 1
        assert await one.run("status", one.folder / "frames") == 1
        assert await one.run("verify", one.folder / "frames", *options[:1]) in {0, 1, 2}
        assert "url_refused" in one.said()
        one.look()


@pytest.mark.long
async def test_attack_22_no_secret_in_what_pythons_debug_modes_say(tmp_path: Path) -> None:
    """asyncio's slow callbacks, things left open: all of it is said here."""
    async with world(tmp_path) as one:
        noisy = ("-X", "dev", "-W", "default", "-m", "mirror")
        more = {"PYTHONASYNCIODEBUG": "1"}
        assert await one.run(*one.sync, "--debug", python=noisy, **more) == 1
        one.look()


@pytest.mark.long
async def test_attack_22_no_secret_when_logins_and_connections_fail(tmp_path: Path) -> None:
    """A wrong password, a wrong platform, TLS where there is none, a proxy with a password."""
    async with world(tmp_path) as one:
        assert await one.run(*one.sync) == 1  # so that there is something to look for
        words = ("sync", one.here.export, "--debug", "--dest")
        plain = one.here.simulator.domain
        port = plain.rpartition(":")[2]
        refused = one.folder / "refused"
        runs = [
            ({"SAVANT_PASSWORD": PASSWORD + "x"}, 77),
            ({"SAVANT_DOMAIN": f"https://127.0.0.1:{port}"}, 69),
            ({"SAVANT_DOMAIN": one.here.simulator.store_origin}, 77),
            ({"SAVANT_DOMAIN": f"http://u:{PROXY}@127.0.0.1:{port}"}, 78),
            ({"SAVANT_DOMAIN": f"{plain}?token={PROXY}"}, 78),
            ({"HTTPS_PROXY": f"http://u:{PROXY}@127.0.0.1:9"}, 1),
            ({"MIRROR_HTTP_HOST": "0.0.0.0", "MIRROR_HTTP_TOKEN": ""}, 78),
            ({"MIRROR_PASSWORD": PASSWORD}, 1),
        ]
        for number, (more, code) in enumerate(runs):
            more |= {"MIRROR_OUTAGE_PATIENCE": "0.5"}
            assert await one.run(*words, f"{refused}{number}", **more) == code, one.said()[-2000:]
        assert await one.run("doctor", one.here.export, "--debug") in {0, 1, 2, 69, 77, 78}
        config = tmp_path / "inputs" / "c.toml"
        for text in (
            f'password = "{PASSWORD}',
            f'pasword = "{PASSWORD}"',
            f'http_token = ["{HTTP_TOKEN}"]',
        ):
            config.write_text(text)
            told = await one.run(*one.sync, "--config", config, MIRROR_HTTP_TOKEN="")
            assert told == 78, text
        one.look()


_BUG = """
import sys
import mirror.savant.store as store, mirror.savant.api as api
from mirror.cli.app import main
from aiohttp import ClientResponseError, RequestInfo
from multidict import CIMultiDict

async def bug_of_download(self):
    url, headers = self._url.target, CIMultiDict(Authorization="bearer " + tokens[0])
    secrets = f"{url} {self._url.reveal()} {dict(headers)} {self._url!r} {tokens[0]}"
    if sys.argv[1:2] == ["sync"] and "--json" in sys.argv:
        raise ClientResponseError(RequestInfo(url, "GET", headers, url), (), message=secrets)
    try:
        raise KeyError(secrets)
    except KeyError:
        raise RuntimeError(secrets)

tokens = []
real = api._access_token
def note(body, host):
    token = real(body, host)
    tokens.append(token.reveal())
    return token
api._access_token = note
store.Download.__aenter__ = bug_of_download
main()
"""


@pytest.mark.parametrize(
    "options",
    [
        ("--debug",),
        pytest.param((), marks=pytest.mark.long),
        pytest.param(("--debug", "--log-format", "json", "--json"), marks=pytest.mark.long),
    ],
    ids=" ".join,
)
async def test_attack_22_no_secret_when_a_bug_carries_one(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    """An exception that holds the URL and the token escapes from the very middle."""
    async with world(tmp_path) as one:
        assert await one.run(*one.sync) == 1  # so that there is something to look for
        words = ("sync", one.here.export, "--dest", one.folder / "other", *options)
        assert await one.run(*words, python=("-c", _BUG)) == 70, one.said()[-2000:]
        assert "Internal error" in one.said()
        one.look()


async def test_attack_22_no_secret_left_by_a_run_that_is_killed(tmp_path: Path) -> None:
    """The ledger's raw bytes, its WAL, temporaries: read as the kill left them. Nor may anybody
    see the password in the process list; with a password file not even in the environment."""
    async with world(tmp_path, store_latency=0.1) as one, asyncio.timeout(90):
        held = asyncio.Event()
        count = 0

        def hold(received: Received, answer: Answer) -> Answer:
            nonlocal count
            count += 1
            if count > 8:
                held.set()
            return answer

        twist(one.here.simulator, "store", hold)
        more = {"MIRROR_COMMIT_SECONDS": "0.01", "MIRROR_CONCURRENCY": "2", "SAVANT_PASSWORD": ""}
        more["SAVANT_PASSWORD_FILE"] = str(one.secrets_file)
        process = await one.start(*one.sync, "--debug", **more)
        await held.wait()
        proc = Path("/proc") / str(process.pid)
        try:
            for name in ("cmdline", "environ", "comm", "status"):
                one.heard.append((proc / name).read_bytes().replace(HTTP_TOKEN.encode(), b""))
        finally:
            process.send_signal(signal.SIGKILL)
        await one.hear(process)
        assert list((one.folder / "frames" / ".mirror").glob("ledger.sqlite3-wal"))
        assert await one.run(*one.sync) == 1
        one.look()


async def test_attack_22_no_secret_in_what_the_service_says_and_serves(tmp_path: Path) -> None:
    """Its log, and every page, with and without the token, also those there are not."""
    async with world(tmp_path) as one:
        inbox = one.folder / "inbox"
        inbox.mkdir()
        (inbox / "batch.json").write_bytes(one.here.export.read_bytes())
        words = ("watch", inbox, "--dest", one.folder / "frames", "--metrics-port", "0", "--debug")
        process = await one.start(*words, MIRROR_RESCAN_SECONDS="0.05", MIRROR_LOG_FORMAT="json")
        assert process.stderr is not None
        port = None
        async with asyncio.timeout(60):
            while line := await process.stderr.readline():
                one.heard.append(line)
                port = json.loads(line).get("port", port)
                if b"The run ended" in line:
                    break
        async with aiohttp.ClientSession() as session:
            for path in ("/metrics", "/healthz", "/readyz", "/", "/../x", "/metrics?token=x"):
                for token in (HTTP_TOKEN, "wrong", ""):
                    headers = {"Authorization": f"Bearer {token}"} if token else {}
                    async with session.get(
                        f"http://127.0.0.1:{port}{path}", headers=headers
                    ) as page:
                        one.heard += [await page.read(), repr(page.headers).encode()]
        process.send_signal(signal.SIGTERM)
        assert await one.hear(process) == 0
        assert "mirror_requests_total" in one.said()
        one.look()


async def test_attack_22_the_password_is_no_argument(tmp_path: Path) -> None:
    """There is no option to give one with, so it never shows in the process list."""
    async with world(tmp_path) as one:
        assert await one.run("sync", "--help") == 0
        assert await one.run("watch", "--help") == 0
        offered = set(re.findall(r"--?[a-z][a-z-]*", one.said()))
        assert "--dest" in offered
        assert not offered & {"--password", "-p", "--token", "--http-token", "--username"}
