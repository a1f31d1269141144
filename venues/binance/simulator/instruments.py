"""The instruments of the simulated markets: their listings, and their rows in exchangeInfo."""

from dataclasses import replace
from decimal import Decimal

from kit.simulator.dialect import MarketView
from kit.simulator.exchange.listings_and_prices import last_price
from kit.simulator.exchange.rest import ApiCall
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market_events import Instrument
from kit.simulator.matching.contract import OrderTicket
from venues.binance.simulator.encode import (
    BinanceFuturesMessages,
    BinanceSpotMessages,
    Messages,
    native_symbol,
)
from venues.binance.simulator.errors import (
    LOT_SIZE,
    MARKET_CLOSED,
    NOTIONAL,
    PRICE_FILTER,
    required,
)
from venues.binance.simulator.rows import ZERO, padded_number

FUTURES_INSTRUMENTS = (
    Instrument("BTC", "USDT", 2, 3, 10, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USDT", 2, 3, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USDT", 4, 0, 100, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USDT", 4, 1, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USDT", 6, 0, 10, 0.10400, 4_000.0, 0.050, 1.0),
)
SPOT_NOTIONAL_MIN = {"USDT": "5.00000000", "BTC": "0.00010000"}
"""By quote asset."""
FUTURES_NOTIONAL_MIN = "5"

SPOT_ORDER_TYPES = [
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]  # fmt: skip
FUTURES_ORDER_TYPES = [
    "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
]  # fmt: skip
NO_DELIVERY_MS = 4_133_404_800_000
"""The delivery date that Binance gives perpetuals: in the year 2100."""
LISTED_MS = 1_569_398_400_000
ASSET_PRECISION = 8


def spot_listing(instrument: Instrument) -> Listing:
    return _listing(instrument, BinanceSpotMessages(), SPOT_NOTIONAL_MIN[instrument.quote])


def futures_listing(instrument: Instrument) -> Listing:
    """A listing of USD-M futures."""
    listing = _listing(instrument, BinanceFuturesMessages(), FUTURES_NOTIONAL_MIN)
    return replace(listing, kind=InstrumentKind.PERPETUAL, settle=instrument.quote)


def listed(call: ApiCall) -> Listing:
    """The listing of the mandatory parameter ``symbol``. Raises ApiError."""
    required(call, "symbol")
    return call.listing()


def coins(call: ApiCall) -> list[dict[str, object]]:
    """``[{"coin","free","locked",…,"networkList":[]}]`` of all listed assets."""
    held = {one.asset: one for one in call.engine.balances(call.account)}
    listings = call.market_view.listings()
    coins = dict.fromkeys(coin for one in listings for coin in (one.base, one.quote))
    zero = padded_number(ZERO)
    return [
        {
            "coin": coin,
            "depositAllEnable": True,
            "withdrawAllEnable": True,
            "name": coin,
            "free": padded_number(held[coin].free) if coin in held else zero,
            "locked": padded_number(held[coin].locked) if coin in held else zero,
            **dict.fromkeys(("freeze", "withdrawing", "ipoing", "ipoable", "storage"), zero),
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for coin in coins
    ]


def traded_price(market_view: MarketView, listing: Listing) -> Decimal:
    """The price of the newest trade. Raises ApiError: there was none."""
    last = last_price(market_view, listing.symbol)
    if last is None:
        raise MARKET_CLOSED
    return last


def check_filters(listing: Listing, ticket: OrderTicket) -> None:
    """Check an order against the filters of its symbol. Raises ApiError."""
    if listing.halted:
        raise MARKET_CLOSED
    prices = [price for price in (ticket.price, ticket.stop_price) if price is not None]
    if any(price % Decimal(listing.tick_size) for price in prices):
        raise PRICE_FILTER
    if ticket.size % Decimal(listing.lot_size):
        raise LOT_SIZE
    if ticket.price is not None and ticket.price * ticket.size < Decimal(listing.minimum_notional):
        raise NOTIONAL


def spot_symbol(listing: Listing) -> dict[str, object]:
    """https://developers.binance.com/docs/binance-spot-api-docs/filters"""
    return _derived(listing) | {
        "symbol": listing.symbol,
        "status": "HALT" if listing.halted else "TRADING",
        "baseAsset": listing.base,
        "baseAssetPrecision": ASSET_PRECISION,
        "quoteAsset": listing.quote,
        "quotePrecision": ASSET_PRECISION,
        "quoteAssetPrecision": ASSET_PRECISION,
        "orderTypes": SPOT_ORDER_TYPES,
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER"} | _price_range(listing, "10000000.00000000"),
            {"filterType": "LOT_SIZE"} | _size_range(listing, "1000000.00000000"),
            {"filterType": "NOTIONAL", "minNotional": listing.minimum_notional}
            | {"applyMinToMarket": True, "maxNotional": "9000000.00000000"}
            | {"applyMaxToMarket": False, "avgPriceMins": 5},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def futures_symbol(listing: Listing) -> dict[str, object]:
    """https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/
    Exchange-Information; a perpetual whose contract is one of its base."""
    return _derived(listing) | {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NO_DELIVERY_MS,
        "onboardDate": LISTED_MS,
        "status": "PRE_SETTLE" if listing.halted else "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": _places(listing.tick_size),
        "quantityPrecision": _places(listing.lot_size),
        "baseAssetPrecision": ASSET_PRECISION,
        "quotePrecision": ASSET_PRECISION,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "filters": [
            {"filterType": "PRICE_FILTER"} | _price_range(listing, "10000000"),
            {"filterType": "LOT_SIZE"} | _size_range(listing, "1000"),
            {"filterType": "MARKET_LOT_SIZE"} | _size_range(listing, "1000"),
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": listing.minimum_notional},
        ],
        "orderTypes": FUTURES_ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _listing(instrument: Instrument, messages: Messages, minimum_notional: str) -> Listing:
    tick_size, lot_size = messages.price(instrument)(1), messages.size(instrument)(1)
    base, quote = instrument.base, instrument.quote
    return Listing(native_symbol(instrument), base, quote, tick_size, lot_size, minimum_notional)


def _price_range(listing: Listing, maximum: str) -> dict[str, str]:
    tick = listing.tick_size
    return {"minPrice": tick, "maxPrice": maximum, "tickSize": tick}


def _size_range(listing: Listing, maximum: str) -> dict[str, str]:
    lot = listing.lot_size
    return {"minQty": lot, "maxQty": maximum, "stepSize": lot}


def _derived(listing: Listing) -> dict[str, object]:
    return {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}


def _places(number: str) -> int:
    return len(number.partition(".")[2])
