"""The edge: errors of aiohttp, ssl and the sockets become ours, once.

Invariant: an error that leaves keeps nothing of the original, not even as `__context__`: aiohttp's
print the URL with its signature. Cancellation and our own errors pass untouched.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from types import TracebackType

import aiohttp
from aiohttp.http import HttpProcessingError

from mirror.errors import (
    BadAnswerError,
    CertificateError,
    ConnectionFailedError,
    MirrorError,
    OutOfSocketsError,
    TimedOutError,
    TruncatedError,
    UnsafeUrlError,
)

_Maker = Callable[[Exception, str], MirrorError]

_OUT_OF_SOCKETS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
}
_WHY = {
    errno.ECONNREFUSED: "it refuses connections",
    errno.EHOSTUNREACH: "no route leads to it",
    errno.ENETUNREACH: "no route leads to it",
}
_UNKNOWN = "its name can't be resolved, or none of its addresses answers"


class RefusedAddressError(OSError):
    """An address that a connection may not go to.

    An OSError, because the connection racer only carries those out.
    """

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address is not allowed")


class DisconnectedError(ConnectionFailedError):
    """The connection closed before the answer's headers: often one that idled too long."""


class Edge:
    """Around a call to `host`, and around each step of an iteration: translates what comes out."""

    __slots__ = ("_host",)

    def __init__(self, host: str) -> None:
        self._host = host

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, MirrorError):
            return
        ours = translate(error, self._host)
        if ours is None:
            return
        try:
            raise ours
        finally:
            ours.__context__ = None  # else the original stays reachable, with its URL


def translate(error: Exception, host: str) -> MirrorError | None:
    """Our error for a foreign one from `host`; None where it is no error of the wire."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_SOCKETS:
        return connecting(error, host)
    for kinds, make in _KINDS:
        if isinstance(error, kinds):
            return make(error, host)
    return None


def connecting(error: Exception, host: str) -> MirrorError:
    """Our error for one that kept a connection to `host` from being made."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(cause, "errno", None) or 0
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause, host)
    if isinstance(cause, RefusedAddressError):
        return UnsafeUrlError(
            f"{host} leads to an address that is not public; set MIRROR_ALLOW_PRIVATE_STORE if the"
            " store is in your own network."
        )
    if isinstance(cause, TimeoutError):
        return _not_accepted(cause, host)
    if number in _OUT_OF_SOCKETS:
        return OutOfSocketsError(
            f"No socket is left for a connection to {host} ({errno.errorcode[number]}); raise"
            " the limit of open files, or lower MIRROR_CONCURRENCY."
        )
    if isinstance(cause, ssl.SSLError):
        why = getattr(cause, "reason", None) or "no reason given"
        return ConnectionFailedError(f"The TLS handshake with {host} failed: {why}.")
    why = _WHY.get(number) or errno.errorcode.get(number) or _UNKNOWN
    return ConnectionFailedError(f"No connection to {host}: {why}.")


def _not_accepted(_: Exception, host: str) -> MirrorError:
    return TimedOutError(f"{host} did not accept a connection in time.")


def _timed_out(_: Exception, host: str) -> MirrorError:
    return TimedOutError(f"{host} did not answer in time.")


def _truncated(_: Exception, host: str) -> MirrorError:
    return TruncatedError(f"The answer from {host} ended before it was whole.")


def _bad_url(_: Exception, host: str) -> MirrorError:
    return UnsafeUrlError(f"The URL to {host} can't be used.")


def _not_http(_: Exception, host: str) -> MirrorError:
    return BadAnswerError(f"The answer from {host} is not HTTP, or its headers exceed a limit.")


def _disconnected(_: Exception, host: str) -> MirrorError:
    return DisconnectedError(f"{host} closed the connection before it answered.")


def _certificate(error: Exception, host: str) -> CertificateError:
    inner = getattr(error, "certificate_error", error)
    why = getattr(inner, "verify_message", "") or "it does not verify"
    return CertificateError(
        f"The TLS certificate of {host} is not trusted: {why.rstrip('.')}. If it was issued by your"
        " organisation, give its CA with MIRROR_CA_BUNDLE."
    )


# The first that fits counts: aiohttp's classes are also OSErrors, TimeoutErrors or ssl errors.
_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Maker], ...] = (
    (ssl.SSLCertVerificationError, _certificate),
    (aiohttp.ClientConnectorError, connecting),
    (aiohttp.ConnectionTimeoutError, _not_accepted),
    (TimeoutError, _timed_out),
    (aiohttp.ClientPayloadError, _truncated),
    (aiohttp.InvalidURL, _bad_url),
    ((aiohttp.ClientResponseError, HttpProcessingError), _not_http),
    ((aiohttp.ClientError, OSError), _disconnected),
)
