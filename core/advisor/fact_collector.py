"""Collects facts about signals from the venues' processes and the ledger."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, signals_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.advisor import facts as fact_ids
from core.advisor.facts import DecisionFacts, instrument_facts
from core.advisor.ledger_accounts import AccountsSnapshot, EquityKey, PositionKey
from kit.accounting.amounts import plain
from kit.base.clock import Clock
from kit.base.cursor import Cursor
from kit.marketdata.clients.best_prices import BestPrices, InstrumentKey
from kit.marketdata.clients.listed_instruments import ListedInstrument

STATE_PREFIX = "BOOK_STATE_"

Fact = decisions_pb2.Fact


class Prices(Protocol):
    """Queries current best prices."""

    async def of(self, instruments: Iterable[InstrumentKey]) -> Mapping[InstrumentKey, BestPrices]:
        """The best prices of each instrument; unknown prices are None."""


class Instruments(Protocol):
    """The instruments of the venues."""

    async def find(self, venue: str, symbol: str) -> ListedInstrument | None:
        """The terms of an instrument; None if they are unknown."""


class Accounts(Protocol):
    """The newest snapshot of the ledger."""

    newest: AccountsSnapshot


class FactCollector:
    """Collects current facts."""

    def __init__(
        self, prices: Prices, instruments: Instruments, accounts: Accounts, clock: Clock
    ) -> None:
        self._prices = prices
        self._instruments = instruments
        self._accounts = accounts
        self._clock = clock

    async def collect(
        self, signals: Collection[signals_pb2.SignalRaised]
    ) -> Sequence[DecisionFacts]:
        """The facts about each signal, without unknown ones."""
        wanted = {(signal.venue, signal.symbol) for signal in signals}
        prices, instruments = await asyncio.gather(self._prices.of(wanted), self._find(wanted))
        return [
            DecisionFacts(self._facts(signal, prices[key], instruments[key]))
            for signal in signals
            for key in [(signal.venue, signal.symbol)]
        ]

    async def _find(
        self, wanted: Collection[InstrumentKey]
    ) -> dict[InstrumentKey, ListedInstrument | None]:
        found = await asyncio.gather(*(self._instruments.find(*one) for one in wanted))
        return dict(zip(wanted, found, strict=True))

    def _facts(
        self,
        signal: signals_pb2.SignalRaised,
        best: BestPrices,
        listed: ListedInstrument | None,
    ) -> Iterator[Fact]:
        now_ns = self._clock.time_ns()
        version = str(fact_ids.RULES_VERSION_NOW)
        yield Fact(fact_id=fact_ids.RULES_VERSION, value=version, time_ns=now_ns)
        yield Fact(fact_id=fact_ids.CLOCK_TIME, value=str(now_ns), unit="ns", time_ns=now_ns)
        yield from price_facts(best, "" if listed is None else listed.instrument.quote)
        if listed is not None:
            yield from instrument_facts(*listed)
            yield from _account_facts(signal, listed.instrument, self._accounts.newest)


def price_facts(best: BestPrices, unit: str) -> Iterator[Fact]:
    """The facts of an order book, which hold at the time of the request or later."""
    asked_ns = best.asked_time_ns
    yield Fact(fact_id=fact_ids.BOOK_ASKED_TIME, value=str(asked_ns), unit="ns", time_ns=asked_ns)
    if not best.answered_time_ns:
        return
    answered_ns, changed_ns = best.answered_time_ns, best.book.venue_time_ns
    cursor = str(Cursor.of(best.book.cursor))
    state = market_data_pb2.BookState.Name(best.book.state).removeprefix(STATE_PREFIX).lower()
    for fact_id, value, of, time_ns in (
        (fact_ids.BOOK_ANSWERED_TIME, str(answered_ns), "ns", answered_ns),
        (fact_ids.BOOK_STATE, state, "", asked_ns),
        (fact_ids.BOOK_CURSOR, cursor, "", asked_ns),
        (fact_ids.BOOK_VENUE_TIME, str(changed_ns) if changed_ns else "", "ns", changed_ns),
        (fact_ids.BID_PRICE, "" if best.bid is None else plain(best.bid), unit, asked_ns),
        (fact_ids.ASK_PRICE, "" if best.ask is None else plain(best.ask), unit, asked_ns),
    ):
        if value:
            yield Fact(fact_id=fact_id, value=value, unit=of, time_ns=time_ns)


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
