"""What curl needs around it: the export as a list of requests, the answers as a list of downloads.

Usage: python curl_lists.py resolve DOMAIN EXPORT DEST TOKEN
       python curl_lists.py download EXPORT DEST <ANSWERS
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path


def resolve(domain: str, export: str, dest: str, token: str) -> Iterator[str]:
    """A request for each frame; folders are made."""
    yield f'header = "Authorization: bearer {token}"\n'
    for sequence in json.loads(Path(export).read_text())["sequences"]:
        root, workspace = sequence["rootId"], sequence["workspaceId"]
        (Path(dest) / root).mkdir(parents=True)
        for frame in sequence["featureSet"]:
            query = f"workspace_id={workspace}&presigned_url=True"
            yield f'url = "{domain}/sequences/{root}/frames/{frame["id"]}?{query}"\n'


def download(export: str, dest: str) -> Iterator[str]:
    """A download for each answer: they come one behind the other, in any order."""
    roots = {
        frame["id"]: sequence["rootId"]
        for sequence in json.loads(Path(export).read_text())["sequences"]
        for frame in sequence["featureSet"]
    }
    text, at = sys.stdin.read(), 0
    decoder = json.JSONDecoder()
    while at < len(text):
        answer, at = decoder.raw_decode(text, at)
        frame = answer["frame"]
        path = f"{dest}/{roots[frame['id']]}/{frame['id']}.png"
        yield f'url = "{frame["frame_path"]}"\noutput = "{path}"\n'


if __name__ == "__main__":
    made = resolve if sys.argv[1] == "resolve" else download
    sys.stdout.writelines(made(*sys.argv[2:]))
