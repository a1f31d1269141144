"""Collects the facts about a signal from memory: nothing waits."""

from collections.abc import Iterator
from typing import Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, signals_pb2

from core.advisor import facts as fact_ids
from core.advisor.facts import Facts, instrument_facts
from core.advisor.ledger_accounts import AccountsSnapshot, EquityKey, PositionKey
from kit.accounting.amounts import plain
from kit.base.clock import Clock
from kit.marketdata.delivery.market_snapshots import InstrumentSnapshot, QuoteSnapshot

Fact = decisions_pb2.Fact


class Markets(Protocol):
    """The newest market data."""

    def quote(self, venue: str, symbol: str) -> QuoteSnapshot | None:
        """The best prices; None while they are not known."""

    def instrument(self, venue: str, symbol: str) -> InstrumentSnapshot | None:
        """The terms; None while they are not known."""


class Accounts(Protocol):
    """What the ledger has."""

    newest: AccountsSnapshot


class FactCollector:
    """Gives the facts as they are now."""

    def __init__(self, markets: Markets, accounts: Accounts, clock: Clock) -> None:
        self._markets = markets
        self._accounts = accounts
        self._clock = clock

    def collect(self, signal: signals_pb2.SignalRaised) -> Facts:
        """What is known now. What is not known is left out."""
        return Facts(self._facts(signal))

    def _facts(self, signal: signals_pb2.SignalRaised) -> Iterator[Fact]:
        now_ns = self._clock.time_ns()
        yield Fact(fact_id=fact_ids.CLOCK_TIME, value=str(now_ns), unit="ns", time_ns=now_ns)
        found = self._markets.instrument(signal.venue, signal.symbol)
        instrument = types_pb2.Instrument() if found is None else found.instrument
        quote = self._markets.quote(signal.venue, signal.symbol)
        if quote is not None:
            yield from quote_facts(quote, instrument.quote)
        if found is None:
            return
        yield from instrument_facts(instrument, found.time_ns)
        yield from _account_facts(signal, instrument, self._accounts.newest)


def quote_facts(quote: QuoteSnapshot, unit: str) -> Iterator[Fact]:
    time_ns = quote.confirmed_time_ns
    for fact_id, price in ((fact_ids.BID_PRICE, quote.bid), (fact_ids.ASK_PRICE, quote.ask)):
        yield Fact(fact_id=fact_id, value=plain(price), unit=unit, time_ns=time_ns)
    changed_ns = quote.changed_time_ns
    changed = str(changed_ns)
    fact_id = fact_ids.QUOTE_CHANGED_TIME
    yield Fact(fact_id=fact_id, value=changed, unit="ns", time_ns=changed_ns)
    yield Fact(fact_id=fact_ids.QUOTE_CURSOR, value=str(quote.cursor), time_ns=changed_ns)


def _account_facts(
    signal: signals_pb2.SignalRaised, instrument: types_pb2.Instrument, ledger: AccountsSnapshot
) -> Iterator[Fact]:
    """Of the account in the asset that pays profit and loss, and of the strategy's position."""
    if not ledger.time_ns:
        return
    is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
    asset = instrument.quote if is_spot else instrument.settlement_asset
    equity = ledger.equities.get(EquityKey(signal.venue, signal.account, asset), "")
    if equity:
        yield Fact(fact_id=fact_ids.EQUITY, value=equity, unit=asset, time_ns=ledger.time_ns)
    contracts = f"contract/{signal.venue}/{signal.symbol}"
    held = PositionKey(
        signal.venue,
        signal.account,
        signal.symbol,
        signal.strategy,
        instrument.base if is_spot else contracts,
    )
    balance = ledger.balances.get(held, "0")
    # The ledger has a long position of a spot instrument as a negative balance.
    size = _negated(balance) if is_spot else balance
    yield Fact(
        fact_id=fact_ids.POSITION_SIZE,
        value=size,
        unit=instrument.base if is_spot else "contracts",
        time_ns=ledger.time_ns,
    )


def _negated(amount: str) -> str:
    if amount.startswith("-"):
        return amount[1:]
    return amount if amount == "0" else f"-{amount}"
