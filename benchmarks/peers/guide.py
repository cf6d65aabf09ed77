"""The peer: the platform's guide, its two calls as they stand there, in a loop over the frames.

Usage: python guide.py DOMAIN EXPORT DEST
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import requests


def authenticate(domain: str, username: str, password: str) -> str:
    """Authenticate with the API."""
    answer = requests.post(
        f"{domain}/auth/jwt/login", data={"username": username, "password": password}
    )
    return str(answer.json()["access_token"])


def main(domain: str, export: str, dest: str) -> None:
    """Fetch every frame of the export, one after the other."""
    with Path(export).open() as file:
        document = json.load(file)
    token = authenticate(domain, "u", "p")
    for sequence in document["sequences"]:
        folder = Path(dest) / sequence["rootId"]
        folder.mkdir(parents=True)
        for frame in sequence["featureSet"]:
            answer = requests.get(
                f"{domain}/sequences/{sequence['rootId']}/frames/{frame['id']}",
                params={"workspace_id": sequence["workspaceId"], "presigned_url": "True"},
                headers={"Authorization": f"bearer {token}"},
            )
            url = answer.json()["frame"]["frame_path"]
            urllib.request.urlretrieve(url, folder / f"{frame['id']}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
