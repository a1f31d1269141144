"""Makes the events of stream "executions" from the venues' reports."""

import hashlib
from collections.abc import Iterable

from venuemesh.events.v1 import event_pb2, executions_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from core.ledger.posting_events import SOURCE
from kit.events.event_ids import event_id
from kit.events.subjects import fill_subject, opening_cause
from kit.execution.request_ids import lifecycle_of


def order_changed(order: orders_pb2.Order) -> event_pb2.Event:
    """The event of an order's state; the same state again is the same event."""
    content = order.SerializeToString(deterministic=True)
    instance = f"{order.content.venue}/{order.content.account}"
    event = _event(instance, hashlib.sha256(content).digest(), order.updated_time_ns)
    event.lifecycle_id = lifecycle_of(order.request_id)
    event.order_changed.order.CopyFrom(order)
    return event


def order_filled(fill: orders_pb2.Fill, request_id: str) -> event_pb2.Event:
    """The event of a fill."""
    event = _event(f"{fill.venue}/{fill.account}", fill_subject(fill).encode(), fill.venue_time_ns)
    event.lifecycle_id = lifecycle_of(request_id)
    event.order_filled.CopyFrom(executions_pb2.OrderFilled(fill=fill, request_id=request_id))
    return event


def cash_moved(flow: cash_flows_pb2.CashFlow) -> event_pb2.Event:
    """The event of a change of a balance that is no fill."""
    name = f"cash flow:{flow.venue}/{flow.account}/{flow.kind}/{flow.cash_flow_id}"
    event = _event(f"{flow.venue}/{flow.account}", name.encode(), flow.venue_time_ns)
    event.cash_moved.cash_flow.CopyFrom(flow)
    return event


def balances_opened(
    venue: str, account: str, balances: Iterable[orders_pb2.Balance], time_ns: int
) -> event_pb2.Event:
    """The event of what an account had; an account has one."""
    event = _opened(venue, account, "", time_ns)
    event.balances_opened.venue, event.balances_opened.account = venue, account
    event.balances_opened.balances.extend(balances)
    return event


def position_opened(
    venue: str, account: str, position: orders_pb2.Position, time_ns: int
) -> event_pb2.Event:
    """The event of a position that an account had; an instrument has one."""
    event = _opened(venue, account, position.symbol, time_ns)
    event.position_opened.venue, event.position_opened.account = venue, account
    event.position_opened.position.CopyFrom(position)
    return event


def same_fact(first: event_pb2.Event, second: event_pb2.Event) -> bool:
    """Whether two events of one id tell the same: what a venue says of a fill or a cash flow.

    When and how it was received may differ, and whether its order was known by then.
    """
    return _fact(first) == _fact(second)


def _fact(event: event_pb2.Event) -> tuple[object, ...]:
    if event.WhichOneof("payload") == "order_filled":
        fill = event.order_filled.fill
        fees = [(fee.asset, fee.amount) for fee in (fill.fee, *fill.further_fees)]
        return (fill.fill_id, fill.side, fill.price, fill.size, fees, fill.venue_time_ns)
    if event.WhichOneof("payload") == "cash_moved":
        flow = event.cash_moved.cash_flow
        return (flow.cash_flow_id, flow.kind, flow.symbol, flow.asset, flow.amount)
    return (event.SerializeToString(deterministic=True),)


def _opened(venue: str, account: str, symbol: str, time_ns: int) -> event_pb2.Event:
    return _event(f"{venue}/{account}", opening_cause(symbol), time_ns)


def _event(instance: str, cause: bytes, time_ns: int) -> event_pb2.Event:
    # The cause is outside of the mesh, so it names the event, and is no event itself.
    return event_pb2.Event(
        event_id=event_id(SOURCE, instance, [cause]),
        source=SOURCE,
        instance=instance,
        time_ns=time_ns,
    )
