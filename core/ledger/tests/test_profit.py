"""Profit and equity, compared with the account's own arithmetic."""

from decimal import Decimal

import pytest
from venuemesh.ledger.v1 import ledger_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.ledger import position_store
from core.ledger.contracts import HoldingKey, InstrumentKey
from core.ledger.market_prices import middle
from core.ledger.position_history import PositionHistory
from core.ledger.profit import GROUPINGS, equities, profits
from core.ledger.tests.executions import INVERSE, LINEAR, SPOT, VENUE, fill, random_events
from kit.accounting.money import atoms_text
from kit.marketdata.clients.best_prices import BestPrices

PRICES = {
    InstrumentKey(VENUE, symbol): Decimal(price)
    for symbol, price in ((SPOT, 62_000), (LINEAR, 62_000), (INVERSE, 50_000))
}
POSITION = GROUPINGS[ledger_pb2.PROFIT_GROUPING_POSITION]
PORTFOLIO = GROUPINGS[ledger_pb2.PROFIT_GROUPING_PORTFOLIO]
BY_STRATEGY = GROUPINGS[ledger_pb2.PROFIT_GROUPING_STRATEGY]


async def test_profit_has_its_parts(books):
    await books.book(
        fill(LINEAR, 1, "1000", "60000", strategy="s1", fee=("USDT", "12")),
        fill(LINEAR, 2, "-400", "61000", strategy="s1"),
        fill(SPOT, 3, "-1", "63000", strategy="s2"),
    )
    found = await books.queries.holdings("", "")
    by_strategy = profits(found.totals, found.positions, PRICES, BY_STRATEGY)
    assert [
        (one.strategy, one.asset, one.realized, one.fees, one.unrealized) for one in by_strategy
    ] == [("s1", "USDT", "400", "-12", "1200"), ("s2", "USDT", "0", "0", "1000")]
    (whole,) = profits(found.totals, found.positions, PRICES, PORTFOLIO)
    assert (whole.realized, whole.fees, whole.unrealized) == ("400", "-12", "2200")
    assert (await books.queries.holdings("kraken", "")).totals == []


async def test_an_unknown_price_makes_an_unknown_profit(books):
    await books.book(
        fill(LINEAR, 1, "1000", "60000", strategy="s1"),
        fill(SPOT, 2, "1", "60000", strategy="s2"),
    )
    found = await books.queries.holdings("", "")
    prices = {key: price for key, price in PRICES.items() if key.symbol != LINEAR}
    (whole,) = profits(found.totals, found.positions, prices, PORTFOLIO)
    assert (whole.unrealized, list(whole.unpriced_symbols)) == ("", [LINEAR])
    rows = {one.asset: one for one in equities(found.totals, found.positions, prices)}
    assert (rows["USDT"].cash, rows["USDT"].unrealized, rows["USDT"].equity) == ("-60000", "", "")
    assert rows["BTC"].equity == "1"
    # Closed, it is worth the same at any price.
    await books.book(fill(LINEAR, 3, "-1000", "61000", strategy="s3"))
    found = await books.queries.holdings("", "")
    rows = {one.asset: one for one in equities(found.totals, found.positions, prices)}
    assert rows["USDT"].equity == "-59000"


@pytest.mark.parametrize("seed", range(2))
async def test_equity_is_cash_and_the_profit_of_the_net_position(books, seed):
    """However the strategies have traded among themselves."""
    events = [
        event
        for event in random_events(seed, 60)
        if event.HasField("order_filled") and event.order_filled.fill.symbol in (LINEAR, INVERSE)
    ]
    await books.book(*events)
    found = await books.queries.holdings("", "")
    rows = {one.asset: one for one in equities(found.totals, found.positions, PRICES)}
    for symbol, asset in ((LINEAR, "USDT"), (INVERSE, "BTC")):
        assert rows[asset].unrealized == await _net_profit(books, symbol)


async def _net_profit(books, symbol: str) -> str:
    """By the account's own position, which the ledger keeps for its cash."""
    holding = HoldingKey(VENUE, "main", symbol)
    async with books.database.transaction() as connection:
        terms = await position_store.load_terms(connection, [holding.instrument])
        base, changes = await position_store.load_changes(connection, holding)
    contract = terms[holding.instrument].contract(symbol)
    net = PositionHistory(contract, "average", base, changes).state.net
    return atoms_text(net.unrealized(contract.unit_value(PRICES[holding.instrument])))


def test_the_middle_of_a_book_that_may_be_wrong_is_not_known():
    level = market_data_pb2.Level
    book = market_data_pb2.GetOrderBookResponse(
        state=market_data_pb2.BOOK_STATE_PROVEN,
        bids=[level(price="100.1")],
        asks=[level(price="100.2")],
    )
    best = BestPrices(1, 2, book)
    assert middle(best) == Decimal("100.15")
    book.state = market_data_pb2.BOOK_STATE_IN_DOUBT
    assert middle(best) is None
    book.state = market_data_pb2.BOOK_STATE_PROVEN
    del book.asks[:]
    assert middle(best) is None
