"""TLS, and the canary: no secret in anything that leaves the room."""

from __future__ import annotations

import asyncio
import logging
import pickle
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from savant_server import Host, Reply, answer, by_path, cut, reset, send, serve, silence

from mirror.errors import (
    CertificateError,
    ConnectionFailedError,
    FrameError,
    MirrorError,
    TruncatedError,
    UnsafeUrlError,
)
from mirror.events import Event
from mirror.frames import FrameRef
from mirror.savant import Remote, connect
from mirror.settings import Settings

REF = FrameRef("work-1", "root-1", "frame-1")
TOKEN = "canary-token"
BODY = b"body" * 1000
HEAD = b"HTTP/1.1 200 X\r\nContent-Length: 300000\r\n\r\n"


@asynccontextmanager
async def platform(
    store_reply: Reply, *, tls: ssl.SSLContext | None = None, **replies: Reply
) -> AsyncIterator[tuple[Host, Host]]:
    """An API whose frames lie at a store that answers by `store_reply`."""
    async with serve(store_reply, tls) as store:
        path = f"{store.url}/canary-key.png?X-Amz-Signature=canary-signature"
        scripts = {
            "login": answer(200, {"access_token": TOKEN}),
            "sequences": answer(200, {"frame": {"frame_path": path}}),
            **replies,
        }
        async with serve(by_path(**scripts), tls) as api:
            yield api, store


def settings_for(api: Host, **changes: object) -> Settings:
    return Settings(
        **{
            "domain": api.url,
            "username": "me",
            "password": "canary-password",
            "connect_timeout": 1.0,
            "read_timeout": 0.2,
            **changes,
        }
    )


async def fetch(remote: Remote) -> bytes:
    async with remote.download(await remote.resolve(REF)) as body:
        return b"".join([chunk async for chunk in body])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_attack_26_a_ca_bundle_makes_a_private_ca_trusted(
    authority: trustme.CA, bundle: Path
) -> None:
    async with (
        platform(answer(200, BODY), tls=server_tls(authority)) as (api, _),
        connect(settings_for(api, ca_bundle=bundle), lambda _: None) as remote,
    ):
        assert await fetch(remote) == BODY


async def test_attack_26_an_unknown_ca_is_refused_and_the_way_out_is_named(
    authority: trustme.CA,
) -> None:
    async with (
        platform(answer(200, BODY), tls=server_tls(authority)) as (api, _),
        connect(settings_for(api), lambda _: None) as remote,
    ):
        with pytest.raises(CertificateError, match=r"127\.0\.0\.1.*MIRROR_CA_BUNDLE"):
            await remote.login()
        assert api.requests == []


async def test_attack_26_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, bundle: Path
) -> None:
    tls = server_tls(authority, "other.example.com")
    async with (
        platform(answer(200, BODY), tls=tls) as (api, _),
        connect(settings_for(api, ca_bundle=bundle), lambda _: None) as remote,
    ):
        with pytest.raises(CertificateError):
            await remote.login()


async def test_attack_09_http_from_an_https_domain_is_not_followed(
    authority: trustme.CA, bundle: Path
) -> None:
    async with (
        serve(answer(200, BODY)) as plain,
        platform(
            answer(200),
            tls=server_tls(authority),
            sequences=answer(200, {"frame": {"frame_path": f"{plain.url}/k?s"}}),
        ) as (api, _),
        connect(settings_for(api, ca_bundle=bundle), lambda _: None) as remote,
    ):
        with pytest.raises(UnsafeUrlError):
            await fetch(remote)
        assert plain.connections == 0


async def test_tls_spoken_to_a_plain_port_is_a_failed_connection() -> None:
    async def complain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(complain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Settings(domain=f"https://127.0.0.1:{port}", username="me", password="x")
    async with server, connect(settings, lambda _: None) as remote:
        with pytest.raises(ConnectionFailedError, match="TLS handshake"):
            await remote.login()


async def test_fault_26_tls_cut_without_close_notify_is_a_truncated_body(
    authority: trustme.CA, bundle: Path
) -> None:
    tls = server_tls(authority)
    async with (
        platform(send(HEAD + BODY, cut), tls=tls) as (api, _),
        connect(settings_for(api, ca_bundle=bundle), lambda _: None) as remote,
    ):
        with pytest.raises(TruncatedError):
            await fetch(remote)


_ECHO = '{"detail": [{"input": "canary-password canary-token"}]}'
_XML = "<Error><Code>SignatureDoesNotMatch</Code><Key>canary-key canary-signature</Key></Error>"
_AWAY = answer(302, Location="https://evil.example.com/canary-key?canary-signature")

BREAKAGES: list[tuple[str, Reply]] = [
    *(
        (hop, reply)
        for hop in ("login", "sequences", "store")
        for reply in (
            answer(400, _ECHO),
            answer(403, _XML),
            answer(422, _ECHO),
            answer(500, _ECHO),
            answer(503, _ECHO),
            _AWAY,
            silence,
            send(b"", cut),
            send(b"", reset),
            send(b"HTTP/9.9 canary-token\r\n\r\n", cut),
            send(b"HTTP/1.1 200 X\r\nX-Amz: canary-token" + b"y" * 20_000, cut),
            send(HEAD + b"canary-token", cut),
            send(HEAD + b"canary-token", reset),
            send(HEAD + b"canary-token"),
            send(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz canary-token\r\n", cut),
            answer(200, "x", Content_Encoding="gzip"),
        )
    ),
    *(
        ("sequences", answer(200, {"frame": {"frame_path": path}}))
        for path in (
            "http://store.example.com/canary-key?canary-signature",
            "https://10.0.0.1/canary-key?canary-signature",
            "https://u:canary-password@store.example.com/canary-key",
            "https://127.0.0.1:9/canary-key?canary-signature",
            "canary-key and canary-signature",
            "https://2130706433/canary-key?canary-signature",
        )
    ),
    ("sequences", answer(401, _ECHO)),
    ("sequences", answer(200, _ECHO[:20])),
    ("login", answer(200, _ECHO[:20])),
    ("login", answer(200, {"access_token": "canary-token\r\nX: canary-token"})),
    ("login", answer(400, {"detail": "LOGIN_BAD_CREDENTIALS canary-password"})),
]


def everything_said(error: BaseException) -> str:
    """All that a log, a report, a pickle or a debugger's walk could show of an error."""
    said = [str(error), repr(error), repr(vars(error))]
    said += traceback.format_exception(error)
    linked = (error.__cause__, error.__context__)
    return "".join(said) + "".join(everything_said(other) for other in linked if other is not None)


@pytest.mark.parametrize(("hop", "reply"), BREAKAGES)
async def test_attack_22_no_secret_in_any_error_event_or_log(
    hop: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    replies = {hop: reply} if hop != "store" else {}
    store = reply if hop == "store" else answer(200, BODY)
    async with (
        platform(store, **replies) as (api, _),
        connect(settings_for(api), events.append) as remote,
    ):
        with pytest.raises(MirrorError) as caught:
            await fetch(remote)
    said = everything_said(caught.value) + everything_said(pickle.loads(pickle.dumps(caught.value)))
    assert "canary" not in said + repr(events) + caplog.text


async def test_attack_22_concurrent_failures_do_not_carry_each_others_originals() -> None:
    async with (
        platform(send(b"", reset)) as (api, _),
        connect(settings_for(api), lambda _: None) as remote,
    ):
        results = await asyncio.gather(*(fetch(remote) for _ in range(8)), return_exceptions=True)
    for error in results:
        assert isinstance(error, FrameError)
        assert "canary" not in everything_said(error)
