"""Each step of the examination against a scripted platform, a real export and real folders."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from savant_server import Host, Reply, answer, by_path, serve

from mirror.doctor import STEPS, Check, examine
from mirror.doctor.disk import examine_disk, measure
from mirror.errors import DestinationError
from mirror.settings import Settings


def png(width: int = 2, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" * (width + 1) for _ in range(height)))
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "batch.json"
    frames = [{"id": f"f-{n}", "framePath": "s3", "labels": []} for n in range(3)]
    path.write_text(
        json.dumps({"sequences": [{"rootId": "r", "workspaceId": "w", "featureSet": frames}]})
    )
    return path


Platform = Callable[..., Any]


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:

        async def start(tls: ssl.SSLContext | None = None, **replies: Reply) -> Host:
            store = await stack.enter_async_context(
                serve(replies.pop("store", answer(200, png())), tls)
            )
            frame = {"frame": {"frame_path": f"{store.url}/k?X-Amz-Signature=canary"}}
            scripts = {
                "login": answer(200, {"access_token": "t"}),
                "sequences": answer(200, frame),
                **replies,
            }
            return await stack.enter_async_context(serve(by_path(**scripts), tls))

        yield start


async def examined(
    domain: str, export: Path | None = None, dest: Path | None = None, **settings: Any
) -> dict[str, Check]:
    made = Settings(
        **{
            "domain": domain,
            "username": "me",
            "password": "canary",
            "connect_timeout": 1.0,
            "read_timeout": 0.5,
            **settings,
        }
    )
    checks = [check async for check in examine(made, export=export, dest=dest)]
    assert tuple(check.name for check in checks) == STEPS
    assert "canary" not in repr(checks)
    return {check.name: check for check in checks}


def left_at(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def results(checks: dict[str, Check]) -> list[str]:
    return [check.result for check in checks.values()]


async def test_all_is_well(platform: Platform, export: Path, tmp_path: Path) -> None:
    api = await platform()
    checks = await examined(api.url, export, tmp_path / "frames" / "deep")
    assert {name: c.result for name, c in checks.items() if name != "disk"} == dict.fromkeys(
        STEPS[:-1], "ok"
    )
    assert checks["disk"].result in {"ok", "warn"}
    assert checks["dns"].what == "127.0.0.1"
    assert "3 frames" in checks["export"].what
    assert "r/f-0: 2 x 1 pixels" in checks["frame"].what
    assert all(check.exit_code == 0 for check in checks.values())
    assert left_at(tmp_path) == ["batch.json"], "nothing is left behind"


async def test_steps_that_ask_for_a_file_are_skipped_without_it(platform: Platform) -> None:
    checks = await examined((await platform()).url)
    assert results(checks) == ["ok"] * 4 + ["skipped"] * 3
    assert "--export" in checks["export"].what
    assert "--dest" in checks["disk"].what


async def test_missing_credentials_skip_all_that_needs_them(export: Path, tmp_path: Path) -> None:
    checks = await examined("https://api.example.com", export, tmp_path, username=None)
    assert results(checks)[:4] == ["fail", "skipped", "skipped", "skipped"]
    assert checks["configuration"].exit_code == 78
    assert checks["dns"].what == "it needs the step 'configuration'"
    assert checks["frame"].result == "skipped"
    assert checks["export"].result == "ok", "what needs no network is examined all the same"


async def test_a_password_file_that_others_may_read_is_warned_of(
    platform: Platform, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("canary")
    file.chmod(0o644)
    api = await platform()
    checks = await examined(api.url, password=None, password_file=file)
    assert checks["configuration"].result == "warn"
    assert "0644" in checks["configuration"].advice
    assert checks["login"].result == "ok"
    file.chmod(0o600)
    checks = await examined(api.url, password=None, password_file=file)
    assert checks["configuration"].result == "ok"


async def test_a_misspelt_variable_is_warned_of(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_CONCURENCY", "3")
    checks = await examined((await platform()).url)
    assert "MIRROR_CONCURENCY" in checks["configuration"].advice


async def test_a_name_that_does_not_resolve() -> None:
    checks = await examined("https://savant.invalid")
    assert results(checks)[:4] == ["ok", "fail", "skipped", "skipped"]
    assert "savant.invalid" in checks["dns"].what
    assert "SAVANT_DOMAIN" in checks["dns"].advice
    assert checks["dns"].exit_code == 69


async def test_a_port_that_refuses() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    checks = await examined(f"http://127.0.0.1:{port}")
    assert results(checks)[:4] == ["ok", "ok", "fail", "skipped"]
    assert "refuses connections" in checks["connection"].what
    assert checks["connection"].exit_code == 69


async def test_a_certificate_that_is_not_trusted(platform: Platform, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    api = await platform(tls)
    checks = await examined(api.url)
    assert checks["connection"].result == "fail"
    assert "MIRROR_CA_BUNDLE" in checks["connection"].what
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    checks = await examined(api.url, ca_bundle=bundle)
    assert results(checks)[:4] == ["ok"] * 4
    assert checks["connection"].what.startswith("TLSv1.")


async def test_a_certificate_that_ends_soon_is_warned_of(
    platform: Platform, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    soon = datetime.now(UTC) + timedelta(days=3)
    authority.issue_cert("127.0.0.1", not_after=soon).configure_cert(tls)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    checks = await examined((await platform(tls)).url, ca_bundle=bundle)
    assert results(checks)[2:4] == ["warn", "ok"]


async def test_refused_credentials(platform: Platform, export: Path) -> None:
    api = await platform(login=answer(400, {"detail": "LOGIN_BAD_CREDENTIALS"}))
    checks = await examined(api.url, export)
    assert results(checks)[:6] == ["ok", "ok", "ok", "fail", "ok", "skipped"]
    assert checks["login"].exit_code == 77
    assert checks["login"].advice == "", "the sentence itself says what to do"


async def test_a_platform_that_is_down(platform: Platform) -> None:
    checks = await examined((await platform(login=answer(503))).url)
    assert (checks["login"].result, checks["login"].exit_code) == ("fail", 69)
    assert "try again later" in checks["login"].advice


async def test_an_export_that_cannot_be_read(platform: Platform, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    checks = await examined((await platform()).url, bad)
    assert checks["export"].exit_code == 65
    assert checks["frame"].result == "skipped"


async def test_an_export_without_frames(platform: Platform, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text('{"sequences": []}')
    checks = await examined((await platform()).url, empty)
    assert checks["export"].result == "warn"
    assert checks["frame"].result == "skipped"


@pytest.mark.parametrize(
    "broken",
    [
        {"sequences": answer(403)},
        {"sequences": answer(404)},
        {"store": answer(403, "<Code>AccessDenied</Code>")},
        {"store": answer(200, "<html>")},
        {"store": answer(200, png()[:-3])},
    ],
)
async def test_a_frame_that_does_not_come(
    platform: Platform, export: Path, broken: dict[str, Reply]
) -> None:
    checks = await examined((await platform(**broken)).url, export)
    assert checks["frame"].result == "fail"
    assert checks["frame"].exit_code == 69
    assert checks["frame"].advice


# --- the disk -----------------------------------------------------------------------------------


def test_a_destination_that_stands_is_examined_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    check = examine_disk(tmp_path, None)
    assert check.result in {"ok", "warn"}
    assert "free on" in check.what
    assert left_at(tmp_path) == ["old"]


def test_frames_that_do_not_fit_are_warned_of(tmp_path: Path) -> None:
    check = examine_disk(tmp_path, 10**18)
    assert check.result == "warn"
    assert "1000.0 PB" in check.advice or "make room" in check.advice


@pytest.mark.parametrize("dest", ["file", "file/below"])
def test_a_file_where_the_destination_should_be(tmp_path: Path, dest: str) -> None:
    (tmp_path / "file").write_text("x")
    check = examine_disk(tmp_path / dest, None)
    assert (check.result, check.exit_code) == ("fail", 74)
    assert "not a folder" in check.what


@pytest.mark.parametrize("call", ["fsync", "rename", "write", "mkdir"])
def test_a_disk_that_fails_ends_in_74_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, call, fail)
    check = examine_disk(tmp_path, None)
    monkeypatch.undo()
    assert (check.result, check.exit_code) == ("fail", 74)
    assert "read-only" in check.what
    assert left_at(tmp_path) == []


def test_a_disk_that_reads_back_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"rotten")
    with pytest.raises(DestinationError, match="reads back"):
        measure(tmp_path)
    assert examine_disk(tmp_path, None).exit_code == 74
