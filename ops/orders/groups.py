"""The groups of orders that ``./venuemesh order`` places."""

import argparse
from collections.abc import Mapping

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from ops.errors import OperationsError
from ops.orders import arguments

WAYS = "--profit, --stop, --trail"


def contents(chosen: argparse.Namespace) -> Mapping[str, orders_pb2.OrderContent]:
    """The orders of a bracket or of alternatives, by request id. Raises OperationsError where there
    are too few."""
    group_id = arguments.request_id(chosen)
    if chosen.verb == "bracket":
        entry = _order(chosen, orders_pb2.GROUP_ROLE_ENTRY)
        entry.price = chosen.price
        entry.type = orders_pb2.ORDER_TYPE_LIMIT if chosen.price else orders_pb2.ORDER_TYPE_MARKET
        found = [entry, *_ways(chosen, orders_pb2.GROUP_ROLE_EXIT)]
    else:
        found = _ways(chosen, orders_pb2.GROUP_ROLE_ALTERNATIVE)
    if len(found) < 2:
        least = "one" if chosen.verb == "bracket" else "two"
        raise OperationsError(f"{chosen.verb} needs at least {least} of {WAYS}")
    for content in found:
        content.group.group_id = group_id
        content.group.count = len(found)
    return {f"{group_id}-{number}": content for number, content in enumerate(found, 1)}


def _ways(
    chosen: argparse.Namespace, role: "orders_pb2.GroupRole.ValueType"
) -> list[orders_pb2.OrderContent]:
    found = []
    for kind, field, value in (
        (orders_pb2.ORDER_TYPE_LIMIT, "price", chosen.profit),
        (orders_pb2.ORDER_TYPE_STOP, "stop_price", chosen.stop),
        (orders_pb2.ORDER_TYPE_TRAILING_STOP, "trailing_offset", chosen.trail),
    ):
        if value:
            content = _order(chosen, role)
            content.type = kind
            setattr(content, field, value)
            found.append(content)
    return found


def _order(
    chosen: argparse.Namespace, role: "orders_pb2.GroupRole.ValueType"
) -> orders_pb2.OrderContent:
    side = arguments.SIDES[chosen.side]
    is_exit = role == orders_pb2.GROUP_ROLE_EXIT
    if is_exit:
        side = types_pb2.SIDE_SELL if side == types_pb2.SIDE_BUY else types_pb2.SIDE_BUY
    return orders_pb2.OrderContent(
        venue=chosen.venue,
        account=chosen.account,
        symbol=chosen.symbol,
        side=side,
        size=chosen.size,
        reduce_only=chosen.reduce_only and role != orders_pb2.GROUP_ROLE_ENTRY,
        group=orders_pb2.OrderGroup(role=role),
        self_trade_prevention=arguments.self_trade_prevention(chosen),
    )
