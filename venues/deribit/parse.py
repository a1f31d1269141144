"""Parses Deribit frames into columns, without I/O, clock or state.

Documentation: https://docs.deribit.com/articles/notifications and the pages of the channels
"""

import numpy as np

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.number_columns import IntColumn
from kit.connector.contract.venue import FrameKind
from kit.marketdata.frames import Field, FrameError, Frames, FrameSchema, LevelList, optional
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    MarkRows,
    NumberColumn,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
    zeros,
)

TAKERS = {"buy": SIDE_BUY, "sell": SIDE_SELL}
WHOLE = {"snapshot": 1, "change": 0}
CHART = "chart.trades."
DAY = "1D"
MINUTES = ("1", "3", "5", "10", "15", "30", "60", "120", "180", "360", "720")
CHART_SECONDS = {**{minutes: int(minutes) * 60 for minutes in MINUTES}, DAY: 86_400}
"""Length of a candle, s, by the resolution in the name of its channel."""

TRADE = FrameSchema(
    "params.data[]",
    {
        "instrument_name": Field.TEXT,
        "trade_seq": Field.INTEGER,
        "price": Field.DECIMAL,
        "amount": Field.DECIMAL,
        "direction": Field.TEXT,
        "timestamp": Field.INTEGER,
    },
)
QUOTE = FrameSchema(
    "params.data",
    {
        "instrument_name": Field.TEXT,
        "best_bid_price": optional(Field.DECIMAL),
        "best_bid_amount": optional(Field.DECIMAL),
        "best_ask_price": optional(Field.DECIMAL),
        "best_ask_amount": optional(Field.DECIMAL),
        "timestamp": Field.INTEGER,
    },
)
BOOK = FrameSchema(
    "params.data",
    {
        "instrument_name": Field.TEXT,
        "type": Field.TEXT,
        "change_id": Field.INTEGER,
        "prev_change_id": optional(Field.INTEGER),
        "timestamp": Field.INTEGER,
        "bids": LevelList.bids(1, 2),
        "asks": LevelList.asks(1, 2),
    },
)
TICKER = FrameSchema(
    "params.data",
    {
        "instrument_name": Field.TEXT,
        "last_price": optional(Field.DECIMAL),
        "stats.high": optional(Field.DECIMAL),
        "stats.low": optional(Field.DECIMAL),
        "stats.volume": optional(Field.DECIMAL),
        "timestamp": Field.INTEGER,
    },
)
MARK = FrameSchema(
    "params.data",
    {
        "instrument_name": Field.TEXT,
        "mark_price": optional(Field.DECIMAL),
        "index_price": optional(Field.DECIMAL),
        "current_funding": optional(Field.DECIMAL),
        "timestamp": Field.INTEGER,
    },
)
CANDLE = FrameSchema(
    "params.data",
    {
        "tick": Field.INTEGER,
        "open": Field.DECIMAL,
        "high": Field.DECIMAL,
        "low": Field.DECIMAL,
        "close": Field.DECIMAL,
        "volume": Field.DECIMAL,
    },
    outer={"params.channel": Field.TEXT},
)


def trades(frames: Frames) -> TradeRows:
    """Frames of trades.<instrument>.100ms, each with one trade or more, oldest first.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.BTC-PERPETUAL.100ms",
    "data":[{"trade_seq":92836831,"trade_id":"137487241","timestamp":1616321478553,
    "tick_direction":1,"price":56168.0,"mark_price":56172.08,"instrument_name":"BTC-PERPETUAL",
    "index_price":56173.74,"direction":"buy","amount":5580.0}]}}

    trade_seq numbers the trades of an instrument, so it is the id that shows missing trades;
    trade_id numbers the trades of a currency. direction: the taker's. timestamp: ms. Raises
    FrameError.
    """
    found = TRADE.decode(frames)
    trade_seq = found.integers("trade_seq")
    return TradeRows(
        symbols=found.symbols("instrument_name"),
        price=found.numbers("price"),
        size=found.numbers("amount"),
        side=found.among("direction", TAKERS),
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=trade_seq,
        previous_id=trade_seq - 1,
    )


def quotes(frames: Frames) -> QuoteRows:
    """Frames of quote.<instrument>. A side without orders has null or 0.0.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"quote.BTC-PERPETUAL","data":
    {"timestamp":1654012882984,"instrument_name":"BTC-PERPETUAL","best_bid_price":32143.0,
    "best_bid_amount":179960.0,"best_ask_price":32143.5,"best_ask_amount":20.0}}}

    Raises FrameError.
    """
    found = QUOTE.decode(frames)
    return QuoteRows(
        symbols=found.symbols("instrument_name"),
        bid_price=found.numbers("best_bid_price"),
        bid_size=found.numbers("best_bid_amount"),
        ask_price=found.numbers("best_ask_price"),
        ask_size=found.numbers("best_ask_amount"),
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        sequence=zeros(len(frames)),
    )


def book(frames: Frames) -> BookRows:
    """Frames of book.<instrument>.100ms: a snapshot after subscribing, then changes.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":
    {"type":"change","timestamp":1622627435737,"prev_change_id":31479598064,
    "instrument_name":"BTC-PERPETUAL","change_id":31479598217,
    "bids":[["delete",36779.0,0.0],["new",36809.5,254870.0]],"asks":[["change",37394.0,42670.0]]}}}

    A deleted level has the amount 0.0. A snapshot has no prev_change_id. Raises FrameError.
    """
    found = BOOK.decode(frames)
    change_id = found.integers("change_id")
    return BookRows(
        symbols=found.symbols("instrument_name"),
        first_sequence=change_id,
        last_sequence=change_id,
        previous_sequence=found.integers("prev_change_id"),
        snapshot=found.among("type", WHOLE),
        checksum=None,
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
        bids=found.bids,
        asks=found.asks,
    )


def tickers(frames: Frames) -> TickerRows:
    """Frames of ticker.<instrument>.100ms, their figures of 24 hours. null: nothing was traded.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.BTC-PERPETUAL.100ms",
    "data":{"timestamp":1654161785818,"stats":{"volume_usd":545442610.0,"volume":17945.19644566,
    "price_change":-5.4014,"low":29265.5,"high":31903.5},"state":"open","mark_price":29932.79,
    "last_price":29931.0,"instrument_name":"BTC-PERPETUAL","index_price":29930.44,
    "funding_8h":0.00000255,"current_funding":0.0,…}}}

    volume is in base units also where amounts are in USD. There is no opening price, only the
    change in percent, rounded. Raises FrameError.
    """
    found = TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("instrument_name"),
        last_price=found.numbers("last_price"),
        open_price=NumberColumn(zeros(len(frames)), 0),
        high_price=found.numbers("stats.high"),
        low_price=found.numbers("stats.low"),
        volume=found.numbers("stats.volume"),
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
    )


def marks(frames: Frames) -> MarkRows:
    """The same frames, their mark price, index price and funding.

    Options and dated futures have no current_funding. Funding flows all the time, so there is no
    next time. Raises FrameError.
    """
    found = MARK.decode(frames)
    return MarkRows(
        symbols=found.symbols("instrument_name"),
        mark_price=found.numbers("mark_price"),
        index_price=found.numbers("index_price"),
        funding_rate=found.numbers("current_funding"),
        next_funding_time_ns=zeros(len(frames)),
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns,
    )


def candles(frames: Frames) -> CandleRows:
    """Frames of chart.trades.<instrument>.1: the candle of the current minute.

    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"chart.trades.BTC-PERPETUAL.1",
    "data":{"volume":0.02120555,"tick":1654079340000,"open":31595.5,"low":31595.5,"high":31595.5,
    "cost":670.0,"close":31595.5}}}

    tick: open time, ms. volume in base units, cost in quote units. No field marks a candle as
    final: it is final when the next one starts. Raises FrameError.
    """
    found = CANDLE.decode(frames)
    symbols, interval_s = _charts(found.symbols("params.channel"))
    return CandleRows(
        symbols=symbols,
        interval_s=interval_s,
        open_time_ns=found.integers("tick") * NANOSECONDS_PER_MILLISECOND,
        open=found.numbers("open"),
        high=found.numbers("high"),
        low=found.numbers("low"),
        close=found.numbers("close"),
        volume=found.numbers("volume"),
        closed=zeros(len(frames)),
        venue_time_ns=zeros(len(frames)),
        received_time_ns=frames.received_time_ns,
    )


def _charts(channels: SymbolColumn) -> tuple[SymbolColumn, IntColumn]:
    """Instruments and candle lengths, s, out of "chart.trades.BTC-PERPETUAL.1"."""
    names: list[str] = []
    seconds: list[int] = []
    for channel in channels.names:
        name, _, resolution = channel.removeprefix(CHART).rpartition(".")
        if resolution not in CHART_SECONDS:
            raise FrameError(f"candles of {channel[:60]!r}")
        names.append(name)
        seconds.append(CHART_SECONDS[resolution])
    distinct = SymbolColumn.of(names)
    lengths = np.array(seconds, dtype=np.int64)
    return SymbolColumn(distinct.names, distinct.row[channels.row]), lengths[channels.row]


UNREAD = (
    "perpetual.",
    "deribit_price_index.",
    "deribit_volatility_index.",
    "estimated_expiration_price.",
    "markprice.options.",
    "instrument.state.",
    "platform_state",
    "announcements",
)
"""Channels that are never asked for."""

KINDS = (
    FrameKind("grouped book", b".none.", ()),
    FrameKind("trades", b'"channel":"trades.', (trades,)),
    FrameKind("quotes", b'"channel":"quote.', (quotes,)),
    FrameKind("book", b'"channel":"book.', (book,)),
    FrameKind("tickers", b'"channel":"ticker.', (tickers, marks)),
    FrameKind("candles", b'"channel":"chart.trades.', (candles,)),
    *(FrameKind(name, f'"channel":"{name}'.encode(), ()) for name in UNREAD),
)
"""A grouped book is the top of a book, without a chain: never asked for either."""
WINDOW_BYTES = 128
"""A frame begins {"jsonrpc":"2.0","method":"subscription","params":{"channel":"trades.…"."""
