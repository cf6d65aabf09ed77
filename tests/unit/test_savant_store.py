"""The body stream's own account of what came, whatever the library lets pass."""

from types import SimpleNamespace

import pytest

from mirror.errors import TruncatedError
from mirror.events import Event, RequestFinished
from mirror.savant.patience import Patience
from mirror.savant.store import BodyStream
from mirror.savant.translate import Edge
from mirror.savant.wire import Telling


async def test_fault_19_fewer_bytes_than_announced_are_noticed_here_too() -> None:
    chunks = iter([b"abc", b""])

    async def readany() -> bytes:
        return next(chunks)

    events: list[Event] = []
    response = SimpleNamespace(content_length=5, content=SimpleNamespace(readany=readany))
    telling = Telling("download", events.append, lambda: 0.0)
    wire = SimpleNamespace(clock=lambda: 0.0, silence=Patience(1.0))
    body = BodyStream(response, Edge("store"), telling, wire, (100, 0))  # type: ignore[arg-type]
    assert await anext(body) == b"abc"
    with pytest.raises(TruncatedError, match="3 of 5 bytes"):
        await anext(body)
    assert not any(isinstance(e, RequestFinished) and e.status == "200" for e in events)
