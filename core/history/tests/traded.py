"""Events of orders as the ledger, the advisor and the inspector store them."""

import hashlib
import json
from collections.abc import Mapping

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2, event_pb2, executions_pb2, risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.history.tests.recorded import START_NS, SYMBOL, VENUE, instrument_id
from kit.base.database import Database
from kit.events import event_log
from kit.execution.request_ids import lifecycle_request_id

ACCOUNT, STRATEGY = "main", "ema_cross"
S = 1_000_000_000
MS = S // 1_000
DECISIONS = event_pb2.EVENT_STREAM_DECISIONS
EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
RISK = event_pb2.EVENT_STREAM_RISK
FILLED, OPEN = orders_pb2.ORDER_STATE_FILLED, orders_pb2.ORDER_STATE_OPEN
CANCELLED = orders_pb2.ORDER_STATE_CANCELLED
TERMS = {
    "venue": VENUE,
    "symbol": SYMBOL,
    "kind": "INSTRUMENT_KIND_SPOT",
    "base": "BTC",
    "quote": "USDT",
    "size_unit": "SIZE_UNIT_BASE",
}
PERPETUAL = {
    **TERMS,
    "kind": "INSTRUMENT_KIND_PERPETUAL",
    "quote": "USD",
    "settlement_asset": "BTC",
    "contract_kind": "CONTRACT_KIND_INVERSE",
    "size_unit": "SIZE_UNIT_CONTRACTS",
    "contract_value": "100",
}


def lifecycle(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def event(name: str, time_ns: int, lifecycle_id: bytes = b"", **payload: object) -> event_pb2.Event:
    made = event_pb2.Event(
        event_id=lifecycle(name),
        source="test",
        instance=f"{VENUE}/{ACCOUNT}",
        time_ns=time_ns,
        lifecycle_id=lifecycle_id,
    )
    for field, value in payload.items():
        getattr(made, field).CopyFrom(value)
    return made


class Traded:
    """Orders, by the seconds after START_NS. An order is named by its request id."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def terms(self, definition: Mapping[str, str] = TERMS, from_ns: int = 1) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO instrument_terms (venue, symbol, valid_from_ns, change, definition,"
                " epoch, sequence) VALUES (%s, %s, %s, 1, %s, 1, 1)",
                [VENUE, SYMBOL, from_ns, json.dumps(dict(definition))],
            )

    async def quotes(self, *at: tuple[float, str], symbol: str = SYMBOL) -> None:
        """Quotes of these seconds with these mids, 1 wide."""
        async with self.database.transaction() as connection:
            number = await instrument_id(connection, symbol)
            for second, mid in at:
                await connection.execute(
                    "INSERT INTO quote_rows (instrument_id, received_time_ns, venue_time_ns,"
                    " sequence, bid_price, bid_size, ask_price, ask_size)"
                    " VALUES (%s, %s, 0, 0, %s::numeric - 0.5, 1, %s::numeric + 0.5, 1)",
                    [number, at_ns(second), mid, mid],
                )

    async def put(
        self, stream: "event_pb2.EventStream.ValueType", *events: event_pb2.Event
    ) -> None:
        async with self.database.transaction() as connection:
            await event_log.append(connection, stream, events, max(one.time_ns for one in events))

    async def decide(self, chain: str, second: float, bid: str = "", ask: str = "") -> None:
        """A decision of the advisor, with the prices that it rests on."""
        made = decisions_pb2.DecisionMade(
            intent=decisions_pb2.ExecutionIntent(strategy=STRATEGY, venue=VENUE, symbol=SYMBOL)
        )
        for fact_id, value in {"quote.bid_price": bid, "quote.ask_price": ask}.items():
            if value:
                made.facts.add(fact_id=fact_id, value=value, time_ns=at_ns(second))
        name = f"{chain} decision"
        await self.put(DECISIONS, event(name, at_ns(second), lifecycle(chain), decision_made=made))

    async def request(self, chain: str, second: float) -> None:
        """A request of a person, and its verdict."""
        asked = risk_pb2.OrderRequested(caller="ann")
        given = risk_pb2.VerdictGiven(verdict=risk_pb2.VERDICT_ALLOW)
        own = lifecycle(chain)
        await self.put(
            RISK,
            event(f"{chain} asked", at_ns(second), own, order_requested=asked),
            event(f"{chain} given", at_ns(second), own, verdict_given=given),
        )

    def order(self, chain: str, second: float = 0, **changes: object) -> orders_pb2.Order:
        """An order to buy 10 at the market. ``changes``: fields of the order or its content."""
        request_id = lifecycle_request_id(lifecycle(chain), 1)
        content = orders_pb2.OrderContent(
            venue=VENUE,
            account=ACCOUNT,
            symbol=SYMBOL,
            side=types_pb2.SIDE_BUY,
            type=orders_pb2.ORDER_TYPE_MARKET,
            size="10",
        )
        made = orders_pb2.Order(
            content=content,
            request_id=request_id,
            client_order_id=hashlib.sha256(chain.encode()).hexdigest()[:32],
            state=OPEN,
            created_time_ns=at_ns(second),
            updated_time_ns=at_ns(second),
        )
        for name, value in changes.items():
            holder = made if name in orders_pb2.Order.DESCRIPTOR.fields_by_name else made.content
            setattr(holder, name, value)
        return made

    async def state(
        self, order: orders_pb2.Order, second: float, in_chain: bool = True, **changes: object
    ) -> None:
        """The order has these values from this second on."""
        for name, value in changes.items():
            setattr(order, name, value)
        order.updated_time_ns = at_ns(second)
        chain = _chain(order) if in_chain else b""
        content = order.SerializeToString(deterministic=True)
        name = f"{order.client_order_id} {second} {content!r}"
        made = executions_pb2.OrderChanged(order=order)
        await self.put(EXECUTIONS, event(name, at_ns(second), chain, order_changed=made))

    async def fill(
        self,
        order: orders_pb2.Order,
        second: float,
        price: str,
        size: str,
        fee: str = "0",
        in_chain: bool = True,
    ) -> None:
        """A fill as taker, with a fee in USDT."""
        fill = orders_pb2.Fill(
            venue=VENUE,
            account=ACCOUNT,
            symbol=order.content.symbol,
            fill_id=f"{order.client_order_id}-{second}",
            client_order_id=order.client_order_id,
            side=order.content.side,
            price=price,
            size=size,
            fee=orders_pb2.Fee(asset="USDT", amount=fee),
            liquidity=orders_pb2.LIQUIDITY_TAKER,
            venue_time_ns=at_ns(second),
        )
        chain = _chain(order) if in_chain else b""
        made = executions_pb2.OrderFilled(fill=fill, request_id=order.request_id)
        await self.put(EXECUTIONS, event(fill.fill_id, at_ns(second), chain, order_filled=made))


def at_ns(second: float) -> int:
    return START_NS + round(second * 1_000) * MS


def _chain(order: orders_pb2.Order) -> bytes:
    return bytes.fromhex(order.request_id.split("-")[1])
