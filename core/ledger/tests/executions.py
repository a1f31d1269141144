"""Random executions at a venue, as events, and the balances that follow from them by an independent
computation with fractions.Fraction."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import floor

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger.contracts import InstrumentKey
from kit.events.event_ids import event_id

VENUE, ACCOUNT = "deribit", "main"
ATOMS = 10**18
SPOT, LINEAR, INVERSE, QUANTO = "BTCUSDT", "BTC_USDT", "BTC_USD", "ETH_QUANTO"
STRATEGIES = ("", "s1", "s2")

Balances = dict[tuple[str, str, str, str], int]
"""Atoms by code, asset, symbol and strategy. Without those that are 0."""


@dataclass(frozen=True, slots=True)
class Terms:
    """An instrument, for the independent computation."""

    base: str
    quote: str
    settle: str
    multiplier: Fraction
    is_inverse: bool = False

    def value(self, price: Fraction, size: Fraction) -> int:
        """The value of a size in atoms, cut off."""
        units = size * self.multiplier
        return floor((units / price if self.is_inverse else units * price) * ATOMS)


TERMS = {
    SPOT: Terms("BTC", "USDT", "", Fraction(1)),
    LINEAR: Terms("BTC", "USDT", "USDT", Fraction(1, 1000)),
    INVERSE: Terms("BTC", "USD", "BTC", Fraction(10), is_inverse=True),
    QUANTO: Terms("ETH", "USD", "BTC", Fraction(1, 1_000_000)),
}


def _text(amount: Fraction) -> str:
    return f"{Decimal(amount.numerator) / Decimal(amount.denominator):f}"


def _instrument(symbol: str) -> types_pb2.Instrument:
    terms = TERMS[symbol]
    if not terms.settle:
        return types_pb2.Instrument(
            venue=VENUE,
            symbol=symbol,
            base=terms.base,
            quote=terms.quote,
            kind=types_pb2.INSTRUMENT_KIND_SPOT,
            size_unit=types_pb2.SIZE_UNIT_BASE,
        )
    kinds = {
        LINEAR: types_pb2.CONTRACT_KIND_LINEAR,
        INVERSE: types_pb2.CONTRACT_KIND_INVERSE,
        QUANTO: types_pb2.CONTRACT_KIND_QUANTO,
    }
    return types_pb2.Instrument(
        venue=VENUE,
        symbol=symbol,
        base=terms.base,
        quote=terms.quote,
        settlement_asset=terms.settle,
        kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
        contract_kind=kinds[symbol],
        size_unit=types_pb2.SIZE_UNIT_CONTRACTS,
        contract_value=_text(terms.multiplier),
    )


INSTRUMENTS = {InstrumentKey(VENUE, symbol): _instrument(symbol) for symbol in TERMS}


def fill(
    symbol: str,
    number: int,
    size: str,
    price: str,
    *,
    time_ns: int = 0,
    strategy: str = "",
    fee: tuple[str, str] = ("", ""),
) -> event_pb2.Event:
    """A fill; with a negative size, a sale."""
    event = _event(f"fill {symbol} {number}", time_ns or number)
    filled = event.order_filled
    filled.strategy = strategy
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
        amount = _text(Fraction(chance.randint(-10_000, 10_000), 10**4))
        kind = chance.choice(kinds)
        chosen = symbol if has_symbol else ""
        return flow(kind, number, asset, amount, symbol=chosen, time_ns=time_ns)
    fee_assets = [terms.settle] if terms.settle else [terms.base, terms.quote, "BNB"]
    fee = chance.choice(["0.00012", "0.3", "-0.0001", "0", "0.000000000000000007"])
    size = chance.choice(["1", "2.5", "0.3", "7", "0.00000001"])
    return fill(
        symbol,
        number,
        ("-" if chance.random() < 0.5 else "") + size,
        _text(Fraction(chance.randint(200_000, 400_000), 10)),
        time_ns=time_ns,
        strategy=chance.choice(STRATEGIES),
        fee=(chance.choice(fee_assets), fee),
    )


class _Held:
    """A position by average cost. The cost of a short position is negative."""

    def __init__(self) -> None:
        self.size = Fraction(0)
        self.cost = 0

    def trade(self, terms: Terms, price: Fraction, size: Fraction) -> int:
        """Returns the profit in atoms. Shares are cut off to atoms."""
        value, profit = terms.value(price, abs(size)), 0
        if self.size * size < 0:
            closing = min(abs(size), abs(self.size))
            share = floor(abs(self.cost) * closing / abs(self.size))
            closed = floor(value * closing / abs(size))
            side = 1 if self.size > 0 else -1
            profit = side * (closed - share) * (-1 if terms.is_inverse else 1)
            self.cost -= side * share
            self.size -= side * closing
            value -= closed
            size += side * closing
        self.size += size
        if size:
            self.cost += value if size > 0 else -value
        return profit


def expected_balances(events: Iterable[event_pb2.Event]) -> Balances:
    """The balances after events, each of which counts once, in the order of the venue."""
    found: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    held: dict[tuple[str, str], _Held] = {}
    net: dict[str, _Held] = {symbol: _Held() for symbol in TERMS}

    def add(code: str, asset: str, amount: int, symbol: str = "", strategy: str = "") -> None:
        found[code, asset, symbol, strategy] += amount

    for event in _in_order(events):
        if event.HasField("order_filled"):
            one, strategy = event.order_filled.fill, event.order_filled.strategy
            symbol, terms = one.symbol, TERMS[one.symbol]
            own = held.setdefault((symbol, strategy), _Held())
            side = 1 if one.side == types_pb2.SIDE_BUY else -1
            price, size = Fraction(one.price), side * Fraction(one.size)
            fee = floor(Fraction(one.fee.amount) * ATOMS) if one.fee.amount else 0
            profit = own.trade(terms, price, size)
            if terms.settle:
                contracts = f"contract/{VENUE}/{symbol}"
                add("POSITION", contracts, floor(size * ATOMS), symbol, strategy)
                add("EXTERNAL", contracts, -floor(size * ATOMS), symbol)
                paid = net[symbol].trade(terms, price, size)
                add("CASH", terms.settle, paid)
                add("REALIZED_PROFIT", terms.settle, -profit, symbol, strategy)
                add("POSITION", terms.settle, profit - paid, symbol)
            else:
                value = side * terms.value(price, abs(size))
                add("CASH", terms.quote, -value)
                add("CASH", terms.base, floor(size * ATOMS))
                add("POSITION", terms.base, -floor(size * ATOMS), symbol, strategy)
                if one.fee.asset == terms.base and fee:
                    # As if so much had been sold at the price, and the proceeds were the fee.
                    profit += own.trade(terms, price, -Fraction(fee, ATOMS))
                    sign = 1 if fee > 0 else -1
                    paid = sign * terms.value(price, Fraction(abs(fee), ATOMS))
                    add("CASH", terms.base, -fee)
                    add("POSITION", terms.base, fee, symbol, strategy)
                    add("FEES", terms.quote, paid, symbol, strategy)
                    add("POSITION", terms.quote, -paid, symbol, strategy)
                    fee = 0
                add("POSITION", terms.quote, value + profit, symbol, strategy)
                add("REALIZED_PROFIT", terms.quote, -profit, symbol, strategy)
            if fee:
                add("CASH", one.fee.asset, -fee)
                add("FEES", one.fee.asset, fee, symbol, strategy)
            continue
        _add_flow(add, held, net, event.cash_moved.cash_flow)
    return {key: amount for key, amount in found.items() if amount}


def _add_flow(add, held, net, one: cash_flows_pb2.CashFlow) -> None:
    amount = floor(Fraction(one.amount) * ATOMS)
    kind = cash_flows_pb2.CashFlowKind.Name(one.kind).removeprefix("CASH_FLOW_KIND_")
    settle = TERMS[one.symbol].settle if one.symbol else ""
    add("CASH", one.asset, amount)
    if kind == "FUNDING" and settle:
        sizes = {
            strategy: position.size
            for (symbol, strategy), position in held.items()
            if symbol == one.symbol and position.size
        }
        whole = sum(sizes.values())
        sizes = sizes if whole else {}
        shares = (
            {strategy: floor(amount * size / whole) for strategy, size in sizes.items()}
            if whole
            else {"": amount}
        )
        largest = max(shares, key=lambda name: (abs(sizes.get(name, 0)), name))
        shares[largest] += amount - sum(shares.values())
        for strategy, share in shares.items():
            add("FUNDING_PROFIT", one.asset, -share, one.symbol, strategy)
    elif kind == "SETTLEMENT" and settle:
        add("POSITION", one.asset, -amount, one.symbol)
        if net[one.symbol].size:
            net[one.symbol].cost += -amount if TERMS[one.symbol].is_inverse else amount
    else:
        codes = {
            "FUNDING": "FUNDING_PROFIT",
            "INTEREST": "FUNDING_PROFIT",
            "FEE": "FEES",
            "LIQUIDATION": "FEES",
            "SETTLEMENT": "REALIZED_PROFIT",
            "TRANSFER": "EXTERNAL",
            "OTHER": "EXTERNAL",
        }
        add(codes[kind], one.asset, -amount, one.symbol)


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
