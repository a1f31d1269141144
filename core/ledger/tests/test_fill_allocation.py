"""Whose positions a person closes who flattens an account."""

import pytest
from venuemesh.events.v1 import event_pb2

from core.ledger.fill_allocation import allocate, split
from core.ledger.position_history import ChangeKey, ChangeKind, PositionChange
from core.ledger.tests.executions import LINEAR, SPOT, fill
from core.ledger.tests.independent_books import ATOMS
from kit.events import event_log

EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
FLATTEN = "lc-" + "ab" * 16 + "-1/SYMBOL/1"


def sold(size):
    return PositionChange(ChangeKey(5, ChangeKind.FILL, 1, "7"), b"e", price=100, size=-size)


@pytest.mark.parametrize(
    ("size", "held", "expected"),
    [
        (10, {"a": 10}, {"a": -10}),
        (10, {"a": 6, "b": 4}, {"a": -6, "b": -4}),
        (5, {"a": 6, "b": 4}, {"a": -3, "b": -2}),
        # What is rounded belongs to nobody, and what nobody holds.
        (5, {"a": 1, "b": 1, "c": 1, "": 4}, {"": -5}),
        (4, {"a": 5, "b": 2}, {"": -1, "a": -2, "b": -1}),
        (9, {"a": 6, "": 1}, {"": -3, "a": -6}),
        # The account holds 4: of both sides all is closed.
        (4, {"a": 6, "b": -2}, {"a": -6, "b": 2}),
        (3, {"a": 6, "": -3}, {"": 3, "a": -6}),
        # Persons have sold what no fill has bought: it is not known what they hold.
        (6, {"a": 6, "": -50}, {"a": -6}),
        (6, {"a": -6}, {"": -6}),
        (6, {}, {"": -6}),
    ],
)
def test_fill_is_divided_by_what_is_held(size, held, expected):
    parts = allocate(sold(size), held)
    assert {one.strategy: one.size for one in parts} == expected
    assert sum(one.size for one in parts) == -size
    keys = [one.key for one in parts]
    assert keys == sorted(keys)
    assert keys[0].change_id == "7"
    assert len(set(keys)) == len(keys)


def test_fees_are_divided_exactly():
    assert split(100, [-3, -2, -2]) == [44, 28, 28]
    assert split(-100, [-3, -2, -2]) == [-44, -28, -28]
    assert split(100, [7]) == [100]


def shares(event):
    return {one.strategy: one.size for one in event.order_filled.shares}


async def positions(books):
    found = await books.queries.holdings("", "")
    return {(one.holding.symbol, one.strategy): one.size for one in found.positions if one.size}


async def test_fills_of_flatten_close_the_positions_of_strategies_and_are_their_profit(books):
    await books.book(
        fill(SPOT, 1, "1", "60000", strategy="s1", fee=("BTC", "0.001")),
        fill(SPOT, 2, "0.5", "60000", strategy="s2"),
        fill(SPOT, 3, "0.3", "60000"),
    )
    first = fill(SPOT, 4, "-0.999", "61000", request_id=FLATTEN, fee=("USDT", "9.99"))
    second = fill(SPOT, 5, "-0.8", "61000", request_id=FLATTEN, fee=("USDT", "8"))
    await books.book(first, second)
    assert await positions(books) == {}
    assert await books.balances() == {
        ("CASH", "USDT", "", ""): (1_799 * 61 - 1_800 * 60) * ATOMS - 1_799 * ATOMS // 100,
        ("FEES", "USDT", SPOT, ""): 3 * ATOMS,
        ("FEES", "USDT", SPOT, "s1"): 69_990 * ATOMS // 1000,
        ("FEES", "USDT", SPOT, "s2"): 5 * ATOMS,
        ("REALIZED_PROFIT", "USDT", SPOT, ""): -300 * ATOMS,
        ("REALIZED_PROFIT", "USDT", SPOT, "s1"): -999 * ATOMS,
        ("REALIZED_PROFIT", "USDT", SPOT, "s2"): -500 * ATOMS,
    }
    found = [shares(one) for one in await books.stored(EXECUTIONS)]
    await books.require_balanced()
    assert found[-1].keys() == {"s1", "s2"}
    # The same events again, without the shares that were found out: nothing is booked twice.
    del second.order_filled.shares[:]
    books = books.restarted()
    assert (await books.book(second)).booked == []
    assert [shares(one) for one in await books.stored(EXECUTIONS)] == found


async def test_strategies_of_both_sides_are_flat_when_the_account_is(books):
    await books.book(
        fill(LINEAR, 1, "1000", "60000", strategy="s1"),
        fill(LINEAR, 2, "-400", "61000", strategy="s2"),
        fill(LINEAR, 3, "-600", "62000", request_id=FLATTEN, fee=("USDT", "14")),
    )
    assert await positions(books) == {}
    found = await books.balances()
    await books.require_balanced()
    assert found["REALIZED_PROFIT", "USDT", LINEAR, "s1"] == -2000 * ATOMS
    assert found["REALIZED_PROFIT", "USDT", LINEAR, "s2"] == 400 * ATOMS
    assert found["FEES", "USDT", LINEAR, "s1"] == 10 * ATOMS
    assert found["FEES", "USDT", LINEAR, "s2"] == 4 * ATOMS
    assert ("POSITION", "USDT", LINEAR, "") not in found


async def test_other_orders_of_persons_close_no_position_of_a_strategy(books):
    await books.book(
        fill(SPOT, 1, "1", "60000", strategy="s1"),
        fill(SPOT, 2, "-1", "61000", request_id="lc-" + "ab" * 16 + "-1"),
    )
    assert await positions(books) == {(SPOT, "s1"): ATOMS, (SPOT, ""): -ATOMS}


async def test_late_fill_before_one_of_flatten_leaves_its_shares(books):
    flattened = fill(LINEAR, 3, "-1000", "62000", request_id=FLATTEN)
    await books.book(fill(LINEAR, 1, "1000", "60000", strategy="s1"), flattened)
    await books.book(fill(LINEAR, 2, "500", "61000", strategy="s2"))
    assert await positions(books) == {(LINEAR, "s2"): 500 * ATOMS}
    async with books.database.transaction() as connection:
        stored = await event_log.stored(connection, [flattened.event_id])
    assert shares(stored[flattened.event_id]) == {"s1": "-1000"}
