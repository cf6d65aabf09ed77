"""Who runs: our variants and the peers, each as a command line.

What a peer is spared is said in `note`, which the report prints.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.blocks import GUIDE_SHARE
from benchmarks.frames import frames_of
from benchmarks.nginx import Server
from mirror.settings import Settings

OWN_BIN = Path(sys.executable).parent
PEER_PYTHON = Path(".venv-bench/bin/python").absolute()
IN_FLIGHT: int = Settings.model_fields["concurrency"].default
PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a command is made for: the server and the folder that its files lie in."""

    root: Path
    server: Server

    @property
    def pool(self) -> Path:
        """The frames as the store has them."""
        return self.root / "pool"

    def export(self, share: int) -> Path:
        """The export with one frame of so many."""
        return self.root / f"export-{share}.json"


Command = Callable[[Scene, Path], list[str]]
"""The command line that brings the frames to a folder, which is not there yet."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """`share`: it fetches one frame of so many. `needs`: the program it can't do without.
    `in_flight`: the most frames that ours has under way, 0 of a peer."""

    name: str
    title: str
    command: Command
    note: str = ""
    share: int = 1
    needs: str | None = None
    in_flight: int = 0


def environment(scene: Scene) -> dict[str, str]:
    """Of every command: nobody's settings and proxies, the account, the authority."""
    server = scene.server
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MIRROR_", "SAVANT_")) and not name.lower().endswith("_proxy")
    }
    account = {
        "SAVANT_DOMAIN": server.domain,
        "SAVANT_USERNAME": "u",
        "SAVANT_PASSWORD": "p",
        "TMPDIR": str(scene.root / "tmp"),  # img2dataset leaves some there
        "NO_ALBUMENTATIONS_UPDATE": "1",  # img2dataset would ask the network
    }
    if server.ca:
        names = ("MIRROR_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        account |= dict.fromkeys(names, str(server.ca))
    return kept | account


def ours(name: str, *options: str, in_flight: int = IN_FLIGHT) -> Contestant:
    """`mirror sync` as users run it, with these options more."""

    def command(scene: Scene, dest: Path) -> list[str]:
        export = str(scene.export(1))
        return [
            *(str(OWN_BIN / "mirror"), "sync", export),
            *("--dest", str(dest), "--quiet", *options),
        ]

    return Contestant(name, " ".join(("mirror sync", *options)), command, in_flight=in_flight)


VARIANTS = {
    "mirror": ours("mirror"),
    "mirror-p2": ours("mirror-p2", "--processes", "2"),
    "mirror-128": ours("mirror-128", "--concurrency", "128", in_flight=128),
}


def _script(name: str) -> Command:
    def command(scene: Scene, dest: Path) -> list[str]:
        export = str(scene.export(GUIDE_SHARE if name == "guide.py" else 1))
        return [str(PEER_PYTHON), str(PEERS / name), scene.server.domain, export, str(dest)]

    return command


def _aiohttp(scene: Scene, dest: Path) -> list[str]:
    then = 'dest=$1; shift; "$@" && sync -f "$dest"'
    return ["sh", "-c", then, "sh", str(dest), *_script("aiohttp_aiofiles.py")(scene, dest)]


def _curl(scene: Scene, dest: Path) -> list[str]:
    script = [str(PEERS / "curl_parallel"), scene.server.domain, str(scene.export(1))]
    return [*script, str(dest), str(PEER_PYTHON)]


def _aria2(scene: Scene, dest: Path) -> list[str]:
    wanted = scene.root / "aria2.txt"
    if not wanted.exists():
        with wanted.open("w") as file:
            for root, frame in frames_of(scene.export(1)):
                file.write(f"{scene.server.frame_url(frame)}\n  out={root}/{frame}.png\n")
    authority = [f"--ca-certificate={scene.server.ca}"] if scene.server.ca else []
    return [
        *("aria2c", "--no-conf", "-j64", "--split=1", "--file-allocation=none"),
        *("--auto-save-interval=0", "--quiet"),
        *(*authority, f"--dir={dest}", f"--input-file={wanted}"),
    ]


def _img2dataset(scene: Scene, dest: Path) -> list[str]:
    wanted = scene.root / "img2dataset.txt"
    if not wanted.exists():
        urls = (scene.server.frame_url(frame) for _, frame in frames_of(scene.export(1)))
        wanted.write_text("\n".join(urls))
    options = {
        "url_list": wanted,
        "output_folder": dest,
        "output_format": "files",
        "disable_all_reencoding": True,  # the bytes as they came
        "encode_format": "png",
        "encode_quality": 9,
        "compute_hash": None,
        "extract_exif": False,
        "processes_count": os.cpu_count() or 1,
        "thread_count": 64,
        "number_sample_per_shard": 1000,
        "retries": 1,
    }
    tool = str(PEER_PYTHON.parent / "img2dataset")
    return [tool, *(f"--{name}={value}" for name, value in options.items())]


def _floor(scene: Scene, dest: Path) -> list[str]:
    script = [sys.executable, "-m", "benchmarks.peers.floor"]
    return [*script, str(scene.pool), str(scene.export(1)), str(dest)]


_GIVEN = "Downloads from a list of URLs that it is given: no login, no resolving, nothing synced."
PEERS_BY_NAME = {
    peer.name: peer
    for peer in (
        Contestant(
            "guide",
            "the guide's loop",
            _script("guide.py"),
            f"One frame after the other, so it fetches one frame in {GUIDE_SHARE}, and its frames"
            " a second are compared. Verifies, records and syncs nothing.",
            share=GUIDE_SHARE,
        ),
        Contestant(
            "requests",
            "requests, 16 threads",
            _script("requests_threads.py"),
            "Sessions are kept alive. Verifies, records and syncs nothing.",
        ),
        Contestant(
            "aiohttp",
            "aiohttp + aiofiles, sync",
            _aiohttp,
            "64 at a time, then `sync -f`. Verifies and records nothing.",
        ),
        Contestant(
            "curl",
            "curl --parallel, sync",
            _curl,
            "64 at a time: resolve all, download all, then `sync -f`. The time of the two small"
            " scripts that make its lists counts; the answers to resolving go into one stream,"
            " which is less work than a file each. Verifies and records nothing.",
            needs="curl",
        ),
        Contestant("aria2", "aria2c -j64 (download only)", _aria2, _GIVEN, needs="aria2c"),
        Contestant(
            "img2dataset",
            "img2dataset (download only)",
            _img2dataset,
            f"{_GIVEN} Its decoding, resizing, hashing and reading of EXIF are switched off.",
            needs=str(PEER_PYTHON.parent / "img2dataset"),
        ),
        Contestant(
            "floor",
            "durable writing alone",
            _floor,
            "Bodies that are in memory already, checked, written and committed by the same code"
            " in the same groups. No network.",
        ),
        Contestant(
            "wrk",
            "wrk: the server's ceiling",
            lambda *_: [],  # it does not fetch frames: `ceiling.py` asks it
            "Asks as fast as it can with 64 connections, and throws all away.",
            needs="wrk",
        ),
    )
}
