"""What the API and the store say, as values: FastAPI's bodies and S3's, nothing sent yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from xml.sax.saxutils import escape

JSON = "application/json"
XML = "application/xml"
HTML = "text/html"
TEXT = "text/plain; charset=utf-8"
PNG = "image/png"


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer. `Content-Length` is not among the headers: sending adds it."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """The value of the first header of this name."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def with_headers(self, **headers: str) -> Answer:
        """The same answer with these headers added or replaced; `_` stands for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        dropped = {name.lower() for name in given}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in dropped)
        return replace(self, headers=kept + tuple(given.items()))

    def with_body(self, body: bytes) -> Answer:
        """The same answer with another body."""
        return replace(self, body=body)


def json_answer(status: int, value: object) -> Answer:
    """JSON as FastAPI renders it: compact, not ASCII."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Answer(status, text.encode(), (("Content-Type", JSON),))


def detail(status: int, text: str) -> Answer:
    """FastAPI's `HTTPException`."""
    return json_answer(status, {"detail": text})


def unprocessable(kind: str, loc: tuple[str, ...], message: str, value: object) -> Answer:
    """FastAPI's 422 for one field; `value` is echoed as `input`, as it does."""
    return json_answer(422, {"detail": [problem(kind, loc, message, value)]})


def problem(kind: str, loc: tuple[str, ...], message: str, value: object) -> dict[str, object]:
    """One entry of a 422 body."""
    return {"type": kind, "loc": list(loc), "msg": message, "input": value}


def proxy_error(status: int) -> Answer:
    """What nginx in front of the platform answers."""
    title = f"{status} {phrase(status)}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, body.encode(), (("Content-Type", HTML), ("Server", "nginx")))


def crash() -> Answer:
    """An unhandled error in the API."""
    return Answer(500, b"Internal Server Error", (("Content-Type", TEXT),))


def store_error(
    status: int, code: str, message: str, details: Mapping[str, str] | None = None
) -> Answer:
    """An S3 error document."""
    fields = {"Code": code, "Message": message, **(details or {})}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}'
        "<RequestId>SIM0000000000001</RequestId><HostId>simulator</HostId></Error>"
    )
    return Answer(status, body.encode(), (("Content-Type", XML),))


def slow_down() -> Answer:
    """S3 asks for less: no `Retry-After`, and the connection ends."""
    answer = store_error(503, "SlowDown", "Please reduce your request rate.")
    return answer.with_headers(Connection="close")


def access_denied(message: str = "Access Denied") -> Answer:
    """S3's 403 for nearly everything."""
    return store_error(403, "AccessDenied", message)


def expired_url() -> Answer:
    """The presigned URL is older than it may be."""
    return access_denied("Request has expired")


def expired_credentials() -> Answer:
    """The credentials that signed the URL are no longer valid."""
    return store_error(400, "ExpiredToken", "The provided token has expired.")


def signature_mismatch() -> Answer:
    """The signature does not belong to this request."""
    return store_error(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided."
        " Check your key and signing method.",
    )


def no_such_key(key: str) -> Answer:
    """There is no such object, and the signer may know it."""
    return store_error(404, "NoSuchKey", "The specified key does not exist.", {"Key": key})


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
