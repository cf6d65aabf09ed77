"""Answers of the API and of the store, as plain functions take them: status, headers, body.

An input is a message: a line with the status, headers, an empty line, the body.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from multidict import CIMultiDict

from mirror.errors import (
    BadAnswerError,
    CredentialsError,
    FrameError,
    MirrorError,
    NoFramePathError,
    ProtocolError,
    UnsafeUrlError,
)
from mirror.savant.api import _access_token, _frame_path
from mirror.savant.classify import (
    Answer,
    answered_at,
    classify_download,
    classify_login,
    classify_resolve,
    retry_after,
)
from mirror.savant.tokens import grant, renew_after
from mirror.savant.urls import StoreRule, check_store_url

T = TypeVar("T")
ANY_STORE = StoreRule(plain=True, allowed=frozenset())
# reason by code, from the store's documentation
CODES = {
    "ExpiredToken": "url_expired",
    "TokenRefreshRequired": "url_expired",
    "InvalidToken": "url_refused",
    "SignatureDoesNotMatch": "url_refused",
    "NoSuchKey": "object_missing",
    "NoSuchBucket": "object_missing",
    "SlowDown": "throttled",
    "ServiceUnavailable": "throttled",
    "InternalError": "server_error",
    "RequestTimeout": "timeout",
}


def read(data: bytes) -> Answer:
    """The answer that a message is."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    found = re.search(r"[0-9]{3}", first, re.ASCII)
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, _, value = line.partition(":")
        headers.add(name.strip(), value.strip())
    return Answer(int(found[0]) if found else 200, headers, body)


def api(data: bytes) -> None:
    """What is made of a login's answer, and of a resolve's."""
    answer = read(data)
    _waiting(answer)
    refused = classify_login(answer, "somebody", "api.example.com")
    assert (refused is None) == (answer.status == 200)
    assert isinstance(refused, None | CredentialsError | ProtocolError | FrameError)
    _quotes_nothing(refused, answer)
    failure = classify_resolve(answer)
    assert (failure is None) == (answer.status == 200)
    _quotes_nothing(failure, answer)
    token = _or_none(lambda: _access_token(answer.body, "api.example.com"), ProtocolError)
    if token is not None:
        granted = grant(token, answered_at(answer.headers).timestamp())
        if granted.lifetime is not None:
            assert 0 < renew_after(granted.lifetime) <= granted.lifetime
        assert token.reveal().isascii()
        assert token.reveal().isprintable()
        assert len(token.reveal()) < 8 or token.reveal() not in repr(token)
    with suppress(BadAnswerError):
        path = _frame_path(answer.body)
        _follow(path)
    with suppress(UnicodeDecodeError):
        _follow(answer.body.decode())


def _follow(path: object) -> None:
    """A URL that is taken is what another reader says it is, and is sent byte for byte."""
    try:
        url = check_store_url(path, ANY_STORE)
    except (NoFramePathError, UnsafeUrlError) as error:
        assert "?" not in str(error)
        return
    assert isinstance(path, str)
    assert url.reveal() == path
    assert path not in repr(url)
    other = urlsplit(path)
    assert other.scheme in {"https", "http"}
    assert (other.username, other.password, other.fragment) == (None, None, "")
    assert (other.hostname or "").rstrip(".").lower() != ""
    assert url.target.port == (other.port or {"https": 443, "http": 80}[other.scheme])
    sent = other.path + ("?" + other.query if "?" in path else "")
    assert url.target.raw_path_qs == (sent if sent.startswith("/") else f"/{sent}")
    if other.scheme == "http":
        host = (other.hostname or "").rstrip(".")
        assert host == "localhost" or ip_address(host).is_loopback


def store(data: bytes) -> None:
    """What is made of the store's answer: of its XML only the code counts."""
    answer = read(data)
    _waiting(answer)
    failure = classify_download(answer)
    if answer.status != 200:
        assert failure is not None
    _quotes_nothing(failure, answer)
    reason = _reason(answer)
    if failure is not None and reason is not None:
        assert failure.reason == reason


def _reason(answer: Answer) -> str | None:
    """The reason that a whole, unambiguous XML error names; None: no opinion."""
    body = answer.body
    if answer.status < 400 or len(body) > 1024 or body.count(b"Code") != 2 or b"<!" in body:
        return None
    try:
        root = ET.fromstring(body)
    except (ET.ParseError, ValueError, LookupError):
        return None
    code = root.find("Code")
    if code is None or code.attrib or b"<Code>" not in body or b"</Code>" not in body:
        return None
    return CODES.get(code.text or "")


def _waiting(answer: Answer) -> None:
    asked = retry_after(answer.headers)
    assert asked is None or (math.isfinite(asked) and asked >= 0)


def _quotes_nothing(error: MirrorError | None, answer: Answer) -> None:
    if error is not None:
        assert str(error).isprintable()
        assert str(error).endswith(".")
        if len(answer.body) > 40:
            assert answer.body not in str(error).encode()


def _or_none(make: Callable[[], T], *kinds: type[MirrorError]) -> T | None:
    try:
        return make()
    except kinds:
        return None
