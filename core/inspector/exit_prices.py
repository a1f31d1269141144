"""Follows amendments of exits: a position gets its next exits at the prices of now."""

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.positions import OrderRole
from kit.base.database import Connection

_COLUMNS = {OrderRole.STOP: "stop_price", OrderRole.TAKE_PROFIT: "target_price"}
_FOLLOW = (
    "UPDATE inspector_positions AS held SET {} = %s FROM inspector_orders AS one"
    " WHERE (one.venue, one.account, one.client_order_id, one.role) = (%s, %s, %s, %s)"
    " AND held.position_id = one.position_id"
)


async def follow(connection: Connection, amended: orders_pb2.Order) -> None:
    """Store the trigger price of an amended order, if it is an exit of a position."""
    content = amended.content
    if not content.stop_price:
        return
    for role, column in _COLUMNS.items():
        key = [content.venue, content.account, amended.client_order_id, role]
        await connection.execute(_FOLLOW.format(column), [content.stop_price, *key])
