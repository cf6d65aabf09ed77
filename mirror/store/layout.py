"""Where a frame goes, and with which permissions.

Ids have passed `check_id`, so a path can't leave the destination; whether two frames would share a
path is found by the ledger at ingest, which asks `sharing` what can go wrong with the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter
from typing import Literal

from mirror.errors import ConfigurationError
from mirror.frames import FrameRef

STATE = ".mirror"
"""The folder of a destination for everything that is no frame."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`template`: a relative path with {root_id}, {frame_id} and, where wanted, {workspace_id}.

    Raises `ConfigurationError` where frames could end up among mirror's own files.
    """

    template: str = "{root_id}/{frame_id}.png"
    file_mode: int = 0o600
    dir_mode: int = 0o700

    def __post_init__(self) -> None:
        first = self.template.split("/")[0]
        if first.startswith("."):
            raise ConfigurationError(
                f"The path template {self.template!r} starts with a dot, where mirror keeps its"
                " own files: let it start with something else."
            )

    def relative(self, ref: FrameRef) -> str:
        """The frame's path below the destination, with '/'."""
        return self.template.format(
            workspace_id=ref.workspace_id, root_id=ref.root_id, frame_id=ref.frame_id
        )

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
