"""The peer: what a good afternoon with `requests` and 16 threads gives; connections are kept.

Usage: python requests_threads.py DOMAIN EXPORT DEST
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

THREADS = 16


class Downloader:
    """Fetches frames into `dest`, on any thread."""

    def __init__(self, domain: str, dest: Path) -> None:
        self._domain = domain
        self._dest = dest
        self._local = threading.local()
        login = requests.post(f"{domain}/auth/jwt/login", data={"username": "u", "password": "p"})
        self._headers = {"Authorization": f"bearer {login.json()['access_token']}"}

    def fetch(self, task: tuple[str, str, str]) -> None:
        """One frame: workspace, root, frame."""
        workspace, root, frame = task
        session = self._session()
        answer = session.get(
            f"{self._domain}/sequences/{root}/frames/{frame}",
            params={"workspace_id": workspace, "presigned_url": "True"},
            headers=self._headers,
        )
        answer.raise_for_status()
        body = session.get(answer.json()["frame"]["frame_path"])
        body.raise_for_status()
        (self._dest / root / f"{frame}.png").write_bytes(body.content)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session


def main(domain: str, export: str, dest: str) -> None:
    """Fetch every frame of the export."""
    document = json.loads(Path(export).read_text())
    tasks = []
    for sequence in document["sequences"]:
        (Path(dest) / sequence["rootId"]).mkdir(parents=True)
        tasks += [
            (sequence["workspaceId"], sequence["rootId"], frame["id"])
            for frame in sequence["featureSet"]
        ]
    downloader = Downloader(domain, Path(dest))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(downloader.fetch, tasks))


if __name__ == "__main__":
    main(*sys.argv[1:])
