"""Every error of the house: its reason word, whether it may be retried, its exit code.

Invariants: a message says what happened, to what, and what to do; it never holds a URL, a token or
a password. Foreign errors (aiohttp, sqlite3, OSError) become these at the edges, in `savant/` and
`store/`; nothing above sees the originals. Reason words are an interface: they stand in reports, in
the ledger and in metrics, so they are never renamed.

Two roots below `MirrorError`: a `RunError` ends the run with its exit code; a `FrameError` concerns
one frame, and `sync/retry.py` decides what becomes of it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process tells its caller. Documented in `docs/exit-codes.md`."""

    COMPLETE = 0
    PARTIAL = 1
    USAGE = 2
    EXPORT = 65
    UNAVAILABLE = 69
    INTERNAL = 70
    DESTINATION = 74
    INTERRUPTED = 75
    CREDENTIALS = 77
    CONFIGURATION = 78


class MirrorError(Exception):
    """Root of every error that `mirror` raises on purpose."""

    reason: ClassVar[str] = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL


# --- errors that end the run -------------------------------------------------------------------


class RunError(MirrorError):
    """Ends the run. What is on disk stays; running again resumes."""


class UsageError(RunError):
    """The command line contradicts itself."""

    reason = "usage"
    exit_code = ExitCode.USAGE


class ExportError(RunError):
    """The export can't be read; the message says where (byte, sequence, frame)."""

    reason = "export"
    exit_code = ExitCode.EXPORT


class ServiceUnavailableError(RunError):
    """The API or the store does not answer usefully and the retry budget is spent."""

    reason = "unavailable"
    exit_code = ExitCode.UNAVAILABLE


class ProtocolError(ServiceUnavailableError):
    """The API answered a login with something that is no login answer."""

    reason = "protocol"


class CertificateError(ServiceUnavailableError):
    """A host's TLS certificate is not trusted. Retrying can't help; a CA bundle can."""

    reason = "certificate"


class DestinationError(RunError):
    """The destination can't be written: full, read-only, failing, not a directory."""

    reason = "destination"
    exit_code = ExitCode.DESTINATION


class LedgerError(DestinationError):
    """The ledger can't be read or written."""

    reason = "ledger"


class DestinationBusyError(RunError):
    """Another run holds the destination."""

    reason = "busy"
    exit_code = ExitCode.INTERRUPTED


class InterruptedRunError(RunError):
    """The run was asked to stop before it was complete."""

    reason = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class MissingFramesError(RunError):
    """Frames that are needed are not at the destination; the message names some."""

    reason = "missing_frames"
    exit_code = ExitCode.PARTIAL


class CredentialsError(RunError):
    """The API refuses the credentials."""

    reason = "credentials"
    exit_code = ExitCode.CREDENTIALS


class ConfigurationError(RunError):
    """A setting is wrong, missing, or contradicts another."""

    reason = "configuration"
    exit_code = ExitCode.CONFIGURATION


# --- errors of one frame ------------------------------------------------------------------------


class FrameError(MirrorError):
    """One frame could not be brought home this time.

    `retryable`: whether trying again can help. `tries`: how many attempts this reason is worth
    (None: as many as the settings allow); a new attempt always mints a new URL. `overload`: the
    host asks for less, so its concurrency falls. `outage`: counts towards the host being down;
    `host_fault`: so much so that one frame alone is evidence, unless others are answered.
    `mints_again`: the fresh URL is part of the question, so it costs no retry budget.
    `retry_after`: seconds the host asked us to wait, or None. `of_login`: it befell the login, so
    it says the same of every frame: one is enough to take the host for down.
    """

    exit_code = ExitCode.PARTIAL
    retryable: ClassVar[bool] = False
    tries: ClassVar[int | None] = None
    overload: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    host_fault: ClassVar[bool] = False
    mints_again: ClassVar[bool] = False

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.of_login = False

    @property
    def blames_host(self) -> bool:
        """Whether it counts towards the host being down."""
        return self.outage or self.of_login


class _TransientError(FrameError):
    retryable = True
    outage = True


class ThrottledError(_TransientError):
    """429 or 503: the host asks for less."""

    reason = "throttled"
    host_fault = True
    overload = True


class ServerFaultError(_TransientError):
    """5xx other than 503."""

    reason = "server_error"


class TimedOutError(_TransientError):
    """No connection, or no byte, in time."""

    reason = "timeout"
    host_fault = True
    overload = True


class ConnectionFailedError(_TransientError):
    """Refused, reset, unresolvable, or cut off before the answer's headers."""

    reason = "connection"
    host_fault = True


class OutOfSocketsError(FrameError):
    """This machine has no file descriptor or port left for a connection; the host is fine."""

    reason = "out_of_sockets"
    retryable = True
    overload = True


class OutOfFilesError(FrameError):
    """This machine has no file descriptor left for the frame's file; fewer connections help."""

    reason = "out_of_files"
    retryable = True
    overload = True


class TooSlowError(FrameError):
    """The body came in below the minimum rate."""

    reason = "too_slow"
    retryable = True


class TruncatedError(FrameError):
    """The body ended before its announced length."""

    reason = "truncated"
    retryable = True


class BadAnswerError(FrameError):
    """The answer is not what the API's or the store's contract says: bad JSON, odd status."""

    reason = "bad_answer"
    retryable = True
    tries = 3


class ForbiddenError(FrameError):
    """The account has no right to this frame."""

    reason = "forbidden"


class FrameNotFoundError(FrameError):
    """The API does not know this frame."""

    reason = "not_found"


class RejectedRequestError(FrameError):
    """The API does not accept the request (422 and other 4xx)."""

    reason = "rejected"


class NoFramePathError(FrameError):
    """The API's answer holds no usable presigned URL."""

    reason = "no_frame_path"


class UnsafeUrlError(FrameError):
    """The presigned URL leads where the rules forbid: scheme, host, private address."""

    reason = "unsafe_url"


class RedirectedError(FrameError):
    """The host answered with a redirect; redirects are never followed."""

    reason = "redirected"


class UrlExpiredError(FrameError):
    """The presigned URL, or the credentials that signed it, expired before the request."""

    reason = "url_expired"
    retryable = True


class UrlRefusedError(FrameError):
    """The store refuses the URL (403, bad signature). Ambiguous, so a fresh URL is tried once."""

    reason = "url_refused"
    mints_again = True
    retryable = True
    tries = 2


class ObjectMissingError(FrameError):
    """The store has no such object. A fresh URL is tried once."""

    reason = "object_missing"
    mints_again = True
    retryable = True
    tries = 2


class TooLargeError(FrameError):
    """The body exceeds the byte cap."""

    reason = "too_large"


class NotPngError(FrameError):
    """The body is not one whole, undamaged PNG."""

    reason = "not_png"
    retryable = True
    tries = 3


class WriteRefusedError(FrameError):
    """The file system refuses this one file (its name, its permissions), not the destination."""

    reason = "write_refused"


class WriteLostError(FrameError):
    """The disk failed to keep the file; its group is dropped and fetched again."""

    reason = "write_lost"
    retryable = True
    tries = 3


def frame_reasons() -> frozenset[str]:
    """Every reason word that a frame may fail with."""
    kinds = [FrameError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return frozenset(kind.reason for kind in kinds if "reason" in vars(kind))
