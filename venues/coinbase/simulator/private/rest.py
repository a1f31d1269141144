"""Advanced Trade's REST calls of an account.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar
from urllib.parse import parse_qs

from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.exchange.orders import fills_by_order
from kit.simulator.matching.contract import Key, MatchingEngine, OrderView
from kit.simulator.texts import instant_ns, plain, whole
from venues.coinbase.simulator.answers import CoinbaseApiError, as_json
from venues.coinbase.simulator.private import orders
from venues.coinbase.simulator.private.keys import MATCHING_RULES, engine_of, key_of_call
from venues.coinbase.simulator.private.rows import (
    Row,
    account_row,
    fill_row,
    old_account_row,
    order_id,
    order_row,
    status,
    user_id,
)

RowT = TypeVar("RowT")
PREFIX = "/api/v3/brokerage/"
PUBLIC = ("market/", "time")
OLD_ACCOUNTS = "/v2/accounts"
ROWS_USUAL, ROWS_MAX = 100, 1000
HISTORICAL = "orders/historical/"
DIGITS_MAX = 12


@dataclass(frozen=True, slots=True)
class _Call:
    """A request of somebody who may."""

    request: RestRequest
    market_view: MarketView
    engine: MatchingEngine
    key: Key

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.key.account

    def several(self, *names: str) -> set[str]:
        """What stands in parameters that may come more than once."""
        asked = parse_qs(self.request.raw_query)
        return {one for name in names for text in asked.get(name, ()) for one in text.split(",")}

    def number(self, name: str, usual: int) -> int:
        """A whole number. Raises Refusal."""
        number = whole(self.request.query.get(name) or str(usual), DIGITS_MAX)
        if number is None:
            raise orders.invalid(f"{name} argument is invalid")
        return number

    def instant(self, name: str, usual: int) -> int:
        """A time, in nanoseconds. Raises Refusal."""
        text = self.request.query.get(name)
        if not text:
            return usual
        found_ns = instant_ns(text)
        if found_ns is None:
            raise orders.invalid(f"{name} argument is invalid")
        return found_ns


def is_private(path: str) -> bool:
    """Whether a path needs a key."""
    if path == OLD_ACCOUNTS:
        return True
    return path.startswith(PREFIX) and not path.removeprefix(PREFIX).startswith(PUBLIC)


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call for which ``is_private`` holds."""
    try:
        key = key_of_call(request, market_view)
        call = _Call(request, market_view, engine_of(market_view), key)
        return as_json(_result(call, request.path.removeprefix(PREFIX)))
    except CoinbaseApiError as refusal:
        return refusal.answer


def _result(call: _Call, path: str) -> Row:
    request, engine = call.request, call.engine
    if request.method == "POST":
        if path == "orders":
            return orders.create(request.body, engine, call.account, call.market_view)
        if path == "orders/edit":
            return orders.edit(request.body, engine, call.account)
        if path == "orders/batch_cancel":
            return orders.cancel(request.body, engine, call.account)
    elif path in HANDLERS:
        return HANDLERS[path](call)
    elif path.startswith(HISTORICAL):
        order = orders.found(path.removeprefix(HISTORICAL), engine, call.account)
        return {"order": _rows(call, [order])[0]}
    raise CoinbaseApiError(404, {"error": "NOT_FOUND", "message": "no such path"})


def _accounts(call: _Call) -> Row:
    user = user_id(call.account)
    rows = [account_row(one, call.market_view, user) for one in call.engine.balances(call.account)]
    return {"accounts": rows, "has_next": False, "cursor": "", "size": len(rows)}


def _old_accounts(call: _Call) -> Row:
    """Of the older API, which tells what there is in all and nothing of what is held."""
    pages = {"ending_before": None, "starting_after": None, "previous_ending_before": None}
    more = {"next_starting_after": None, "limit": 250, "order": "desc"}
    rows = [old_account_row(one) for one in call.engine.balances(call.account)]
    return {"pagination": {**pages, **more}, "data": rows}


def _orders(call: _Call) -> Row:
    """Newest first, in pages."""
    start_ns, end_ns = call.instant("start_date", 0), call.instant("end_date", 2**63)
    states, products = call.several("order_status"), call.several("product_id", "product_ids")
    ids = call.several("order_ids")
    chosen = [
        one
        for one in reversed(call.engine.orders(call.account))
        if start_ns <= one.created_ns < end_ns
        and (not states or status(one) in states)
        and (not products or one.ticket.symbol in products)
        and (not ids or order_id(one) in ids)
    ]
    page, cursor = _page(call, chosen)
    rows = _rows(call, page)
    return {"orders": rows, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}


def _fills(call: _Call) -> Row:
    """Newest first, in pages."""
    start_ns = call.instant("start_sequence_timestamp", 0)
    end_ns = call.instant("end_sequence_timestamp", 2**63)
    orders = call.several("order_id", "order_ids")
    products = call.several("product_id", "product_ids")
    chosen = [
        fill
        for fill in reversed(call.engine.fills(call.account, "", start_ns))
        if fill.time_ns < end_ns
        and (not orders or order_id(fill.order) in orders)
        and (not products or fill.order.ticket.symbol in products)
    ]
    page, cursor = _page(call, chosen)
    user = user_id(call.account)
    return {"fills": [fill_row(one, user) for one in page], "cursor": cursor}


def _permissions(call: _Call) -> Row:
    """What the key that asks may do."""
    return {
        "can_view": True,
        "can_trade": True,
        "can_transfer": call.key.may_withdraw,
        "portfolio_uuid": user_id(call.account),
        "portfolio_type": "DEFAULT",
    }


def _summary(call: _Call) -> Row:
    tier, fills = MATCHING_RULES.tiers[0], call.engine.fills(call.account)
    volume = sum((fill.price * fill.size for fill in fills), Decimal(0))
    return {
        "total_volume": plain(volume),
        "total_fees": plain(sum((fill.fee for fill in fills), Decimal(0))),
        "fee_tier": {
            "pricing_tier": "Simulated",
            "usd_from": "0",
            "usd_to": "",
            "taker_fee_rate": plain(tier.taker),
            "maker_fee_rate": plain(tier.maker),
        },
        "margin_rate": None,
        "goods_and_services_tax": None,
        "advanced_trade_only_volume": plain(volume),
        "advanced_trade_only_fees": "0",
        "coinbase_pro_volume": "0",
        "coinbase_pro_fees": "0",
    }


HANDLERS: Mapping[str, Callable[[_Call], Row]] = {
    "accounts": _accounts,
    OLD_ACCOUNTS: _old_accounts,
    "orders/historical/batch": _orders,
    "orders/historical/fills": _fills,
    "key_permissions": _permissions,
    "transaction_summary": _summary,
}


def _rows(call: _Call, orders: Sequence[OrderView]) -> list[Row]:
    fills, user = fills_by_order(orders, call.engine), user_id(call.account)
    return [order_row(one, fills.get(one.order_id, ()), user) for one in orders]


def _page(call: _Call, rows: Sequence[RowT]) -> tuple[Sequence[RowT], str]:
    """Some, and what the next ones are asked for by; empty: there are none."""
    first = call.number("cursor", 0)
    end = first + max(1, min(call.number("limit", ROWS_USUAL), ROWS_MAX))
    return rows[first:end], str(end) if end < len(rows) else ""
