"""Orders, trades and balances as Kraken writes them.

Documentation: https://docs.kraken.com/api/docs/rest-api/get-open-orders
https://docs.kraken.com/api/docs/websocket-v2/executions
REST writes numbers as texts, the websocket as numbers with all their decimal places. Ids look like
``OQCLML-BW3P3-BUCMWZ``: the engine's number, permuted; it can be computed back from them.
"""

from collections.abc import Sequence
from decimal import Decimal

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView
from kit.simulator.exchange.listings_and_prices import in_dollars
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import FillView, OrderStatus, OrderView, RejectCode
from venues.kraken.simulator.candles import rfc3339
from venues.kraken.simulator.instruments import LONG, pair_of

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
LENGTH = 16
SPACE = len(DIGITS) ** LENGTH
FACTOR = 0x9E3779B97F4A7C15F39D
UNDO = pow(FACTOR, -1, SPACE)
COST_PLACES = 5
ZERO = Decimal(0)

Row = dict[str, object]
ORDER_TYPES = {
    orders_pb2.ORDER_TYPE_MARKET: "market",
    orders_pb2.ORDER_TYPE_LIMIT: "limit",
    orders_pb2.ORDER_TYPE_STOP: "stop-loss",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "stop-loss-limit",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "take-profit",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "take-profit-limit",
    orders_pb2.ORDER_TYPE_TRAILING_STOP: "trailing-stop",
}
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "GTC",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "GTD",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "IOC",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "FOK",
}
REST_STATUSES = {
    OrderStatus.UNTRIGGERED: "open",
    OrderStatus.OPEN: "open",
    OrderStatus.PARTLY_FILLED: "open",
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "canceled",
    OrderStatus.REJECTED: "canceled",
}
FEED_STATUSES = {
    OrderStatus.UNTRIGGERED: "new",
    OrderStatus.OPEN: "new",
    OrderStatus.PARTLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "canceled",
    OrderStatus.REJECTED: "canceled",
}
REASONS = {
    RejectCode.SELF_TRADE: "Cannot trade with self",
    RejectCode.WOULD_NOT_FILL: "Fill or kill order could not be filled",
    RejectCode.FUNDS: "Insufficient funds",
}


def order_id(number: int) -> str:
    """``OQCLML-BW3P3-BUCMWZ``"""
    return _permuted("O", number * 4)


def order_number(text: str) -> int:
    """The engine's number in an order id; 0, which no order has, when it is none of ours."""
    digits = text[1:].replace("-", "")
    if len(digits) != LENGTH or any(one not in DIGITS for one in digits):
        return 0
    value = 0
    for digit in digits:
        value = value * len(DIGITS) + DIGITS.index(digit)
    number, kind = divmod(value * UNDO % SPACE, 4)
    return number if kind == 0 and order_id(number) == text else 0


def execution_id(fill: FillView) -> str:
    """The id of one side of a trade."""
    return _permuted("T", fill.trade_id * 4 + 1 + fill.is_maker)


def amend_id(order: OrderView) -> str:
    """The id of the newest change of an order."""
    return _permuted("T", (order.order_id << 24 | order.amended) * 4)


def ledger_id(number: int) -> str:
    """``LQCLML-BW3P3-BUCMWZ``"""
    return _permuted("L", number * 4 + 3)


def is_expired(order: OrderView) -> bool:
    """Whether its time was over. Kraken cancels what an immediate order leaves."""
    return (
        order.status is OrderStatus.EXPIRED
        and order.ticket.time_in_force == orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME
    )


def asset_name(asset: str) -> str:
    """``XXBT``"""
    return LONG.get(asset, asset)


def number(value: Decimal, places_min: int = 0) -> str:
    """Exact, with at least so many decimal places."""
    text = f"{value:f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0").ljust(places_min, "0")
    return f"{whole}.{decimals}" if decimals else whole


def seconds(time_ns: int) -> msgspec.Raw:
    """``1688148493.7708``, a bare number."""
    whole, rest = divmod(time_ns, NANOSECONDS_PER_SECOND)
    return msgspec.Raw(f"{whole}.{rest:09d}"[:-3].encode())


def bare(value: Decimal, places_min: int = 0) -> msgspec.Raw:
    return msgspec.Raw(number(value, places_min).encode())


def places(step: str) -> int:
    """Decimal places of a tick or lot."""
    return len(step.partition(".")[2])


def described(order: OrderView, listing: Listing) -> str:
    """``buy 0.02100000 ETHUSDT @ stop loss 330.00 -> limit 331.00``"""
    ticket = order.ticket
    size = number(ticket.size if ticket.value is None else ticket.value, places(listing.lot_size))
    deep = places(listing.tick_size)
    words = f"{'buy' if ticket.buys else 'sell'} {size} {pair_of(listing).altname} @ "
    if ticket.type == orders_pb2.ORDER_TYPE_TRAILING_STOP:
        return f"{words}trailing stop +{number(ticket.trailing_offset or ZERO, deep)}"
    words += ORDER_TYPES[ticket.type].removesuffix("-limit").replace("-", " ")
    if ticket.stop_price is not None:
        words += f" {number(ticket.stop_price, deep)}"
        words += f" -> limit {number(ticket.price, deep)}" if ticket.price is not None else ""
    elif ticket.price is not None:
        words += f" {number(ticket.price, deep)}"
    return words


def order_row(order: OrderView, listing: Listing, fills: Sequence[FillView]) -> Row:
    """An order over REST. ``fills`` are its own."""
    ticket, pair = order.ticket, pair_of(listing)
    deep, lots = places(listing.tick_size), places(listing.lot_size)
    limit, stop = ticket.price or ZERO, ticket.stop_price
    prices = (limit, ZERO) if stop is None else (stop, limit)
    trail = f"+{number(ticket.trailing_offset, deep)}" if ticket.trailing_offset is not None else ""
    average = order.filled_value / order.filled if order.filled else ZERO
    row: Row = {
        "refid": None,
        "userref": 0,
        "status": "expired" if is_expired(order) else REST_STATUSES[order.status],
        "opentm": seconds(order.created_ns),
        "starttm": 0,
        "expiretm": seconds(ticket.expire_time_ns) if ticket.expire_time_ns else 0,
        "descr": {
            "pair": pair.altname,
            "aclass": "forex",
            "type": "buy" if ticket.buys else "sell",
            "ordertype": ORDER_TYPES[ticket.type],
            "price": trail or (number(prices[0], deep) if prices[0] else "0"),
            "price2": number(prices[1], deep) if prices[1] else "0",
            "leverage": "none",
            "order": described(order, listing),
            "close": "",
        },
        "vol": number(ticket.size if ticket.value is None else ticket.value, lots),
        "vol_exec": number(order.filled, lots),
        "cost": number(order.filled_value, COST_PLACES),
        "fee": number(sum((fill.fee for fill in fills), ZERO), COST_PLACES),
        "price": number(round(average, max(deep, COST_PLACES)), COST_PLACES),
        "stopprice": number(stop or ZERO, COST_PLACES),
        "limitprice": number(limit if stop is not None else ZERO, COST_PLACES),
        "misc": "",
        "oflags": _flags(order),
        "trades": [execution_id(fill) for fill in fills],
    }
    if ticket.client_order_id:
        row["cl_ord_id"] = ticket.client_order_id
    if ticket.stop_price is not None or ticket.trailing_offset is not None:
        row["trigger"] = "last"
    if order.is_final:
        row["closetm"] = seconds(order.updated_ns)
        row["reason"] = reason(order) or None
    return row


def trade_row(fill: FillView, listing: Listing) -> Row:
    """One side of a trade over REST."""
    ticket = fill.order.ticket
    return {
        "ordertxid": order_id(fill.order.order_id),
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": pair_of(listing).key,
        "aclass": "forex",
        "time": seconds(fill.time_ns),
        "type": "buy" if ticket.buys else "sell",
        "ordertype": ORDER_TYPES[ticket.type],
        "price": number(fill.price, COST_PLACES),
        "cost": number(fill.price * fill.size, COST_PLACES),
        "fee": number(fill.fee, COST_PLACES),
        "vol": number(fill.size, places(listing.lot_size)),
        "margin": number(ZERO, COST_PLACES),
        "leverage": "0",
        "misc": "",
        "trade_id": fill.trade_id,
        "maker": fill.is_maker,
    }


def whole_order(order: OrderView, listing: Listing) -> Row:
    """All of an order, as in the first message of the feed about it."""
    ticket = order.ticket
    deep, lots = places(listing.tick_size), places(listing.lot_size)
    row: Row = {
        **named(order),
        "symbol": ticket.symbol,
        "side": "buy" if ticket.buys else "sell",
        "order_type": ORDER_TYPES[ticket.type],
        "order_qty": bare(ticket.size, lots),
        "cum_qty": bare(order.filled, lots),
        "cum_cost": bare(order.filled_value, COST_PLACES),
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force],
        "post_only": ticket.post_only,
        "reduce_only": False,
        "margin": False,
        "fee_ccy_pref": "fciq",
        "fee_usd_equiv": bare(ZERO, COST_PLACES),
        "sender_sub_id": "",
        "timestamp": rfc3339(order.updated_ns),
        "order_status": FEED_STATUSES[order.status],
    }
    if ticket.price is not None:
        row["limit_price_type"] = "static"
        row["limit_price"] = bare(ticket.price, deep)
    if ticket.value is not None:
        row["cash_order_qty"] = bare(ticket.value, deep)
    if ticket.stop_price is not None:
        row["stop_price"] = bare(ticket.stop_price, deep)
        row["triggers"] = {
            "reference": "last",
            "price": bare(ticket.stop_price, deep),
            "price_type": "static",
            "status": "untriggered" if order.status is OrderStatus.UNTRIGGERED else "triggered",
        }
    if ticket.expire_time_ns:
        row["expire_time"] = rfc3339(ticket.expire_time_ns)
    return row


def named(order: OrderView) -> Row:
    """The ids of an order."""
    row: Row = {"order_id": order_id(order.order_id), "order_userref": 0}
    if order.ticket.client_order_id:
        row["cl_ord_id"] = order.ticket.client_order_id
    return row


def filled_so_far(order: OrderView, listing: Listing) -> Row:
    """What was filled of an order, and its status."""
    average = order.filled_value / order.filled if order.filled else ZERO
    deep = max(places(listing.tick_size), COST_PLACES)
    return {
        "cum_qty": bare(order.filled, places(listing.lot_size)),
        "cum_cost": bare(order.filled_value, COST_PLACES),
        "avg_price": bare(round(average, deep), places(listing.tick_size)),
        "timestamp": rfc3339(order.updated_ns),
        "order_status": FEED_STATUSES[order.status],
    }


def execution_row(fill: FillView, listing: Listing, market_view: MarketView) -> Row:
    """A trade in the feed. The next message says whether it has filled the order."""
    ticket, paid_in = fill.order.ticket, fill.fee_asset
    dollars = in_dollars(fill.fee, paid_in, f"{paid_in}/USDT", market_view)
    return {
        **named(fill.order),
        "exec_id": execution_id(fill),
        "exec_type": "trade",
        "trade_id": fill.trade_id,
        "symbol": ticket.symbol,
        "side": "buy" if ticket.buys else "sell",
        "last_qty": bare(fill.size, places(listing.lot_size)),
        "last_price": bare(fill.price, places(listing.tick_size)),
        "liquidity_ind": "m" if fill.is_maker else "t",
        "cost": bare(fill.price * fill.size, COST_PLACES),
        "order_status": "partially_filled",
        "order_type": ORDER_TYPES[ticket.type],
        "fees": [{"asset": paid_in, "qty": bare(fill.fee, COST_PLACES)}],
        "fee_usd_equiv": bare(round(dollars, COST_PLACES), COST_PLACES),
        "timestamp": rfc3339(fill.time_ns),
    }


def reason(order: OrderView) -> str:
    """Why an order is not open any more; empty: it is filled."""
    if order.status is OrderStatus.FILLED:
        return ""
    if order.why is not None:
        return REASONS.get(order.why, order.why.value.capitalize())
    if order.status is OrderStatus.EXPIRED:
        return "Order expired" if is_expired(order) else "Immediate or cancel order not filled"
    return "User requested"


def _permuted(prefix: str, value: int) -> str:
    value = value * FACTOR % SPACE
    digits = []
    for _ in range(LENGTH):
        value, digit = divmod(value, len(DIGITS))
        digits.append(DIGITS[digit])
    text = "".join(reversed(digits))
    return "-".join((prefix + text[:5], text[5:10], text[10:]))


def _flags(order: OrderView) -> str:
    flags = ["fciq"]
    if order.ticket.post_only:
        flags.append("post")
    if order.ticket.value is not None:
        flags.append("viqc")
    return ",".join(flags)
