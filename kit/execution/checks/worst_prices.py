"""Bounds market orders by the market at the time when they are sent."""

from msgspec import structs
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.checks.pre_trade_checks import worst_price
from kit.execution.contract import OrderCapabilities, OrderRequest
from kit.execution.orders.order import Order
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings


def with_worst_price(
    request: OrderRequest, market: ReferenceMarketData, settings: OrdersSettings
) -> OrderRequest:
    """Return a market order with its worst price; without a proven book, as it is."""
    percent, symbol = settings.market_band_percent, request.symbol
    best = market.best(symbol) if percent else None
    instrument = market.instrument(symbol)
    if request.type != orders_pb2.ORDER_TYPE_MARKET or best is None or instrument is None:
        return request
    worst = worst_price(best, request.buys, percent, instrument)
    return structs.replace(request, worst_price=worst)


def is_unbounded_entry(
    order: Order,
    request: OrderRequest,
    capabilities: OrderCapabilities,
    settings: OrdersSettings,
) -> bool:
    """Whether an entry would be sent at any price, as its book has come in doubt since it was
    checked."""
    return (
        request.type == orders_pb2.ORDER_TYPE_MARKET
        and request.worst_price is None
        and settings.market_band_percent > 0
        and not order.is_protective
        and not capabilities.waits_for_book
    )
