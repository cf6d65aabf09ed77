"""Actions in which the store refuses, each with S3's own document."""

from __future__ import annotations

from mirror.simulator import answers
from mirror.simulator.answers import Answer
from mirror.simulator.script import Situation


def expired_url(_: Situation) -> Answer:
    """403: the URL is too old."""
    return answers.expired_url()


def expired_credentials(_: Situation) -> Answer:
    """400: the credentials that signed the URL are over."""
    return answers.expired_credentials()


def signature_error(_: Situation) -> Answer:
    """403: the signature does not match."""
    return answers.signature_mismatch()


def no_such_key(_: Situation) -> Answer:
    """404: there is no such object."""
    return answers.no_such_key("prod/frame.png")


def access_denied(_: Situation) -> Answer:
    """403 that does not say why: missing, or not allowed."""
    return answers.access_denied()


def slow_down(_: Situation) -> Answer:
    """503: fewer requests, please; no `Retry-After`, and the connection ends."""
    return answers.slow_down()


def internal_error(_: Situation) -> Answer:
    """500 in XML."""
    return answers.store_error(
        500, "InternalError", "We encountered an internal error. Please try again."
    )


def request_timeout(_: Situation) -> Answer:
    """400 that may be retried."""
    return answers.store_error(
        400,
        "RequestTimeout",
        "Your socket connection to the server was not read from or written to within the"
        " timeout period.",
    )
