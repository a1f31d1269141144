"""Orders, fills and accounts as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, trade_flow_pb2


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
    return _table(names, map(order_cells, found))


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
        content.size,
        content.price or content.stop_price,
        order.filled_size,
        order.average_price,
        orders_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_").lower(),
        ", ".join(filter(None, notes)),
    )


def _group(group: orders_pb2.OrderGroup) -> str:
    role = orders_pb2.GroupRole.Name(group.role).removeprefix("GROUP_ROLE_").lower()
    return f"{role} of {group.group_id}" if group.group_id else ""


def fills(found: Iterable[orders_pb2.Fill]) -> Table:
    names = ("fill", "symbol", "side", "size", "price", "fee", "as", "order")
    return _table(names, map(fill_cells, found))


def fill_cells(fill: orders_pb2.Fill) -> Sequence[str]:
    """The cells of one fill."""
    liquidity = orders_pb2.Liquidity.Name(fill.liquidity).removeprefix("LIQUIDITY_").lower()
    return (
        fill.fill_id,
        fill.symbol,
        side(fill.side),
        fill.size,
        fill.price,
        f"{fill.fee.amount} {fill.fee.asset}",
        liquidity,
        fill.client_order_id or fill.venue_order_id,
    )


def balances(found: Iterable[orders_pb2.Balance]) -> Table:
    return _table(("asset", "total", "free"), ((one.asset, one.total, one.free) for one in found))


def positions(found: Iterable[orders_pb2.Position]) -> Table:
    names = ("symbol", "size", "entry", "unrealized", "liquidation")
    return _table(
        names,
        (
            (
                one.symbol,
                one.size,
                one.entry_price,
                one.unrealized_profit,
                one.liquidation_price,
            )
            for one in found
        ),
    )


def accounts(found: Iterable[trade_flow_pb2.Account]) -> Table:
    names = ("account", "state", "open", "unknown", "detail")
    return _table(names, map(account_cells, found))


def account_cells(account: trade_flow_pb2.Account) -> Sequence[str]:
    """The cells of one account."""
    state = trade_flow_pb2.AccountState.Name(account.state).removeprefix("ACCOUNT_STATE_").lower()
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


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table()
    for name in names:
        # Ids are there to be copied.
        table.add_column(name, no_wrap=name != "detail", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
