"""Tasks that live and die together, and end with one error instead of a group of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mirror.errors import MirrorError


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the error to leave with: one of ours before any other."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        error = _worst(group)
    else:
        return
    raise error


def _worst(group: BaseExceptionGroup[BaseException]) -> BaseException:
    ours, others = group.split(MirrorError)
    error: BaseException = ours or others or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
