"""Orders, trades, positions and accounts as Deribit writes them.

Documentation: https://docs.deribit.com/api-reference/trading/private-buy and its neighbours.
Amounts of inverse contracts are in US dollars. A label is no id: many orders may have it. A
stop is an order of its own until it triggers; the order that it makes has another id.
"""

from collections.abc import Iterable
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.execution.order_types import CONDITIONAL, WITH_PRICE
from kit.simulator.dialect import MarketView
from kit.simulator.exchange.listings_and_prices import known_listings
from kit.simulator.listing import Listing
from kit.simulator.matching.contract import (
    BalanceView,
    FillView,
    MatchingEngine,
    OrderStatus,
    OrderTicket,
    OrderView,
    PositionView,
    RejectCode,
)
from kit.simulator.text_conversion import whole
from venues.deribit.simulator.authentication import MATCHING_RULES
from venues.deribit.simulator.candles import number
from venues.deribit.simulator.instruments import contracts, is_inverse
from venues.deribit.simulator.rest import trade_id

ORDER_IDS_BEGIN = 46_000_000_000
LEVERAGE = 50
PRICE_PLACES, COIN_PLACES = 4, 8
ZERO = Decimal(0)

Row = dict[str, object]
ORDER_TYPES = {
    orders_pb2.ORDER_TYPE_MARKET: "market",
    orders_pb2.ORDER_TYPE_LIMIT: "limit",
    orders_pb2.ORDER_TYPE_STOP: "stop_market",
    orders_pb2.ORDER_TYPE_STOP_LIMIT: "stop_limit",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT: "take_market",
    orders_pb2.ORDER_TYPE_TAKE_PROFIT_LIMIT: "take_limit",
    orders_pb2.ORDER_TYPE_TRAILING_STOP: "trailing_stop",
}
TIMES_IN_FORCE = {
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_CANCEL: "good_til_cancelled",
    orders_pb2.TIME_IN_FORCE_GOOD_TILL_TIME: "good_til_day",
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL: "immediate_or_cancel",
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL: "fill_or_kill",
}
STATES = {
    OrderStatus.UNTRIGGERED: "untriggered",
    OrderStatus.OPEN: "open",
    OrderStatus.PARTLY_FILLED: "open",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.EXPIRED: "cancelled",
    OrderStatus.REJECTED: "rejected",
}
REASONS = {
    RejectCode.SELF_TRADE: "self_trade",
    RejectCode.FUNDS: "insufficient_margin",
    RejectCode.REDUCE_ONLY: "reduce_only",
    RejectCode.WOULD_NOT_FILL: "fill_or_kill",
}


def order_id(order: OrderView) -> str:
    """``46000000007``, ``ETH-46000000007``: the currency stands in front, except for Bitcoin."""
    if is_waiting(order):
        return trigger_id(order)
    return _with_currency(order, str(ORDER_IDS_BEGIN + order.order_id))


def trigger_id(order: OrderView) -> str:
    """``SLTS-46000000007``, ``ETH-SLTB-46000000007``: a stop to sell, and to buy."""
    kind = "SLTB" if order.ticket.buys else "SLTS"
    return _with_currency(order, f"{kind}-{ORDER_IDS_BEGIN + order.order_id}")


def is_trigger_id(text: str) -> bool:
    """Whether an id is of a stop."""
    return "SLT" in text


def is_waiting(order: OrderView) -> bool:
    """Whether an order is a stop that has not triggered."""
    return order.ticket.type in CONDITIONAL and not order.triggered


def order_number(text: str) -> int:
    """The engine's number in an order id; 0, which no order has, when it is none of ours."""
    return max((whole(text.rpartition("-")[2]) or 0) - ORDER_IDS_BEGIN, 0)


def order_row(order: OrderView, listing: Listing) -> Row:
    ticket = order.ticket
    at_market = ticket.type not in WITH_PRICE
    row: Row = {
        "order_id": order_id(order),
        "order_state": STATES[order.status],
        "order_type": ("market" if at_market else "limit")
        if order.triggered
        else ORDER_TYPES[ticket.type],
        "time_in_force": TIMES_IN_FORCE[ticket.time_in_force],
        "instrument_name": ticket.symbol,
        "direction": "buy" if ticket.buys else "sell",
        "price": "market_price" if at_market else number(ticket.price or ZERO),
        "average_price": number(_average(order)),
        "amount": number(ticket.size),
        "contracts": number(contracts(f"{ticket.size}", listing)),
        "filled_amount": number(order.filled),
        "max_show": number(ticket.size),
        "label": ticket.client_order_id,
        "post_only": ticket.post_only,
        "reject_post_only": False,
        "reduce_only": ticket.reduce_only,
        "replaced": order.amended > 0,
        "is_liquidation": False,
        "risk_reducing": False,
        "mmp": False,
        "api": True,
        "web": False,
        "mobile": False,
        "creation_timestamp": order.created_ns // NANOSECONDS_PER_MILLISECOND,
        "last_update_timestamp": order.updated_ns // NANOSECONDS_PER_MILLISECOND,
    }
    if order.triggered:
        row["trigger_order_id"] = trigger_id(order)
    else:
        row |= _trigger(ticket)
    if order.is_final and order.status is not OrderStatus.FILLED:
        row["cancel_reason"] = cancel_reason(order)
    return row


def triggered_row(order: OrderView, listing: Listing) -> Row:
    """The stop that made an order."""
    row = order_row(order, listing)
    del row["trigger_order_id"]
    nothing = {"filled_amount": number(ZERO), "average_price": number(ZERO)}
    made = {
        "order_id": trigger_id(order),
        "order_state": "triggered",
        "order_type": ORDER_TYPES[order.ticket.type],
        "triggered": True,
    }
    row.pop("cancel_reason", None)
    return row | _trigger(order.ticket) | nothing | made


def trade_row(fill: FillView, listing: Listing, market_view: MarketView) -> Row:
    """One side of a trade."""
    order, ticket, mark = fill.order, fill.order.ticket, market_view.mark(fill.order.ticket.symbol)
    row: Row = {
        "trade_seq": fill.trade_id,
        "trade_id": trade_id(fill.trade_id, listing.base),
        "timestamp": fill.time_ns // NANOSECONDS_PER_MILLISECOND,
        "tick_direction": 1,
        "state": STATES[order.status],
        "self_trade": False,
        "risk_reducing": False,
        "reduce_only": ticket.reduce_only,
        "price": number(fill.price),
        "post_only": ticket.post_only,
        "order_type": ORDER_TYPES[ticket.type],
        "order_id": order_id(order),
        "matching_id": None,
        "mmp": False,
        "mark_price": number(mark.mark_price) if mark else None,
        "index_price": number(mark.index_price) if mark else None,
        "liquidity": "M" if fill.is_maker else "T",
        "instrument_name": ticket.symbol,
        "fee_currency": fill.fee_asset,
        "fee": number(fill.fee),
        "direction": "buy" if ticket.buys else "sell",
        "contracts": number(contracts(f"{fill.size}", listing)),
        "amount": number(fill.size),
        "api": True,
    }
    if ticket.client_order_id:
        row["label"] = ticket.client_order_id
    return row


def position_row(position: PositionView, listing: Listing, market_view: MarketView) -> Row:
    """A position. Its size is in US dollars, ``size_currency`` in coins."""
    mark = market_view.mark(position.symbol)
    coins = position.size
    if is_inverse(position.symbol) and position.mark_price:
        coins = round(position.size / position.mark_price, COIN_PLACES)
    total = position.unrealized + position.realized
    directions = {1: "buy", -1: "sell", 0: "zero"}
    return {
        "instrument_name": position.symbol,
        "kind": "future",
        "direction": directions[(position.size > 0) - (position.size < 0)],
        "size": number(position.size),
        "size_currency": number(coins),
        "average_price": number(round(position.entry_price, PRICE_PLACES)),
        "mark_price": number(position.mark_price),
        "index_price": number(mark.index_price) if mark else None,
        "settlement_price": number(position.mark_price),
        "estimated_liquidation_price": (
            None
            if position.liquidation_price is None
            else number(round(position.liquidation_price, PRICE_PLACES))
        ),
        "floating_profit_loss": number(position.unrealized),
        "realized_profit_loss": number(position.realized),
        "realized_funding": number(ZERO),
        "total_profit_loss": number(total),
        "initial_margin": number(position.margin),
        "maintenance_margin": number(_maintenance(position)),
        "open_orders_margin": number(ZERO),
        "delta": number(coins),
        "interest_value": number(ZERO),
        "leverage": LEVERAGE,
    }


def portfolio_row(balance: BalanceView, positions: Iterable[PositionView]) -> Row:
    """The account of a currency. ``positions`` are those that it settles."""
    own = list(positions)
    floating = sum((one.unrealized for one in own), ZERO)
    realized = sum((one.realized for one in own), ZERO)
    maintenance = sum((_maintenance(one) for one in own), ZERO)
    equity = balance.total + balance.unsettled + floating
    free = number(max(balance.free + balance.unsettled, ZERO))
    none = dict.fromkeys(
        (
            "session_upl",
            "session_rpl",
            "options_pl",
            "options_value",
            "options_delta",
            "options_gamma",
            "options_vega",
            "options_theta",
            "options_session_upl",
            "options_session_rpl",
            "fee_balance",
            "additional_reserve",
            "spot_reserve",
        ),
        number(ZERO),
    )
    return {
        **none,
        "currency": balance.asset,
        "balance": number(balance.total),
        "equity": number(equity),
        "margin_balance": number(equity),
        "available_funds": free,
        "available_withdrawal_funds": free,
        "initial_margin": number(balance.locked),
        "maintenance_margin": number(maintenance),
        "projected_initial_margin": number(balance.locked),
        "projected_maintenance_margin": number(maintenance),
        "futures_pl": number(floating + realized),
        "futures_session_upl": number(floating),
        "futures_session_rpl": number(balance.unsettled),
        "total_pl": number(floating + realized),
        "cross_collateral_enabled": False,
    }


def portfolio_rows(engine: MatchingEngine, account: str, market_view: MarketView) -> list[Row]:
    """A row for each currency that settles an instrument."""
    listings = known_listings(market_view)
    settles = {listing.settle for listing in listings.values()}
    positions = engine.positions(account)
    is_portfolio = engine.settings(account).margin_mode == "portfolio"
    margin: Row = {
        "portfolio_margining_enabled": is_portfolio,
        "margin_model": "segregated_pm" if is_portfolio else "segregated_sm",
    }
    return [
        portfolio_row(
            balance,
            [one for one in positions if listings[one.symbol].settle == balance.asset],
        )
        | margin
        for balance in engine.balances(account)
        if balance.asset in settles
    ]


def cancel_reason(order: OrderView) -> str:
    """Why an order is not open any more."""
    if order.why is not None:
        return REASONS.get(order.why, order.why.name.lower())
    return "immediate_or_cancel" if order.status is OrderStatus.EXPIRED else "user_request"


def _trigger(ticket: OrderTicket) -> Row:
    row: Row = {}
    if ticket.stop_price is not None:
        row["trigger_price"] = row["stop_price"] = number(ticket.stop_price)
    if ticket.trailing_offset is not None:
        row["trigger_offset"] = number(ticket.trailing_offset)
    if row:
        row |= {"trigger": "last_price", "triggered": False}
    return row


def _with_currency(order: OrderView, text: str) -> str:
    base = order.ticket.symbol.partition("-")[0].partition("_")[0]
    return text if base == "BTC" else f"{base}-{text}"


def _average(order: OrderView) -> Decimal:
    if order.average_price is not None:
        return round(order.average_price, PRICE_PLACES)
    return round(order.filled_value / order.filled, PRICE_PLACES) if order.filled else ZERO


def _maintenance(position: PositionView) -> Decimal:
    share = MATCHING_RULES.maintenance_margin / MATCHING_RULES.initial_margin
    return round(position.margin * share, COIN_PLACES)
