"""What an account had before is booked once, and its cash is the venue's from then on."""

from collections.abc import Mapping

import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from core.ledger.postings import PostingKind
from core.ledger.reported_events import balances_opened, position_opened
from core.ledger.tests.books import Books
from core.ledger.tests.executions import ACCOUNT, INVERSE, LINEAR, SPOT, VENUE, fill, flow
from core.ledger.tests.independent_books import BookKey
from kit.accounting.money import parse_atoms
from kit.events.subjects import opening_group_id

FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING
SETTLEMENT = cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT
TRANSFER = cash_flows_pb2.CASH_FLOW_KIND_TRANSFER
OPENED_NS = 200
CONTRACTS = f"contract/{VENUE}/{LINEAR}"


def balances(stated: Mapping[str, str], time_ns: int = OPENED_NS):
    found = [orders_pb2.Balance(asset=asset, total=total) for asset, total in stated.items()]
    return balances_opened(VENUE, ACCOUNT, found, time_ns)


def position(symbol: str, size: str, price: str = "", time_ns: int = OPENED_NS):
    stated = orders_pb2.Position(symbol=symbol, size=size, entry_price=price)
    return position_opened(VENUE, ACCOUNT, stated, time_ns)


async def cash(books: Books) -> dict[str, int]:
    found = await books.balances()
    return {key.asset: atoms for key, atoms in found.items() if key.code == "CASH"}


async def held(books: Books, strategy: str, symbol: str = LINEAR) -> int:
    found = await books.balances()
    key = BookKey("POSITION", f"contract/{VENUE}/{symbol}", symbol, strategy)
    return found.get(key, 0)


def atoms(amounts: Mapping[str, str]) -> dict[str, int]:
    return {asset: parse_atoms(amount) for asset, amount in amounts.items()}


async def test_cash_is_what_the_venue_has_stated(books):
    await books.book(
        fill(SPOT, 1, "1", "60000", time_ns=100, fee=("USDT", "12")),
        flow(TRANSFER, 2, "BTC", "0.5", time_ns=150),
    )
    stated = {"BTC": "3", "USDT": "5000.000000000000000001", "ETH": "2"}
    await books.book(balances(stated))
    assert await cash(books) == atoms(stated)
    await books.require_balanced()
    await books.book(fill(SPOT, 3, "-1", "61000", time_ns=300))
    assert await cash(books) == atoms(stated | {"BTC": "2", "USDT": "66000.000000000000000001"})


async def test_an_asset_that_the_venue_does_not_state_is_gone(books):
    await books.book(flow(TRANSFER, 1, "BTC", "0.5", time_ns=100))
    await books.book(balances({"USDT": "7"}))
    assert await cash(books) == atoms({"USDT": "7"})


async def test_it_is_one_group_however_often_it_is_booked(books):
    await books.book(balances({"BTC": "3"}))
    (group,) = await books.queries.groups_named([opening_group_id(VENUE, ACCOUNT)])
    assert group.group.kind is PostingKind.OPENING
    assert group.group.time_ns == OPENED_NS
    again = await books.restarted().book(balances({"BTC": "3"}))
    assert not again.booked
    assert await cash(books) == atoms({"BTC": "3"})


async def test_nothing_is_posted_where_nothing_is_missing(books):
    await books.book(flow(TRANSFER, 1, "BTC", "0.5", time_ns=100))
    await books.book(balances({"BTC": "0.5"}))
    (group,) = await books.queries.groups_named([opening_group_id(VENUE, ACCOUNT)])
    assert group.group.postings == ()
    assert (await books.queries.verify()).texts == []


async def test_what_was_reserved_is_a_part_of_the_balance(books):
    await books.book(flow(TRANSFER, 1, "USDT", "100", time_ns=100))
    await books.book(balances({"USDT": "250"}))
    found = await books.balances()
    outside = [one for key, one in found.items() if key.code == "EXTERNAL" and key.asset == "USDT"]
    assert sum(outside) == -parse_atoms("250")


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_late_execution_of_before_changes_no_cash(books, restarts):
    stated = {"BTC": "3", "USDT": "5000"}
    await books.book(balances(stated))
    later = books.restarted() if restarts else books
    await later.book(
        fill(SPOT, 1, "1", "60000", time_ns=100, strategy="s1", fee=("BNB", "0.1")),
        flow(TRANSFER, 2, "USDT", "77", time_ns=OPENED_NS),
        flow(FUNDING, 3, "USDT", "-1", symbol=LINEAR, time_ns=150),
    )
    assert await cash(later) == atoms(stated)
    await later.require_balanced()
    await later.book(flow(TRANSFER, 4, "USDT", "77", time_ns=OPENED_NS + 1))
    assert await cash(later) == atoms(stated | {"USDT": "5077"})


async def test_an_execution_of_after_that_came_first_is_booked_on_top(books):
    await books.book(flow(TRANSFER, 1, "USDT", "77", time_ns=OPENED_NS + 1))
    await books.book(balances({"USDT": "5000"}))
    assert await cash(books) == atoms({"USDT": "5077"})


@pytest.mark.parametrize("cost_method", ["average", "fifo"])
async def test_a_position_of_before_realises_profit_from_its_entry_price(books, cost_method):
    books = books.restarted(cost_method)
    # A size of 1 is 0.001 BTC.
    await books.book(position(LINEAR, "5000", "60000"), balances({"USDT": "1000"}))
    assert await held(books, "") == parse_atoms("5000")
    await books.book(fill(LINEAR, 1, "-2000", "61000", time_ns=300))
    assert await cash(books) == atoms({"USDT": "3000"})
    assert await held(books, "") == parse_atoms("3000")
    assert (await books.balances())[BookKey("REALIZED_PROFIT", "USDT", LINEAR, "")] == (
        -parse_atoms("2000")
    )
    await books.require_balanced()


async def test_a_short_inverse_position_of_before(books):
    # A size of 1 is 10 USD.
    await books.book(position(INVERSE, "-6000", "60000"), balances({"BTC": "2"}))
    await books.book(fill(INVERSE, 1, "6000", "50000", time_ns=300))
    assert await cash(books) == atoms({"BTC": "2.2"})
    assert await held(books, "", INVERSE) == 0


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_late_fill_of_before_is_a_part_of_the_position(books, restarts):
    await books.book(position(LINEAR, "5000", "60000"), balances({"USDT": "1000"}))
    await books.book(fill(LINEAR, 7, "1000", "60500", time_ns=300, strategy="s2"))
    later = books.restarted() if restarts else books
    await later.book(
        fill(LINEAR, 1, "2000", "58000", time_ns=100, strategy="s1"),
        fill(LINEAR, 2, "-1000", "59000", time_ns=150, strategy="s1"),
    )
    assert await held(later, "s1") == parse_atoms("1000")
    assert await held(later, "") == parse_atoms("4000")
    assert await cash(later) == atoms({"USDT": "1000"})
    await later.require_balanced()
    # What the account has then is 6000 at an average of 60083.33…
    await later.book(fill(LINEAR, 8, "-6000", "61000", time_ns=400))
    found = await cash(later)
    assert abs(found["USDT"] - parse_atoms("6500")) < 1000


async def test_late_fills_of_before_and_of_after_in_one_transaction(books):
    await books.book(position(LINEAR, "1000", "60000"), balances({"USDT": "1000"}))
    await books.book(fill(LINEAR, 9, "-1000", "61000", time_ns=900))
    assert await cash(books) == atoms({"USDT": "2000"})
    await books.book(
        fill(LINEAR, 1, "1000", "50000", time_ns=100),
        fill(LINEAR, 2, "-1000", "59000", time_ns=150),
        fill(LINEAR, 3, "1000", "60000", time_ns=300),
        fill(LINEAR, 4, "-1000", "60500", time_ns=400),
    )
    assert await cash(books) == atoms({"USDT": "2500"})
    assert await held(books, "") == 0
    await books.require_balanced()


async def test_a_position_that_was_closed_unseen_is_closed(books):
    await books.book(fill(LINEAR, 1, "1000", "60000", time_ns=100))
    await books.book(position(LINEAR, "0"), balances({"USDT": "1000"}))
    assert await held(books, "") == 0
    await books.book(fill(LINEAR, 2, "-1000", "61000", time_ns=300))
    assert await held(books, "") == -parse_atoms("1000")
    assert await cash(books) == atoms({"USDT": "1000"})


async def test_settlements_of_before_leave_nothing_that_is_to_be_settled(books):
    """Those of years are listed, and their fills are not."""
    await books.book(
        fill(LINEAR, 1, "1", "60000", time_ns=50),
        flow(SETTLEMENT, 2, "USDT", "300", symbol=LINEAR, time_ns=100),
    )
    await books.book(position(LINEAR, "0"), balances({"USDT": "1000"}))
    assert (await books.balances()).get(BookKey("POSITION", "USDT", LINEAR, ""), 0) == 0
    await books.book(flow(SETTLEMENT, 3, "USDT", "5", symbol=LINEAR, time_ns=150))
    assert (await books.balances()).get(BookKey("POSITION", "USDT", LINEAR, ""), 0) == 0
    assert await cash(books) == atoms({"USDT": "1000"})
    await books.require_balanced()


@pytest.mark.parametrize(
    ("size", "price"), [("1", "-5"), ("1", "1e99"), ("1", "0.0000000000000000001"), ("x", "5")]
)
async def test_a_position_that_cannot_be_booked_is_refused(books, size, price):
    result = await books.book(position(LINEAR, size, price))
    assert {one.reason for one in result.refused.values()} == {"AMOUNT_OUT_OF_BOUNDS"}
    assert await books.balances() == {}


async def test_an_opening_that_another_process_booked_counts_at_once(books):
    other = books.restarted()
    await books.book(flow(TRANSFER, 1, "USDT", "1", time_ns=50))
    await other.book(balances({"USDT": "5000"}))
    # It was before the time of the opening, whose balance includes it.
    await books.book(flow(TRANSFER, 2, "USDT", "77", time_ns=100))
    assert await cash(books) == atoms({"USDT": "5000"})
