"""What is known, as facts."""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2

from core.advisor import facts as fact_ids
from core.advisor.fact_collector import FactCollector
from core.advisor.ledger_accounts import AccountsSnapshot, EquityKey, PositionKey
from core.advisor.tests.examples import INVERSE, NOW_NS, SPOT, signal
from kit.base.cursor import Cursor
from kit.marketdata.delivery.market_snapshots import InstrumentSnapshot, QuoteSnapshot


class Memory:
    """The markets, the accounts and the clock."""

    def __init__(self, instrument=None, quote=None, newest=None) -> None:
        self._instrument = instrument
        self._quote = quote
        self.newest = newest or AccountsSnapshot()

    def quote(self, venue: str, symbol: str) -> QuoteSnapshot | None:
        return self._quote

    def instrument(self, venue: str, symbol: str) -> InstrumentSnapshot | None:
        return None if self._instrument is None else InstrumentSnapshot(self._instrument, 5)

    def time_ns(self) -> int:
        return NOW_NS


def collected(memory: Memory, raised=None):
    collector = FactCollector(memory, memory, memory)
    return collector.collect(signal() if raised is None else raised)


def test_what_is_not_known_is_left_out():
    found = collected(Memory())
    assert [one.fact_id for one in found.messages] == [fact_ids.CLOCK_TIME]
    assert found.whole(fact_ids.CLOCK_TIME) == NOW_NS


def test_prices_have_the_time_at_which_they_were_confirmed():
    quote = QuoteSnapshot(Decimal("60000.0"), Decimal(60010), 7, 9, Cursor(1, 2))
    found = collected(Memory(SPOT, quote))
    assert (found.text(fact_ids.BID_PRICE), found.time_ns(fact_ids.BID_PRICE)) == ("60000", 9)
    assert found.unit(fact_ids.ASK_PRICE) == "USDT"
    assert found.whole(fact_ids.QUOTE_CHANGED_TIME) == 7
    assert found.cursor(fact_ids.QUOTE_CURSOR) == Cursor(1, 2)


def test_a_spot_account_has_its_cash_and_what_the_strategy_holds():
    key = PositionKey("binance", "paper", "BTCUSDT", "ema_cross", "BTC")
    equities = {EquityKey("binance", "paper", "USDT"): "5000"}
    found = collected(Memory(SPOT, newest=AccountsSnapshot(8, equities, {key: "-0.5"})))
    assert (found.text(fact_ids.EQUITY), found.unit(fact_ids.EQUITY)) == ("5000", "USDT")
    assert found.time_ns(fact_ids.EQUITY) == 8
    assert found.text(fact_ids.POSITION_SIZE) == "0.5"
    # The ledger has answered, and has no such position.
    found = collected(Memory(SPOT, newest=AccountsSnapshot(8)))
    assert found.text(fact_ids.POSITION_SIZE) == "0"
    assert found.text(fact_ids.EQUITY) == ""


def test_a_derivative_has_the_equity_of_the_asset_that_settles_it():
    raised = signal(symbol="BTCUSD")
    key = PositionKey("binance", "paper", "BTCUSD", "ema_cross", "contract/binance/BTCUSD")
    equities = {EquityKey("binance", "paper", "BTC"): "2"}
    found = collected(Memory(INVERSE, newest=AccountsSnapshot(8, equities, {key: "-3"})), raised)
    assert (found.text(fact_ids.EQUITY), found.unit(fact_ids.EQUITY)) == ("2", "BTC")
    assert found.text(fact_ids.POSITION_SIZE) == "-3"


def test_equity_that_the_ledger_does_not_know_is_not_known():
    equities = {EquityKey("binance", "paper", "USDT"): ""}
    found = collected(Memory(SPOT, newest=AccountsSnapshot(8, equities)))
    assert found.amount(fact_ids.EQUITY) is None
    assert found.instrument().kind == types_pb2.INSTRUMENT_KIND_SPOT
