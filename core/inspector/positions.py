"""Positions of strategies and their orders, in PostgreSQL.

The size of a position is not stored: it is the sum of the fills of its orders.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.venue_processes import order_id
from kit.accounting.amounts import ZERO, add, plain, subtract
from kit.accounting.instruments import tradable_size
from kit.base.database import Connection, PendingRead, send
from kit.execution.request_ids import ATTEMPT_MARK

FILLED = orders_pb2.ORDER_STATE_FILLED
REJECTED = orders_pb2.ORDER_STATE_REJECTED

_COLUMNS = (
    "position_id, strategy, venue, account, symbol, base_asset, size_step, size_min, stop_price,"
    " target_price, close_fraction, close_rest, close_lifecycle_id, close_cause_id, ended_time_ns,"
    " published_size, published_count, rest, close_flips, trailing_offset, trailed_price"
)
_INSERT = (
    "INSERT INTO inspector_positions (position_id, strategy, venue, account, symbol, base_asset,"
    " size_step, size_min, stop_price, target_price, trailing_offset)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_FIND_OPEN = (
    f"SELECT {_COLUMNS} FROM inspector_positions WHERE ended_time_ns = 0"
    " AND (strategy, venue, account, symbol) = (%s, %s, %s, %s) FOR UPDATE"
)
_LOCK = f"SELECT {_COLUMNS} FROM inspector_positions WHERE position_id = %s FOR UPDATE"
_OPEN = f"SELECT {_COLUMNS} FROM inspector_positions WHERE ended_time_ns = 0 ORDER BY position_id"
_CLOSING = (
    "SELECT position_id FROM inspector_positions WHERE ended_time_ns = 0 AND close_fraction <> ''"
)
_CLOSE = (
    "UPDATE inspector_positions SET (close_fraction, close_rest, close_lifecycle_id,"
    " close_cause_id, close_flips) = (%s, %s, %s, %s, %s) WHERE position_id = %s"
)
_END = (
    "UPDATE inspector_positions SET (ended_time_ns, rest, close_fraction, close_rest)"
    " = (%s, %s, '', '') WHERE position_id = %s"
)
_PUBLISHED = (
    "UPDATE inspector_positions SET (published_size, published_count) = (%s, published_count + 1)"
    " WHERE position_id = %s"
)
_RESTS = (
    f"SELECT {_COLUMNS} FROM inspector_positions WHERE rest <> '' AND ended_time_ns > %s"
    " ORDER BY ended_time_ns DESC LIMIT %s"
)
_ADD_ORDER = (
    "INSERT INTO inspector_orders (venue, account, client_order_id, request_id, position_id, role,"
    " is_buy, state) VALUES (%s, %s, %s, %s, %s, %s, %s, 0) ON CONFLICT DO NOTHING"
)
_FIRST_ATTEMPT = (
    "SELECT position_id, role, is_buy FROM inspector_orders"
    " WHERE (venue, account, request_id) = (%s, %s, %s)"
)
_CHANGE_ORDER = (
    "UPDATE inspector_orders SET (state, filled_size, updated_time_ns)"
    " = (%s, greatest(filled_size, %s), %s)"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s) AND updated_time_ns <= %s"
    " RETURNING position_id"
)
_POSITION_OF = (
    "SELECT position_id, base_asset FROM inspector_orders AS one JOIN inspector_positions"
    " USING (position_id) WHERE (one.venue, one.account, one.client_order_id) = (%s, %s, %s)"
)
_REJECT = (
    "UPDATE inspector_orders SET state = %s WHERE (venue, account, client_order_id) = (%s, %s, %s)"
    " AND state = 0"
)
_ADD_FILL = (
    "INSERT INTO inspector_fills VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_FILL_EXTERNAL = (
    "UPDATE inspector_orders SET (state, filled_size) = (%s, filled_size + %s)"
    " WHERE (venue, account, client_order_id) = (%s, %s, %s)"
)
_ORDERS = (
    "SELECT one.venue, one.account, one.client_order_id, one.request_id, one.role, one.is_buy,"
    " one.state, one.filled_size, coalesce(sum(fill.size), 0),"
    " coalesce(sum(fill.fee_amount) FILTER (WHERE fill.fee_asset = %s), 0)"
    " FROM inspector_orders AS one LEFT JOIN inspector_fills AS fill"
    " USING (venue, account, client_order_id) WHERE one.position_id = %s"
    " GROUP BY one.venue, one.account, one.client_order_id ORDER BY one.request_id"
)
_NUMBERS = (
    "SELECT count(*) FROM inspector_orders WHERE request_id LIKE %s"
    f" AND position('{ATTEMPT_MARK}' IN request_id) = 0"
)


class OrderRole(IntEnum):
    """The purpose of an order in its position."""

    ENTRY = 1
    STOP = 2
    CLOSE = 3
    """Closes the position, or a part of it, at market."""
    TAKE_PROFIT = 4
    TRAILING_STOP = 5
    """Follows the best price. It waits in the venue's process, beside the stop."""


@dataclass(frozen=True, slots=True)
class StrategyOrder:
    """An order of a position, with its newest known state."""

    venue: str
    account: str
    client_order_id: str
    request_id: str
    role: OrderRole
    is_buy: bool
    state: int
    """0: it is unknown whether the venue's process has accepted the order."""
    filled_size: Decimal
    fills_size: Decimal
    """Sum of the stored fills."""
    base_fee: Decimal

    @property
    def is_complete(self) -> bool:
        """Whether the order has ended and all its fills are stored."""
        return self.state >= FILLED and self.fills_size == self.filled_size

    @property
    def is_exit(self) -> bool:
        return self.role in (OrderRole.STOP, OrderRole.TAKE_PROFIT, OrderRole.TRAILING_STOP)

    @property
    def is_first_attempt(self) -> bool:
        return ATTEMPT_MARK not in self.request_id


@dataclass(frozen=True, slots=True)
class Position:
    """A position of a strategy in an instrument."""

    position_id: bytes
    strategy: str
    venue: str
    account: str
    symbol: str
    base_asset: str
    size_step: str
    size_min: str
    stop_price: str
    target_price: str
    close_fraction: str = ""
    close_rest: str = ""
    close_lifecycle_id: bytes = b""
    close_cause_id: bytes = b""
    ended_time_ns: int = 0
    published_size: str = ""
    """In the newest event PositionChanged; "" before the first."""
    published_count: int = 0
    rest: str = ""
    """The residual size when it ended; "" if it was 0."""
    close_flips: bool = False
    """Whether the other side is opened after the position is closed."""
    trailing_offset: str = ""
    """Distance of the stop that follows the best price; "": it has none."""
    trailed_price: str = ""
    """Where that stop triggered when it was stored last; "": not stored yet."""

    @property
    def is_closing(self) -> bool:
        return self.close_fraction != ""

    def tradable(self, size: Decimal) -> Decimal:
        """The part of a size that can be traded."""
        return tradable_size(size, self.size_step, self.size_min)


def held(orders: Iterable[StrategyOrder]) -> Decimal:
    """The size from the fills of these orders, negative if short, less fees in the base asset."""
    found = ZERO
    for order in orders:
        change = order.fills_size if order.is_buy else subtract(ZERO, order.fills_size)
        found = subtract(add(found, change), order.base_fee)
    return found


async def insert(connection: Connection, position: Position) -> None:
    """Add a position in the caller's transaction."""
    await connection.execute(
        _INSERT,
        [
            position.position_id,
            position.strategy,
            position.venue,
            position.account,
            position.symbol,
            position.base_asset,
            position.size_step,
            position.size_min,
            position.stop_price,
            position.target_price,
            position.trailing_offset,
        ],
    )


async def send_find_open(
    connection: Connection, strategy: str, venue: str, account: str, symbol: str
) -> PendingRead[Position | None]:
    """Find the position of a strategy in an instrument, and lock it until the end of the
    transaction."""
    return await send(connection, _FIND_OPEN, [strategy, venue, account, symbol], _first)


async def lock(connection: Connection, position_id: bytes) -> Position | None:
    """A position, locked until the end of the transaction."""
    return await (await send_lock(connection, position_id))()


async def send_lock(connection: Connection, position_id: bytes) -> PendingRead[Position | None]:
    """``lock`` without waiting."""
    return await send(connection, _LOCK, [position_id], _first)


async def all_open(connection: Connection) -> list[Position]:
    """Every position that has not ended."""
    rows = await (await connection.execute(_OPEN)).fetchall()
    return [_position(row) for row in rows]


async def closing_ids(connection: Connection) -> list[bytes]:
    """The ids of positions with a request to close or reduce them."""
    return [bytes(row[0]) for row in await (await connection.execute(_CLOSING)).fetchall()]


async def request_close(
    connection: Connection,
    position: Position,
    fraction: str,
    lifecycle_id: bytes,
    cause_id: bytes,
    rest: str = "",
    *,
    flips: bool = False,
) -> None:
    """Request that PositionCloser closes a position, or a part of it. ``rest``: the size to keep,
    "" until it is computed. ``flips``: the decision that is the cause then opens the other side."""
    arguments = [fraction, rest, lifecycle_id, cause_id, flips, position.position_id]
    await connection.execute(_CLOSE, arguments)


async def end(connection: Connection, position_id: bytes, rest: Decimal, now_ns: int) -> None:
    """Mark a position as ended. ``rest``: its residual size, which cannot be traded."""
    await connection.execute(_END, [now_ns, plain(rest) if rest else "", position_id])


async def mark_published(connection: Connection, position_id: bytes, size: str) -> None:
    """Store the size in the newest event of a position."""
    await connection.execute(_PUBLISHED, [size, position_id])


async def residuals(connection: Connection, since_ns: int, most: int) -> list[Position]:
    """The positions that ended since a time with a residual size, newest first."""
    rows = await (await connection.execute(_RESTS, [since_ns, most])).fetchall()
    return [_position(row) for row in rows]


async def add_orders(
    connection: Connection,
    position_id: bytes,
    approved: Sequence[signed_pb2.ApprovedOrder],
    roles: Sequence[OrderRole],
) -> None:
    """Add the orders of a position."""
    for one, role in zip(approved, roles, strict=True):
        content = one.content
        is_buy = content.side == types_pb2.SIDE_BUY
        key = [content.venue, content.account, order_id(one)]
        await connection.execute(_ADD_ORDER, [*key, one.request_id, position_id, role, is_buy])


async def reject_orders(
    connection: Connection, approved: Sequence[signed_pb2.ApprovedOrder]
) -> None:
    """Mark orders that the venue's process certainly did not accept as rejected."""
    for one in approved:
        content = one.content
        await connection.execute(_REJECT, [REJECTED, content.venue, content.account, order_id(one)])


async def change_order(connection: Connection, order: orders_pb2.Order) -> bytes:
    """Store the state of an order. Returns the id of its position, empty if it has none. A further
    attempt of an exit belongs to the position of the first attempt."""
    key = [order.content.venue, order.content.account]
    await _add_attempt(connection, key, order.client_order_id, order.request_id)
    filled = Decimal(order.filled_size or 0)
    updated_ns = order.updated_time_ns
    changed = await connection.execute(
        _CHANGE_ORDER,
        [order.state, filled, updated_ns, *key, order.client_order_id, updated_ns],
    )
    row = await changed.fetchone()
    return b"" if row is None else bytes(row[0])


async def add_fill(connection: Connection, fill: orders_pb2.Fill, request_id: str = "") -> bytes:
    """Store a fill, once. Returns the id of its order's position, empty if the order has none.
    ``request_id``: of its order; "" if unknown."""
    key = [fill.venue, fill.account, fill.client_order_id]
    await _add_attempt(connection, key[:2], fill.client_order_id, request_id)
    row = await (await connection.execute(_POSITION_OF, key)).fetchone()
    if row is None:
        return b""
    # Only the fee in the base asset changes the size.
    in_base = (fee for fee in fill.further_fees if fee.asset == row[1])
    fee = next(in_base, fill.fee)
    await connection.execute(
        _ADD_FILL,
        [
            fill.venue,
            fill.account,
            fill.symbol,
            fill.fill_id,
            fill.client_order_id,
            Decimal(fill.size),
            fee.asset,
            Decimal(fee.amount or 0),
        ],
    )
    return bytes(row[0])


async def add_external_fill(
    connection: Connection, position: Position, fill: orders_pb2.Fill, size: Decimal
) -> None:
    """Store a share of an external fill, once. ``size``: positive if bought, negative if sold."""
    # An order may close the positions of several strategies.
    mark = position.position_id.hex()
    key = [fill.venue, fill.account, f"{fill.client_order_id}/{mark}"]
    is_buy, filled = size > ZERO, abs(size)
    await connection.execute(_ADD_ORDER, [*key, "", position.position_id, OrderRole.CLOSE, is_buy])
    fill_id = f"{fill.fill_id}/{mark}"
    # Its fee does not change the size: a sale closes a position on spot.
    values = [fill.venue, fill.account, fill.symbol, fill_id, key[2], filled, "", ZERO]
    await connection.execute(_ADD_FILL, values)
    await connection.execute(_FILL_EXTERNAL, [FILLED, filled, *key])


async def _add_attempt(
    connection: Connection, account: list[str], client_id: str, request_id: str
) -> None:
    """Add a further attempt of an exit to the position of the first attempt."""
    first, attempt, _ = request_id.partition(ATTEMPT_MARK)
    if not attempt:
        return
    found = await (await connection.execute(_FIRST_ATTEMPT, [*account, first])).fetchone()
    if found is not None:
        await connection.execute(_ADD_ORDER, [*account, client_id, request_id, *found])


async def orders_of(connection: Connection, position: Position) -> list[StrategyOrder]:
    """The orders of a position, by their request ids."""
    # No fee changes a position in a derivative: NULL equals no asset.
    asset = position.base_asset or None
    rows = await connection.execute(_ORDERS, [asset, position.position_id])
    return [
        StrategyOrder(
            venue=row[0],
            account=row[1],
            client_order_id=row[2],
            request_id=row[3],
            role=OrderRole(row[4]),
            is_buy=row[5],
            state=row[6],
            filled_size=row[7],
            fills_size=row[8],
            base_fee=row[9],
        )
        for row in await rows.fetchall()
    ]


async def send_next_number(connection: Connection, prefix: str) -> PendingRead[int]:
    """Read the number of the next order of a lifecycle."""
    return await send(connection, _NUMBERS, [f"{prefix}-%"], lambda rows: int(rows[0][0]) + 1)


def _first(rows: Sequence[tuple[object, ...]]) -> Position | None:
    return _position(rows[0]) if rows else None


def _position(row: tuple[object, ...]) -> Position:
    values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
    return Position(*values)  # type: ignore[arg-type]
