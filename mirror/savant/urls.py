"""Which URLs are built and which are followed. No I/O; addresses are checked in `network`.

Invariants: a request target is what its parts say, byte for byte; a presigned URL is https (http
only between loopback hosts), has no userinfo and no fragment, its host has one reading, and it is
on the allow-list where there is one. URLs are never quoted anew: a signature covers every byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self

from yarl import URL

from mirror.errors import (
    ConfigurationError,
    NoFramePathError,
    RejectedRequestError,
    UnsafeUrlError,
)
from mirror.frames import FrameRef, check_id
from mirror.savant.values import PresignedUrl
from mirror.settings import Settings, is_loopback

MAX_URL_LENGTH = 8000
"""Characters. S3 takes 8 KiB of request line and headers; longer is no presigned URL."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[!-~]*|)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]{1,253})(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DEFAULT_PORT = {"https": 443, "http": 80}


class ApiUrls:
    """The two URLs of the API, under the domain."""

    def __init__(self, domain: str) -> None:
        login = f"{domain}/auth/jwt/login"
        self.login = URL(login, encoded=True)
        self.host = self.login.raw_host or ""
        if not _URL.fullmatch(login) or "?" in login or "#" in login or str(self.login) != login:
            raise ConfigurationError(
                f"SAVANT_DOMAIN {domain!r} is not plain ASCII as a URL: give scheme, host, port"
                " and path, quoted where needed."
            )
        self._prefix = f"{domain}/sequences/"

    def frame(self, ref: FrameRef) -> URL:
        """Where to ask for a frame's URL. Raises `RejectedRequestError` where an id may not be."""
        for part in ref:
            if (why := check_id(part)) is not None:
                raise RejectedRequestError(
                    f"An id is no safe part of a URL: {why}; nothing is sent."
                )
        return URL(
            f"{self._prefix}{ref.root_id}/frames/{ref.frame_id}"
            f"?workspace_id={ref.workspace_id}&presigned_url=True",
            encoded=True,
        )


@dataclass(frozen=True, slots=True)
class StoreRule:
    """Which hosts a presigned URL may name. `allowed`: (host, port), empty for any."""

    plain: bool
    allowed: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rule that the settings make. `ConfigurationError` names a bad entry."""
        plain = settings.loopback and settings.domain.startswith("http:")
        port = _DEFAULT_PORT["http" if plain else "https"]
        return cls(plain, frozenset(_read_entry(entry, port) for entry in settings.store_hosts))


def _read_entry(entry: str, default_port: int) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(entry)
    host = read_host(found[1]) if found else None
    if not found or host is None:
        raise ConfigurationError(
            f"MIRROR_STORE_HOSTS names {entry!r}: exact hosts such as 'bucket.s3.amazonaws.com'"
            " or 'host:9000' are allowed, without scheme, path or wildcard."
        )
    return host, int(found[2] or default_port)


def read_host(text: str) -> str | None:
    """The one reading of a URL's host, lower case, IPv6 without brackets; None where it has none.

    A host that ends in a number is an IPv4 address to some readers and a name to others (WHATWG
    URL, 3.5), so only four plain decimal parts pass: no 2130706433, 0177.0.0.1 or 127.1.
    """
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        labels = text.removesuffix(".").split(".")
        if _NUMERIC.fullmatch(labels[-1]):
            return str(IPv4Address(text))
    except ValueError:
        return None
    return text.lower() if all(_LABEL.fullmatch(label) for label in labels) else None


def check_store_url(text: object, rule: StoreRule) -> PresignedUrl:
    """The presigned URL in `text`. `NoFramePathError`, `UnsafeUrlError`; neither shows it."""
    if not isinstance(text, str) or not text:
        raise NoFramePathError("The API's answer holds no frame_path; ask the platform's support.")
    parts = _URL.fullmatch(text)
    if parts is None or len(text) > MAX_URL_LENGTH:
        raise NoFramePathError(
            "The API's frame_path is no presigned URL; ask the platform's support."
        )
    scheme, authority, target = parts.groups()
    host, port = _check_authority(scheme, authority, rule)
    if "#" in target:
        raise UnsafeUrlError(
            "The presigned URL has a fragment, which none has; it is not followed."
        )
    try:
        url = URL(text, encoded=True)
        same = (url.raw_path_qs, _same_host(url.raw_host), url.port) == (target or "/", host, port)
    except ValueError:
        same = False
    if not same:
        raise UnsafeUrlError("The presigned URL can be read in two ways; it is not followed.")
    return PresignedUrl(text, url)


@lru_cache(maxsize=64)  # a platform has one store, or a few: nothing to work out again per frame
def _check_authority(scheme: str, authority: str, rule: StoreRule) -> tuple[str, int]:
    if scheme not in _DEFAULT_PORT:
        raise UnsafeUrlError("The presigned URL is not https; it is not followed.")
    found = _AUTHORITY.fullmatch(authority)
    host = read_host(found[1]) if found else None
    port = int(found[2] or _DEFAULT_PORT[scheme]) if found else 0
    if host is None or not port:
        raise UnsafeUrlError("The presigned URL's host is malformed; it is not followed.")
    if scheme == "http" and not (rule.plain and is_loopback(host)):
        raise UnsafeUrlError(f"The presigned URL to {host} is not https; it is not followed.")
    if rule.allowed and (host, port) not in rule.allowed:
        raise UnsafeUrlError(
            f"The presigned URL leads to {host}:{port}, which MIRROR_STORE_HOSTS does not name;"
            " add it there if it is your platform's store."
        )
    return host, port


def _same_host(host: str | None) -> str | None:
    if host is None:
        return None
    return str(ip_address(host)) if ":" in host else host.lower()
