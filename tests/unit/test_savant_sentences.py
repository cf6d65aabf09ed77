"""What a person reads, whole: every sentence that the remote side says, and what it is filled with.

Sentences are no interface; these stand here so that none of them breaks unseen.
"""

from __future__ import annotations

import errno
import ssl
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from mirror.errors import ConfigurationError, MirrorError, TimedOutError
from mirror.frames import FrameRef
from mirror.savant.classify import (
    Answer,
    answered_at,
    classify_download,
    classify_login,
    classify_resolve,
    retry_after,
)
from mirror.savant.translate import Edge, RefusedAddressError, connecting, translate
from mirror.savant.urls import ApiUrls, StoreRule, check_store_url

HOST = "api.example.com:8443"
ANY = StoreRule(plain=False, allowed=frozenset())


def test_what_the_api_answers_to_a_resolve() -> None:
    assert {
        status: str(classify_resolve(Answer(status, {}, b"")))
        for status in (206, 300, 302, 400, 401, 403, 404, 408, 410, 422, 429, 500, 503)
    } == {
        206: "The API answered 206: only 200 is an answer to this request.",
        300: "The API answered 300: redirects are never followed.",
        302: "The API answered 302: redirects are never followed.",
        400: "The API answered 400: it rejects the request.",
        401: "The API answered 401: it refuses this frame to a token it accepts for others.",
        403: "The API answered 403: the account has no right to this frame; ask for access to its"
        " workspace.",
        404: "The API answered 404: it does not know this frame; check that the export is current.",
        408: "The API answered 408: it waited too long for the request.",
        410: "The API answered 410: this frame is gone; check that the export is current.",
        422: "The API answered 422: it does not accept the ids of this frame; check the export.",
        429: "The API answered 429: it asks for less.",
        500: "The API answered 500: it, or a proxy before it, has a fault.",
        503: "The API answered 503: it asks for less.",
    }


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (403, b"<Code>AccessDenied</Code> has expired", "403: the presigned URL expired."),
        (403, b"<Code>AccessDenied</Code>", "403: it denies access, or has no such object."),
        (400, b"<Code>ExpiredToken</Code>", "400: the credentials that signed the URL expired."),
        (418, b"", "418: it rejects the request."),
        (404, b"", "404: it has no such object; ask the platform's support."),
    ],
)
def test_what_the_store_answers(status: int, body: bytes, sentence: str) -> None:
    failure = classify_download(Answer(status, {}, body))
    assert str(failure) == f"The store answered {sentence}"


def test_a_compressed_body_is_named() -> None:
    failure = classify_download(Answer(200, {"Content-Encoding": "gzip"}, b""))
    assert str(failure) == "The store sent a compressed body, which was not asked for."


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            400,
            b'{"detail":"LOGIN_BAD_CREDENTIALS"}',
            "api does not accept the username and password of 'me'; check SAVANT_USERNAME and"
            " SAVANT_PASSWORD.",
        ),
        (
            401,
            b"LOGIN_USER_NOT_VERIFIED",
            "api says that the account is not verified yet: 'me'; verify it on the platform first.",
        ),
        (
            403,
            b"LOGIN_BAD_CREDENTIALS",
            "api does not accept the username and password of 'me'; check SAVANT_USERNAME and"
            " SAVANT_PASSWORD.",
        ),
        (
            401,
            b"",
            "api refuses the login of 'me' with 401; check SAVANT_USERNAME and SAVANT_PASSWORD, and"
            " whether this network may reach the platform.",
        ),
        (
            404,
            b"LOGIN_BAD_CREDENTIALS",
            "api answered the login with 404, which is no login answer; check SAVANT_DOMAIN.",
        ),
        (500, b"", "The API's login answered 500: it, or a proxy before it, has a fault."),
    ],
)
def test_what_the_api_answers_to_a_login(status: int, body: bytes, sentence: str) -> None:
    assert str(classify_login(Answer(status, {}, body), "me", "api")) == sentence


def test_an_answers_date_is_read_with_its_zone_and_without() -> None:
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    for text in ("1 May 2024 12:00:00 GMT", "1 May 2024 14:00:00 +0200", "1 May 2024 12:00:00"):
        assert answered_at({"Date": text}) == noon
    before = datetime.now(UTC)
    assert before <= answered_at({}) <= before + timedelta(seconds=60)
    assert before <= answered_at({"Date": "noon"}) <= before + timedelta(seconds=60)


def test_a_wait_that_is_no_date_is_none() -> None:
    assert retry_after({}) is None
    assert retry_after({"Retry-After": "soon"}) is None


def named(error: OSError) -> aiohttp.ClientConnectorError:
    key = ConnectionKey("api", 443, True, True, None, None, None)  # type: ignore[call-arg]
    return aiohttp.ClientConnectorError(key, error)


def verification(why: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = why
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "it refuses connections"),
        (OSError(errno.ENETUNREACH, "x"), "no route leads to it"),
        (OSError(errno.EPIPE, "x"), "EPIPE"),
        (OSError(None, "x"), "its name can't be resolved, or none of its addresses answers"),
        (ValueError("x"), "its name can't be resolved, or none of its addresses answers"),
    ],
)
def test_why_there_is_no_connection(error: Exception, sentence: str) -> None:
    assert str(connecting(error, HOST)) == f"No connection to {HOST}: {sentence}."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            RefusedAddressError(),
            f"{HOST} leads to an address that is not public; set MIRROR_ALLOW_PRIVATE_STORE if the"
            " store is in your own network.",
        ),
        (
            OSError(errno.EMFILE, "x"),
            f"No socket is left for a connection to {HOST} (EMFILE); raise the limit of open files,"
            " or lower MIRROR_CONCURRENCY.",
        ),
        (
            ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"),
            f"The TLS handshake with {HOST} failed: no reason given.",
        ),
        (
            verification("self-signed certificate."),
            f"The TLS certificate of {HOST} is not trusted: self-signed certificate. If it was"
            " issued by your organisation, give its CA with MIRROR_CA_BUNDLE.",
        ),
        (
            verification(""),
            f"The TLS certificate of {HOST} is not trusted: it does not verify. If it was"
            " issued by your organisation, give its CA with MIRROR_CA_BUNDLE.",
        ),
    ],
)
def test_why_a_connection_was_not_made(error: OSError, sentence: str) -> None:
    assert str(connecting(error, HOST)) == sentence
    assert str(connecting(named(error), HOST)) == sentence
    assert str(translate(named(error), HOST)) == sentence


def test_a_certificate_that_the_connector_refused_is_told_by_what_it_says() -> None:
    key = ConnectionKey("api", 443, True, True, None, None, None)  # type: ignore[call-arg]
    error = aiohttp.ClientConnectorCertificateError(key, verification("certificate has expired"))
    assert str(translate(error, HOST)).startswith(
        f"The TLS certificate of {HOST} is not trusted: certificate has expired. If"
    )


def test_the_edge_lets_pass_what_is_ours_already() -> None:
    ours = TimedOutError("late")
    with pytest.raises(TimedOutError) as caught, Edge(HOST):
        raise ours
    assert caught.value is ours


def test_the_reason_of_a_failed_handshake_is_given() -> None:
    error = ssl.SSLError(1, "x")
    error.reason = "WRONG_VERSION_NUMBER"
    assert str(connecting(error, HOST)) == (
        f"The TLS handshake with {HOST} failed: WRONG_VERSION_NUMBER."
    )


def test_a_refused_address_says_so_to_those_who_race_connections() -> None:
    error = RefusedAddressError()
    assert (error.errno, error.strerror) == (errno.EACCES, "the address is not allowed")


def test_the_edge_names_its_host_and_lets_pass_what_is_not_of_the_wire() -> None:
    with pytest.raises(MirrorError, match=f"^{HOST} closed the connection"), Edge(HOST):
        raise aiohttp.ServerDisconnectedError
    for foreign in (ValueError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(foreign)), Edge(HOST):
            raise foreign


@pytest.mark.parametrize(
    "domain",
    ["https://h?", "https://h/a?b", "https://h/a#b", "https://h/a b", "https://h/\xe4", "h"],
)
def test_a_domain_that_is_no_plain_url_is_refused(domain: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ApiUrls(domain)
    assert str(caught.value) == (
        f"SAVANT_DOMAIN {domain!r} is not plain ASCII as a URL: give scheme, host, port and path,"
        " quoted where needed."
    )


def test_the_urls_of_the_api() -> None:
    urls = ApiUrls("https://h:8443/a%20b")
    assert urls.host == "h"
    assert str(urls.login) == "https://h:8443/a%20b/auth/jwt/login"
    assert str(urls.frame(FrameRef("w.w", "r-r", "f_f"))) == (
        "https://h:8443/a%20b/sequences/r-r/frames/f_f?workspace_id=w.w&presigned_url=True"
    )
    with pytest.raises(MirrorError) as caught:
        urls.frame(FrameRef("w", "r", ""))
    assert str(caught.value) == "An id is no safe part of a URL: it is empty; nothing is sent."


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (None, "The API's answer holds no frame_path; ask the platform's support."),
        ("", "The API's answer holds no frame_path; ask the platform's support."),
        ("h", "The API's frame_path is no presigned URL; ask the platform's support."),
        ("https://h/" + "a" * 7991, "The API's frame_path is no presigned URL; ask the platform's"
         " support."),
        ("ftp://h/", "The presigned URL is not https; it is not followed."),
        ("http://h/", "The presigned URL to h is not https; it is not followed."),
        ("https://u@h/", "The presigned URL's host is malformed; it is not followed."),
        ("https://127.1/", "The presigned URL's host is malformed; it is not followed."),
        ("https://h/#a", "The presigned URL has a fragment, which none has; it is not followed."),
        ("https://h:99999/", "The presigned URL can be read in two ways; it is not followed."),
    ],
)  # fmt: skip
def test_why_a_url_is_not_followed(url: object, sentence: str) -> None:
    with pytest.raises(MirrorError) as caught:
        check_store_url(url, ANY)
    assert str(caught.value) == sentence


def test_a_store_that_is_not_named_is_named() -> None:
    rule = StoreRule(plain=False, allowed=frozenset({("other", 443)}))
    with pytest.raises(MirrorError) as caught:
        check_store_url("https://h/", rule)
    assert str(caught.value) == (
        "The presigned URL leads to h:443, which MIRROR_STORE_HOSTS does not name; add it there if"
        " it is your platform's store."
    )
