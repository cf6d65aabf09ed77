"""The libraries of the extra `formats`: imported when a dataset is written and not before, and
their errors told as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from mirror.errors import UsageError


def load(module: str, name: str) -> ModuleType:
    """A module of the extra. Raises `UsageError` where it is missing; `name`: the format's."""
    try:
        return import_module(module)
    except ImportError:
        raise UsageError(
            f"--to {name} needs the extra: pip install 'savant-mirror[formats]'."
        ) from None


def exporter_of(name: str) -> Any:
    """Datumaro's class for the format. Raises `UsageError` where it lacks what that needs."""
    known = load("datumaro.components.environment", name).Environment().exporters
    try:
        return known[name]
    except (KeyError, ImportError):
        raise UsageError(
            f"--to {name} needs further libraries, which datumaro's documentation names."
        ) from None


@contextmanager
def told(name: str) -> Iterator[None]:
    """What an exporter raises becomes an `OSError`, where it was one, or a `UsageError`."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - 56 exporters raise what they like
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError):
                raise cause from None
            deepest, cause = cause, cause.__cause__
        what = str(deepest).strip().rstrip(".") or type(deepest).__name__
        raise UsageError(f"datumaro can't write these annotations as {name}: {what}.") from None
