"""Reports the open positions of strategies with their stops."""

from collections.abc import Sequence
from typing import cast

from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import positions, submissions
from core.inspector.positions import FILLED, OrderRole, Position, StrategyOrder
from kit.accounting.amounts import plain
from kit.base.database import Connection

AT_VENUE = (orders_pb2.ORDER_STATE_OPEN, orders_pb2.ORDER_STATE_PARTLY_FILLED)
"""The venue has a stop in one of these states."""
PROTECTED = risk_reports_pb2.PROTECTION_STATE_PROTECTED
UNCONFIRMED = risk_reports_pb2.PROTECTION_STATE_UNCONFIRMED
CLOSING = risk_reports_pb2.PROTECTION_STATE_CLOSING
UNPROTECTED = risk_reports_pb2.PROTECTION_STATE_UNPROTECTED
NOTHING_HELD = risk_reports_pb2.PROTECTION_STATE_NOTHING_HELD


async def load(connection: Connection) -> list[risk_reports_pb2.PositionProtection]:
    """All of them, by venue, account, symbol and strategy."""
    found = await positions.all_open(connection)
    found.sort(key=lambda one: (one.venue, one.account, one.symbol, one.strategy))
    return [await _protection(connection, one) for one in found]


async def _protection(
    connection: Connection, position: Position
) -> risk_reports_pb2.PositionProtection:
    orders = await positions.orders_of(connection, position)
    exits = [one for one in orders if one.is_exit and one.state < FILLED]
    is_pending = await submissions.has_pending(connection, position.position_id)
    return risk_reports_pb2.PositionProtection(
        lifecycle_id=position.position_id,
        strategy=position.strategy,
        venue=position.venue,
        account=position.account,
        symbol=position.symbol,
        size=plain(positions.held(orders)),
        stop_price=position.stop_price,
        target_price=position.target_price,
        state=_state(position, orders, exits, is_pending),
        exits=[
            risk_reports_pb2.ExitOrder(
                client_order_id=one.client_order_id,
                is_stop=one.role == OrderRole.STOP,
                state=cast("orders_pb2.OrderState.ValueType", one.state),
                filled_size=plain(one.filled_size),
            )
            for one in exits
        ],
    )


def _state(
    position: Position,
    orders: Sequence[StrategyOrder],
    exits: Sequence[StrategyOrder],
    is_pending: bool,
) -> "risk_reports_pb2.ProtectionState.ValueType":
    if position.is_closing:
        return CLOSING
    if not position.tradable(abs(positions.held(orders))):
        return NOTHING_HELD
    stops = [one for one in exits if one.role == OrderRole.STOP]
    if any(one.state in AT_VENUE for one in stops):
        return PROTECTED
    return UNCONFIRMED if stops or is_pending else UNPROTECTED
