"""The one place where orders, fills, balances and positions are rendered to the contract's
messages."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting import instruments
from kit.accounting.amounts import plain
from kit.execution.context import AccountContext
from kit.execution.contract import OrderCapabilities, VenueBalance, VenueOrder, VenuePosition
from kit.execution.journal.records import OrderFill
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import FindInstrument


def order_message(order: Order) -> orders_pb2.Order:
    """Render an order with its current terms."""
    return orders_pb2.Order(
        content=content_message(order),
        request_id=order.request_id,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        state=order.state,
        filled_size=plain(order.filled_size),
        average_price=_text(order.average_price),
        fees=[
            orders_pb2.Fee(asset=asset, amount=plain(amount))
            for asset, amount in sorted(order.fees.items())
            if amount
        ],
        reject_reason=order.reject_reason,
        detail=order.detail,
        held_here=order.held_here,
        external=order.external,
        created_time_ns=order.created_time_ns,
        updated_time_ns=order.updated_time_ns,
        size_unit=_size_unit(order.symbol, order.find_instrument),
        cancel_requested_by=order.cancel_requested_by,
        trigger_price=_text(order.trailing_price) if order.held_here else "",
        is_triggered=order.held_here and order.is_triggered,
    )


def content_message(order: Order) -> orders_pb2.OrderContent:
    """Render what is requested, with all amendments done."""
    content = orders_pb2.OrderContent()
    content.CopyFrom(order.content)
    content.size = plain(order.size)
    content.price = _text(order.price)
    content.stop_price = _text(order.stop_price)
    content.trailing_offset = _text(order.trailing_offset)
    return content


def external_content_message(
    venue: str, account: str, order: VenueOrder
) -> orders_pb2.OrderContent:
    """Render the content of an order that another program placed, as the venue reports it."""
    return orders_pb2.OrderContent(
        venue=venue,
        account=account,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        size=plain(order.size),
        price=_text(order.price),
        stop_price=_text(order.stop_price),
    )


def fill_message(
    account: AccountContext,
    fill: OrderFill,
    find_instrument: FindInstrument,
    capabilities: OrderCapabilities,
) -> orders_pb2.Fill:
    fees = [orders_pb2.Fee(asset=asset, amount=plain(amount)) for asset, amount in fill.fees]
    return orders_pb2.Fill(
        venue=account.venue,
        account=account.account,
        symbol=fill.symbol,
        fill_id=fill.fill_id,
        client_order_id=fill.client_order_id,
        venue_order_id=fill.venue_order_id,
        side=fill.side,  # type: ignore[arg-type]  # the number of an enum
        price=plain(fill.price),
        size=plain(fill.size),
        fee=fees[0] if fees else None,
        liquidity=fill.liquidity,  # type: ignore[arg-type]  # the number of an enum
        venue_time_ns=fill.venue_time_ns,
        received_time_ns=fill.received_time_ns,
        size_unit=_size_unit(fill.symbol, find_instrument),
        profit_at_settlement=capabilities.profit_at_settlement,
        further_fees=fees[1:],
    )


def balance_message(balance: VenueBalance) -> orders_pb2.Balance:
    total, free = plain(balance.total), plain(balance.free)
    return orders_pb2.Balance(asset=balance.asset, total=total, free=free)


def position_message(
    position: VenuePosition, find_instrument: FindInstrument
) -> orders_pb2.Position:
    return orders_pb2.Position(
        symbol=position.symbol,
        size=plain(position.size),
        entry_price=_text(position.entry_price),
        unrealized_profit=_text(position.unrealized_profit),
        liquidation_price=_text(position.liquidation_price),
        size_unit=_size_unit(position.symbol, find_instrument),
    )


def _size_unit(symbol: str, find_instrument: FindInstrument) -> str:
    instrument = find_instrument(symbol)
    return instruments.size_unit(instrument) if instrument is not None else ""


def _text(amount: Decimal | None) -> str:
    return plain(amount) if amount is not None else ""


def difference_message(
    kind: "differences_pb2.DifferenceKind.ValueType",
    order: Order,
    expected: str,
    found: str,
    detail: str = "",
) -> differences_pb2.Difference:
    """Return what the venue shows (``found``) where this process expected something else."""
    return differences_pb2.Difference(
        kind=kind,
        symbol=order.symbol,
        client_order_id=order.client_order_id,
        expected=expected,
        found=found,
        detail=detail,
    )
