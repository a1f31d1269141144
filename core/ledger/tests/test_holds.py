"""Holds reserve what is free, and end once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ledger.accounts import AccountCode
from core.ledger.holds import Hold, Holds, HoldState
from core.ledger.postings import Posting
from core.ledger.tests.postings import cash, deposit
from kit.base.errors import AmountOutOfBounds, BadRequest, GroupIdReused, HoldEnded, LimitExceeded
from tests.support.manual_clock import ManualClock

MARGIN = cash()._replace(code=AccountCode.MARGIN)


def hold(hold_id: str, amount: int, expires_time_ns: int = 0) -> Hold:
    return Hold(hold_id, Posting(MARGIN, cash(), amount), expires_time_ns, 1, "desk", "")


@pytest.fixture
async def clock():
    return ManualClock()


@pytest.fixture
async def holds(books, clock):
    writer = asyncio.create_task(books.writer.run())
    await books.writer.post([deposit("start", 100)])
    yield Holds(books.database, books.writer, clock)
    writer.cancel()


async def balances(books):
    found = await books.balances()
    return found.get(("CASH", "USDT", "", ""), 0), found.get(("MARGIN", "USDT", "", ""), 0)


async def test_what_is_reserved_is_not_free(books, holds):
    await holds.create(hold("a", 60))
    assert (await holds.create(hold("a", 60))).state is HoldState.PENDING
    with pytest.raises(LimitExceeded) as caught:
        await holds.create(hold("b", 41))
    assert caught.value.metadata["limit"] == "0.00000000000000004"
    with pytest.raises(GroupIdReused):
        await holds.create(hold("a", 61))
    await holds.create(hold("b", 40))
    assert await balances(books) == (100, 0)
    # Executions at a venue are booked nevertheless.
    await books.writer.post([deposit("loss", 30)])
    assert await balances(books) == (130, 0)


async def test_a_part_is_booked_and_the_rest_is_free(books, holds):
    await holds.create(hold("a", 60))
    for _ in range(2):
        posted = await holds.post("a", 25, "desk")
        assert (posted.state, posted.posted_amount) == (HoldState.POSTED, 25)
    assert await balances(books) == (75, 25)
    await holds.create(hold("b", 75))
    for call in (holds.post("a", 26, "desk"), holds.void("a")):
        with pytest.raises(HoldEnded) as caught:
            await call
        assert caught.value.metadata["state"] == "POSTED"
    with pytest.raises(AmountOutOfBounds):
        await holds.post("b", 76, "desk")
    assert await balances(books) == (75, 25)


async def test_a_void_hold_reserves_nothing_and_is_not_posted(books, holds):
    await holds.create(hold("a", 100))
    for _ in range(2):
        assert (await holds.void("a")).state is HoldState.VOIDED
    with pytest.raises(HoldEnded):
        await holds.post("a", 0, "desk")
    await holds.create(hold("b", 100))
    with pytest.raises(BadRequest):
        await holds.void("none")
    found = await holds.list(("", ""), False, "", 10)
    assert [(one.hold_id, one.state.name) for one in found] == [("a", "VOIDED"), ("b", "PENDING")]
    assert [one.hold_id for one in await holds.list(("", ""), True, "", 10)] == ["b"]
    assert [one.hold_id for one in await holds.list(("", "main"), False, "a", 10)] == ["b"]
    assert await holds.list(("kraken", ""), False, "", 10) == []


async def test_a_hold_whose_time_is_over_is_free_and_cannot_be_posted(books, holds, clock):
    now_ns = clock.time_ns()
    await holds.create(hold("a", 100, now_ns + 1_000))
    with pytest.raises(LimitExceeded):
        await holds.create(hold("b", 1))
    await clock.advance(1)
    await holds.create(hold("b", 100))
    for call in (holds.post("a", 0, "desk"), holds.void("a")):
        with pytest.raises(HoldEnded) as caught:
            await call
        assert caught.value.metadata["state"] == "EXPIRED"
    await holds.post("b", 0, "desk")
    assert await balances(books) == (0, 100)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
@settings(max_examples=20)
def test_a_hold_expires_at_its_time(expires_time_ns, now_ns):
    state = hold("a", 1, expires_time_ns).at(now_ns).state
    is_over = expires_time_ns and expires_time_ns <= now_ns
    assert state is (HoldState.EXPIRED if is_over else HoldState.PENDING)
