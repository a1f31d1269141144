"""Parses the results of ccxt.pro into columns, without I/O, clock or state.

ccxt converts numbers to floats. A float of at most 15 digits is formatted exactly as it was sent
(without trailing zeros); the text of a longer one is searched in ``info``, the raw answer.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.number_columns import IntColumn
from kit.marketdata.model.columns import (
    NumberColumn,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
)

SIDES = {"buy": types_pb2.SIDE_BUY, "sell": types_pb2.SIDE_SELL}
SIDE_UNSAID = types_pb2.SIDE_UNSPECIFIED

Unified = Mapping[str, Any]
"""A trade, ticker or book in the form that ccxt gives to all exchanges."""


def plain(value: float | str | None) -> str:
    """A number of ccxt as the shortest text with the same float. "0" for None."""
    if value is None:
        return "0"
    return value if isinstance(value, str) else repr(value).removesuffix(".0")


def exact(value: float | str | None, raw: Mapping[float, str]) -> str:
    """The exchange's own text of a number, where the raw answer has it."""
    if value is None or isinstance(value, str):
        return plain(value)
    return raw.get(value) or plain(value)


def raw_numbers(info: Any) -> dict[float, str]:
    """The texts in a raw answer that are numbers, by their value."""
    found: dict[float, str] = {}
    for text in _texts(info):
        try:
            found[float(text)] = text
        except ValueError:
            continue
    return found


def time_ns(unified: Unified) -> int:
    """The time of the exchange, or 0 if it states none."""
    return int(unified.get("timestamp") or 0) * NANOSECONDS_PER_MILLISECOND


def side(trade: Unified) -> "types_pb2.Side.ValueType":
    """The side of the taker; some exchanges do not state it."""
    return SIDES.get(trade.get("side") or "", SIDE_UNSAID)


def trades(
    symbol: str, found: Sequence[Unified], received_time_ns: int, consecutive: bool
) -> TradeRows:
    """Trades in their order. ``consecutive``: a gap in the ids means missing trades. Raises
    NumberError."""
    raw = [raw_numbers(trade.get("info")) for trade in found]
    ids = trade_ids(found)
    numbered = consecutive and all(one.isdecimal() for one in ids)
    numbers = _column([int(one) for one in ids] if numbered else [0] * len(ids))
    return TradeRows(
        symbols=SymbolColumn.of([symbol] * len(found)),
        price=_numbers(found, raw, "price"),
        size=_numbers(found, raw, "amount"),
        side=_column([side(trade) for trade in found]),
        venue_time_ns=_column([time_ns(trade) for trade in found]),
        received_time_ns=_column([received_time_ns] * len(found)),
        trade_id=numbers,
        previous_id=numbers - 1 if numbered else None,
        trade_id_text=None if numbered else ids,
    )


def trade_ids(found: Sequence[Unified]) -> list[str]:
    """The exchange's ids. Missing ids are computed from the trade, so that a repeated trade has
    the same id."""
    alike: Counter[str] = Counter()
    ids: list[str] = []
    for trade in found:
        made = str(trade.get("id") or "")
        if not made:
            parts = (trade.get(part) for part in ("timestamp", "side", "price", "amount"))
            content = "-".join(map(str, parts))
            alike[content] += 1
            made = f"{content}-{alike[content]}"
        ids.append(made)
    return ids


def is_whole_trade(trade: Unified) -> bool:
    """Whether a trade has a price and a size."""
    return trade.get("price") is not None and trade.get("amount") is not None


def quotes(symbol: str, ticker: Unified, received_time_ns: int) -> QuoteRows | None:
    """The best bid and ask. None where one of the four numbers is missing. Raises NumberError."""
    names = ("bid", "bidVolume", "ask", "askVolume")
    if any(ticker.get(name) is None for name in names):
        return None
    raw = raw_numbers(ticker.get("info"))
    bid, bid_size, ask, ask_size = (_numbers([ticker], [raw], name) for name in names)
    return QuoteRows(
        symbols=SymbolColumn.of([symbol]),
        bid_price=bid,
        bid_size=bid_size,
        ask_price=ask,
        ask_size=ask_size,
        venue_time_ns=_column([time_ns(ticker)]),
        received_time_ns=_column([received_time_ns]),
        sequence=_column([0]),
    )


def tickers(symbol: str, ticker: Unified, received_time_ns: int) -> TickerRows | None:
    """24-hour statistics. None without a last price. Raises NumberError."""
    if ticker.get("last") is None:
        return None
    raw = raw_numbers(ticker.get("info"))
    names = ("last", "open", "high", "low", "baseVolume")
    last, opened, high, low, volume = (_numbers([ticker], [raw], name) for name in names)
    return TickerRows(
        symbols=SymbolColumn.of([symbol]),
        last_price=last,
        open_price=opened,
        high_price=high,
        low_price=low,
        volume=volume,
        venue_time_ns=_column([time_ns(ticker)]),
        received_time_ns=_column([received_time_ns]),
    )


def _numbers(
    found: Sequence[Unified], raw: Sequence[Mapping[float, str]], name: str
) -> NumberColumn:
    texts = [exact(one.get(name), known) for one, known in zip(found, raw, strict=True)]
    return NumberColumn.parse(texts)


def _texts(info: Any) -> Iterator[str]:
    if isinstance(info, str):
        yield info
    elif isinstance(info, Mapping):
        for value in info.values():
            yield from _texts(value)
    elif isinstance(info, list):
        for value in info:
            yield from _texts(value)


def _column(values: Sequence[int]) -> IntColumn:
    return np.array(values, dtype=np.int64)
