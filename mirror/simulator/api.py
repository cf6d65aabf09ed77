"""The platform's API: login and resolve, in FastAPI's words. Decides answers, sends nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from mirror.simulator.answers import Answer, detail, json_answer, problem, unprocessable
from mirror.simulator.request import Received
from mirror.simulator.shelf import FrameName, Shelf
from mirror.simulator.tokens import TokenOffice

_LOGIN = "/auth/jwt/login"
_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})


@dataclass(frozen=True, slots=True)
class Account:
    """The one account of the platform."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Api:
    """`presign` makes the URL of a frame's object."""

    account: Account
    tokens: TokenOffice
    shelf: Shelf
    presign: Callable[[FrameName], str]
    banner: str = "uvicorn"

    def identify(self, method: str, path: str) -> tuple[str, FrameName | None]:
        """Login, resolve with its frame (its workspace is in the query, so not here), or other."""
        if path == _LOGIN:
            return "login", None
        ids = _frame_ids(path)
        return ("resolve", FrameName("", *ids)) if ids else ("other", None)

    def answer(self, received: Received) -> Answer:
        """Route and answer one request."""
        if received.path == _LOGIN:
            return self._login(received) if received.method == "POST" else _not_allowed("POST")
        ids = _frame_ids(received.path)
        if ids is None:
            return detail(404, "Not Found")
        return self._resolve(received, *ids) if received.method == "GET" else _not_allowed("GET")

    def overload(self) -> Answer:
        """429, one second."""
        return detail(429, "Too Many Requests").with_headers(Retry_After="1")

    def _login(self, received: Received) -> Answer:
        content_type = received.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        form: dict[str, list[str]] = {}
        if content_type == "application/x-www-form-urlencoded":
            form = parse_qs(received.body.decode("utf-8", "replace"))
        missing = [name for name in ("username", "password") if name not in form]
        if missing:
            problems = [
                problem("missing", ("body", name), "Field required", None) for name in missing
            ]
            return json_answer(422, {"detail": problems})
        given = Account(form["username"][-1], form["password"][-1])
        if given != self.account:
            return detail(400, "LOGIN_BAD_CREDENTIALS")
        token = self.tokens.issue(given.username, time.time(), time.monotonic())
        return json_answer(200, {"access_token": token, "token_type": "bearer"})

    def _resolve(self, received: Received, root_id: str, frame_id: str) -> Answer:
        if not self.tokens.accepts(received.headers.get("Authorization"), time.monotonic()):
            return detail(401, "Unauthorized")
        query = parse_qs(received.query, keep_blank_values=True)
        if "workspace_id" not in query:
            return unprocessable("missing", ("query", "workspace_id"), "Field required", None)
        wanted = query.get("presigned_url", ["false"])[-1]
        if wanted.lower() not in _TRUE | _FALSE:
            return unprocessable(
                "bool_parsing",
                ("query", "presigned_url"),
                "Input should be a valid boolean, unable to interpret input",
                wanted,
            )
        name = FrameName(query["workspace_id"][-1], root_id, frame_id)
        if not self.shelf.knows_workspace(name.workspace_id):
            return detail(403, "Forbidden")
        if not self.shelf.has(name):
            return detail(404, "Frame not found")
        presigned = wanted.lower() in _TRUE
        path = self.presign(name) if presigned else f"s3://savant-frames/prod/{frame_id}.png"
        frame = {
            "id": frame_id,
            "sequence_root_id": root_id,
            "workspace_id": name.workspace_id,
            "status": "ready",
            "frame_path": path,
        }
        return json_answer(200, {"frame": frame})


def _frame_ids(path: str) -> tuple[str, str] | None:
    parts = path.split("/")
    if len(parts) != 5 or (parts[0], parts[1], parts[3]) != ("", "sequences", "frames"):
        return None
    return unquote(parts[2]), unquote(parts[4])


def _not_allowed(method: str) -> Answer:
    return detail(405, "Method Not Allowed").with_headers(Allow=method)
