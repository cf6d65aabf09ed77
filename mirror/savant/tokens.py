"""Who may log in, and when: one login at a time, shared by all who wait for it.

Invariants: N workers refused on one token cause one login; a second fresh token refused in a row
ends the run, and so do refused credentials, at once and for everybody. A failed login is told to
all who waited for it; nobody waits or tries again here (`sync/retry.py` does). Deadlines are on the
monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mirror.errors import CredentialsError
from mirror.savant.values import AccessToken

MAX_REFUSED = 2
"""Fresh tokens in a row that the API may refuse."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and the seconds it lasts from now; None where that is not known."""

    token: AccessToken
    lifetime: float | None


def grant(token: AccessToken, now: float) -> Grant:
    """How long a token lasts that was made at `now` (epoch seconds, by the API's clock if known).

    One that seems expired on arrival shows that the clocks disagree: its expiry is not used.
    """
    if token.expires_at is None or token.expires_at <= now:
        return Grant(token, None)
    return Grant(token, token.expires_at - now)


def renew_after(lifetime: float) -> float:
    """When to renew a token ahead of its end: the last tenth is left, 30 s at most."""
    return lifetime - min(30.0, lifetime / 10)


class TokenKeeper:
    """Holds the current token; hands it out, replaces it."""

    def __init__(
        self,
        log_in: Callable[[], Awaitable[Grant]],
        refused: Callable[[], CredentialsError],
        clock: Callable[[], float],
    ) -> None:
        self._log_in = log_in
        self._refused = refused
        self._clock = clock
        self._token: AccessToken | None = None
        self._renew_at = float("inf")
        self._proved = False
        self._refusals = 0
        self._end: CredentialsError | None = None
        self._login: asyncio.Task[AccessToken] | None = None

    def __repr__(self) -> str:
        state = "ended" if self._end else "proved" if self._proved else "unproved"
        idle = self._login is None or self._login.done()
        return f"<TokenKeeper {state}, login={'idle' if idle else 'running'}>"

    async def get(self) -> AccessToken:
        """A token to use now. Raises what the login under way raises."""
        if self._end is not None:
            raise self._end
        if self._token is not None and self._clock() < self._renew_at:
            return self._token
        if self._login is None or self._login.done():
            self._login = asyncio.create_task(self._replace())
        # shielded: whoever started the login may be cancelled, the others still wait for it
        return await asyncio.shield(self._login)

    def prove(self, token: AccessToken) -> None:
        """The API accepted `token`."""
        if token is self._token and not self._proved:
            self._proved = True
            self._refusals = 0

    def refuse(self, token: AccessToken) -> None:
        """The API answered 401 to `token`. Only the first word about a token counts."""
        if token is not self._token:
            return
        self._token = None
        if not self._proved:
            self._refusals += 1
            if self._refusals >= MAX_REFUSED:
                self._end = self._refused()

    async def close(self) -> None:
        """End a login that is still under way."""
        if self._login is not None:
            self._login.cancel()
            await asyncio.gather(self._login, return_exceptions=True)

    async def _replace(self) -> AccessToken:
        try:
            granted = await self._log_in()
        except CredentialsError as error:
            self._end = error
            raise
        self._token = granted.token
        self._proved = False
        self._renew_at = float("inf")
        if granted.lifetime is not None:
            self._renew_at = self._clock() + renew_after(granted.lifetime)
        return granted.token
