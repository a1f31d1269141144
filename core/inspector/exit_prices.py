"""Keeps the prices at which a position gets its next exits: after amendments, and after it has
trailed."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.positions import OrderRole, Position
from kit.base.database import Connection

_COLUMNS = {OrderRole.STOP: "stop_price", OrderRole.TAKE_PROFIT: "target_price"}
_FOLLOW = (
    "UPDATE inspector_positions AS held SET {} = %s FROM inspector_orders AS one"
    " WHERE (one.venue, one.account, one.client_order_id, one.role) = (%s, %s, %s, %s)"
    " AND held.position_id = one.position_id"
)
_TRAIL = (
    "UPDATE inspector_positions SET trailed_price = %s"
    " WHERE (position_id, trailed_price) = (%s, %s) RETURNING trailed_price"
)


async def trail(connection: Connection, position: Position, price: str) -> bool:
    """Store the price to which the stop of a position has moved. Returns whether it did: not if the
    stop has moved since the position was read."""
    arguments = [price, position.position_id, position.trailed_price]
    return await (await connection.execute(_TRAIL, arguments)).fetchone() is not None


def next_stop(position: Position, *, sells: bool) -> str:
    """The price of its next stop: the nearer to the market of what was approved and of what it has
    trailed to. ``sells``: whether the stop does."""
    prices = [one for one in (position.stop_price, position.trailed_price) if one]
    return (max if sells else min)(prices, key=Decimal, default="")


async def follow(connection: Connection, amended: orders_pb2.Order) -> None:
    """Store the trigger price of an amended order, if it is an exit of a position."""
    content = amended.content
    if not content.stop_price:
        return
    for role, column in _COLUMNS.items():
        key = [content.venue, content.account, amended.client_order_id, role]
        await connection.execute(_FOLLOW.format(column), [content.stop_price, *key])
