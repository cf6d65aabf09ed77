"""The two secrets that leave this room, as values that never show themselves.

`repr`, `str`, `format` and tracebacks show the type alone; pickling and copying are refused.
"""

from __future__ import annotations

import base64
import binascii
from typing import NoReturn, SupportsIndex

import msgspec
from yarl import URL


class _Secret:
    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, hidden>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is a secret and is never serialised")


class PresignedUrl(_Secret):
    """Where the store keeps one frame, valid for a while. Made by `urls.check_store_url` alone."""

    __slots__ = ("_text", "_url")

    def __init__(self, text: str, url: URL) -> None:
        self._text = text
        self._url = url

    def reveal(self) -> str:
        """The URL itself, byte for byte as the API gave it."""
        return self._text

    @property
    def target(self) -> URL:
        """The URL as the HTTP client takes it: nothing is quoted anew."""
        return self._url

    @property
    def host(self) -> str:
        """The host alone, which may be shown."""
        return self._url.raw_host or ""


class AccessToken(_Secret):
    """What the API hands out for a login.

    `expires_at`: seconds since the epoch by the API's clock, None where the token does not say.
    """

    __slots__ = ("_text", "expires_at")

    def __init__(self, text: str) -> None:
        self._text = text
        self.expires_at = read_expiry(text)

    def reveal(self) -> str:
        """The token itself, for the Authorization header."""
        return self._text


class _Claims(msgspec.Struct):
    exp: int | float | None = None


def read_expiry(token: str) -> float | None:
    """The `exp` of a JWT (RFC 7519, 4.1.4), unverified; None where there is none to read."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    return None if claims.exp is None else float(claims.exp)
