"""What an answer means: each row of the tables, and what is never quoted."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from mirror.errors import (
    BadAnswerError,
    CredentialsError,
    ForbiddenError,
    FrameError,
    FrameNotFoundError,
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
from mirror.savant.classify import (
    Answer,
    classify_download,
    classify_login,
    classify_resolve,
    retry_after,
)

_XML = '<?xml version="1.0"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'


def xml(code: str, message: str = "") -> bytes:
    return _XML.format(code, message).encode()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, BadAnswerError),
        (206, BadAnswerError),
        (302, RedirectedError),
        (400, RejectedRequestError),
        (401, ForbiddenError),
        (403, ForbiddenError),
        (404, FrameNotFoundError),
        (408, TimedOutError),
        (410, FrameNotFoundError),
        (418, RejectedRequestError),
        (422, RejectedRequestError),
        (429, ThrottledError),
        (500, ServerFaultError),
        (502, ServerFaultError),
        (503, ThrottledError),
        (504, ServerFaultError),
    ],
)
def test_answers_to_a_resolve(status: int, kind: type[FrameError]) -> None:
    failure = classify_resolve(Answer(status, {}, b'{"detail":"secret"}'))
    assert type(failure) is kind
    assert str(status) in str(failure)
    assert "secret" not in str(failure)


def test_a_200_is_no_failure() -> None:
    answer = Answer(200, {}, b"")
    assert classify_resolve(answer) is None
    assert classify_download(answer) is None
    assert classify_login(answer, "me", "api") is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, xml("ExpiredToken"), UrlExpiredError),
        (400, xml("TokenRefreshRequired"), UrlExpiredError),
        (400, xml("RequestTimeout"), TimedOutError),
        (400, xml("AuthorizationQueryParametersError"), UrlRefusedError),
        (400, b"", UrlRefusedError),
        (401, b"", UrlRefusedError),
        (403, xml("AccessDenied", "Request has expired"), UrlExpiredError),
        (403, xml("AccessDenied", "Access Denied"), UrlRefusedError),
        (403, xml("SignatureDoesNotMatch"), UrlRefusedError),
        (403, xml("RequestTimeTooSkewed"), UrlRefusedError),
        (403, b"<html>", UrlRefusedError),
        (404, xml("NoSuchKey"), ObjectMissingError),
        (404, xml("NoSuchBucket"), ObjectMissingError),
        (404, b"", ObjectMissingError),
        (410, b"", ObjectMissingError),
        (416, b"", BadAnswerError),
        (429, b"", ThrottledError),
        (500, xml("InternalError"), ServerFaultError),
        (503, xml("SlowDown"), ThrottledError),
        (503, b"", ThrottledError),
        (504, b"<html>", ServerFaultError),
        (206, b"", BadAnswerError),
        (204, b"", BadAnswerError),
        (301, b"", RedirectedError),
        (304, b"", RedirectedError),
    ],
)
def test_answers_of_the_store(status: int, body: bytes, kind: type[FrameError]) -> None:
    failure = classify_download(Answer(status, {}, body))
    assert type(failure) is kind
    assert str(status) in str(failure)


def test_an_xml_code_is_looked_for_in_the_first_kilobyte_alone() -> None:
    body = b" " * 1100 + xml("ExpiredToken")
    assert type(classify_download(Answer(403, {}, body))) is UrlRefusedError


def test_an_entity_in_an_xml_error_is_not_expanded() -> None:
    body = b'<!DOCTYPE a [<!ENTITY e "NoSuchKey">]><Error><Code>&e;</Code></Error>'
    assert type(classify_download(Answer(403, {}, body))) is UrlRefusedError


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "identity, gzip", "deflate"])
def test_attack_17_a_compressed_body_is_refused(encoding: str) -> None:
    failure = classify_download(Answer(200, {"Content-Encoding": encoding}, b""))
    assert type(failure) is BadAnswerError


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_identity_is_no_compression(encoding: str) -> None:
    assert classify_download(Answer(200, {"Content-Encoding": encoding}, b"")) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"detail":"LOGIN_BAD_CREDENTIALS"}', CredentialsError),
        (400, b'{"detail":"LOGIN_USER_NOT_VERIFIED"}', CredentialsError),
        (400, b'{"detail":"something else"}', ProtocolError),
        (401, b"", CredentialsError),
        (403, b"<html>", CredentialsError),
        (404, b"", ProtocolError),
        (405, b"", ProtocolError),
        (422, b'{"detail":[{"input":"hunter2"}]}', ProtocolError),
        (302, b"", ProtocolError),
        (201, b"", ProtocolError),
        (408, b"", TimedOutError),
        (429, b"", ThrottledError),
        (500, b"", ServerFaultError),
        (503, b"", ThrottledError),
    ],
)
def test_answers_to_a_login(status: int, body: bytes, kind: type[Exception]) -> None:
    failure = classify_login(Answer(status, {}, body), "me@example.com", "api.example.com")
    assert type(failure) is kind
    assert "hunter2" not in str(failure)
    if kind is CredentialsError:
        assert "me@example.com" in str(failure)
        assert "api.example.com" in str(failure)


def test_refused_credentials_and_an_unverified_account_read_differently() -> None:
    bad = classify_login(Answer(400, {}, b'"LOGIN_BAD_CREDENTIALS"'), "me", "api")
    new = classify_login(Answer(400, {}, b'"LOGIN_USER_NOT_VERIFIED"'), "me", "api")
    assert "SAVANT_PASSWORD" in str(bad)
    assert "verify it" in str(new)


_NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def _date(seconds: float) -> str:
    return format_datetime(_NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("86400000", 86_400_000.0),
        ("9" * 400, 1e9),
        (_date(90), 90.0),
        (_date(-90), 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("\u0665", None),
        ("Fri, 99 Foo 2026 12:00:00 GMT", None),
    ],
)
def test_fault_08_retry_after_in_every_form(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value, "Date": _date(0)}) == seconds


def test_retry_after_as_a_date_is_held_against_our_clock_where_the_answer_has_no_date() -> None:
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    wait = retry_after({"Retry-After": value})
    assert wait is not None
    assert 55 < wait <= 60


def test_retry_after_travels_with_a_retryable_error_alone() -> None:
    headers = {"Retry-After": "11"}
    throttled = classify_resolve(Answer(429, headers, b""))
    missing = classify_resolve(Answer(404, headers, b""))
    login = classify_login(Answer(503, headers, b""), "me", "api")
    assert throttled is not None
    assert throttled.retry_after == 11
    assert isinstance(login, ThrottledError)
    assert login.retry_after == 11
    assert missing is not None
    assert missing.retry_after is None
