"""Random executions in one account of each venue, and how the venue reports them.

Everything follows from a seed, block by block. A block is a time of the venue: what happens in it
is reported in it, late, twice and in another order, and nothing of it is reported after it.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2, trade_flow_pb2

from core.ledger.tests.independent_books import Terms
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.event_ids import event_id
from kit.execution.request_ids import lifecycle_request_id

ACCOUNT = "main"
STRATEGIES = ("carry", "maker", "momentum")
BLOCK = 1_000
"""Executions of one block."""
STEP_NS = 120 * NANOSECONDS_PER_SECOND
SAME_TIME = 3
"""Executions that happen at one time: their ids decide which counts first."""
BLOCK_NS = (BLOCK // SAME_TIME + 1) * STEP_NS
"""11 hours. A ledger whose cursor is lost lists the fills of a day."""
START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
LATE_MAX, LISTED_LATE_MAX = 900, 5
"""Executions that may be reported before one that happened before them. What the stream never
brings must be on the list within ten minutes."""
ORDER_FILLS = 16
"""Fills of one order, at most."""
NO_ORDER, UNKNOWN = "", "unknown"
"""A fill without an order, and orders that the process of the venue does not know."""
OWNERS = (*STRATEGIES, UNKNOWN, NO_ORDER)
TOO_PRECISE = "0.0000000000000000001"
TOO_LARGE = "1" + "0" * 18
OUT_OF_BOUNDS, BAD_REQUEST = "AMOUNT_OUT_OF_BOUNDS", "BAD_REQUEST"
"""Why something can never be booked, as in errors.proto."""
FLOW_KINDS = tuple(cash_flows_pb2.CashFlowKind.values())[1:]
FLOW_WEIGHTS = (1, 6, 2, 2, 1, 2, 1)
"""Other, funding, fee, settlement, liquidation, transfer, interest."""

ONE, MILLI = Fraction(1), Fraction(1, 1_000)
SPOT = {
    "BTC-USDT": Terms("BTC", "USDT", "", ONE),
    "ETH-USDT": Terms("ETH", "USDT", "", ONE),
    "ETH-BTC": Terms("ETH", "BTC", "", ONE),
}
LINEAR = {
    "BTC-PERP": Terms("BTC", "USDT", "USDT", MILLI),
    "ETH-PERP": Terms("ETH", "USDT", "USDT", Fraction(1, 100)),
}
INVERSE = {
    "BTC-USD": Terms("BTC", "USD", "BTC", Fraction(10), is_inverse=True),
    "ETH-USD": Terms("ETH", "USD", "ETH", Fraction(1), is_inverse=True),
}
QUANTO = {"ETH-QUANTO": Terms("ETH", "USD", "BTC", Fraction(1, 1_000_000))}
VENUES: Mapping[str, Mapping[str, Terms]] = MappingProxyType(
    {
        "binance": SPOT,
        "binance_futures": LINEAR,
        "deribit": INVERSE,
        "okx": SPOT,
        "okx_futures": LINEAR | INVERSE,
        "coinbase": SPOT,
        "bybit": LINEAR | INVERSE | QUANTO,
        "kraken": SPOT,
    }
)
"""The instruments of each."""
PRICES = {"BTC": (600_000, 1), "ETH": (300_000, 2), "ETH-BTC": (500_000, 7)}
"""Around which price an instrument is traded, and its decimal places; by base asset, or symbol."""

Response = trade_flow_pb2.StreamExecutionsResponse


class Execution(NamedTuple):
    """A fill, or another change of a balance."""

    reported: "orders_pb2.Fill | cash_flows_pb2.CashFlow"
    strategy: str = ""
    refusal: str = ""
    """Why it can never be booked."""

    @property
    def fill(self) -> "orders_pb2.Fill | None":
        return self.reported if isinstance(self.reported, orders_pb2.Fill) else None

    @property
    def flow(self) -> "cash_flows_pb2.CashFlow | None":
        return self.reported if isinstance(self.reported, cash_flows_pb2.CashFlow) else None

    @property
    def place(self) -> tuple[int, int, int]:
        """Its place in the order of the venue."""
        time_ns = self.reported.venue_time_ns
        if self.fill is not None:
            return time_ns, 2, int(self.fill.fill_id)
        flow = self.reported
        assert isinstance(flow, cash_flows_pb2.CashFlow)
        settles = flow.kind == cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT
        return time_ns, int(settles), int(flow.cash_flow_id)


class Report(NamedTuple):
    """A step of a venue."""

    is_new: bool
    """From now on its lists have the execution."""
    execution: Execution
    streamed: Response | None
    """What its stream brings, if it does."""


def chain_of(strategy: str) -> bytes:
    """The id of the signal that began the chain of all orders of a strategy."""
    return event_id("detector", strategy, [])


def request_id_of(client_order_id: str) -> str | None:
    """Of an order; None: nobody knows it."""
    owner, _, number = client_order_id.partition("-")
    return lifecycle_request_id(chain_of(owner), int(number)) if owner in STRATEGIES else None


class VenueExecutions:
    """What happens at one venue."""

    def __init__(self, venue: str, seed: int, count: int) -> None:
        self.venue = venue
        self.terms = VENUES[venue]
        self.blocks = -(-count // BLOCK)
        self.seed = seed
        self.count = count
        self.block = lru_cache(maxsize=4)(self._block)
        """Its reports, in their order."""

    def executions(self) -> Iterator[Execution]:
        """Every execution once, in the order of the ids."""
        for number in range(self.blocks):
            yield from self._happened(number)

    def _happened(self, block: int) -> list[Execution]:
        """In the order of the venue, as far as times and ids are."""
        chance = random.Random(f"{self.seed} {self.venue} {block}")
        first = block * BLOCK
        numbers = range(first, min(first + BLOCK, self.count))
        return [self._execution(chance, number) for number in numbers]

    def _block(self, block: int) -> Sequence[Report]:
        chance = random.Random(f"{self.seed} {self.venue} {block} reports")
        placed: list[tuple[int, Report]] = []
        for place, execution in enumerate(self._happened(block)):
            placed += _reports(chance, place, execution)
        # Of one place, what is new comes first.
        placed.sort(key=lambda one: (one[0], not one[1].is_new))
        return [report for _, report in placed]

    def _execution(self, chance: random.Random, number: int) -> Execution:
        block, place = divmod(number, BLOCK)
        time_ns = START_NS + block * BLOCK_NS + place // SAME_TIME * STEP_NS
        symbol = chance.choice(list(self.terms))
        if chance.random() < 0.15:
            return self._flow(chance, number, time_ns, symbol)
        return self._fill(chance, number, time_ns, symbol)

    def _flow(self, chance: random.Random, number: int, time_ns: int, symbol: str) -> Execution:
        terms = self.terms[symbol]
        (kind,) = chance.choices(FLOW_KINDS, FLOW_WEIGHTS)
        refusal = OUT_OF_BOUNDS if chance.random() < 0.002 else ""
        amount = chance.choice((TOO_PRECISE, TOO_LARGE)) if refusal else _amount(chance)
        flow = cash_flows_pb2.CashFlow(
            venue=self.venue,
            account=ACCOUNT,
            cash_flow_id=str(number),
            kind=kind,
            symbol=symbol if chance.random() < 0.7 else "",
            asset=terms.settle or terms.quote,
            amount=amount,
            venue_time_ns=time_ns,
        )
        return Execution(flow, refusal=refusal)

    def _fill(self, chance: random.Random, number: int, time_ns: int, symbol: str) -> Execution:
        terms = self.terms[symbol]
        owner = chance.choice(OWNERS)
        order_id = f"{owner}-{number // (ORDER_FILLS * len(OWNERS))}" if owner else ""
        middle, places = PRICES.get(symbol) or PRICES[terms.base]
        fill = orders_pb2.Fill(
            venue=self.venue,
            account=ACCOUNT,
            symbol=symbol,
            fill_id=str(number),
            client_order_id=order_id,
            side=chance.choice((types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)),
            price=_text(chance.randint(middle * 9 // 10, middle * 11 // 10), places),
            size=chance.choice(("1", "3", "0.00000001", _text(chance.randint(1, 10**6), 4))),
            venue_time_ns=time_ns,
        )
        assets = (terms.settle,) if terms.settle else (terms.base, terms.quote, "BNB")
        fill.fee.asset = chance.choice(assets)
        fill.fee.amount = chance.choice(("0.00012", "0.3", "-0.0001", "0", "0.000000000000000007"))
        refusal = _spoil(fill, terms) if chance.random() < 0.001 else ""
        return Execution(fill, owner if owner in STRATEGIES else "", refusal)


def _spoil(fill: orders_pb2.Fill, terms: Terms) -> str:
    """Make a fill one that can never be booked. Returns why."""
    match int(fill.fill_id) % 3:
        case 0:
            fill.size = TOO_PRECISE
        case 1:
            fill.size = "0"
        case 2:
            fill.side = types_pb2.SIDE_UNSPECIFIED
            return BAD_REQUEST
    return OUT_OF_BOUNDS


def _reports(
    chance: random.Random, place: int, execution: Execution
) -> Iterator[tuple[int, Report]]:
    """How an execution is reported, and after which others."""
    fill = execution.fill
    if fill is None:
        # Only a list has it, perhaps hours later.
        yield place + chance.choice((0, 0, 20, LATE_MAX)), Report(True, execution, None)
        return
    if chance.random() < 0.03:
        late = chance.randint(0, LISTED_LATE_MAX)
        yield place + late, Report(True, execution, None)
        return
    first = place + chance.choice((0, 0, 0, 0, 0, 0, 0, 3, 20, chance.randint(0, LATE_MAX)))
    yield first, Report(True, execution, Response(fill=fill))
    if chance.random() < 0.1:
        again = first + chance.randint(0, LATE_MAX)
        yield again, Report(False, execution, Response(fill=fill))
    if chance.random() < 0.0002:
        other = orders_pb2.Fill()
        other.CopyFrom(fill)
        other.price = "1"
        yield first + chance.randint(1, 50), Report(False, execution, Response(fill=other))
    if chance.random() < 1 / ORDER_FILLS and (order := _order_of(fill)) is not None:
        yield first, Report(False, execution, Response(order=order))


def _order_of(fill: orders_pb2.Fill) -> orders_pb2.Order | None:
    """The order of a fill, after it."""
    request_id = request_id_of(fill.client_order_id)
    if request_id is None:
        return None
    order = orders_pb2.Order(
        request_id=request_id,
        client_order_id=fill.client_order_id,
        state=orders_pb2.ORDER_STATE_PARTLY_FILLED,
        filled_size=fill.size,
        updated_time_ns=fill.venue_time_ns,
    )
    order.content.venue, order.content.account = fill.venue, fill.account
    order.content.symbol = fill.symbol
    return order


def _amount(chance: random.Random) -> str:
    """Of a change of a balance; often 0."""
    return _text(chance.choice((0, 1, -1)) * chance.randint(1, 10**7), 4)


def _text(units: int, places: int) -> str:
    return f"{Decimal(units).scaleb(-places):f}"
