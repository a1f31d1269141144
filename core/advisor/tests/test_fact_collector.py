"""What is known, as facts."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.advisor import facts as fact_ids
from core.advisor.fact_collector import FactCollector
from core.advisor.ledger_accounts import AccountsSnapshot, EquityKey, PositionKey
from core.advisor.tests.examples import INVERSE, NOW_NS, SPOT, signal
from kit.base.cursor import Cursor
from kit.marketdata.clients.best_prices import BestPrices
from kit.marketdata.clients.listed_instruments import ListedInstrument

NO_ANSWER = BestPrices(3)


def book(state=market_data_pb2.BOOK_STATE_PROVEN, **fields) -> market_data_pb2.GetOrderBookResponse:
    level = market_data_pb2.Level
    values = {
        "state": state,
        "cursor": Cursor(1, 2).message(),
        "venue_time_ns": 2,
        "bids": [level(price="60000.0", size="1")],
        "asks": [level(price="60010", size="1")],
    }
    return market_data_pb2.GetOrderBookResponse(**values | fields)


class World:
    """The venues, the accounts and the clock."""

    def __init__(self, instrument=None, best=NO_ANSWER, newest=None) -> None:
        self._instrument = instrument
        self._best = best
        self.newest = newest or AccountsSnapshot()
        self.asked = []

    async def of(self, instruments) -> dict[tuple[str, str], BestPrices]:
        self.asked += instruments
        return dict.fromkeys(instruments, self._best)

    async def find(self, venue: str, symbol: str) -> ListedInstrument | None:
        self.asked.append((venue, symbol))
        return None if self._instrument is None else ListedInstrument(self._instrument, 5)

    def time_ns(self) -> int:
        return NOW_NS


async def collected(world: World, raised=None):
    collector = FactCollector(world, world, world, world)
    (found,) = await collector.collect([signal() if raised is None else raised])
    return found


def texts(found, *wanted: str) -> list[str]:
    return [found.text(fact_id) for fact_id in wanted]


async def test_what_is_not_known_is_left_out():
    found = await collected(World())
    assert [one.fact_id for one in found.messages] == [
        fact_ids.RULES_VERSION,
        fact_ids.CLOCK_TIME,
        fact_ids.BOOK_ASKED_TIME,
    ]
    assert found.whole(fact_ids.CLOCK_TIME) == NOW_NS
    assert found.whole(fact_ids.BOOK_ASKED_TIME) == 3


async def test_an_answer_is_stored_with_its_state_its_times_and_its_cursor():
    found = await collected(World(SPOT, BestPrices(3, 9, book())))
    assert (found.text(fact_ids.BID_PRICE), found.time_ns(fact_ids.BID_PRICE)) == ("60000", 3)
    assert found.amount(fact_ids.ASK_PRICE) == Decimal(60010)
    assert found.unit(fact_ids.ASK_PRICE) == "USDT"
    assert found.whole(fact_ids.BOOK_ANSWERED_TIME) == 9
    assert found.text(fact_ids.BOOK_STATE) == "proven"
    assert found.whole(fact_ids.BOOK_VENUE_TIME) == 2
    assert found.cursor(fact_ids.BOOK_CURSOR) == Cursor(1, 2)
    assert found.time_ns(fact_ids.PRICE_TICK) == 5
    assert len({one.fact_id for one in found.messages}) == len(found.messages)


async def test_prices_of_a_book_that_may_be_wrong_are_not_known():
    in_doubt = book(market_data_pb2.BOOK_STATE_IN_DOUBT)
    found = await collected(World(SPOT, BestPrices(3, 9, in_doubt)))
    assert texts(found, fact_ids.BID_PRICE, fact_ids.ASK_PRICE) == ["", ""]
    assert found.text(fact_ids.BOOK_STATE) == "in_doubt"


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"asks": []}, fact_ids.ASK_PRICE),
        ({"bids": []}, fact_ids.BID_PRICE),
        ({"venue_time_ns": 0}, fact_ids.BOOK_VENUE_TIME),
    ],
)
async def test_what_an_answer_does_not_say_is_left_out(fields, missing):
    every = await collected(World(SPOT, BestPrices(3, 9, book())))
    found = await collected(World(SPOT, BestPrices(3, 9, book(**fields))))
    ids = [one.fact_id for one in found.messages]
    assert [one.fact_id for one in every.messages if one.fact_id not in ids] == [missing]


async def test_each_instrument_is_asked_for_once():
    world = World(SPOT)
    collector = FactCollector(world, world, world, world)
    signals = [signal(symbol=symbol) for symbol in ("BTCUSDT", "ETHUSDT", "BTCUSDT")]
    assert len(await collector.collect(signals)) == 3
    asked = [("binance", "BTCUSDT"), ("binance", "ETHUSDT")]
    assert sorted(world.asked) == sorted(2 * asked)


async def test_a_spot_account_has_its_cash_and_what_the_strategy_holds():
    key = PositionKey("binance", "paper", "BTCUSDT", "ema_cross", "BTC")
    equities = {EquityKey("binance", "paper", "USDT"): "5000"}
    found = await collected(World(SPOT, newest=AccountsSnapshot(8, equities, {key: "-0.5"})))
    assert (found.text(fact_ids.EQUITY), found.unit(fact_ids.EQUITY)) == ("5000", "USDT")
    assert found.time_ns(fact_ids.EQUITY) == 8
    assert found.text(fact_ids.POSITION_SIZE) == "0.5"
    # The ledger has answered, and has no such position.
    found = await collected(World(SPOT, newest=AccountsSnapshot(8)))
    assert found.text(fact_ids.POSITION_SIZE) == "0"
    assert found.text(fact_ids.EQUITY) == ""


async def test_a_derivative_has_the_equity_of_the_asset_that_settles_it():
    raised = signal(symbol="BTCUSD")
    key = PositionKey("binance", "paper", "BTCUSD", "ema_cross", "contract/binance/BTCUSD")
    newest = AccountsSnapshot(8, {EquityKey("binance", "paper", "BTC"): "2"}, {key: "-3"})
    found = await collected(World(INVERSE, newest=newest), raised)
    assert (found.text(fact_ids.EQUITY), found.unit(fact_ids.EQUITY)) == ("2", "BTC")
    assert found.text(fact_ids.POSITION_SIZE) == "-3"


async def test_equity_that_the_ledger_does_not_know_is_not_known():
    equities = {EquityKey("binance", "paper", "USDT"): ""}
    found = await collected(World(SPOT, newest=AccountsSnapshot(8, equities)))
    assert found.amount(fact_ids.EQUITY) is None
    assert found.instrument().kind == types_pb2.INSTRUMENT_KIND_SPOT
