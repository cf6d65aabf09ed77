"""The object store: presigned GETs, in S3's words. Decides answers, sends nothing."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from mirror.simulator.answers import (
    PNG,
    Answer,
    no_such_key,
    slow_down,
    store_error,
)
from mirror.simulator.request import Received
from mirror.simulator.shelf import FrameName, Shelf, object_name
from mirror.simulator.signing import UrlSigner

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Store:
    """Checks the URL when the request starts; a body that has begun goes on."""

    shelf: Shelf
    signer: UrlSigner
    banner: str = "AmazonS3"

    def identify(self, method: str, path: str) -> tuple[str, FrameName | None]:
        """Download with its frame, or other."""
        name = object_name(path)
        return ("download", name) if name is not None else ("other", None)

    def answer(self, received: Received) -> Answer:
        """Judge the URL and the headers, then give the object."""
        refusal = _refused_headers(received)
        if refusal is None:
            host = received.headers.get("Host", "")
            now = time.time()
            refusal = self.signer.refusal(received.method, host, received.target, now)
        if refusal is not None:
            return refusal
        name = object_name(received.path)
        found = self.shelf.body(name) if name is not None else None
        if found is None:
            return no_such_key(received.path.lstrip("/"))
        body, etag = found
        whole = Answer(
            200, body, (("Content-Type", PNG), ("ETag", etag), ("Accept-Ranges", "bytes"))
        )
        return in_range(whole, received.headers.get("Range"))

    def overload(self) -> Answer:
        """503 SlowDown."""
        return slow_down()


def in_range(whole: Answer, wanted: str | None) -> Answer:
    """The part of an answer that a `Range` header asks for; all of it for none or a strange one."""
    found = _RANGE.fullmatch(wanted or "")
    if found is None or found.group(0) == "bytes=-":
        return whole
    first, last = found.groups()
    size = len(whole.body)
    if first:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    else:
        start, end = max(0, size - int(last)), size - 1
    if start > end or start >= size:
        answer = store_error(416, "InvalidRange", "The requested range is not satisfiable")
        return answer.with_headers(Content_Range=f"bytes */{size}")
    some = Answer(206, whole.body[start : end + 1], whole.headers)
    return some.with_headers(Content_Range=f"bytes {start}-{end}/{size}")


def _refused_headers(received: Received) -> Answer | None:
    if "Authorization" in received.headers:
        return store_error(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter,"
            " Signature query string parameter or the Authorization header should be specified",
            {"ArgumentName": "Authorization"},
        )
    unsigned = [name.lower() for name in received.headers if name.lower().startswith("x-amz-")]
    if unsigned:
        return store_error(
            403,
            "AccessDenied",
            "There were headers present in the request which were not signed",
            {"HeadersNotSigned": ", ".join(unsigned)},
        )
    return None
