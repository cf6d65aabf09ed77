"""API and store in one nginx on loopback: the fastest remote side there is."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POOL = 64
"""Different frames in the store; an id's last two hexadecimal digits choose one."""

_CONFIG = """
{user}
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  types {{ image/png png; }}
  server {{
    listen 127.0.0.1:{port};
    location = /auth/jwt/login {{
      default_type application/json;
      return 200 '{{"access_token":"token","token_type":"bearer"}}';
    }}
    location ~ ^/sequences/([^/]+)/frames/([^/]+)$ {{
      default_type application/json;
      return 200 '{{"frame":{{"id":"$2","frame_path":"http://127.0.0.1:{port}/store/$2.png?X-Amz-Signature=0"}}}}';
    }}
    location ~ ^/store/[^/]*([0-9a-f][0-9a-f])\\.png$ {{ alias {root}/pool/$1.png; }}
  }}
}}
"""


def make_png(size: int, seed: int) -> bytes:
    """A whole PNG of about `size` bytes that does not compress."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    width, rows = 1024, max(1, size // 1025)
    pixels = os.urandom(rows * (width + 1))
    raw = b"".join(
        b"\0" + pixels[row * (width + 1) + 1 : (row + 1) * (width + 1)] for row in range(rows)
    )
    data = zlib.compress(raw, 0)
    header = width.to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    body = chunk(b"IHDR", header) + chunk(b"tEXt", f"seed\0{seed}".encode())
    body += b"".join(chunk(b"IDAT", data[at : at + 8192]) for at in range(0, len(data), 8192))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def write_export(path: Path, frames: int, sequences: int = 8) -> None:
    """An export of so many frames without labels."""
    each = frames // sequences
    with path.open("w") as out:
        out.write('{"sequences":[')
        for number in range(sequences):
            ids = (str(uuid.uuid5(uuid.NAMESPACE_OID, f"{number} {i}")) for i in range(each))
            rows = ",".join(
                f'{{"id":"{frame[:-2]}{int(frame[-2:], 16) % POOL:02x}"}}' for frame in ids
            )
            out.write("," if number else "")
            out.write(f'{{"rootId":"root-{number}","workspaceId":"w","featureSet":[{rows}]}}')
        out.write("]}")


@contextmanager
def serve(root: Path, frame_bytes: int) -> Iterator[str]:
    """Runs nginx below `root`; yields the domain."""
    pool = root / "pool"
    pool.mkdir(parents=True)
    for number in range(POOL):
        (pool / f"{number:02x}.png").write_bytes(make_png(frame_bytes, number))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = root / "nginx.conf"
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(_CONFIG.format(root=root, port=port, user=user))
    process = subprocess.Popen(["nginx", "-p", str(root), "-c", str(config)])
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 0.1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
