"""Both hops against a scripted host: the faults and attacks that are the remote side's."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import resource
import socket
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from savant_server import (
    Host,
    Reply,
    Request,
    answer,
    cut,
    in_turn,
    message,
    reset,
    send,
    serve,
    silence,
)

from mirror.errors import (
    BadAnswerError,
    ConfigurationError,
    ConnectionFailedError,
    CredentialsError,
    ForbiddenError,
    FrameError,
    FrameNotFoundError,
    NoFramePathError,
    ObjectMissingError,
    OutOfSocketsError,
    ProtocolError,
    RedirectedError,
    RejectedRequestError,
    ServerFaultError,
    ThrottledError,
    TimedOutError,
    TooLargeError,
    TooSlowError,
    TruncatedError,
    UnsafeUrlError,
    UrlExpiredError,
    UrlRefusedError,
)
from mirror.events import Event, LoggedIn, RequestFinished, RequestStarted
from mirror.frames import FrameRef
from mirror.savant import PresignedUrl, Remote, connect
from mirror.settings import Settings

REF = FrameRef("work-1", "root-1", "frame-1")
BODY = os.urandom(300_000)
TOKEN = answer(200, {"access_token": "tok-1", "token_type": "bearer"})
KEY = "/frames/a%2Fb+c.png?X-Amz-Signature=canary%2Bsig&X-Amz-Expires=60"


@dataclass
class Platform:
    """An API and a store, scripted, and a `Remote` that talks to them."""

    api: Host
    store: Host
    events: list[Event] = field(default_factory=list)
    login: Reply = TOKEN
    resolve: Reply | None = None

    @property
    def url(self) -> str:
        return self.store.url + KEY

    def settings(self, **changes: Any) -> Settings:
        return Settings(
            **{
                "domain": self.api.url,
                "username": "me@example.com",
                "password": "canary-password",
                "connect_timeout": 2.0,
                "read_timeout": 2.0,
                **changes,
            }
        )

    @asynccontextmanager
    async def remote(self, **changes: Any) -> AsyncIterator[Remote]:
        extra = {name: changes.pop(name) for name in ("clock", "resolver") if name in changes}
        async with connect(self.settings(**changes), self.events.append, **extra) as remote:
            yield remote
        started = [event.hop for event in self.events if isinstance(event, RequestStarted)]
        finished = [event.hop for event in self.events if isinstance(event, RequestFinished)]
        assert sorted(started) == sorted(finished), "every request's events come in pairs"

    def finished(self, hop: str) -> list[str]:
        return [e.status for e in self.events if isinstance(e, RequestFinished) and e.hop == hop]


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with serve(answer(200, BODY)) as store, serve(answer(500)) as api:
        made = Platform(api, store)

        async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
            if "login" in request.target:
                return await made.login(request, writer)
            resolve = made.resolve or answer(200, {"frame": {"id": 1, "frame_path": made.url}})
            return await resolve(request, writer)

        api.reply = reply
        yield made


async def read(remote: Remote, url: PresignedUrl) -> bytes:
    async with remote.download(url) as body:
        return b"".join([chunk async for chunk in body])


async def fetch(remote: Remote) -> bytes:
    return await read(remote, await remote.resolve(REF))


# --- the good way -------------------------------------------------------------------------------


async def test_a_frame_through_both_hops(platform: Platform) -> None:
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        async with remote.download(url) as body:
            assert body.length == len(BODY)
            chunks = [chunk async for chunk in body]
    assert b"".join(chunks) == BODY
    assert all(chunks)
    login, resolve = platform.api.requests
    assert (login.method, login.target) == ("POST", "/auth/jwt/login")
    assert login.headers["content-type"] == "application/x-www-form-urlencoded"
    assert login.body == b"username=me%40example.com&password=canary-password"
    assert resolve.target == (
        "/sequences/root-1/frames/frame-1?workspace_id=work-1&presigned_url=True"
    )
    assert resolve.headers["authorization"] == "bearer tok-1"
    assert [type(event) for event in platform.events] == [
        RequestStarted, RequestFinished, LoggedIn, RequestStarted, RequestFinished,
        RequestStarted, RequestFinished,
    ]  # fmt: skip
    assert platform.finished("download") == ["200"]


async def test_the_url_goes_out_byte_for_byte(platform: Platform) -> None:
    async with platform.remote() as remote:
        assert (await remote.resolve(REF)).reveal() == platform.url
        await fetch(remote)
    assert platform.store.requests[0].target == KEY


async def test_connections_and_the_token_are_used_again(platform: Platform) -> None:
    async with platform.remote() as remote:
        for _ in range(5):
            await fetch(remote)
    assert (platform.api.connections, platform.store.connections) == (1, 1)
    assert platform.api.count("login") == 1


async def test_login_on_demand_is_not_repeated(platform: Platform) -> None:
    async with platform.remote() as remote:
        await remote.login()
        await remote.login()
        await remote.resolve(REF)
    assert platform.api.count("login") == 1


async def test_attack_15_neither_token_nor_cookie_reaches_the_store(platform: Platform) -> None:
    platform.resolve = answer(
        200, {"frame": {"frame_path": platform.url}}, Set_Cookie="session=canary; Path=/"
    )
    platform.store.reply = answer(200, BODY, Set_Cookie="store=canary; Path=/")
    async with platform.remote() as remote:
        await fetch(remote)
        await fetch(remote)
    for request in platform.store.requests:
        assert set(request.headers) == {"host", "user-agent", "accept", "accept-encoding"}
    assert all("cookie" not in request.headers for request in platform.api.requests)
    assert platform.store.requests[0].headers["accept-encoding"] == "identity"
    assert platform.store.requests[0].headers["user-agent"].startswith("savant-mirror/")


async def test_attack_16_proxies_and_netrc_in_the_environment_are_ignored(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with platform.remote() as remote:
        assert await fetch(remote) == BODY
    assert "authorization" not in platform.store.requests[0].headers


async def test_unknown_fields_are_ignored(platform: Platform) -> None:
    platform.resolve = answer(
        200, {"x": [1, {"y": None}], "frame": {"z": [[]], "frame_path": platform.url}}
    )
    async with platform.remote() as remote:
        assert await fetch(remote) == BODY


async def test_missing_credentials_are_a_wrong_setting(platform: Platform) -> None:
    with pytest.raises(ConfigurationError, match="SAVANT_USERNAME"):
        async with platform.remote(username=None):
            pass


# --- login and token ----------------------------------------------------------------------------


async def test_fault_01_bad_password_is_tried_once_and_says_which_account_and_host(
    platform: Platform,
) -> None:
    platform.login = answer(400, {"detail": "LOGIN_BAD_CREDENTIALS"})
    async with platform.remote() as remote:
        results = await asyncio.gather(
            *(remote.resolve(REF) for _ in range(9)), return_exceptions=True
        )
        with pytest.raises(CredentialsError, match=r"127\.0\.0\.1.*me@example\.com"):
            await remote.login()
    assert [type(result) for result in results] == [CredentialsError] * 9
    assert platform.api.count("login") == 1
    assert platform.api.count("sequences") == 0


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(503, Retry_After="4"), ThrottledError),
        (answer(500), ServerFaultError),
        (answer(429), ThrottledError),
        (silence, TimedOutError),
        (send(b"", cut), ConnectionFailedError),
    ],
    ids=["503", "500", "429", "silence", "cut"],
)
async def test_fault_02_a_failing_login_is_one_flight_shared_by_all(
    platform: Platform, reply: Reply, kind: type[FrameError]
) -> None:
    platform.login = reply
    async with platform.remote(read_timeout=0.2) as remote:
        results = await asyncio.gather(
            *(remote.resolve(REF) for _ in range(20)), return_exceptions=True
        )
        assert [type(result).reason for result in results] == [kind.reason] * 20
        assert all(result.outage for result in results if isinstance(result, FrameError))
        # one login; a connection that closed may have been stale, so that one is sent again
        assert platform.api.count("login") == (2 if kind is ConnectionFailedError else 1)
        platform.login = TOKEN
        assert await fetch(remote) == BODY


def guarded(*good: str) -> Reply:
    """Resolves for these tokens alone, 401 for all others."""

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        token = request.headers.get("authorization", "").removeprefix("bearer ")
        if token not in good:
            return await answer(401, {"detail": "Unauthorized"})(request, writer)
        path = "https://store.example.com/k?s"
        return await answer(200, {"frame": {"frame_path": path}})(request, writer)

    return reply


def counting_login() -> Reply:
    """Hands out tok-1, tok-2, …"""
    count = iter(range(1, 100))

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        await answer(200, {"access_token": f"tok-{next(count)}"})(request, writer)

    return reply


async def test_fault_03_an_expired_token_costs_one_login_and_every_request_is_replayed(
    platform: Platform,
) -> None:
    platform.login = counting_login()
    platform.resolve = guarded("tok-1")
    async with platform.remote() as remote:
        await remote.resolve(REF)
        platform.resolve = guarded("tok-2")
        urls = await asyncio.gather(*(remote.resolve(REF) for _ in range(30)))
    assert len(urls) == 30
    assert platform.api.count("login") == 2
    assert sum(isinstance(event, LoggedIn) for event in platform.events) == 2


async def test_fault_04_a_401_on_fresh_tokens_stops_after_two_logins(platform: Platform) -> None:
    platform.login = counting_login()
    platform.resolve = guarded()
    async with platform.remote() as remote:
        results = await asyncio.gather(
            *(remote.resolve(REF) for _ in range(30)), return_exceptions=True
        )
    assert [type(result) for result in results] == [CredentialsError] * 30
    assert platform.api.count("login") == 2


async def test_a_401_for_one_frame_alone_is_that_frames_failure(platform: Platform) -> None:
    platform.login = counting_login()
    served: Counter[str] = Counter()
    proved: dict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def reply(request: Request, writer: asyncio.StreamWriter) -> None:
        token = request.headers["authorization"]
        if "frame-bad" in request.target:
            await proved[token].wait()
            return await answer(401)(request, writer)
        served[token] += 1
        if served[token] == 2:  # the second shows that the first answer was taken in
            proved[token].set()
        return await answer(404)(request, writer)

    platform.resolve = reply
    async with platform.remote() as remote:
        task = asyncio.create_task(remote.resolve(REF._replace(frame_id="frame-bad")))
        while not task.done():
            with pytest.raises(FrameNotFoundError):
                await remote.resolve(REF)
        with pytest.raises(ForbiddenError):
            await task
    assert platform.finished("resolve").count("401") == 3


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


async def test_fault_03_a_token_is_renewed_before_it_expires(platform: Platform) -> None:
    now = [0.0]
    platform.login = answer(200, {"access_token": jwt(exp=int(time.time()) + 3600)})
    async with platform.remote(clock=lambda: now[0]) as remote:
        await remote.resolve(REF)
        now[0] = 3000.0
        await remote.resolve(REF)
        assert platform.api.count("login") == 1
        now[0] = 3580.0
        await remote.resolve(REF)
        assert platform.api.count("login") == 2


@pytest.mark.parametrize("skew", [-7200, 0])
async def test_fault_38_a_clock_that_is_ahead_of_the_apis_causes_no_login_storm(
    platform: Platform, skew: int
) -> None:
    platform.login = answer(200, {"access_token": jwt(exp=int(time.time()) + skew)})
    async with platform.remote() as remote:
        for _ in range(3):
            await remote.resolve(REF)
    assert platform.api.count("login") == 1


async def test_fault_38_the_answers_own_date_decides_how_long_a_token_lasts(
    platform: Platform,
) -> None:
    now = [0.0]
    platform.login = answer(
        200, {"access_token": jwt(exp=1_000_000_600)}, Date="Sun, 09 Sep 2001 01:46:40 GMT"
    )
    async with platform.remote(clock=lambda: now[0]) as remote:
        await remote.resolve(REF)
        now[0] = 569.0
        await remote.resolve(REF)
        assert platform.api.count("login") == 1
        now[0] = 571.0
        await remote.resolve(REF)
        assert platform.api.count("login") == 2


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "",
        "<html>",
        '{"access_token": null}',
        '{"access_token": ""}',
        '{"access_token": 7}',
        '{"access_token": "a\\r\\nX-Evil: 1"}',
        '{"access_token": "ä"}',
        '{"access_token": "' + "x" * 20_000 + '"}',
        "[" * 100_000,
    ],
    ids=lambda body: body[:24],
)
async def test_fault_10_a_login_without_a_token_is_a_protocol_error(
    platform: Platform, body: str
) -> None:
    platform.login = answer(200, body)
    async with platform.remote() as remote:
        with pytest.raises(ProtocolError, match=r"127\.0\.0\.1"):
            await remote.login()
    assert platform.api.count("login") == 1


# --- resolve ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "kind", "row"),
    [
        (answer(403, {"detail": "Forbidden"}), ForbiddenError, 5),
        (answer(404, {"detail": "canary"}), FrameNotFoundError, 6),
        (answer(422, {"detail": [{"input": "canary"}]}), RejectedRequestError, 7),
        (answer(429, Retry_After="9"), ThrottledError, 8),
        (answer(502, "<html>canary</html>"), ServerFaultError, 9),
        (answer(503, "<html>canary</html>"), ThrottledError, 9),
        (answer(504, "<html>canary</html>"), ServerFaultError, 9),
        (answer(500, "Internal Server Error"), ServerFaultError, 9),
        (answer(200, '{"frame": {"frame_pa'), BadAnswerError, 12),
        (answer(200, ""), BadAnswerError, 12),
        (answer(200, "[]"), BadAnswerError, 12),
        (answer(200, "{}"), BadAnswerError, 12),
        (answer(200, '{"frame": null}'), BadAnswerError, 12),
        (answer(200, b'{"frame": {"frame_path": "\xff"}}'), BadAnswerError, 12),
        (answer(200, '{"frame":' * 50_000), BadAnswerError, 12),
        (answer(200, '{"x":' + "[" * 50_000), BadAnswerError, 12),
        (answer(200, '{"frame": {"frame_path": null}}'), NoFramePathError, 11),
        (answer(200, '{"frame": {}}'), NoFramePathError, 11),
        (answer(200, '{"frame": {"frame_path": 7}}'), NoFramePathError, 11),
        (answer(200, '{"frame": {"frame_path": {"a": 1}}}'), NoFramePathError, 11),
        (answer(200, '{"frame": {"frame_path": "frames/1.png"}}'), NoFramePathError, 11),
        (answer(302, Location="https://evil.example.com/"), RedirectedError, 14),
        (answer(204), BadAnswerError, 12),
        (send(b"HTTP/1.1 200 X\r\nContent-Length: 99\r\n\r\n{}", cut), TruncatedError, 12),
        (send(b"not http at all\r\n\r\n", cut), BadAnswerError, 12),
        (silence, TimedOutError, 23),
        (answer(200, b" " * (1024**2 + 1)), BadAnswerError, 19),
    ],
)
async def test_faults_05_to_12_of_a_resolve(
    platform: Platform, reply: Reply, kind: type[FrameError], row: int
) -> None:
    platform.resolve = reply
    async with platform.remote(read_timeout=0.2) as remote:
        with pytest.raises(kind) as caught:
            await remote.resolve(REF)
        assert type(caught.value) is kind, row
        assert "canary" not in str(caught.value)
        if row == 8:
            assert caught.value.retry_after == 9
        platform.resolve = None
        assert await fetch(remote) == BODY, "the connection's state is sound afterwards"


async def test_attack_14_a_redirect_is_never_followed(platform: Platform) -> None:
    async with serve(answer(200, "evil")) as evil:
        away = answer(307, Location=evil.url + "/")
        for hop in ("login", "resolve", "download"):
            platform.login = away if hop == "login" else TOKEN
            platform.resolve = away if hop == "resolve" else None
            platform.store.reply = away if hop == "download" else answer(200)
            async with platform.remote() as remote:
                with pytest.raises(ProtocolError if hop == "login" else RedirectedError):
                    await fetch(remote)
        assert evil.connections == 0


async def test_attack_08_an_id_that_would_alter_the_target_is_not_sent(platform: Platform) -> None:
    async with platform.remote() as remote:
        for bad in ("a?b", "a/../b", "a%2fb", "a#b"):
            with pytest.raises(RejectedRequestError):
                await remote.resolve(REF._replace(frame_id=bad))
    assert platform.api.requests == []


async def test_attack_21_a_flood_of_headers_is_cut_off(platform: Platform) -> None:
    platform.resolve = answer(200, **{f"X_{n}": "y" * 1000 for n in range(2000)})
    async with platform.remote() as remote:
        with pytest.raises(BadAnswerError):
            await remote.resolve(REF)
        platform.resolve = answer(200, X_Long="y" * 100_000)
        with pytest.raises(BadAnswerError):
            await remote.resolve(REF)


async def test_headers_that_drip_forever_are_given_up(platform: Platform) -> None:
    async def drip(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nX: ")
        while not writer.is_closing():
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(0.02)

    platform.resolve = drip
    async with platform.remote(connect_timeout=0.1, read_timeout=0.1) as remote:
        with pytest.raises(TimedOutError):
            await remote.resolve(REF)


async def test_fault_17_a_stale_connection_is_replaced_without_a_failure(
    platform: Platform,
) -> None:
    first = platform.api.reply

    async def answer_then_close(request: Request, writer: asyncio.StreamWriter) -> None:
        if len([r for r in platform.api.requests if r.connection == request.connection]) > 1:
            return writer.close()  # it died while it idled
        return await first(request, writer)

    platform.api.reply = answer_then_close
    platform.store.reply = in_turn(answer(200, BODY), send(b"", cut), answer(200, BODY))
    async with platform.remote() as remote:
        assert await fetch(remote) == BODY
        assert await fetch(remote) == BODY
    assert platform.finished("resolve") == ["200", "200"]
    assert platform.finished("download") == ["200", "200"]


async def test_fault_17_a_login_over_a_stale_connection_is_sent_again(platform: Platform) -> None:
    platform.login = in_turn(
        answer(200, {"access_token": "tok-1"}),
        send(b"", cut),
        answer(200, {"access_token": "tok-2"}),
    )
    platform.resolve = guarded("tok-2")
    async with platform.remote() as remote:
        assert await remote.resolve(REF)
    assert platform.finished("login") == ["200", "error", "200"]


# --- connecting ---------------------------------------------------------------------------------


class FakeResolver(AbstractResolver):
    """Answers with these addresses, one list a lookup; the last for good. None: no such name."""

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
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_fault_13_a_refused_connection(platform: Platform) -> None:
    async with platform.remote(domain=f"http://127.0.0.1:{free_port()}") as remote:
        with pytest.raises(ConnectionFailedError, match="refuses connections"):
            await remote.login()
    assert platform.finished("login") == ["error"]


async def test_fault_14_a_name_that_does_not_resolve_is_looked_up_afresh(
    platform: Platform,
) -> None:
    resolver = FakeResolver(None, [], ["127.0.0.1"])
    domain = platform.api.url.replace("127.0.0.1", "localhost")
    async with platform.remote(domain=domain, resolver=resolver) as remote:
        for _ in range(2):
            with pytest.raises(ConnectionFailedError):
                await remote.login()
        await remote.login()
    assert resolver.lookups == 3


async def test_fault_15_one_dead_address_of_several(platform: Platform) -> None:
    resolver = FakeResolver(["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    domain = platform.api.url.replace("127.0.0.1", "localhost")
    async with platform.remote(domain=domain, resolver=resolver) as remote:
        await remote.login()


async def test_after_a_failed_connection_the_name_is_looked_up_afresh(platform: Platform) -> None:
    resolver = FakeResolver(["127.0.0.2"], ["127.0.0.1"])
    domain = platform.api.url.replace("127.0.0.1", "localhost")
    async with platform.remote(domain=domain, resolver=resolver) as remote:
        with pytest.raises(ConnectionFailedError):
            await remote.login()
        await remote.login()
    assert resolver.lookups == 2


async def test_fault_16_a_blackholed_connect_times_out(platform: Platform) -> None:
    with socket.socket() as full:  # its queue of unaccepted connections is full
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            async with platform.remote(
                domain=f"http://127.0.0.1:{port}", connect_timeout=0.2
            ) as remote:
                with pytest.raises(TimedOutError):
                    await remote.login()
        finally:
            for filler in fillers:
                filler.close()


async def test_a_lookup_that_hangs_is_given_up(platform: Platform) -> None:
    class Hanging(FakeResolver):
        async def resolve(self, *_: Any, **__: Any) -> list[ResolveResult]:
            await asyncio.Event().wait()
            return []

    domain = platform.api.url.replace("127.0.0.1", "localhost")
    async with platform.remote(
        domain=domain, resolver=Hanging(), connect_timeout=0.1, read_timeout=0.1
    ) as remote:
        with pytest.raises(TimedOutError):
            await remote.login()


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "169.254.169.254", "192.168.0.1", "::ffff:10.0.0.1", "fe80::1", "0.0.0.0"],
)
async def test_attack_10_a_store_at_a_forbidden_address_is_not_connected_to(
    platform: Platform, address: str
) -> None:
    literal = f"[{address}]" if ":" in address else address
    names = (("store.example.com", FakeResolver([address])), (literal, None))
    for host, resolver in names:
        platform.resolve = answer(200, {"frame": {"frame_path": f"https://{host}/k?s"}})
        async with platform.remote(resolver=resolver) as remote:
            with pytest.raises(UnsafeUrlError, match="not public"):
                await fetch(remote)


async def test_attack_10_every_address_of_a_name_is_checked(platform: Platform) -> None:
    resolver = FakeResolver(["10.0.0.1", "169.254.169.254", "192.168.0.1"])
    platform.resolve = answer(200, {"frame": {"frame_path": "https://store.example.com/k?s"}})
    async with platform.remote(resolver=resolver) as remote:
        with pytest.raises(UnsafeUrlError):
            await fetch(remote)


async def test_attack_12_a_name_that_rebinds_is_checked_at_each_connection(
    platform: Platform,
) -> None:
    host = f"localhost:{platform.store.port}"
    platform.resolve = answer(200, {"frame": {"frame_path": f"http://{host}/k?s"}})
    platform.store.reply = answer(200, BODY, Connection="close")
    resolver = FakeResolver(["127.0.0.1"], ["10.0.0.1"])
    async with platform.remote(resolver=resolver) as remote:
        assert await fetch(remote) == BODY
        platform.store.reply = send(b"", reset)  # the failure makes the next lookup a fresh one
        with pytest.raises(FrameError):
            await fetch(remote)
        with pytest.raises(UnsafeUrlError):
            await fetch(remote)


async def test_attack_13_a_host_off_the_allow_list_is_not_connected_to(platform: Platform) -> None:
    async with platform.remote(store_hosts=("store.example.com",)) as remote:
        with pytest.raises(UnsafeUrlError, match="MIRROR_STORE_HOSTS"):
            await remote.resolve(REF)
    async with platform.remote(store_hosts=(f"127.0.0.1:{platform.store.port}",)) as remote:
        assert await fetch(remote) == BODY


async def test_fault_55_no_file_descriptor_left(platform: Platform) -> None:
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - of a process
        hogs = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        try:
            while True:
                try:
                    hogs.append(os.dup(0))
                except OSError:
                    break
            with pytest.raises(OutOfSocketsError):
                await read(remote, url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for hog in hogs:
                os.close(hog)
        assert await read(remote, url) == BODY


# --- download -----------------------------------------------------------------------------------

_XML = "<Error><Code>{}</Code><Message>{}</Message><Key>canary</Key></Error>"
HEAD = b"HTTP/1.1 200 X\r\nContent-Length: 300000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "kind", "status"),
    [
        (answer(403, _XML.format("AccessDenied", "Request has expired")), UrlExpiredError, "403"),
        (answer(400, _XML.format("ExpiredToken", "")), UrlExpiredError, "400"),
        (answer(403, _XML.format("SignatureDoesNotMatch", "")), UrlRefusedError, "403"),
        (answer(403, _XML.format("AccessDenied", "Access Denied")), UrlRefusedError, "403"),
        (answer(404, _XML.format("NoSuchKey", "")), ObjectMissingError, "404"),
        (answer(503, _XML.format("SlowDown", ""), Connection="close"), ThrottledError, "503"),
        (answer(500, _XML.format("InternalError", "")), ServerFaultError, "500"),
        (answer(400, _XML.format("RequestTimeout", "")), TimedOutError, "400"),
        (answer(206, BODY), BadAnswerError, "206"),
        (answer(302, Location="https://evil.example.com/canary"), RedirectedError, "302"),
        (answer(404, b"y" * 300_000), ObjectMissingError, "404"),
        (answer(200, gzip.compress(BODY), Content_Encoding="gzip"), BadAnswerError, "200"),
        (send(HEAD + BODY[:1000], cut), TruncatedError, "error"),
        (send(HEAD + BODY[:1000], reset), TruncatedError, "error"),
        (send(CHUNKED + b"5\r\nhello\r\n", cut), TruncatedError, "error"),
        (send(CHUNKED + b"5\r\nhello\r\n", reset), TruncatedError, "error"),
        (send(CHUNKED + b"zz\r\nhello\r\n", cut), None, "error"),
        (send(b"", reset), ConnectionFailedError, "error"),
        (send(b"HTTP/1.1 200", cut), ConnectionFailedError, "error"),
        (send(HEAD + BODY[:1000]), TimedOutError, "error"),
        (silence, TimedOutError, "error"),
    ],
)
async def test_faults_18_to_36_of_a_download(
    platform: Platform, reply: Reply, kind: type[FrameError] | None, status: str
) -> None:
    async with platform.remote(read_timeout=0.2) as remote:
        url = await remote.resolve(REF)
        platform.store.reply = reply
        with pytest.raises(kind or FrameError) as caught:
            await read(remote, url)
        assert kind is None or caught.value.reason == kind.reason
        assert "canary" not in str(caught.value)
        assert platform.finished("download") == [status]
        platform.store.reply = answer(200, BODY)
        assert await read(remote, url) == BODY, "the next attempt starts anew"


async def test_fault_18_reset_mid_body(platform: Platform) -> None:
    platform.store.reply = in_turn(send(HEAD + BODY[:1000], reset), answer(200, BODY))
    async with platform.remote() as remote:
        with pytest.raises(TruncatedError):
            await fetch(remote)
        assert await fetch(remote) == BODY
    assert len(platform.store.requests) == 2, "a broken body is not fetched again behind our back"


async def test_fault_20_21_37_what_looks_whole_on_the_wire_is_handed_on(
    platform: Platform,
) -> None:
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        for reply, expected in (
            (send(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"), b"hello"),
            (send(b"HTTP/1.1 200 X\r\n\r\nhello", cut), b"hello"),
            (answer(200), b""),
            (answer(200, "<Error>"), b"<Error>"),
        ):
            platform.store.reply = reply
            async with remote.download(url) as body:
                assert body.length in {None, len(expected)}
                assert b"".join([chunk async for chunk in body]) == expected


async def test_fault_23_a_stall_mid_body_times_out(platform: Platform) -> None:
    platform.store.reply = send(HEAD + BODY[:1000])
    async with (
        platform.remote(read_timeout=0.2) as remote,
        remote.download(await remote.resolve(REF)) as body,
    ):
        assert await anext(body) == BODY[:1000]
        with pytest.raises(TimedOutError):
            await anext(body)


def dripping(step: Callable[[], None]) -> Reply:
    """One byte after another; `step` before each."""

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _ in range(100):
            step()
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.005)

    return reply


async def test_fault_24_a_byte_a_second_is_too_slow(platform: Platform) -> None:
    now = [0.0]

    def step() -> None:
        now[0] += 1.0

    platform.store.reply = dripping(step)
    async with platform.remote(clock=lambda: now[0]) as remote:
        with pytest.raises(TooSlowError):
            await fetch(remote)
    assert platform.finished("download") == ["error"]


async def test_fault_57_a_slow_reader_is_not_a_slow_store(platform: Platform) -> None:
    now = [0.0]
    size = 0
    async with (
        platform.remote(clock=lambda: now[0]) as remote,
        remote.download(await remote.resolve(REF)) as body,
    ):
        async for chunk in body:
            size += len(chunk)
            now[0] += 3600.0
    assert size == len(BODY)


async def test_fault_25_all_bytes_then_a_pause_then_the_end(platform: Platform) -> None:
    pause = asyncio.Event()

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\n\r\n" + BODY)
        await writer.drain()
        await pause.wait()
        writer.close()

    platform.store.reply = reply
    received = b""
    async with (
        platform.remote() as remote,
        remote.download(await remote.resolve(REF)) as body,
    ):
        while len(received) < len(BODY):
            received += await anext(body)
        pause.set()
        with pytest.raises(StopAsyncIteration):
            await anext(body)
    assert received == BODY


async def test_fault_22_a_body_above_the_cap_is_refused_before_it_is_read(
    platform: Platform,
) -> None:
    async with platform.remote(max_frame_bytes=1000) as remote:
        url = await remote.resolve(REF)
        with pytest.raises(TooLargeError):
            async with remote.download(url):
                pytest.fail("no body is handed out")
    assert platform.finished("download") == ["200"]


async def test_fault_22_a_body_that_grows_past_the_cap_is_cut_off(platform: Platform) -> None:
    async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\n\r\n")
        while not writer.is_closing():
            writer.write(BODY)
            await writer.drain()

    platform.store.reply = endless
    async with platform.remote(max_frame_bytes=1_000_000) as remote:
        async with remote.download(await remote.resolve(REF)) as body:
            chunks: list[bytes] = []

            async def collect() -> None:
                async for chunk in body:
                    chunks.append(chunk)  # noqa: PERF401 - what came before the error counts

            with pytest.raises(TooLargeError):
                await collect()
        assert sum(map(len, chunks)) <= 1_000_000
        await asyncio.wait_for(platform.store.closed.wait(), 5)


async def test_leaving_early_closes_the_connection_and_drains_nothing(platform: Platform) -> None:
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        platform.store.reply = send(HEAD + BODY[:1000])
        async with remote.download(url) as body:
            await anext(body)
        await asyncio.wait_for(platform.store.closed.wait(), 5)
        platform.store.reply = answer(200, BODY)
        assert await read(remote, url) == BODY
    assert platform.store.connections == 2
    assert platform.finished("download") == ["error", "200"]


async def test_cancelling_a_request_closes_its_connection_and_tells_its_end(
    platform: Platform,
) -> None:
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        arrived = asyncio.Event()

        async def hold(_: Request, __: asyncio.StreamWriter) -> None:
            arrived.set()
            await asyncio.Event().wait()

        platform.store.reply = platform.resolve = hold
        for work in (remote.resolve(REF), read(remote, url)):
            arrived.clear()
            task = asyncio.create_task(work)
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert platform.finished("resolve") == ["200", "error"]
    assert platform.finished("download") == ["error"]


async def test_a_refusal_keeps_its_connection(platform: Platform) -> None:
    platform.store.reply = in_turn(answer(403, b"y" * 2000), answer(200, BODY))
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        with pytest.raises(UrlRefusedError):
            await read(remote, url)
        await read(remote, url)
    assert platform.store.connections == 1


async def test_fault_35_each_attempt_is_a_whole_request(platform: Platform) -> None:
    platform.store.reply = in_turn(send(HEAD + BODY[:1000], cut), answer(200, b"other"))
    async with platform.remote() as remote:
        url = await remote.resolve(REF)
        with pytest.raises(TruncatedError):
            await read(remote, url)
        assert await read(remote, url) == b"other"
    assert all("range" not in request.headers for request in platform.store.requests)


async def test_an_informational_answer_is_passed_over(platform: Platform) -> None:
    platform.store.reply = send(b"HTTP/1.1 103 Early\r\n\r\n" + message(200, BODY))
    async with platform.remote() as remote:
        assert await fetch(remote) == BODY


def test_aiohttp_is_new_enough() -> None:
    """3.14.0 to 3.14.3 raise on a fully received body that was read slowly."""
    assert tuple(int(part) for part in aiohttp.__version__.split(".")[:3]) >= (3, 14, 5)
