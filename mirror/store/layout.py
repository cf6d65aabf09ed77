"""Where a frame goes, and with which permissions.

Invariant: no path leaves the destination or leads into mirror's own folder, whatever the template
and the ids are: an export's ids have passed `check_id`, but a ledger is a file that anybody with
access may have written. Whether two frames would share a path is found by the ledger at ingest,
which asks `sharing` what can go wrong with the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Literal

from mirror.errors import ConfigurationError, LedgerError
from mirror.frames import FrameRef
from mirror.shards import Shard

STATE = ".mirror"
"""The folder of a destination for everything that is no frame."""
SHARDS = f"{STATE}/shards"
"""The folder in it that has one of the same kind for each shard."""


def place_of(shard: Shard) -> str:
    """The shard's folder, relative to the root."""
    return f"{SHARDS}/{shard.name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """`template`: a relative path with {root_id}, {frame_id} and, where wanted, {workspace_id}.

    Raises `ConfigurationError` where frames could end up among mirror's own files.
    """

    template: str = "{root_id}/{frame_id}.png"
    file_mode: int = 0o600
    dir_mode: int = 0o700

    def __post_init__(self) -> None:
        if self.template.startswith("."):
            raise ConfigurationError(
                f"The path template {self.template!r} starts with a dot, where mirror keeps its"
                " own files: let it start with something else."
            )
        if not _is_plain(self.template):
            raise ConfigurationError(
                f"The path template {self.template!r} is no relative path of names and ids; if no"
                " setting says so, the ledger is not of mirror's making: do not trust it."
            )

    def relative(self, ref: FrameRef) -> str:
        """The frame's path below the destination, with '/'. Raises `LedgerError` where an id, which
        then no export gave, would lead elsewhere."""
        path = self.template.format(
            workspace_id=ref.workspace_id, root_id=ref.root_id, frame_id=ref.frame_id
        )
        astray = path[0] == "." or "/../" in f"{path}/" or "\0" in path
        if astray or path.count("/") != self.template.count("/"):
            raise LedgerError(
                f"The ledger names a frame whose file would be {path!r}, outside the destination:"
                " it is not of mirror's making. Move the ledger away, and run again."
            )
        return path

    @property
    def sharing(self) -> Literal["never", "roots", "any"]:
        """Which different frames may share a path: none; those of one root in two workspaces,
        because the workspace is left out; or any, because ids run together (`{root_id}-{frame_id}`
        is `a-b-c` for two frames)."""
        parts = [list(Formatter().parse(part)) for part in self.template.split("/")]
        fields = [[name for _, name, _, _ in part if name] for part in parts]
        if any(len(names) > 1 for names in fields):
            return "any"
        return "never" if ["workspace_id"] in fields else "roots"


def _is_plain(template: str) -> bool:
    """Whether a template, which may come from a ledger, has names and whole ids in it alone."""
    try:
        pieces = list(Formatter().parse(template))
    except ValueError:
        return False
    fields = all(
        name is None or (name in FrameRef._fields and not spec and not conversion)
        for _, name, spec, conversion in pieces
    )
    return fields and all(part not in {"", ".", ".."} for part in template.split("/"))
