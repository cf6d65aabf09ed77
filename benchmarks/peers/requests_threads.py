"""The peer: what a good afternoon with `requests` and a thread pool gives. Nothing is verified.

Usage: python -m benchmarks.peers.requests_threads DOMAIN EXPORT DEST [THREADS]
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests


def main(domain: str, export: str, dest: str, threads: int = 16) -> None:
    """Fetch every frame of the export."""
    login = requests.post(f"{domain}/auth/jwt/login", data={"username": "u", "password": "p"})
    headers = {"Authorization": f"bearer {login.json()['access_token']}"}
    local = threading.local()

    def session() -> requests.Session:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session

    def fetch(task: tuple[str, str, str]) -> None:
        workspace, root, frame = task
        answer = session().get(
            f"{domain}/sequences/{root}/frames/{frame}",
            params={"workspace_id": workspace, "presigned_url": True},
            headers=headers,
        )
        body = session().get(answer.json()["frame"]["frame_path"])
        body.raise_for_status()
        (Path(dest) / root / f"{frame}.png").write_bytes(body.content)

    document = json.loads(Path(export).read_text())
    tasks = []
    for sequence in document["sequences"]:
        (Path(dest) / sequence["rootId"]).mkdir(parents=True)
        tasks += [
            (sequence["workspaceId"], sequence["rootId"], frame["id"])
            for frame in sequence["featureSet"]
        ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fetch, tasks))


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
