"""Presigned URLs: made, and judged when they are used.

The signature is our own (HMAC over method, host and the raw request target), in S3's shape: it
covers every byte of the target as it was received, so a client that re-quotes a URL is refused.
The path and the query hold escapes that yarl would rewrite. The exact time of minting travels in
the security token, because `X-Amz-Date` knows whole seconds only.
"""

from __future__ import annotations

import base64
import hmac
import math
import struct
import time
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qs, quote, urlsplit

from mirror.simulator.answers import (
    Answer,
    access_denied,
    expired_credentials,
    expired_url,
    signature_mismatch,
    store_error,
)

LONGEST_LIFETIME = 604_800.0
"""Seconds; S3's own limit."""
_SIGNATURE = "&X-Amz-Signature="
_TOKEN = struct.Struct(">3sIIdd")
_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-SignedHeaders",
)


@dataclass(slots=True)
class UrlSigner:
    """Signs targets and judges them. `url_epoch` and `credential_epoch` end what came before."""

    secret: bytes
    lifetime: float
    url_epoch: int = 0
    credential_epoch: int = 0

    def presign(self, path: str, host: str, now: float) -> str:
        """The request target (path and query) that may be fetched from `host`, from `now` on.

        `path` is quoted already; `now` is seconds since the epoch.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        token = base64.b64encode(
            _TOKEN.pack(b"sim", self.url_epoch, self.credential_epoch, now, self.lifetime)
        ).decode()
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"ASIASIMULATOR/{stamp[:8]}/eu-west-1/s3/aws4_request",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(math.ceil(self.lifetime)),
            "X-Amz-Security-Token": token,
            "X-Amz-SignedHeaders": "host",
            "response-content-disposition": 'inline; filename="frame.png"',
        }
        pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        target = f"{path}?{pairs}&x-id=%47etObject%7e"
        return f"{target}{_SIGNATURE}{self._sign('GET', host, target)}"

    def refusal(self, method: str, host: str, target: str, now: float) -> Answer | None:
        """S3's refusal of a request at `now`, or None where it may go on."""
        signed, found, signature = target.rpartition(_SIGNATURE)
        query = parse_qs(urlsplit(signed).query, keep_blank_values=True)
        if not found:
            return access_denied()
        missing = [name for name in _PARAMETERS if len(query.get(name, ())) != 1]
        minted = _read_token(query.get("X-Amz-Security-Token", [""])[0])
        if missing or minted is None:
            return store_error(
                400,
                "AuthorizationQueryParametersError",
                "Query-string authentication version 4 requires the X-Amz-Algorithm,"
                " X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and"
                " X-Amz-Expires parameters.",
            )
        url_epoch, credential_epoch, start, lifetime = minted
        if url_epoch < self.url_epoch or now >= start + lifetime:
            return expired_url()
        if credential_epoch < self.credential_epoch:
            return expired_credentials()
        if not hmac.compare_digest(self._sign(method, host, signed).encode(), signature.encode()):
            return signature_mismatch()
        return None

    def _sign(self, method: str, host: str, target: str) -> str:
        text = f"{method}\n{host}\n{target}".encode("utf-8", "surrogateescape")
        return hmac.new(self.secret, text, sha256).hexdigest()


def _read_token(text: str) -> tuple[int, int, float, float] | None:
    try:
        kind, url_epoch, credential_epoch, start, lifetime = _TOKEN.unpack(
            base64.b64decode(text, validate=True)
        )
    except (ValueError, struct.error):
        return None
    return (url_epoch, credential_epoch, start, lifetime) if kind == b"sim" else None
