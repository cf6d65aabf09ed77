"""Actions that answer wrongly, with a whole and well-formed HTTP answer."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import Literal

from mirror.simulator import answers
from mirror.simulator.answers import Answer
from mirror.simulator.script import Situation, part

_STORE_CODES = {
    400: "RequestTimeout",
    403: "AccessDenied",
    404: "NoSuchKey",
    416: "InvalidRange",
    500: "InternalError",
    503: "SlowDown",
}


def status(
    s: Situation,
    *,
    code: int = 500,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Any status; the body is what the host would send with it, or `body`."""
    answer = _with_status(s.hop, code)
    if body is not None:
        answer = answer.with_body(body.encode())
    return answer.with_headers(**(headers or {}))


def _with_status(hop: str, code: int) -> Answer:
    if hop == "download":
        name = _STORE_CODES.get(code, answers.phrase(code).replace(" ", ""))
        return answers.store_error(code, name, answers.phrase(code))
    if code == 500:
        return answers.crash()
    return answers.detail(code, answers.phrase(code))


def retry_after(
    s: Situation,
    *,
    code: int = 429,
    kind: Literal["seconds", "date", "huge", "absent"] = "seconds",
    seconds: float = 1.0,
) -> Answer:
    """Overload, with `Retry-After` as seconds, as an HTTP date, absurdly large, or absent."""
    answer = _with_status(s.hop, code)
    if kind == "absent":
        return answer
    forms = {
        "seconds": f"{seconds:g}",
        "date": formatdate(time() + seconds, usegmt=True),
        "huge": "999999999",
    }
    return answer.with_headers(Retry_After=forms[kind])


def html_error(_: Situation, *, code: int = 502) -> Answer:
    """A proxy's HTML page instead of an answer."""
    return answers.proxy_error(code)


def redirect(s: Situation, *, code: int = 307, location: str | None = None) -> Answer:
    """A redirect, to `/elsewhere` on the same host or to `location`."""
    target = f"{s.origin}/elsewhere" if location is None else location
    return Answer(code, b"", (("Location", target),))


def header_flood(s: Situation, *, count: int = 1000, size: int = 1000) -> Answer:
    """The right answer behind `count` headers of `size` bytes each."""
    flood = tuple((f"X-Flood-{number}", "f" * size) for number in range(count))
    answer = s.answer()
    return Answer(answer.status, answer.body, answer.headers + flood)


def gzip_bomb(s: Situation, *, megabytes: int = 256) -> Answer:
    """A small gzip body that unpacks to `megabytes` of zeros."""
    kind = answers.PNG if s.hop == "download" else answers.JSON
    return Answer(200, _bomb(megabytes), (("Content-Type", kind), ("Content-Encoding", "gzip")))


@lru_cache(maxsize=1)
def _bomb(megabytes: int) -> bytes:
    block = bytes(1024**2)
    packed = zlib.compressobj(level=9, wbits=31)
    return b"".join([*(packed.compress(block) for _ in range(megabytes)), packed.flush()])


def xml_200(_: Situation) -> Answer:
    """An XML error document with status 200."""
    document = answers.store_error(200, "InternalError", "We encountered an internal error.")
    return document.with_headers(Content_Type=answers.XML)


def html_200(_: Situation) -> Answer:
    """A sign-in page with status 200."""
    page = b"<!doctype html><html><body><h1>Please sign in</h1></body></html>"
    return Answer(200, page, (("Content-Type", answers.HTML),))


def bit_flip(s: Situation, *, at: float = 0.5) -> Answer:
    """The right body with one bit turned over; the ETag is still the original's."""
    answer = s.answer()
    if answer.status != 200 or not answer.body:
        return answer
    damaged = bytearray(answer.body)
    damaged[min(part(answer.body, at), len(damaged) - 1)] ^= 0x10
    return answer.with_body(bytes(damaged))


def object_changes(s: Situation) -> Answer:
    """Another whole picture under the same name: the object was replaced meanwhile."""
    answer = s.answer()
    return answer if answer.status != 200 else answer.with_body(s.other_version())


def partial_206(s: Situation, *, at: float = 0.5) -> Answer:
    """206 with the first part of the body, though nobody asked for a range."""
    answer = s.answer()
    if answer.status != 200:
        return answer
    end = max(1, part(answer.body, at))
    some = Answer(206, answer.body[:end], answer.headers)
    return some.with_headers(Content_Range=f"bytes 0-{end - 1}/{len(answer.body)}")


def empty_body(s: Situation) -> Answer:
    """The right answer with a body of no bytes."""
    return s.answer().with_body(b"")


def extra_bytes(s: Situation, *, count: int = 1024) -> Answer:
    """The right body and `count` bytes more; the length announces them all."""
    answer = s.answer()
    return answer.with_body(answer.body + b"\xa5" * count)


def frame_path(
    s: Situation,
    *,
    kind: Literal["null", "missing", "number", "list", "empty", "not_url", "value"] = "null",
    value: object = None,
) -> Answer:
    """The right answer but for `frame_path`; `value` is used as it is where kind is "value"."""
    answer = s.answer()
    if answer.status != 200:
        return answer
    document = json.loads(answer.body)
    wrong: dict[str, object] = {
        "null": None,
        "number": 42,
        "list": [document["frame"]["frame_path"]],
        "empty": "",
        "not_url": "s3://savant-frames/prod/frame.png",
        "value": value,
    }
    if kind == "missing":
        del document["frame"]["frame_path"]
    else:
        document["frame"]["frame_path"] = wrong[kind]
    return answers.json_answer(200, document)


def truncated_json(s: Situation, *, at: float = 0.5) -> Answer:
    """The right JSON, cut off; the length is that of what is sent."""
    answer = s.answer()
    return answer.with_body(answer.body[: part(answer.body, at)])


def wrong_json(_: Situation, *, value: object = "unexpected") -> Answer:
    """Sound JSON that is not the documented object."""
    return answers.json_answer(200, value)


def login_without_token(_: Situation) -> Answer:
    """A login that succeeds without giving a token."""
    return answers.json_answer(200, {"token_type": "bearer"})


def bad_credentials(_: Situation, *, reason: str = "LOGIN_BAD_CREDENTIALS") -> Answer:
    """The login refused, though name and password are right."""
    return answers.detail(400, reason)


def validation_error(s: Situation, *, value: str = "echoed") -> Answer:
    """422, with `value` echoed as FastAPI echoes what was sent."""
    loc = ("body", "username") if s.hop == "login" else ("path", "frameId")
    return answers.unprocessable("uuid_parsing", loc, "Input should be a valid UUID", value)


def revoke_tokens(s: Situation) -> Answer:
    """Every token handed out so far ends now, this request's included."""
    s.expire("tokens")
    return s.answer()


def revoke_urls(s: Situation) -> Answer:
    """Every URL handed out so far ends now, this request's included."""
    s.expire("urls")
    return s.answer()
