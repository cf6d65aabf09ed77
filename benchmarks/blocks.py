"""The blocks: which frames, over which wire, how far away. A comparison is a peer in a block."""

from __future__ import annotations

from dataclasses import dataclass

SMALL = 88_000
LARGE = 3_300_000
GUIDE_SHARE = 40
"""The guide's loop fetches one frame in so many of its block: it takes them one by one."""


@dataclass(frozen=True, slots=True)
class Block:
    """`frame_bytes` a frame; `delay`: seconds that each hop is held back; `frames` in a run;
    `variants` of ours."""

    name: str
    frame_bytes: int
    tls: bool
    delay: float
    frames: int
    peers: tuple[str, ...]
    variants: tuple[str, ...] = ("mirror", "mirror-p2")

    @property
    def title(self) -> str:
        """For people."""
        size = "88 KB" if self.frame_bytes == SMALL else "3.3 MB"
        wire = "TLS" if self.tls else "plain HTTP"
        away = f"{self.delay * 1000:.0f} ms on each hop" if self.delay else "no added latency"
        return f"{self.name[0]} frames ({size}), {wire}, {away}"


_NEAR = ("guide", "requests", "aiohttp", "curl", "aria2", "img2dataset", "floor", "wrk")
_NEAR_TLS = tuple(name for name in _NEAR if name != "floor")  # it has no wire
_FAR = ("guide", "requests", "aiohttp", "curl", "aria2")
_FEWER = ("mirror", "mirror-128")
"""At 128 in flight one core keeps up with the added latency; at the default it is what bounds."""

BLOCKS = (
    Block("S-plain", SMALL, tls=False, delay=0.0, frames=12_000, peers=_NEAR),
    Block("L-plain", LARGE, tls=False, delay=0.0, frames=500, peers=_NEAR),
    Block("S-tls", SMALL, tls=True, delay=0.0, frames=12_000, peers=_NEAR_TLS),
    Block("L-tls", LARGE, tls=True, delay=0.0, frames=500, peers=_NEAR_TLS),
    Block("S-plain-50ms", SMALL, tls=False, delay=0.05, frames=6_000, peers=_FAR, variants=_FEWER),
    Block("L-plain-50ms", LARGE, tls=False, delay=0.05, frames=500, peers=_FAR, variants=_FEWER),
    Block("S-tls-50ms", SMALL, tls=True, delay=0.05, frames=6_000, peers=_FAR, variants=_FEWER),
    Block("L-tls-50ms", LARGE, tls=True, delay=0.05, frames=500, peers=_FAR, variants=_FEWER),
)
BY_NAME = {block.name: block for block in BLOCKS}
