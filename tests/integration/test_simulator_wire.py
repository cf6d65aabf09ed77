"""Every action of a fault plan, seen from the other end of the wire."""

from __future__ import annotations

import asyncio
import json
import zlib
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import pytest
from simulator_support import (
    Wire,
    ask,
    exact,
    first_frame,
    login_form,
    login_raw,
    presigned,
    raw,
    read_all,
    resolve_url,
    simulator,
    token,
)

from mirror.simulator import Fault, FaultPlan
from mirror.simulator.catalogue import ACTIONS


async def download(*faults: Fault, patience: float = 10) -> tuple[Wire, bytes]:
    """What one download brings under this plan, and what the object really is."""
    async with simulator(*faults) as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        return await raw(url, patience=patience), sim.dataset.png(first_frame(sim)[1])


async def resolve(*faults: Fault) -> Wire:
    async with simulator(*faults) as sim, aiohttp.ClientSession() as session:
        bearer = f"bearer {await token(sim, session)}"
        return await raw(resolve_url(sim), Authorization=bearer)


async def login(*faults: Fault, patience: float = 10) -> Wire:
    async with simulator(*faults) as sim:
        return await login_raw(sim, patience=patience)


def unchunk(body: bytes) -> bytes:
    whole = b""
    while True:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert rest == b"\r\n"
            return whole
        whole += rest[:length]
        assert rest[length : length + 2] == b"\r\n"
        body = rest[length + 2 :]


# --- whole answers ----------------------------------------------------------------------------


async def test_fault_01_bad_password() -> None:
    answer = await login(Fault("bad_credentials"))
    assert (answer.status, json.loads(answer.body)) == (400, {"detail": "LOGIN_BAD_CREDENTIALS"})


@pytest.mark.parametrize("code", [500, 502, 503])
async def test_fault_02_login_5xx(code: int) -> None:
    answer = await login(Fault("status", "login", code=code))
    assert answer.status == code
    assert answer.end == "open"


async def test_fault_02_login_never_answered() -> None:
    answer = await login(Fault("hang", "login"), patience=0.3)
    assert (answer.head, answer.end) == (b"", "open")


async def test_fault_03_tokens_revoked_in_the_middle() -> None:
    async with simulator(Fault("revoke_tokens", after=1, limit=1)) as sim:
        async with aiohttp.ClientSession() as session:
            bearer = {"Authorization": f"bearer {await token(sim, session)}"}
            statuses = []
            for _ in range(3):
                async with session.get(resolve_url(sim), headers=bearer) as answer:
                    statuses.append(answer.status)
            bearer = {"Authorization": f"bearer {await token(sim, session)}"}
            async with session.get(resolve_url(sim), headers=bearer) as answer:
                statuses.append(answer.status)
        assert statuses == [200, 401, 401, 200]


@pytest.mark.parametrize(
    ("code", "detail"), [(401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found")]
)
async def test_fault_04_05_06_the_api_says_no(code: int, detail: str) -> None:
    answer = await resolve(Fault("status", code=code))
    assert (answer.status, json.loads(answer.body)) == (code, {"detail": detail})


async def test_fault_07_unprocessable_echoes_what_was_sent() -> None:
    answer = await resolve(Fault("validation_error", value="a secret"))
    assert answer.status == 422
    assert json.loads(answer.body)["detail"][0]["input"] == "a secret"


@pytest.mark.parametrize("hop", ["resolve", "download"])
async def test_fault_08_retry_after_in_its_forms(hop: str) -> None:
    async def header(kind: str) -> str | None:
        fault = Fault("retry_after", hop, kind=kind, seconds=3)
        answer = await resolve(fault) if hop == "resolve" else (await download(fault))[0]
        assert answer.status == 429
        return answer.header("Retry-After")

    assert await header("seconds") == "3"
    assert parsedate_to_datetime(await header("date") or "").tzinfo is not None
    assert await header("huge") == "999999999"
    assert await header("absent") is None


@pytest.mark.parametrize("code", [502, 503, 504])
async def test_fault_09_a_proxys_html(code: int) -> None:
    answer = await resolve(Fault("html_error", code=code))
    assert (answer.status, answer.header("Content-Type")) == (code, "text/html")
    assert answer.header("Server") == "nginx"


async def test_fault_10_login_without_a_token() -> None:
    answer = await login(Fault("login_without_token"))
    assert (answer.status, json.loads(answer.body)) == (200, {"token_type": "bearer"})


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"kind": "null"}, None),
        ({"kind": "number"}, 42),
        ({"kind": "empty"}, ""),
        ({"kind": "not_url"}, "s3://savant-frames/prod/frame.png"),
        ({"kind": "value", "value": "http://169.254.169.254/x"}, "http://169.254.169.254/x"),
        ({"kind": "value", "value": {"a": 1}}, {"a": 1}),
    ],
)
async def test_fault_11_frame_path(params: dict[str, object], path: object) -> None:
    answer = await resolve(Fault("frame_path", **params))
    assert answer.status == 200
    assert json.loads(answer.body)["frame"]["frame_path"] == path


async def test_fault_11_frame_path_missing_or_a_list() -> None:
    answer = await resolve(Fault("frame_path", kind="missing"))
    assert "frame_path" not in json.loads(answer.body)["frame"]
    answer = await resolve(Fault("frame_path", kind="list"))
    assert isinstance(json.loads(answer.body)["frame"]["frame_path"], list)


async def test_fault_12_truncated_json_and_wrong_json() -> None:
    answer = await resolve(Fault("truncated_json"))
    assert answer.status == 200
    assert int(answer.header("Content-Length") or 0) == len(answer.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body)
    answer = await resolve(Fault("wrong_json", value=[1, 2]))
    assert json.loads(answer.body) == [1, 2]


async def test_attack_14_redirects_and_who_follows_them() -> None:
    async with simulator(Fault("redirect", "download"), Fault("redirect", "login")) as sim:
        answer = await login_raw(sim)
        assert (answer.status, answer.header("Location")) == (307, f"{sim.domain}/elsewhere")
        await raw(f"{sim.domain}/elsewhere")
        assert sim.count("other") == 1
    answer = await resolve(Fault("redirect", "resolve", code=302, location="http://x.invalid/"))
    assert (answer.status, answer.header("Location")) == (302, "http://x.invalid/")


async def test_attack_17_a_gzip_bomb_is_small_on_the_wire() -> None:
    answer, _ = await download(Fault("gzip_bomb", "download", megabytes=32))
    assert answer.header("Content-Encoding") == "gzip"
    assert len(answer.body) < 100_000
    assert len(zlib.decompress(answer.body, wbits=31)) == 32 * 1024**2


async def test_attack_21_a_header_flood() -> None:
    answer, body = await download(Fault("header_flood", "download", count=300, size=50))
    assert answer.head.count(b"X-Flood-") == 300
    assert answer.body == body


async def test_a_status_with_body_and_headers_of_ones_own() -> None:
    fault = Fault("status", "download", code=418, body="short", headers={"X-Why": "because"})
    answer, _ = await download(fault)
    assert (answer.status, answer.body, answer.header("X-Why")) == (418, b"short", "because")


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        ("expired_url", 403, "AccessDenied"),
        ("expired_credentials", 400, "ExpiredToken"),
        ("signature_error", 403, "SignatureDoesNotMatch"),
        ("no_such_key", 404, "NoSuchKey"),
        ("access_denied", 403, "AccessDenied"),
        ("slow_down", 503, "SlowDown"),
        ("internal_error", 500, "InternalError"),
        ("request_timeout", 400, "RequestTimeout"),
    ],
)
async def test_fault_27_to_31_the_store_refuses(action: str, status: int, code: str) -> None:
    answer, _ = await download(Fault(action))
    assert (answer.status, answer.header("Content-Type")) == (status, "application/xml")
    assert f"<Code>{code}</Code>".encode() in answer.body
    assert (b"Request has expired" in answer.body) == (action == "expired_url")
    assert (answer.end == "eof") == (action == "slow_down")
    assert answer.header("Retry-After") is None


async def test_fault_27_urls_revoked_in_the_middle() -> None:
    async with simulator(Fault("revoke_urls", limit=1)) as sim, aiohttp.ClientSession() as session:
        old = await presigned(sim, session)
        assert b"Request has expired" in (await raw(old)).body
        assert b"Request has expired" in (await raw(old)).body
        assert (await raw(await presigned(sim, session))).status == 200


@pytest.mark.parametrize("hop", ["login", "resolve", "download"])
async def test_fault_32_nothing_but_5xx(hop: str) -> None:
    fault = Fault("status", hop, code=500)
    if hop == "download":
        answer, _ = await download(fault)
        assert b"<Code>InternalError</Code>" in answer.body
    else:
        answer = await (login if hop == "login" else resolve)(fault)
        assert answer.body == b"Internal Server Error"
        assert (answer.header("Content-Type") or "").startswith("text/plain")
    assert answer.status == 500


@pytest.mark.parametrize("action", ["xml_200", "html_200"])
async def test_fault_33_xml_or_html_with_status_200(action: str) -> None:
    answer, _ = await download(Fault(action, "download"))
    assert (answer.status, answer.body[:1]) == (200, b"<")


async def test_fault_34_a_bit_flip_keeps_length_and_etag() -> None:
    answer, body = await download(Fault("bit_flip"))
    sound, _ = await download()
    different = [at for at in range(len(body)) if body[at] != answer.body[at]]
    assert len(answer.body) == len(body)
    assert len(different) == 1
    assert (body[different[0]] ^ answer.body[different[0]]).bit_count() == 1
    assert answer.header("ETag") == sound.header("ETag")


async def test_fault_35_the_object_changes_between_attempts() -> None:
    plan = (Fault("reset_mid_body", attempts=1), Fault("object_changes", attempts="2-"))
    async with simulator(*plan) as sim, aiohttp.ClientSession() as session:
        url = await presigned(sim, session)
        first, second, third = await raw(url), await raw(url), await raw(url)
    body = sim.dataset.png(first_frame(sim)[1])
    assert body.startswith(first.body)
    assert not second.body.startswith(first.body)
    assert len({body, second.body, third.body}) == 3
    assert all(one.body.endswith(b"IEND\xaeB`\x82") for one in (second, third))


async def test_fault_36_206_to_a_plain_get() -> None:
    answer, body = await download(Fault("partial_206", "download", at=0.25))
    assert answer.status == 206
    assert body.startswith(answer.body)
    end = len(answer.body) - 1
    assert answer.header("Content-Range") == f"bytes 0-{end}/{len(body)}"


async def test_fault_37_a_body_of_no_bytes() -> None:
    answer, _ = await download(Fault("empty_body"))
    assert (answer.status, answer.body, answer.header("Content-Length")) == (200, b"", "0")


async def test_fault_22_extra_bytes_behind_the_image() -> None:
    answer, body = await download(Fault("extra_bytes", "download", count=7))
    assert answer.body == body + b"\xa5" * 7
    assert answer.header("Content-Length") == str(len(body) + 7)


async def test_an_edit_leaves_an_answer_alone_that_is_no_success() -> None:
    edits = [Fault("bit_flip"), Fault("object_changes"), Fault("partial_206", "download")]
    for edit in edits:
        async with simulator(edit) as sim, aiohttp.ClientSession() as session:
            url = await presigned(sim, session)
            sim.expire_urls()
            assert (await raw(url)).status == 403
    async with simulator(Fault("frame_path")) as sim:
        assert (await raw(resolve_url(sim))).status == 401


# --- on the wire ------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "end"), [("fin", "eof"), ("reset", "reset")])
async def test_fault_13_the_connection_ends_before_an_answer(how: str, end: str) -> None:
    answer, _ = await download(Fault("close", "download", how=how))
    assert (answer.head, answer.end) == (b"", end)


@pytest.mark.parametrize(("how", "end"), [("fin", "eof"), ("reset", "reset")])
async def test_fault_17_a_reused_connection_dies_under_a_request(how: str, end: str) -> None:
    async with simulator(Fault("stale_close", "login", how=how)) as sim:
        host = urlsplit(sim.domain).netloc
        reader, writer = await asyncio.open_connection(*host.split(":"))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        await ask(writer, host, "/auth/jwt/login", "POST", login_form(sim), form)
        first = await read_all(reader, 10)
        await ask(writer, host, "/auth/jwt/login", "POST", login_form(sim), form)
        second = await read_all(reader, 10)
        writer.transport.abort()
        fresh = await login_raw(sim)
    assert (first.status, first.end) == (200, "open")
    assert (second.head, second.end) == (b"", end)
    assert fresh.status == 200


async def test_fault_18_reset_mid_body() -> None:
    answer, body = await download(Fault("reset_mid_body", at=0.5))
    assert answer.end == "reset"
    assert answer.header("Content-Length") == str(len(body))
    assert answer.body == body[: len(body) // 2]


async def test_fault_19_fin_before_content_length() -> None:
    answer, body = await download(Fault("early_fin", at=0.999999))
    assert answer.end == "eof"
    assert answer.header("Content-Length") == str(len(body))
    assert answer.body == body[: len(answer.body)]
    assert 0 < len(answer.body) < len(body)


async def test_fault_20_a_clean_but_short_chunked_body() -> None:
    answer, body = await download(Fault("short_chunked", at=0.5))
    assert (answer.header("Transfer-Encoding"), answer.header("Content-Length")) == (
        "chunked",
        None,
    )
    assert unchunk(answer.body) == body[: len(body) // 2]


async def test_fault_20_a_chunked_body_of_nothing() -> None:
    answer, _ = await download(Fault("short_chunked", at=0))
    assert unchunk(answer.body) == b""


async def test_fault_21_no_content_length() -> None:
    answer, body = await download(Fault("no_content_length"))
    assert (answer.header("Content-Length"), answer.header("Connection")) == (None, "close")
    assert (answer.body, answer.end) == (body, "eof")
    answer, body = await download(Fault("no_content_length", at=0.5))
    assert (answer.body, answer.end) == (body[: len(body) // 2], "eof")


async def test_fault_23_stall_mid_body() -> None:
    answer, body = await download(Fault("stall", at=0.5), patience=1)
    assert (answer.body, answer.end) == (body[: len(body) // 2], "open")


async def test_fault_24_a_drip_brings_the_whole_body() -> None:
    whole, body = await download(Fault("drip", at=0.9, size=500, interval=0.01))
    assert whole.body == body


async def test_fault_24_a_byte_at_a_time() -> None:
    plan = Fault("drip", size=1, interval=0.05)
    async with simulator(plan) as sim, aiohttp.ClientSession() as session:
        answer = await session.get(exact(await presigned(sim, session)))
        sizes = [len(await answer.content.readany()) for _ in range(3)]
        answer.close()
    assert sizes == [1, 1, 1]


async def test_fault_25_all_bytes_a_pause_then_fin() -> None:
    early, body = await download(Fault("pause_before_fin", seconds=60), patience=1)
    assert (early.body, early.end) == (body, "open")
    late, body = await download(Fault("pause_before_fin", seconds=0.1))
    assert (late.body, late.end) == (body, "eof")


async def test_fault_26_without_tls_a_cut_is_a_fin() -> None:
    answer, body = await download(Fault("tls_cut", at=0.5))
    assert (answer.body, answer.end) == (body[: len(body) // 2], "eof")


async def test_a_delay_is_a_right_answer_that_comes_late() -> None:
    early, _ = await download(Fault("delay", "download", seconds=60), patience=0.1)
    assert (early.head, early.end) == (b"", "open")
    late, body = await download(Fault("delay", "download", seconds=0.05))
    assert (late.status, late.body) == (200, body)


async def test_a_large_body_is_cut_off_too() -> None:
    """It is larger than any socket's buffer; a reset throws away what the buffer still holds."""
    plan = Fault("reset_mid_body", at=0.5)
    async with simulator(plan) as sim, aiohttp.ClientSession() as session:
        sim.add_frame(sim.dataset.workspace_id, *first_frame(sim), bytes(12_000_000))
        answer = await raw(await presigned(sim, session))
    assert (answer.status, answer.end) == (200, "reset")
    assert 0 < len(answer.body) <= 6_000_000


async def test_a_client_may_leave_in_the_middle_of_a_script(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan = (Fault("drip", interval=0.01), Fault("hang", "resolve", attempts="2-"))
    async with simulator(*plan) as sim, aiohttp.ClientSession() as session:
        answer = await session.get(exact(await presigned(sim, session)))
        await answer.content.readany()
        answer.close()
        assert (await raw(resolve_url(sim), patience=0.05)).head == b""
        assert (await login_raw(sim)).status == 200
    assert caplog.records == []


@pytest.mark.parametrize("hop", ["login", "resolve", "download"])
async def test_every_action_works_with_its_defaults(
    hop: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One after the other on one host: none of them breaks it."""
    quick: dict[str, dict[str, object]] = {
        "delay": {"seconds": 0},
        "drip": {"size": 100_000, "interval": 0},
        "pause_before_fin": {"seconds": 0},
        "gzip_bomb": {"megabytes": 1},
    }
    names = [name for name, action in ACTIONS.items() if hop in action.hops]
    plan = [Fault(name, hop, limit=1, **quick.get(name, {})) for name in names]
    async with simulator(*plan) as sim, aiohttp.ClientSession() as session:
        if hop == "login":
            for _ in names:
                await login_raw(sim, patience=0.3)
        else:
            bearer = f"bearer {await token(sim, session)}"
            headers = {"Authorization": bearer} if hop == "resolve" else {}
            url = resolve_url(sim) if hop == "resolve" else await presigned(sim, session)
            for _ in names:
                await raw(url, patience=0.3, **headers)
        assert sim.count(hop) >= len(names)
        assert (await raw(await presigned(sim, session))).status == 200
    assert caplog.records == []


def test_a_plan_is_a_value() -> None:
    assert FaultPlan([Fault("hang")]) == FaultPlan((Fault("hang"),))
