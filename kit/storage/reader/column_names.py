"""Names of columns, and the scale by which each is read."""

from collections.abc import Mapping

SYMBOL = "symbol"
TEXT_ID = "trade_id_text"
PRICE, SIZE, RATE, VALUE = "price_scale", "size_scale", "rate_scale", "value_scale"
SCALES: Mapping[str, str] = {
    **dict.fromkeys(("price", "bid_price", "ask_price", "mark_price", "index_price"), PRICE),
    **dict.fromkeys(("last_price", "open_price", "high_price", "low_price"), PRICE),
    **dict.fromkeys(("open", "high", "low", "close"), PRICE),
    **dict.fromkeys(("size", "bid_size", "ask_size", "volume", "buy_volume"), SIZE),
    "funding_rate": RATE,
    "quote_volume": VALUE,
}
"""By which scale of an instrument a column is to be read; other columns are plain integers."""
