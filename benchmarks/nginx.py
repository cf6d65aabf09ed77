"""API and store in one nginx on loopback: the fastest remote side there is.

With a delay, each hop is held back by the echo module, which sleeps without holding a worker.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
_SIGNATURE = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101%2F"
    "eu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=3600"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature=" + "0" * 64
)
_CONFIG = """
{load}
{user}
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log;
worker_processes {workers};
worker_rlimit_nofile 16384;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  open_file_cache max=1000 inactive=1h;
  open_file_cache_valid 1h;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  types {{ image/png png; application/json json; }}
  default_type application/json;
  server {{
    listen 127.0.0.1:{port} {listen} backlog=4096;
    {certificate}
    root {root};
    location = /auth/jwt/login {{
      return 200 '{{"access_token":"token","token_type":"bearer"}}';
    }}
    location ~ ^/sequences/[^/]+/frames/(?<frame>[^/]+)$ {{ {api} }}
    location ~ ^/store/[^/]*(?<which>[0-9a-f][0-9a-f])\\.png$ {{ {store} }}
    location @resolved {{ {answer} }}
  }}
}}
"""


class ServerError(Exception):
    """There is no server: nginx, or a module of it, is not here, or it did not start."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running nginx. `domain`: of API and store; `ca`: the file of its authority, with TLS;
    `pid`: of the process whose children do the work."""

    domain: str
    ca: Path | None
    pid: int

    def frame_url(self, frame: str) -> str:
        """The presigned URL of a frame, which lasts."""
        return f"{self.domain}/store/{frame}.png?{_SIGNATURE}"

    def cpu(self) -> float:
        """Seconds of CPU so far, of all its processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return sum(_cpu(Path(f"/proc/{pid}/stat")) for pid in (self.pid, *children))


def _cpu(stat: Path) -> float:
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(root: Path, *, tls: bool, delay: float) -> Iterator[Server]:
    """Runs nginx below `root`, over the frames in its folder `pool`. Raises `ServerError`."""
    if not shutil.which("nginx"):
        raise ServerError("nginx is not installed")
    if delay and not _MODULE.exists():
        raise ServerError("nginx's echo module is not installed: it holds the answers back")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    domain = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    certificate = _make_certificate(root) if tls else ""
    config = root / "nginx.conf"
    config.write_text(_configure(root, domain, certificate, delay))
    # it must not outlive us, even where we are killed
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    process = subprocess.Popen([*tied, "nginx", "-p", str(root), "-c", str(config)])
    try:
        _wait_for(port, process)
        yield Server(domain, root / "ca.pem" if tls else None, process.pid)
    finally:
        process.terminate()
        process.wait()


def _configure(root: Path, domain: str, certificate: str, delay: float) -> str:
    answer = (
        f'return 200 \'{{"frame":{{"id":"$frame",'
        f'"frame_path":"{domain}/store/$frame.png?{_SIGNATURE}"}}}}\';'
    )
    sleep = f"echo_sleep {delay}; echo_exec"
    return _CONFIG.format(
        load=f"load_module {_MODULE};" if delay else "",
        user="user root;" if os.getuid() == 0 else "",
        root=root,
        workers=os.cpu_count() or 1,
        port=domain.rpartition(":")[2],
        listen="ssl" if certificate else "",
        certificate=certificate,
        api=f"{sleep} @resolved;" if delay else answer,
        store=f"{sleep} /pool/$which.png;" if delay else f"alias {root}/pool/$which.png;",
        answer=answer,
    )


def _make_certificate(root: Path) -> str:
    """An authority for this run alone, and what nginx is to show of it."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(root / "ca.pem")
    own.private_key_pem.write_to_path(root / "key.pem")
    for number, blob in enumerate(own.cert_chain_pems):
        blob.write_to_path(root / "certificate.pem", append=number > 0)
    return (
        f"ssl_certificate {root}/certificate.pem; ssl_certificate_key {root}/key.pem;"
        " ssl_session_cache shared:bench:10m;"
    )


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ServerError("nginx does not answer; what it said is above")
