"""What limits by scope are compared with, on a real database."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, executions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import open_entries, risk_facts
from core.inspector.risk_facts import FactsRequest
from core.inspector.submissions import submitted_id
from core.inspector.tests.books import CASH, FEES, FUNDING, Booked, book, hold, is_booked
from core.inspector.tests.rig import DECISIONS, EXECUTIONS, SPOT, START_NS, decision
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.facts import DayProfit, Exposure, Losses, RecentEntries, ReferencePrice, read_facts
from kit.risk.limits import Need
from kit.risk.scopes import PositionKey
from tests.support.waiting import eventually

NEEDS = (Need.LOSSES,)
DAY_NS = risk_facts.DAY_NS
PRICE = ReferencePrice(bid=Decimal(59_000), ask=Decimal(61_000), time_ns=START_NS)
STRATEGY = "ema_cross"
PLACE = {"venue": "binance", "account": "paper", "symbol": "BTCUSDT", "strategy": STRATEGY}
INVERSE = types_pb2.Instrument(
    venue="okx_futures", symbol="BTC-USD", base="BTC", quote="USD",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL, contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
    settlement_asset="BTC", size_unit=types_pb2.SIZE_UNIT_CONTRACTS, contract_value="100",
)  # fmt: skip


async def gathered(rig, price=None, instrument=SPOT, strategy=STRATEGY, needs=NEEDS, **options):
    def find(venue, symbol):
        return price

    place = PositionKey("binance", "paper", "BTCUSDT", strategy)
    request = FactsRequest(place, instrument, START_NS, frozenset(needs), **options)
    async with rig.database.transaction() as connection:
        answer = await risk_facts.send_reads(connection, request, find)
        return await answer()


async def approved_entry(rig):
    """The approved order of an entry, without an outcome."""
    await rig.start()
    await rig.put(DECISIONS, decision(1, type=orders_pb2.ORDER_TYPE_LIMIT, price="60000"))
    await rig.until_outcomes(1)
    (verdict,) = await rig.verdicts()
    async with rig.database.transaction() as connection:
        await connection.execute("DELETE FROM inspector_entries")
        await open_entries.add(connection, verdict.orders, STRATEGY, START_NS)
    return verdict


def order_of(approved, state, filled="0"):
    return orders_pb2.Order(
        content=approved.content, client_order_id=open_entries.order_id(approved), state=state,
        filled_size=filled,
    )  # fmt: skip


async def change(rig, order):
    async with rig.database.transaction() as connection:
        await open_entries.change(connection, order)


def filled_event(approved, size="0.004"):
    event = event_pb2.Event(event_id=b"f" * 16)
    fill = orders_pb2.Fill(
        venue="binance", account="paper", symbol="BTCUSDT", fill_id="7", size=size,
        client_order_id=open_entries.order_id(approved),
    )  # fmt: skip
    event.order_filled.CopyFrom(executions_pb2.OrderFilled(fill=fill))
    return event


async def add_fill(rig, event):
    async with rig.database.transaction() as connection:
        await open_entries.add_fill(connection, event.order_filled.fill, event.event_id)


async def test_entry_counts_until_it_is_over(rig):
    verdict = await approved_entry(rig)
    recorded = read_facts(verdict.facts)
    assert (recorded.exposures, recorded.notional) == ((), Decimal(600))
    assert recorded.losses is None
    entry = verdict.orders[0]
    await change(rig, order_of(entry, orders_pb2.ORDER_STATE_PARTLY_FILLED, "0.004"))
    assert (await gathered(rig)).exposures == (Exposure(**PLACE, asset="USDT", buys=Decimal(600)),)
    event = filled_event(entry)
    await is_booked(rig, event)
    await add_fill(rig, event)
    assert (await gathered(rig)).exposures == (Exposure(**PLACE, asset="USDT", buys=Decimal(360)),)
    # At the higher of its own price and the price of now.
    higher = ReferencePrice(bid=Decimal(69_000), ask=Decimal(71_000), time_ns=START_NS)
    assert (await gathered(rig, higher)).exposures[0].buys == Decimal(420)
    await change(rig, order_of(entry, orders_pb2.ORDER_STATE_CANCELLED, "0.004"))
    assert (await gathered(rig)).exposures == ()


async def test_answer_that_is_older_than_an_event_does_not_open_an_entry_again(rig):
    entry = (await approved_entry(rig)).orders[0]
    await change(rig, order_of(entry, orders_pb2.ORDER_STATE_CANCELLED))
    await change(rig, order_of(entry, orders_pb2.ORDER_STATE_OPEN))
    assert (await gathered(rig)).exposures == ()


async def test_fill_that_the_ledger_has_not_booked_stays_open(rig):
    entry = (await approved_entry(rig)).orders[0]
    await change(rig, order_of(entry, orders_pb2.ORDER_STATE_FILLED, "0.01"))
    await add_fill(rig, filled_event(entry, "0.01"))
    assert (await gathered(rig)).exposures[0].buys == Decimal(600)


@pytest.mark.parametrize(
    ("state", "filled", "left"),
    [
        (orders_pb2.ORDER_STATE_CANCELLED, "0.006", []),
        (orders_pb2.ORDER_STATE_PARTLY_FILLED, "0.006", [Decimal(480)]),
        (orders_pb2.ORDER_STATE_FILLED, "0.01", []),
    ],
)
async def test_fill_that_is_taken_back_is_in_no_position(rig, state, filled, left):
    entry = (await approved_entry(rig)).orders[0]
    await change(rig, order_of(entry, state, filled))
    event = filled_event(entry, filled)
    await is_booked(rig, event)
    await add_fill(rig, event)
    event.order_filled.fill.size = "-0.004"
    await add_fill(rig, event)
    assert [one.buys for one in (await gathered(rig)).exposures] == left


@pytest.mark.parametrize("size", ["", "NaN", "1e99"])
async def test_fill_of_no_size_stops_nothing_and_stays_open(rig, size):
    entry = (await approved_entry(rig)).orders[0]
    event = filled_event(entry, size)
    await is_booked(rig, event)
    await add_fill(rig, event)
    assert (await gathered(rig)).exposures[0].buys == Decimal(600)


async def test_amended_order_does_not_count_beside_the_order_that_takes_its_place(rig):
    entry = (await approved_entry(rig)).orders[0]
    key = ("binance", "paper", "BTCUSDT", open_entries.order_id(entry))
    assert (await gathered(rig, amended=key)).exposures == ()
    other = ("binance", "paper", "ETHUSDT", open_entries.order_id(entry))
    assert (await gathered(rig, amended=other)).exposures


async def test_amendment_counts_with_the_larger_size_and_price(rig):
    entry = (await approved_entry(rig)).orders[0]
    for size, price in (("0.02", "50000"), ("0.005", "70000")):
        entry.content.size, entry.content.price = size, price
        async with rig.database.transaction() as connection:
            await open_entries.add(connection, [entry], STRATEGY, START_NS)
    assert (await gathered(rig)).exposures[0].buys == Decimal("0.02") * 70_000


async def test_order_that_was_not_taken_counts_no_more(rig):
    verdict = await approved_entry(rig)
    assert len((await gathered(rig, PRICE)).exposures) == 1
    async with rig.database.transaction() as connection:
        await open_entries.not_taken(connection, verdict.orders)
    assert (await gathered(rig, PRICE)).exposures == ()


async def test_market_order_without_a_price_is_of_unknown_value(rig):
    entry = (await approved_entry(rig)).orders[0]
    entry.content.price = ""
    async with rig.database.transaction() as connection:
        await connection.execute("DELETE FROM inspector_entries")
        await open_entries.add(connection, [entry], STRATEGY, START_NS)
    assert (await gathered(rig)).exposures[0].buys is None
    assert (await gathered(rig, PRICE)).exposures[0].buys == Decimal(600)


async def test_recent_entries_are_counted_by_account_and_strategy(rig):
    verdict = await approved_entry(rig)
    expected = RecentEntries(venue="binance", account="paper", strategy=STRATEGY, count=1)
    assert (await gathered(rig)).recent == (expected,)
    # Also those that were approved for an order that has another approval since.
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inspector_submissions (submission_id, lifecycle_id, position_id, approved,"
            " is_entry, approved_time_ns, expires_time_ns, venue, account, strategy) SELECT %s,"
            " lifecycle_id, position_id, approved, is_entry, approved_time_ns, expires_time_ns,"
            " venue, account, strategy FROM inspector_submissions", [submitted_id(b"x", "y")]
        )  # fmt: skip
    assert [one.count for one in (await gathered(rig)).recent] == [2]
    assert (await gathered(rig, instrument=None)).recent == (await gathered(rig)).recent
    assert verdict.orders


async def test_positions_of_the_ledger_count(rig):
    await rig.start()
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_contracts VALUES"
            " ('okx_futures', 'BTC-USD', 'BTC', 'USD', 'BTC', 100),"
            " ('binance', 'BTCUSDT', 'BTC', 'USDT', '', 1)"
        )
    await hold(rig, -3, "BTC-USD", "", venue="okx_futures", account="main")
    await hold(rig, Decimal("0.5"))
    await hold(rig, 0, "ETHUSDT")
    unpriced = {one.symbol: one for one in (await gathered(rig)).exposures}
    assert (unpriced["BTC-USD"].held, unpriced["BTC-USD"].asset) == (Decimal(-300), "USD")
    assert unpriced["BTCUSDT"].held is None
    priced = (await gathered(rig, PRICE)).exposures
    assert [one.held for one in priced] == [Decimal(30_000), Decimal(-300)]
    # The terms that its venue has stated last take the place of those of the ledger.
    assert (await gathered(rig, PRICE, INVERSE)).exposures == priced
    assert sorted(await risk_facts.open_instruments(rig.database)) == [
        ("binance", "BTCUSDT"), ("okx_futures", "BTC-USD")
    ]  # fmt: skip


async def test_open_entries_are_among_the_open_instruments(rig):
    verdict = await approved_entry(rig)
    assert await risk_facts.open_instruments(rig.database) == [("binance", "BTCUSDT")]
    async with rig.database.transaction() as connection:
        await open_entries.not_taken(connection, verdict.orders)
    assert await risk_facts.open_instruments(rig.database) == []


async def test_losses_of_the_day_and_in_a_row_are_those_that_the_ledger_has_booked(rig):
    await rig.start()
    assert (await gathered(rig)).losses == Losses(in_row=0)
    seconds_of_day = START_NS % DAY_NS // NANOSECONDS_PER_SECOND
    await book(
        rig,
        Booked(1, seconds_of_day + 1, 7),
        Booked(2, 50, -2),
        # One closing, filled in two parts: a loss.
        Booked(3, 40, -3, b"chain"),
        Booked(4, 30, 1, b"chain"),
        # Booked late.
        Booked(5, 45, -8),
        Booked(6, seconds_of_day + 2, -100),
        Booked(7, 20, -5, code=FEES),
        Booked(8, 20, 1, code=FUNDING),
        Booked(9, 20, 9, code=CASH),
        Booked(10, 20, 50, strategy="other"),
    )
    facts = await gathered(rig)
    where = {"venue": "binance", "account": "paper", "asset": "USDT"}
    assert facts.results == (
        DayProfit(**where, strategy=STRATEGY, profit=Decimal(-16)),
        DayProfit(**where, strategy="other", profit=Decimal(50)),
    )
    last_ns = START_NS - 30 * NANOSECONDS_PER_SECOND
    assert facts.losses == Losses(in_row=3, last_time_ns=last_ns)
    assert (await gathered(rig, strategy="")).losses is None


async def test_every_loss_in_a_row_counts(rig):
    await rig.start()
    await book(rig, *[Booked(number, 200 - number, -1) for number in range(1, 151)])
    assert (await gathered(rig)).losses.in_row == 150


async def test_executions_end_what_is_counted(rig):
    entry = (await approved_entry(rig)).orders[0]
    assert (await gathered(rig, PRICE)).exposures
    event = filled_event(entry, "0.01")
    await is_booked(rig, event)
    await rig.put(EXECUTIONS, event)

    async def is_over():
        return (await gathered(rig, PRICE)).exposures == ()

    await eventually(is_over)
