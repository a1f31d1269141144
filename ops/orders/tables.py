"""Orders, fills and accounts as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2

from ops.tables import table, time_text, word

PREFIXES = ("ORDER_TYPE_", "TIME_IN_FORCE_", "ORDER_STATE_", "REJECT_REASON_")


def orders(found: Iterable[orders_pb2.Order]) -> Table:
    names = (
        "id",
        "symbol",
        "side",
        "type",
        "size",
        "price",
        "filled",
        "average",
        "state",
        "detail",
    )
    return table(names, map(order_cells, found))


def order_cells(order: orders_pb2.Order) -> Sequence[str]:
    """The cells of one order."""
    content = order.content
    reason = orders_pb2.RejectReason.Name(order.reject_reason).removeprefix("REJECT_REASON_")
    notes = [
        order.detail,
        reason.lower() if order.reject_reason else "",
        "external" if order.external else "",
        "held here" if order.held_here else "",
        _group(content.group),
    ]
    return (
        order.client_order_id or order.venue_order_id,
        content.symbol,
        side(content.side),
        orders_pb2.OrderType.Name(content.type).removeprefix("ORDER_TYPE_").lower(),
        _size(content.size, order.size_unit),
        content.price or content.stop_price,
        _size(order.filled_size, order.size_unit),
        order.average_price,
        orders_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower(),
        ", ".join(filter(None, notes)),
    )


def order(found: orders_pb2.Order) -> Table:
    """One order, a line for each of its fields that is set."""
    content = found.content
    values = {
        "id": found.client_order_id,
        "request id": found.request_id,
        "venue order id": found.venue_order_id,
        "symbol": content.symbol,
        "side": side(content.side),
        "type": _word(orders_pb2.OrderType.Name(content.type)),
        "size": _size(content.size, found.size_unit),
        "price": content.price,
        "stop price": content.stop_price,
        "trailing offset": content.trailing_offset,
        "time in force": _word(orders_pb2.TimeInForce.Name(content.time_in_force)),
        "expires": time_text(content.expire_time_ns),
        "post only": "yes" if content.post_only else "",
        "reduce only": "yes" if content.reduce_only else "",
        "group": _group(content.group),
        "state": _word(orders_pb2.OrderState.Name(found.state)),
        "filled": _size(found.filled_size, found.size_unit),
        "average": found.average_price,
        "fees": ", ".join(f"{fee.amount} {fee.asset}" for fee in found.fees),
        "rejected": _word(orders_pb2.RejectReason.Name(found.reject_reason)),
        "detail": found.detail,
        "external": "placed by another program" if found.external else "",
        "held here": "not at the venue yet" if found.held_here else "",
        "created": time_text(found.created_time_ns),
        "updated": time_text(found.updated_time_ns),
    }
    return table(("field", "detail"), ((name, value) for name, value in values.items() if value))


def checks(found: Iterable[checks_pb2.Check]) -> Table:
    """What was compared with a limit."""
    names = ("check", "observed", "afterwards", "limit", "unit", "detail")
    rows = (
        (one.name, one.observed, one.projected, one.limit, one.unit, one.detail) for one in found
    )
    return table(names, rows)


def _size(size: str, unit: str) -> str:
    """A size beside its unit; "" for none."""
    return f"{size} {unit}".rstrip() if size else ""


def _word(name: str) -> str:
    return word(name, next(one for one in PREFIXES if name.startswith(one)))


def _group(group: orders_pb2.OrderGroup) -> str:
    role = orders_pb2.GroupRole.Name(group.role).removeprefix("GROUP_ROLE_").lower()
    return f"{role} of {group.group_id}" if group.group_id else ""


def fills(found: Iterable[orders_pb2.Fill]) -> Table:
    names = ("fill", "symbol", "side", "size", "price", "fee", "as", "order")
    return table(names, map(fill_cells, found))


def fill_cells(fill: orders_pb2.Fill) -> Sequence[str]:
    """The cells of one fill."""
    liquidity = orders_pb2.Liquidity.Name(fill.liquidity).removeprefix("LIQUIDITY_").lower()
    return (
        fill.fill_id,
        fill.symbol,
        side(fill.side),
        _size(fill.size, fill.size_unit),
        fill.price,
        ", ".join(f"{fee.amount} {fee.asset}" for fee in (fill.fee, *fill.further_fees)),
        liquidity,
        fill.client_order_id or fill.venue_order_id,
    )


def balances(found: Iterable[orders_pb2.Balance]) -> Table:
    return table(("asset", "total", "free"), ((one.asset, one.total, one.free) for one in found))


def positions(found: Iterable[orders_pb2.Position]) -> Table:
    names = ("symbol", "size", "entry", "unrealized", "liquidation")
    return table(
        names,
        (
            (
                one.symbol,
                _size(one.size, one.size_unit),
                one.entry_price,
                one.unrealized_profit,
                one.liquidation_price,
            )
            for one in found
        ),
    )


def accounts(found: Iterable[accounts_pb2.Account]) -> Table:
    names = ("account", "state", "open", "unknown", "detail")
    return table(names, map(account_cells, found))


def account_cells(account: accounts_pb2.Account) -> Sequence[str]:
    """The cells of one account."""
    state = accounts_pb2.AccountState.Name(account.state).removeprefix("ACCOUNT_STATE_").lower()
    notes = [
        account.detail,
        "paper" if account.paper else "",
        "cancelled by the dead-man switch" if account.dead_man_fired else "",
    ]
    return (
        account.account,
        state,
        str(account.open_orders),
        str(account.unknown_orders),
        ", ".join(filter(None, notes)),
    )


def side(value: "types_pb2.Side.ValueType") -> str:
    """ "buy" or "sell"."""
    return types_pb2.Side.Name(value).removeprefix("SIDE_").lower()
