"""Answers and exports that are bombs, floods or traps for a parser (attacks 17 to 21)."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.simulator import Dataset, Fault
from mirror.simulator.answers import Answer
from mirror.simulator.request import Received
from tests.e2e.command import environment
from tests.faults.attack_kit import ended, reasons, refusal, twist
from tests.faults.kit import SMALL, Site, frames_at, site
from tests.integration.savant_server import Request, answer, by_path, send, serve

GOOD = Dataset(SMALL)
FRAMES = list(GOOD.frame_ids())
LOGIN, RESOLVE = (pytest.param(hop, marks=pytest.mark.long) for hop in ("login", "resolve"))

# --- attack 17: compression -----------------------------------------------------------------------

_SMALL_MEMORY = 'ulimit -v 900000; exec "$0" "$@"'


@pytest.mark.parametrize("hop", [LOGIN, RESOLVE, "download"])
async def test_attack_17_a_gzip_bomb_is_never_unpacked(tmp_path: Path, hop: str) -> None:
    """It unpacks to 900 MiB, more than the process may have in all."""
    frames: Any = "*" if hop == "login" else [FRAMES[0]]
    async with site(tmp_path, Fault("gzip_bomb", hop=hop, frames=frames, megabytes=900)) as here:
        words = ("-m", "mirror", "sync", str(here.export), "--dest", str(here.dest), "--json")
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", _SMALL_MEMORY, sys.executable, *words),
            env=environment(here.simulator, MIRROR_OUTAGE_PATIENCE="1"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, told = await process.communicate()
        report = json.loads(out)
        if hop == "login":
            assert (process.returncode, report["frames"]["mirrored"]) == (69, 0), told.decode()
            return
        assert (process.returncode, report["frames"]["failed"]) == (1, 1), told.decode()
        assert report["failures"][0]["reason"] == "bad_answer"
        assert report["frames"]["mirrored"] == len(FRAMES) - 1
        assert len(frames_at(here.dest)) == len(FRAMES) - 1


@pytest.mark.parametrize(
    "coding", ["gzip", "deflate", "br", "zstd", "x-gzip", "GZIP", "gzip, gzip", "identity, gzip"]
)
@pytest.mark.parametrize("host", ["api", "store"])
async def test_attack_17_what_was_not_asked_for_is_not_decoded(
    tmp_path: Path, host: str, coding: str
) -> None:
    """Not even where it would unpack to the right answer."""

    def pack(received: Received, answer: Answer) -> Answer:
        if "login" in received.target:
            return answer
        assert received.headers["Accept-Encoding"] == "identity"
        body = zlib.compress(answer.body) if coding == "deflate" else gzip.compress(answer.body)
        return answer.with_body(body).with_headers(Content_Encoding=coding)

    async with site(tmp_path) as here:
        twist(here.simulator, host, pack)
        report = await here.run(max_attempts=2)
        assert report.exit_code == 1, report
        assert set(reasons(report).values()) == {"bad_answer"}
        assert frames_at(here.dest) == {}


# --- attack 18: images ----------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*chunks: bytes, width: int = 4, height: int = 4) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


DATA, END = chunk(b"IDAT", zlib.compress(bytes(52))), chunk(b"IEND")
BOMBS: dict[str, tuple[bytes, str]] = {
    "2^31-1 wide": (png(DATA, END, width=2**31 - 1), "not_png"),
    "2^32-1 square": (png(DATA, END, width=2**32 - 1, height=2**32 - 1), "not_png"),
    "65535 square": (png(DATA, END, width=65_535, height=65_535), "not_png"),
    "no pixel": (png(DATA, END, width=0), "not_png"),
    "a chunk of 2^31-1 bytes": (png(chunk(b"IDAT", b"x" * 99, 2**31 - 1)), "not_png"),
    "a chunk of 2^32-1 bytes": (png(chunk(b"IDAT", b"x" * 99, 2**32 - 1)), "not_png"),
    "a header of 2^31-1 bytes": (b"\x89PNG\r\n\x1a\n" + b"\x7f\xff\xff\xffIHDR", "not_png"),
    "two headers": (png(chunk(b"IHDR", bytes(13)), DATA, END), "not_png"),
    "no data": (png(END), "not_png"),
    "an unknown critical chunk": (png(chunk(b"EVIL"), DATA, END), "not_png"),
    "something behind its end": (png(DATA, END) + b"#!/bin/sh", "not_png"),
    "a page in its place": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_png"),
}


async def test_attack_18_png_bombs_are_refused_by_their_structure(tmp_path: Path) -> None:
    """Each in the place of one frame; nothing of it stays."""
    bodies = dict(zip(FRAMES, BOMBS.values(), strict=True))

    def swap(received: Received, answer: Answer) -> Answer:
        (frame,) = (one for one in FRAMES if one in received.target)
        return answer.with_body(bodies[frame][0])

    async with site(tmp_path) as here:
        twist(here.simulator, "store", swap)
        report = await here.run(max_attempts=1)
        assert reasons(report) == {frame: reason for frame, (_, reason) in bodies.items()}
        assert frames_at(here.dest) == {}
        assert list((here.dest / ".mirror" / "tmp").iterdir()) == []


async def test_attack_18_what_unpacks_to_much_is_kept_as_it_came(tmp_path: Path) -> None:
    """A text and a profile that unpack to 128 MiB in all: whole chunks, never unpacked here."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1024**2)) for _ in range(64)) + packer.flush()
    body = png(chunk(b"zTXt", b"k\0\0" + packed), chunk(b"iCCP", b"k\0\0" + packed), DATA, END)
    async with site(tmp_path) as here:
        twist(here.simulator, "store", lambda _, answer: answer.with_body(body))
        report = await here.run(request={"limit": 1})
        assert report.exit_code == 0
        assert list(frames_at(here.dest).values()) == [body]


async def test_attack_18_countless_tiny_chunks_cost_little(tmp_path: Path) -> None:
    """100,000 empty chunks in 1.2 MB; the bound is loose, for a slow machine."""
    body = png(chunk(b"eXIf") * 100_000, DATA, END)
    async with site(tmp_path) as here:
        twist(here.simulator, "store", lambda _, answer: answer.with_body(body))
        began = time.process_time()
        report = await here.run(request={"limit": 1})
        assert report.exit_code in {0, 1}
        assert time.process_time() - began < 10


@pytest.mark.parametrize("announced", [True, False])
async def test_attack_18_a_body_beyond_the_cap_is_left_early(
    tmp_path: Path, announced: bool
) -> None:
    """By what it announces, and by what comes: it is read no further than the cap."""
    sent = 0

    async def flood(_: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        length = b"Content-Length: 99999999999\r\n" if announced else b""
        writer.write(b"HTTP/1.1 200 X\r\n" + length + b"\r\n" + png(chunk(b"IDAT", b"", 2**31 - 1)))
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            sent += 65536

    async with platform(tmp_path, flood) as here:
        report = await here.run(max_frame_bytes="1MB", stream_threshold=100_000)
        assert set(reasons(report).values()) == {"too_large"}
        assert sent < 30_000_000
        assert list((here.dest / ".mirror" / "tmp").iterdir()) == []


# --- attacks 19 and 20: JSON ----------------------------------------------------------------------

DEPTH = 200_000
JSON_BOMBS = [
    "[" * DEPTH,
    "[" * DEPTH + "]" * DEPTH,
    '{"a":' * DEPTH,
    '{"frame":' * DEPTH,
    '{"frame":{"frame_path":' + "[" * DEPTH + "]" * DEPTH + "}}",
    '{"frame":{"frame_path":' + "9" * 100_000 + "}}",
    '{"frame":{"frame_path":1e400,"x":1E+999999999}}',
    '{"frame":{"frame_path":NaN}}',
    '{"frame":{"frame_path":-Infinity}}',
    '{"frame":{"frame_path":"' + "h" * 900_000 + '"}}',
    '{"frame":{"frame_path":"\\ud800"}}',
    '{"frame":{"frame_path":"https://x/\\u0000"}}',
    '{"frame":' + "[" * 900 + "]" * 900 + "}",
    '{"frame":{' + ",".join(f'"k{n}":[]' for n in range(50_000)) + "}}",
    '{"frame":{"frame_path":{"a":"http://127.0.0.1"}}}',
    '{"frame":[{"frame_path":"http://127.0.0.1"}]}',
    '{"frame":{"frame_path":true}}',
    '{"frame":null}',
    '"' + "x" * 2_000_000 + '"',
    "{}" + " " * 2_000_000,
    "\ufeff{}",
    "",
    "\0",
    "-",
]


@pytest.mark.parametrize("hop", ["login", "resolve"])
async def test_attack_19_20_json_bombs_of_the_api_are_bounded_and_told(
    tmp_path: Path, hop: str
) -> None:
    """As the answer to a login, the end of the run; to a resolve, of the one frame."""
    for number, bomb in enumerate(JSON_BOMBS):
        folder = tmp_path / str(number)
        folder.mkdir()
        fault = Fault("status", hop=hop, code=200, body=bomb)
        async with site(folder, fault) as here:
            code, told = await ended(
                here, max_attempts=1, outage_patience=0.2, request={"limit": 1}
            )
            assert "Internal error" not in told
            if hop == "login":
                assert code == 69, (number, told)
                assert here.simulator.count("login") <= 3, number
            else:
                assert code == 1, (number, told)
                (failure,) = failed_for(here)
                assert failure in {"bad_answer", "no_frame_path", "unsafe_url"}, number
            assert here.simulator.count("download") == 0, number


def failed_for(here: Site) -> list[str]:
    report = json.loads((here.dest / ".mirror" / "report.json").read_bytes())
    return [failure["reason"] for failure in report["failures"]]


async def test_attack_20_a_token_is_text_that_fits_into_a_header(tmp_path: Path) -> None:
    """No other type, no line break, no endless one; an expiry beyond all numbers is none."""
    bad: list[object] = [None, 1, True, [], {}, "", " ", "a b", "a\r\nX-Evil: 1", "a\0", "é"]
    bad += ["x" * 10_000, ["token"]]
    for number, token in enumerate(bad):
        folder = tmp_path / str(number)
        folder.mkdir()
        fault = Fault("wrong_json", hop="login", value={"access_token": token})
        async with site(folder, fault) as here:
            code, told = await ended(here)
            assert (code, "without a token" in told) == (69, True), (token, told)
            assert here.simulator.count("resolve") == 0


EXPORT_BOMBS: dict[str, tuple[bytes, str]] = {
    "deep lists": (b"[" * DEPTH, "nested too deeply|expected"),
    "deep objects": (b'{"a":' * DEPTH, "nested too deeply"),
    "deep in a frame": (
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":"f","x":'
        + b"[" * DEPTH
        + b"]" * DEPTH
        + b"}]}]}",
        "nested too deeply",
    ),
    "a key twice": (b'{"sequences":[],"sequences":[{}]}', "occurs twice"),
    "an escaped key twice": (b'{"sequences":[],"\\u0073equences":[{}]}', "occurs twice"),
    "a root twice": (
        b'{"sequences":[{"rootId":"a","workspaceId":"w","rootId":"../x","featureSet":[]}]}',
        "sequence 0: the key 'rootId' occurs twice",
    ),
    "NaN": (b'{"sequences":[],"x":NaN}', "byte 20"),
    "Infinity": (b'{"sequences":[],"x":-Infinity}', "byte 2"),
    "a comment": (b'{"sequences":[] /* */}', "byte 16"),
    "a trailing comma": (b'{"sequences":[],}', "byte 16"),
    "two documents": (b'{"sequences":[]}{"sequences":[]}', "byte 16"),
    "a string for sequences": (b'{"sequences":"x"}', "expected array"),
    "a number for an id": (
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":1e400}]}]}',
        "sequence 0 (rootId 'r'), frame 0",
    ),
    "a long number for an id": (
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":[{"id":'
        + b"9" * 100_000
        + b"}]}]}",
        "sequence 0 (rootId 'r'), frame 0",
    ),
    "an object for frames": (
        b'{"sequences":[{"rootId":"r","workspaceId":"w","featureSet":{"0":{"id":"f"}}}]}',
        "sequence 0 (rootId 'r'), featureSet: expected array or null",
    ),
    "countless fields": (
        b'{"sequences":[{' + b",".join(b'"k%d":1' % n for n in range(2000)) + b"}]}",
        "sequence 0: more than 1000 fields",
    ),
    "a huge id": (
        b'{"sequences":[{"rootId":"' + b"r" * 5_000_000 + b'","workspaceId":"w"}]}',
        "longer than 200",
    ),
    "gzip": (gzip.compress(b'{"sequences":[]}'), "compressed"),
    "nothing": (b"", "empty"),
    "spaces": (b" " * 1_000_000, "white space"),
    "nulls": (bytes(1_000_000), "byte 0"),
}


@pytest.mark.parametrize("what", EXPORT_BOMBS)
async def test_attack_19_20_a_hostile_export_is_told_with_its_place_and_soon(
    tmp_path: Path, what: str
) -> None:
    content, told = EXPORT_BOMBS[what]
    async with site(tmp_path) as here:
        here.export.write_bytes(content)
        began = time.process_time()
        error = await refusal(here)
        assert error.exit_code == 65
        assert any(one in str(error) for one in told.split("|")), error
        assert len(str(error)) < 1000
        assert time.process_time() - began < 10
        assert not here.dest.exists()
        assert here.simulator.requests == []


async def test_attack_20_numbers_beyond_all_bounds_beside_the_ids_harm_nothing(
    tmp_path: Path,
) -> None:
    """They are not read by `sync`, so they neither cost nor break anything."""
    async with site(tmp_path) as here:
        document = json.loads(here.export.read_bytes())
        text = json.dumps(document).replace('"featureSet"', '"x": HUGE, "featureSet"')
        for huge in ("1e400", "9" * 100_000, "-0.0e-999999", '"' + "\\u0041" * 100_000 + '"'):
            here.export.write_text(text.replace("HUGE", huge))
            here.complete(await here.run())


async def test_attack_19_a_pipe_a_device_and_a_folder_are_no_exports(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        os.mkfifo(tmp_path / "pipe.json")
        (tmp_path / "folder.json").mkdir()
        (tmp_path / "link.json").symlink_to("/dev/zero")
        for path in (*tmp_path.glob("[pfl]*.json"), Path("/dev/zero"), Path("/proc/self/mem")):
            async with asyncio.timeout(20):
                code, told = await ended(here, request={"exports": (path,)})
            assert code == 65, told
        assert not here.dest.exists()


# --- attack 21: headers and what comes between ----------------------------------------------------

PATIENT = {"connect_timeout": 0.5, "read_timeout": 0.5, "max_attempts": 2, "outage_patience": 1.0}
Reply = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def platform(folder: Path, reply: Reply, hop: str = "download") -> AsyncIterator[Site]:
    """A platform of one frame whose hop `hop` answers by `reply`; the others are sound."""
    sound = answer(200, GOOD.png(FRAMES[0]))
    async with site(folder) as here, serve(reply if hop == "download" else sound) as store:
        replies: dict[str, Reply] = {
            "login": answer(200, {"access_token": "token"}),
            "sequences": answer(200, {"frame": {"frame_path": f"{store.url}/k.png?X=1"}}),
        }
        if hop != "download":
            replies["login" if hop == "login" else "sequences"] = reply
        async with serve(by_path(**replies)) as api:
            usual = {"domain": api.url, "request": {"limit": 1}, **PATIENT}
            run = here.run
            here.run = lambda **more: run(**(usual | more))  # type: ignore[method-assign]
            yield here


def dripping(first: bytes, then: bytes, pause: float = 0.02) -> Reply:
    """Says `first`, then `then` again and again, for ever."""

    async def reply(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(then)
            await writer.drain()
            await asyncio.sleep(pause)

    return reply


OK = b"HTTP/1.1 200 OK\r\n"
FLOODS: dict[str, bytes] = {
    "countless headers": OK + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n",
    "one long header": OK + b"X: " + b"y" * 5_000_000 + b"\r\n\r\n",
    "one long name": OK + b"X" * 5_000_000 + b": y\r\n\r\n",
    "a long reason": b"HTTP/1.1 200 " + b"O" * 5_000_000 + b"\r\n\r\n",
    "a folded header": OK + b"X: y\r\n" + b" z\r\n" * 500_000 + b"\r\n",
    "a huge length": OK + b"Content-Length: " + b"9" * 50 + b"\r\n\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 17 + b"\r\nabc",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n" * 10,
    "a switch of protocols": b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
}


def _die(writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("hop", [LOGIN, "resolve", "download"])
async def test_attack_21_floods_of_headers_and_broken_framing_are_cut_off(
    tmp_path: Path, hop: str
) -> None:
    for number, (what, flood) in enumerate(FLOODS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with platform(folder, send(flood, _die), hop) as here, asyncio.timeout(30):
            code, told = await ended(here, outage_patience=0.2)
        assert code == (69 if hop == "login" else 1), (what, told)
        assert "Internal error" not in told, what
        assert frames_at(here.dest) == {}, what


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPS: dict[str, Reply] = {
    "headers": dripping(OK + b"X: ", b"y"),
    "many headers": dripping(OK, b"X: y\r\n"),
    "100 Continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "103 Early Hints": dripping(b"", b"HTTP/1.1 103 X\r\nLink: x\r\n\r\n" * 50, 0),
    "chunk extensions": dripping(CHUNKED + b"5;", b"x"),
    "fast chunk extensions": dripping(CHUNKED + b"5;", b"x" * 65536, 0),
    "zeros before a length": dripping(CHUNKED, b"0"),
    "a trailer": dripping(CHUNKED + b"5\r\nhello\r\n0\r\nX: ", b"y"),
}


@pytest.mark.parametrize("hop", ["resolve", "download"])
@pytest.mark.parametrize("what", DRIPS)
async def test_attack_21_what_drips_for_ever_without_a_byte_of_the_body_is_given_up(
    tmp_path: Path, what: str, hop: str
) -> None:
    """Bytes come all the time, so no silence is noticed; the patience ends all the same."""
    async with platform(tmp_path, DRIPS[what], hop) as here, asyncio.timeout(40):
        code, told = await ended(here, max_attempts=1)
    assert code in {1, 69}, told
    assert frames_at(here.dest) == {}
