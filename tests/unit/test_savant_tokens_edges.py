"""The edges of tokens and of the floor under a body's rate."""

from __future__ import annotations

import asyncio

import pytest

from mirror.errors import CredentialsError
from mirror.savant.rate import RateFloor
from mirror.savant.tokens import Grant, TokenKeeper, grant
from mirror.savant.values import AccessToken


class Desk:
    """Hands out tokens that never expire; how often it was asked."""

    def __init__(self) -> None:
        self.logins = 0
        self.open = asyncio.Event()
        self.open.set()

    async def log_in(self) -> Grant:
        self.logins += 1
        await self.open.wait()
        return Grant(AccessToken(f"token-{self.logins}"), None)

    def keeper(self) -> TokenKeeper:
        return TokenKeeper(self.log_in, lambda: CredentialsError("refused"), lambda: 0.0)


def test_a_grant_holds_the_very_token() -> None:
    for text in ("opaque", "a.eyJleHAiOjIwMDB9.c"):
        token = AccessToken(text)
        assert grant(token, 1000.0).token is token
    assert grant(AccessToken("a.eyJleHAiOjIwMDB9.c"), 1000.0).lifetime == 1000.0
    assert grant(AccessToken("a.eyJleHAiOjIwMDB9.c"), 2000.0).lifetime is None


async def test_a_keeper_tells_its_state_and_no_token() -> None:
    desk = Desk()
    keeper = desk.keeper()
    assert repr(keeper) == "<TokenKeeper unproved, login=idle>"
    desk.open.clear()
    asking = asyncio.create_task(keeper.get())
    await asyncio.sleep(0)
    assert repr(keeper) == "<TokenKeeper unproved, login=running>"
    desk.open.set()
    keeper.prove(await asking)
    assert repr(keeper) == "<TokenKeeper proved, login=idle>"
    for _ in range(3):
        keeper.refuse(await keeper.get())
        if desk.logins == 3:
            break
    with pytest.raises(CredentialsError):
        await keeper.get()
    assert repr(keeper) == "<TokenKeeper ended, login=idle>"


async def test_fault_04_the_first_token_of_all_counts_when_it_is_refused() -> None:
    desk = Desk()
    keeper = desk.keeper()
    for _ in range(2):
        keeper.refuse(await keeper.get())
    with pytest.raises(CredentialsError, match="refused"):
        await keeper.get()
    assert desk.logins == 2


async def test_what_an_old_token_proves_is_nothing() -> None:
    desk = Desk()
    keeper = desk.keeper()
    first = await keeper.get()
    keeper.refuse(first)
    second = await keeper.get()
    keeper.prove(first)  # a late answer
    keeper.refuse(second)
    with pytest.raises(CredentialsError):
        await keeper.get()


async def test_closing_waits_until_the_login_has_ended() -> None:
    ended = asyncio.Event()

    async def endless() -> Grant:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()
        raise AssertionError

    keeper = TokenKeeper(endless, lambda: CredentialsError("refused"), lambda: 0.0)
    asking = asyncio.create_task(keeper.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await keeper.close()
    assert ended.is_set()
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_all_that_came_in_a_window_counts_for_it() -> None:
    floor = RateFloor(minimum=10, window=10.0)
    assert not floor.feed(3.0, 60)
    assert not floor.feed(10.0, 40)
    assert not floor.feed(15.0, 99)
    assert floor.feed(20.0, 0), "the next window stands alone"
