"""What an answer means: plain functions over status, headers and the first bytes of the body.

Sources: the published behaviour of FastAPI-Users and of S3. A body is never quoted: a 422 echoes
the password, and an XML error echoes the signed request. How often and when to try again is
decided in `sync/retry.py`, from the class alone. A 401 to a resolve is the caller's: the token may
have expired.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from mirror.errors import (
    BadAnswerError,
    CredentialsError,
    ForbiddenError,
    FrameError,
    FrameNotFoundError,
    MirrorError,
    ObjectMissingError,
    ProtocolError,
    RedirectedError,
    RejectedRequestError,
    ServerFaultError,
    ThrottledError,
    TimedOutError,
    UrlExpiredError,
    UrlRefusedError,
)

ERROR_PREFIX = 1024
"""Bytes of an XML error that are looked at; S3's stay below 1 KiB up to the code and message."""

_CODE = re.compile(rb"<Code>([A-Za-z.]{1,64})</Code>")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_FOREVER = 1e9
_LOGIN_REFUSALS = {
    b"LOGIN_BAD_CREDENTIALS": "does not accept the username and password",
    b"LOGIN_USER_NOT_VERIFIED": "says that the account is not verified yet",
}

_Verdict = tuple[type[FrameError], str]

_RESOLVE: dict[int, _Verdict] = {
    401: (ForbiddenError, "it refuses this frame to a token it accepts for others"),
    403: (
        ForbiddenError,
        "the account has no right to this frame; ask for access to its workspace",
    ),
    404: (FrameNotFoundError, "it does not know this frame; check that the export is current"),
    410: (FrameNotFoundError, "this frame is gone; check that the export is current"),
    422: (RejectedRequestError, "it does not accept the ids of this frame; check the export"),
}
_DOWNLOAD: dict[int, _Verdict] = {
    400: (UrlRefusedError, "it refuses the presigned URL"),
    401: (UrlRefusedError, "it refuses the presigned URL"),
    403: (UrlRefusedError, "it refuses the presigned URL"),
    404: (ObjectMissingError, "it has no such object; ask the platform's support"),
    410: (ObjectMissingError, "the object is gone; ask the platform's support"),
}
_STORE_CODES: dict[bytes, _Verdict] = {
    b"ExpiredToken": (UrlExpiredError, "the credentials that signed the URL expired"),
    b"TokenRefreshRequired": (UrlExpiredError, "the credentials that signed the URL expired"),
    b"InvalidToken": (UrlRefusedError, "it refuses the credentials that signed the URL"),
    b"SignatureDoesNotMatch": (UrlRefusedError, "it refuses the URL's signature"),
    b"AccessDenied": (UrlRefusedError, "it denies access, or has no such object"),
    b"NoSuchKey": (ObjectMissingError, "it has no such object; ask the platform's support"),
    b"NoSuchBucket": (ObjectMissingError, "it has no such bucket; ask the platform's support"),
    b"SlowDown": (ThrottledError, "it asks for less"),
    b"ServiceUnavailable": (ThrottledError, "it asks for less"),
    b"InternalError": (ServerFaultError, "it has a fault of its own"),
    b"RequestTimeout": (TimedOutError, "it waited too long for the request"),
}


class Answer(NamedTuple):
    """An HTTP answer; `body` may be its first bytes only."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def classify_resolve(answer: Answer) -> FrameError | None:
    """Why the API's answer to a resolve is no good, or None where it is a 200."""
    if answer.status == 200:
        return None
    found = _RESOLVE.get(answer.status) or _by_range(answer.status)
    return _error("API", answer, found or (RejectedRequestError, "it rejects the request"))


def classify_download(answer: Answer) -> FrameError | None:
    """Why the store's answer is no good, or None where the body is the frame's."""
    if answer.status == 200:
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding in {"", "identity"}:
            return None
        return BadAnswerError("The store sent a compressed body, which was not asked for.")
    found = _by_code(answer) or _DOWNLOAD.get(answer.status) or _by_range(answer.status)
    return _error("store", answer, found or (BadAnswerError, "it rejects the request"))


def classify_login(answer: Answer, account: str, host: str) -> MirrorError | None:
    """Why the answer to a login is no good, or None where it is a 200."""
    if answer.status == 200:
        return None
    if answer.status in {400, 401, 403}:
        for word, sentence in _LOGIN_REFUSALS.items():
            if word in answer.body:
                return CredentialsError(
                    f"{host} {sentence} of {account!r}; check SAVANT_USERNAME and SAVANT_PASSWORD."
                    if word == b"LOGIN_BAD_CREDENTIALS"
                    else f"{host} {sentence}: {account!r}; verify it on the platform first."
                )
    if answer.status in {401, 403}:
        return CredentialsError(
            f"{host} refuses the login of {account!r} with {answer.status}; check SAVANT_USERNAME"
            " and SAVANT_PASSWORD, and whether this network may reach the platform."
        )
    found = _by_range(answer.status)
    if found is not None and found[0].outage:
        return _error("API's login", answer, found)
    return ProtocolError(
        f"{host} answered the login with {answer.status}, which is no login answer; check"
        " SAVANT_DOMAIN."
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a host asks us to wait (RFC 9110, 10.2.3), from either form; None where absent.

    A date is held against the answer's own Date, so our clock does not matter where it has one.
    Absurd values are kept: the caller caps.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    if text.isascii() and text.isdigit():
        return _FOREVER
    until = _read_date(text)
    if until is None:
        return None
    return max(0.0, (until - answered_at(headers)).total_seconds())


def answered_at(headers: Mapping[str, str]) -> datetime:
    """When the answer was made: by its Date header, by our clock where it has none."""
    return _read_date(headers.get("Date", "")) or datetime.now(UTC)


def _read_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _by_code(answer: Answer) -> _Verdict | None:
    prefix = answer.body[:ERROR_PREFIX]
    code = _CODE.search(prefix)
    if code is None or answer.status < 400:
        return None
    if code[1] == b"AccessDenied" and b"has expired" in prefix:
        return UrlExpiredError, "the presigned URL expired"
    return _STORE_CODES.get(code[1])


def _by_range(status: int) -> _Verdict | None:
    if status in {429, 503}:
        return ThrottledError, "it asks for less"
    if status == 408:
        return TimedOutError, "it waited too long for the request"
    if status >= 500:
        return ServerFaultError, "it, or a proxy before it, has a fault"
    if status < 300:
        return BadAnswerError, "only 200 is an answer to this request"
    if status < 400:
        return RedirectedError, "redirects are never followed"
    return None


def _error(who: str, answer: Answer, verdict: _Verdict) -> FrameError:
    kind, sentence = verdict
    wait = retry_after(answer.headers) if kind.retryable else None
    return kind(f"The {who} answered {answer.status}: {sentence}.", retry_after=wait)
