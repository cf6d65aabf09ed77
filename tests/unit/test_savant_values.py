"""Secrets never show themselves; the rate floor; the translation of errors without I/O."""

import asyncio
import copy
import errno
import pickle
import ssl
import traceback

import aiohttp
import pytest
from yarl import URL

from mirror.errors import (
    BadAnswerError,
    CertificateError,
    ConnectionFailedError,
    FrameNotFoundError,
    MirrorError,
    OutOfSocketsError,
    TimedOutError,
    TruncatedError,
    UnsafeUrlError,
)
from mirror.savant.rate import RateFloor
from mirror.savant.translate import DisconnectedError, Edge, RefusedAddressError, translate
from mirror.savant.values import AccessToken, PresignedUrl

TEXT = "https://store.example.com/canary?X-Amz-Signature=canary"
SECRETS = [
    PresignedUrl(TEXT, URL(TEXT, encoded=True)),
    AccessToken("canary"),
]


@pytest.mark.parametrize("secret", SECRETS, ids=["url", "token"])
def test_attack_22_a_secret_never_shows_itself(secret: PresignedUrl | AccessToken) -> None:
    shown = (repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret]))
    assert "canary" not in "".join(shown)
    assert "canary" in secret.reveal()
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never serialised"):
            leak(secret)
    assert not hasattr(secret, "__dict__")


def test_a_presigned_url_names_its_host() -> None:
    assert PresignedUrl(TEXT, URL(TEXT, encoded=True)).host == "store.example.com"


def feed_all(floor: RateFloor, *steps: tuple[float, int]) -> list[bool]:
    return [floor.feed(now, size) for now, size in steps]


def test_a_window_below_the_minimum_is_too_slow() -> None:
    assert feed_all(RateFloor(10, 10), (5, 1), (9.9, 1), (10, 1)) == [False, False, True]


def test_each_window_is_judged_by_itself() -> None:
    floor = RateFloor(10, 10)
    assert feed_all(floor, (10, 10_000), (20, 99), (30, 100)) == [False, True, False]


def test_a_late_byte_is_judged_over_the_time_it_took() -> None:
    assert feed_all(RateFloor(10, 10), (50, 499)) == [True]
    assert feed_all(RateFloor(10, 10), (50, 500)) == [False]


def test_no_minimum_is_never_too_slow() -> None:
    assert feed_all(RateFloor(0, 10), (1000, 0), (5000, 1)) == [False, False]


class _Key:
    host, port, is_ssl, ssl = "store.example.com", 443, True, True

    def __repr__(self) -> str:
        return "key"  # the same in every process: it stands in the tests' names


def connecting(error: OSError) -> aiohttp.ClientConnectorError:
    return aiohttp.ClientConnectorError(_Key(), error)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (aiohttp.ConnectionTimeoutError(), TimedOutError),
        (aiohttp.SocketTimeoutError(), TimedOutError),
        (TimeoutError(), TimedOutError),
        (connecting(TimeoutError(errno.ETIMEDOUT, "x")), TimedOutError),
        (connecting(ConnectionRefusedError(errno.ECONNREFUSED, "x")), ConnectionFailedError),
        (connecting(OSError(errno.EHOSTUNREACH, "x")), ConnectionFailedError),
        (connecting(OSError(None, "DNS lookup failed")), ConnectionFailedError),
        (connecting(ssl.SSLError(1, "WRONG_VERSION")), ConnectionFailedError),
        (connecting(RefusedAddressError()), UnsafeUrlError),
        (connecting(OSError(errno.EMFILE, "x")), OutOfSocketsError),
        (OSError(errno.EMFILE, "x"), OutOfSocketsError),
        (connecting(OSError(errno.EADDRNOTAVAIL, "x")), OutOfSocketsError),
        (connecting(ssl.SSLCertVerificationError("x")), CertificateError),
        (aiohttp.ClientConnectorCertificateError(_Key(), ssl.CertificateError()), CertificateError),
        (aiohttp.ServerDisconnectedError(), DisconnectedError),
        (aiohttp.ClientOSError(errno.ECONNRESET, "x"), DisconnectedError),
        (ConnectionResetError(), DisconnectedError),
        (aiohttp.ClientPayloadError("x"), TruncatedError),
        (aiohttp.InvalidURL("https://canary"), UnsafeUrlError),
        (aiohttp.ClientResponseError(None, (), status=400), BadAnswerError),  # type: ignore[arg-type]
        (aiohttp.http.HttpProcessingError(), BadAnswerError),
    ],
    ids=repr,
)
def test_each_foreign_error_becomes_one_of_ours(error: Exception, kind: type[MirrorError]) -> None:
    ours = translate(error, "store.example.com")
    assert type(ours) is kind
    assert "store.example.com" in str(ours)


def test_fault_55_running_out_of_sockets_lowers_concurrency_without_blaming_the_host() -> None:
    ours = translate(connecting(OSError(errno.EMFILE, "x")), "host")
    assert isinstance(ours, OutOfSocketsError)
    assert ours.retryable
    assert ours.overload
    assert not ours.outage


def test_a_mistake_of_our_own_is_not_dressed_up_as_an_error_of_the_wire() -> None:
    assert translate(KeyError("x"), "host") is None
    with pytest.raises(KeyError), Edge("host"):
        raise KeyError("x")


def test_attack_22_the_original_is_not_reachable_from_ours() -> None:
    with pytest.raises(UnsafeUrlError) as caught, Edge("host"):
        raise aiohttp.InvalidURL("https://canary")
    ours = caught.value
    assert ours.__context__ is None
    assert ours.__cause__ is None
    assert "canary" not in "".join(traceback.format_exception(ours))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), FrameNotFoundError("x")], ids=repr)
def test_cancellation_and_our_own_errors_pass_untouched(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, Edge("host"):
        raise error
    assert caught.value is error
