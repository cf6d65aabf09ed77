"""Bearer tokens: JWTs to look at, valid because they were handed out here and are not over yet."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass(slots=True)
class TokenOffice:
    """Hands out tokens and knows which are valid.

    `lifetime`: seconds, None for ever. `show_exp`: whether the JWT says when it ends.
    """

    secret: bytes
    lifetime: float | None
    show_exp: bool
    issued: int = 0
    _ends: dict[str, float | None] = field(default_factory=dict, repr=False)

    def issue(self, username: str, clock: float, now: float) -> str:
        """A new token; `clock` is wall time for `exp`, `now` the monotonic time that counts."""
        self.issued += 1
        claims: dict[str, object] = {
            "sub": username,
            "aud": ["fastapi-users:auth"],
            "jti": self.issued,
        }
        if self.lifetime is not None and self.show_exp:
            claims["exp"] = int(clock + self.lifetime)
        head = {"alg": "HS256", "typ": "JWT"}
        text = f"{_encode(head)}.{_encode(claims)}"
        digest = hmac.new(self.secret, text.encode(), sha256).digest()
        token = f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        self._ends[token] = None if self.lifetime is None else now + self.lifetime
        return token

    def accepts(self, authorization: str | None, now: float) -> bool:
        """Whether an `Authorization` header carries a valid token."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or token not in self._ends:
            return False
        end = self._ends[token]
        return end is None or now < end

    def expire(self) -> None:
        """End every token handed out so far."""
        self._ends.clear()


def _encode(value: object) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
