"""The peer: aiohttp and aiofiles as a good developer would write it: one session, 64 at a time,
bodies in chunks to their files.

Usage: python aiohttp_aiofiles.py DOMAIN EXPORT DEST
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path

import aiofiles
import aiofiles.os
import aiohttp

AT_ONCE = 64
CHUNK = 64 * 1024


async def fetch(
    session: aiohttp.ClientSession, url: str, path: Path, headers: dict[str, str]
) -> None:
    """One frame through both hops."""
    async with session.get(url, headers=headers) as answer:
        answer.raise_for_status()
        presigned = (await answer.json())["frame"]["frame_path"]
    async with session.get(presigned) as answer:
        answer.raise_for_status()
        async with aiofiles.open(path, "wb") as file:
            async for chunk in answer.content.iter_chunked(CHUNK):
                await file.write(chunk)


async def run(domain: str, export: str, dest: str) -> None:
    """Fetch every frame of the export."""
    async with aiofiles.open(export) as file:
        document = json.loads(await file.read())
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
    connector = aiohttp.TCPConnector(limit=AT_ONCE, ssl=context)
    slots = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        form = {"username": "u", "password": "p"}
        async with session.post(f"{domain}/auth/jwt/login", data=form) as answer:
            headers = {"Authorization": f"bearer {(await answer.json())['access_token']}"}

        async def one(sequence: dict[str, str], frame: str) -> None:
            root = sequence["rootId"]
            url = (
                f"{domain}/sequences/{root}/frames/{frame}"
                f"?workspace_id={sequence['workspaceId']}&presigned_url=True"
            )
            async with slots:
                await fetch(session, url, Path(dest) / root / f"{frame}.png", headers)

        async with asyncio.TaskGroup() as tasks:
            for sequence in document["sequences"]:
                await aiofiles.os.makedirs(f"{dest}/{sequence['rootId']}")
                for frame in sequence["featureSet"]:
                    tasks.create_task(one(sequence, frame["id"]))


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
