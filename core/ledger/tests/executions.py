"""Random executions at a venue, as events, and the balances that follow from them by an independent
computation."""

import random
from collections.abc import Iterable, Sequence
from fractions import Fraction

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger.contracts import InstrumentKey
from core.ledger.tests.independent_books import (
    Balances,
    IndependentBooks,
    Terms,
    decimal_text,
    instrument_of,
)
from kit.events.event_ids import event_id

VENUE, ACCOUNT = "deribit", "main"
SPOT, LINEAR, INVERSE, QUANTO = "BTCUSDT", "BTC_USDT", "BTC_USD", "ETH_QUANTO"
STRATEGIES = ("", "s1", "s2")

TERMS = {
    SPOT: Terms("BTC", "USDT", "", Fraction(1)),
    LINEAR: Terms("BTC", "USDT", "USDT", Fraction(1, 1000)),
    INVERSE: Terms("BTC", "USD", "BTC", Fraction(10), is_inverse=True),
    QUANTO: Terms("ETH", "USD", "BTC", Fraction(1, 1_000_000)),
}


INSTRUMENTS = {
    InstrumentKey(VENUE, symbol): instrument_of(VENUE, symbol, terms)
    for symbol, terms in TERMS.items()
}


def fill(
    symbol: str,
    number: int,
    size: str,
    price: str,
    *,
    time_ns: int = 0,
    strategy: str = "",
    fee: tuple[str, str] = ("", ""),
    request_id: str = "",
) -> event_pb2.Event:
    """A fill; with a negative size, a sale."""
    event = _event(f"fill {symbol} {number}", time_ns or number)
    filled = event.order_filled
    filled.strategy, filled.request_id = strategy, request_id
    found = filled.fill
    found.venue, found.account, found.symbol = VENUE, ACCOUNT, symbol
    found.fill_id, found.venue_time_ns = str(number), time_ns or number
    found.side = types_pb2.SIDE_SELL if size.startswith("-") else types_pb2.SIDE_BUY
    found.size, found.price = size.removeprefix("-"), price
    found.fee.asset, found.fee.amount = fee
    return event


def flow(
    kind: "cash_flows_pb2.CashFlowKind.ValueType",
    number: int,
    asset: str,
    amount: str,
    *,
    symbol: str = "",
    time_ns: int = 0,
) -> event_pb2.Event:
    """Another change of a balance."""
    event = _event(f"flow {number}", time_ns or number)
    found = event.cash_moved.cash_flow
    found.venue, found.account, found.symbol = VENUE, ACCOUNT, symbol
    found.kind, found.cash_flow_id = kind, str(number)
    found.asset, found.amount, found.venue_time_ns = asset, amount, time_ns or number
    return event


def _event(name: str, time_ns: int) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=event_id("ledger", f"{VENUE}/{ACCOUNT}", [name.encode()]),
        source="ledger",
        instance=f"{VENUE}/{ACCOUNT}",
        time_ns=time_ns,
    )


def random_events(seed: int, count: int) -> list[event_pb2.Event]:
    """Executions in the order of the venue."""
    chance = random.Random(seed)
    return [_random_event(chance, number) for number in range(1, count + 1)]


def _random_event(chance: random.Random, number: int) -> event_pb2.Event:
    # Several of one time: then the numbers of their ids decide.
    time_ns = 1_000 + number // 3
    symbol = chance.choice(list(TERMS))
    terms = TERMS[symbol]
    if chance.random() < 0.15:
        kinds = [
            kind
            for kind in cash_flows_pb2.CashFlowKind.values()
            if kind != cash_flows_pb2.CASH_FLOW_KIND_UNSPECIFIED
        ]
        asset = terms.settle or terms.quote
        has_symbol = chance.random() < 0.7
        amount = decimal_text(Fraction(chance.randint(-10_000, 10_000), 10**4))
        kind = chance.choice(kinds)
        chosen = symbol if has_symbol else ""
        return flow(kind, number, asset, amount, symbol=chosen, time_ns=time_ns)
    fee_assets = [terms.settle] if terms.settle else [terms.base, terms.quote, "BNB"]
    fee = chance.choice(["0.00012", "0.3", "-0.0001", "0", "0.000000000000000007"])
    size = chance.choice(["1", "2.5", "0.3", "7", "0.00000001"])
    found = fill(
        symbol,
        number,
        ("-" if chance.random() < 0.5 else "") + size,
        decimal_text(Fraction(chance.randint(200_000, 400_000), 10)),
        time_ns=time_ns,
        strategy=chance.choice(STRATEGIES),
        fee=(chance.choice(fee_assets), fee),
    )
    if chance.random() < 0.2:
        further = chance.choice([*fee_assets, "EUR"])
        found.order_filled.fill.further_fees.add(asset=further, amount="0.07")
    return found


def expected_balances(events: Iterable[event_pb2.Event]) -> Balances:
    """The balances after events, each of which counts once, in the order of the venue."""
    return independent(events).balances


def independent(events: Iterable[event_pb2.Event]) -> IndependentBooks:
    """The books after events."""
    books = IndependentBooks(VENUE, TERMS)
    for event in _in_order(events):
        if event.HasField("order_filled"):
            books.fill(event.order_filled.fill, event.order_filled.strategy)
        else:
            books.flow(event.cash_moved.cash_flow)
    return books


def _in_order(events: Iterable[event_pb2.Event]) -> Sequence[event_pb2.Event]:
    def place(event: event_pb2.Event) -> tuple[int, int, int]:
        if event.HasField("order_filled"):
            one = event.order_filled.fill
            return one.venue_time_ns, 2, int(one.fill_id)
        found = event.cash_moved.cash_flow
        is_settlement = found.kind == cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT
        return found.venue_time_ns, int(is_settlement), int(found.cash_flow_id)

    once = {event.event_id: event for event in events}
    return sorted(once.values(), key=place)
