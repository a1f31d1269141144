"""Makes orders of their journal records, and the record of a fill."""

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.contract import VenueFill
from kit.execution.journal.records import ExternalOrder, OrderFill, OrderIntent
from kit.execution.orders import order_states
from kit.execution.orders.order import Order
from kit.execution.orders.request_reader import read_request
from kit.execution.prices.reference_prices import FindInstrument, not_listed


def intended_order(intent: OrderIntent, find_instrument: FindInstrument = not_listed) -> Order:
    """Make an order of its journal record."""
    content = orders_pb2.OrderContent.FromString(intent.content)
    return Order(
        key=intent.key,
        request=read_request(content, intent.key),
        content=content,
        created_time_ns=intent.created_time_ns,
        request_id=intent.request_id,
        digest=intent.digest,
        approval_expires_time_ns=intent.approval_expires_time_ns,
        key_id=intent.key_id,
        signature=intent.signature,
        fencing_epoch=intent.fencing_epoch,
        is_reduction=intent.is_reduction,
        was_held_here=intent.held_here,
        held_here=intent.held_here,
        updated_time_ns=intent.created_time_ns,
        find_instrument=find_instrument,
    )


def external_order(record: ExternalOrder, find_instrument: FindInstrument) -> Order:
    """Make an order that another program placed of its journal record."""
    content = orders_pb2.OrderContent.FromString(record.content)
    return Order(
        key=record.key,
        request=read_request(content, record.client_order_id),
        content=content,
        created_time_ns=record.created_time_ns,
        external=True,
        state=order_states.ACKNOWLEDGED,
        find_instrument=find_instrument,
    )


def order_fill(order: Order, update: VenueFill, received_time_ns: int) -> OrderFill:
    """Make the journal record of a fill that the venue reports."""
    return OrderFill(
        key=order.key,
        symbol=update.symbol,
        fill_id=update.fill_id,
        venue_order_id=update.venue_order_id or order.venue_order_id,
        client_order_id=order.client_order_id,
        side=int(update.side),
        price=update.price,
        size=update.size,
        fees=tuple((fee.asset, fee.amount) for fee in update.fees),
        liquidity=int(update.liquidity),
        venue_time_ns=update.venue_time_ns,
        received_time_ns=received_time_ns,
    )
