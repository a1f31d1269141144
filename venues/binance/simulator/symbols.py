"""What exchangeInfo says of one symbol, for each of Binance's markets."""

from kit.simulator.listing import Listing

SPOT_ORDER_TYPES = [
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]  # fmt: skip
FUTURES_ORDER_TYPES = [
    "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
]  # fmt: skip
NO_DELIVERY_MS = 4_133_404_800_000
"""When a perpetual is delivered, in Binance's words: in the year 2100."""
LISTED_MS = 1_569_398_400_000
ASSET_PRECISION = 8


def spot_symbol(listing: Listing) -> dict[str, object]:
    """https://developers.binance.com/docs/binance-spot-api-docs/filters"""
    return _marks(listing) | {
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
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.tick_size,
                "maxPrice": "10000000.00000000",
                "tickSize": listing.tick_size,
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": listing.lot_size,
                "maxQty": "1000000.00000000",
                "stepSize": listing.lot_size,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": listing.minimum_notional,
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def futures_symbol(listing: Listing) -> dict[str, object]:
    """https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/
    Exchange-Information; a perpetual whose contract is one of its base."""
    lot_filter = {"minQty": listing.lot_size, "maxQty": "1000", "stepSize": listing.lot_size}
    return _marks(listing) | {
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
            {
                "filterType": "PRICE_FILTER",
                "minPrice": listing.tick_size,
                "maxPrice": "10000000",
                "tickSize": listing.tick_size,
            },
            {"filterType": "LOT_SIZE"} | lot_filter,
            {"filterType": "MARKET_LOT_SIZE"} | lot_filter,
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": listing.minimum_notional},
        ],
        "orderTypes": FUTURES_ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _marks(listing: Listing) -> dict[str, object]:
    return {"simulator": "tick and lot as seen in a capture"} if listing.derived else {}


def _places(number: str) -> int:
    return len(number.partition(".")[2])
