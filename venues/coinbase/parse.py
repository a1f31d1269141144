"""Parses Coinbase frames into columns, without I/O, clock or state.

https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
"""

import numpy as np

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.number_columns import IntColumn
from kit.marketdata.frames import Field, Frames, FrameSchema, LevelList, optional
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    NumberColumn,
    QuoteRows,
    TickerRows,
    TradeRows,
    zeros,
)

CANDLE_SECONDS = 300
TAKER_OF_MAKER = {
    "BUY": SIDE_SELL,
    "SELL": SIDE_BUY,
    "buy": SIDE_SELL,
    "sell": SIDE_BUY,
}
"""Both feeds tell the side of the maker, whose order was in the book."""
SNAPSHOT = {"snapshot": 1, "update": 0, "l2update": 0}

ADVANCED_FRAME = FrameSchema("", {"sequence_num": Field.INTEGER})
ADVANCED_TRADE = FrameSchema(
    "events[].trades[]",
    {
        "trade_id": Field.INTEGER,
        "product_id": Field.TEXT,
        "price": Field.DECIMAL,
        "size": Field.DECIMAL,
        "side": Field.TEXT,
        "time": Field.TIME,
    },
)
ADVANCED_BOOK = FrameSchema(
    "events[]",
    {
        "type": Field.TEXT,
        "product_id": Field.TEXT,
        "updates": LevelList.sided("price_level", "new_quantity", side="side", bid="bid"),
    },
    outer={"timestamp": Field.TIME},
)
ADVANCED_TICKER = FrameSchema(
    "events[].tickers[]",
    {
        "product_id": Field.TEXT,
        "price": Field.DECIMAL,
        "volume_24_h": Field.DECIMAL,
        "low_24_h": Field.DECIMAL,
        "high_24_h": Field.DECIMAL,
        "best_bid": Field.DECIMAL,
        "best_bid_quantity": Field.DECIMAL,
        "best_ask": Field.DECIMAL,
        "best_ask_quantity": Field.DECIMAL,
    },
    outer={"timestamp": Field.TIME},
)
ADVANCED_CANDLE = FrameSchema(
    "events[].candles[]",
    {
        "product_id": Field.TEXT,
        "start": Field.INTEGER,
        "open": Field.DECIMAL,
        "high": Field.DECIMAL,
        "low": Field.DECIMAL,
        "close": Field.DECIMAL,
        "volume": Field.DECIMAL,
    },
    outer={"timestamp": Field.TIME},
)
EXCHANGE_MATCH = FrameSchema(
    "",
    {
        "trade_id": Field.INTEGER,
        "product_id": Field.TEXT,
        "price": Field.DECIMAL,
        "size": Field.DECIMAL,
        "side": Field.TEXT,
        "time": Field.TIME,
    },
)
EXCHANGE_BOOK = FrameSchema(
    "",
    {
        "type": Field.TEXT,
        "product_id": Field.TEXT,
        "time": optional(Field.TIME),
        "bids": optional(LevelList.bids(0, 1)),
        "asks": optional(LevelList.asks(0, 1)),
        "changes": optional(LevelList.sided(1, 2, side=0, bid="buy")),
    },
)
EXCHANGE_TICKER = FrameSchema(
    "",
    {
        "sequence": Field.INTEGER,
        "product_id": Field.TEXT,
        "price": Field.DECIMAL,
        "open_24h": Field.DECIMAL,
        "volume_24h": Field.DECIMAL,
        "low_24h": Field.DECIMAL,
        "high_24h": Field.DECIMAL,
        "best_bid": Field.DECIMAL,
        "best_bid_size": optional(Field.DECIMAL),
        "best_ask": Field.DECIMAL,
        "best_ask_size": optional(Field.DECIMAL),
        "time": Field.TIME,
    },
)


def advanced_sequence(frames: Frames) -> IntColumn:
    """The number of each frame of a connection, which counts frames of all channels together.

    Raises FrameError when one has none: errors are not counted.
    """
    return ADVANCED_FRAME.decode(frames).integers("sequence_num")


def advanced_trades(frames: Frames) -> TradeRows:
    """Frames of market_trades.

    {"channel":"market_trades","timestamp":"2026-09-30T01:41:27.834Z","sequence_num":5,"events":[
    {"type":"update","trades":[{"product_id":"ETH-USD","trade_id":"846149799","price":"2668.36",
    "size":"1","time":"2026-09-30T01:41:25.375232Z","side":"BUY"},{…}]}]}

    A frame has the trades of 250 ms, newest first; the rows are by id. The first frame of a
    subscription ("type":"snapshot") has recent trades, known or not. side: the maker's. Raises
    FrameError.
    """
    found = ADVANCED_TRADE.decode(frames)
    trade_id = found.integers("trade_id")
    rows = TradeRows(
        symbols=found.symbols("product_id"),
        price=found.numbers("price"),
        size=found.numbers("size"),
        side=found.among("side", TAKER_OF_MAKER),
        venue_time_ns=found.integers("time"),
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=trade_id,
        previous_id=trade_id - 1,
    )
    return rows.take(np.lexsort((trade_id, found.frame)))


def advanced_book(frames: Frames) -> BookRows:
    """Frames of l2_data, which answer a subscription to level2.

    {"channel":"l2_data","client_id":"","timestamp":"2026-09-07T01:57:58.894355Z","sequence_num":0,
    "events":[{"type":"snapshot","product_id":"BTC-USD","updates":[{"side":"offer",
    "event_time":"2026-09-07T01:57:58.894355Z","price_level":"79944.1","new_quantity":"1.2"},…]}]}

    A new_quantity of 0 removes the level. timestamp: when the frame was sent. The updates of one
    book have no numbers. Raises FrameError.
    """
    found = ADVANCED_BOOK.decode(frames)
    return BookRows(
        symbols=found.symbols("product_id"),
        first_sequence=zeros(len(found)),
        last_sequence=zeros(len(found)),
        previous_sequence=zeros(len(found)),
        snapshot=found.among("type", SNAPSHOT),
        checksum=None,
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
        bids=found.bids,
        asks=found.asks,
    )


def advanced_quotes(frames: Frames) -> QuoteRows:
    """Frames of ticker, sent at every match: the best bid and ask after it.

    {"channel":"ticker","timestamp":"2026-06-14T05:35:45.435813533Z","sequence_num":16,"events":[
    {"type":"update","tickers":[{"type":"ticker","product_id":"BTC-USD","price":"64281.7",
    "volume_24_h":"3974.98800786","low_24_h":"63454","high_24_h":"64727.27","low_52_w":"59073.01",
    "high_52_w":"126296","price_percent_chg_24_h":"1.21471769193719","best_bid":"64281.7",
    "best_ask":"64281.71","best_bid_quantity":"0.21558849","best_ask_quantity":"0.02287045"}]}]}

    Raises FrameError.
    """
    found = ADVANCED_TICKER.decode(frames)
    return QuoteRows(
        symbols=found.symbols("product_id"),
        bid_price=found.numbers("best_bid"),
        bid_size=found.numbers("best_bid_quantity"),
        ask_price=found.numbers("best_ask"),
        ask_size=found.numbers("best_ask_quantity"),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
        sequence=zeros(len(found)),
    )


def advanced_tickers(frames: Frames) -> TickerRows:
    """The 24-hour statistics of the same frames, without the open price.

    Raises FrameError.
    """
    found = ADVANCED_TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("product_id"),
        last_price=found.numbers("price"),
        open_price=NumberColumn(zeros(len(found)), 0),
        high_price=found.numbers("high_24_h"),
        low_price=found.numbers("low_24_h"),
        volume=found.numbers("volume_24_h"),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def advanced_candles(frames: Frames) -> CandleRows:
    """Frames of five-minute candles, repeated every second while they change.

    {"channel":"candles","timestamp":"2026-09-22T23:19:47Z","sequence_num":3,"events":[
    {"type":"update","candles":[{"start":"1790119200","high":"3","low":"1","open":"2","close":"3",
    "volume":"4","product_id":"BTC-USD"}]}]}

    start: s. No field marks a candle as final. Raises FrameError.
    """
    found = ADVANCED_CANDLE.decode(frames)
    return CandleRows(
        symbols=found.symbols("product_id"),
        interval_s=np.full(len(found), CANDLE_SECONDS, dtype=np.int64),
        open_time_ns=found.integers("start") * NANOSECONDS_PER_SECOND,
        open=found.numbers("open"),
        high=found.numbers("high"),
        low=found.numbers("low"),
        close=found.numbers("close"),
        volume=found.numbers("volume"),
        closed=zeros(len(found)),
        venue_time_ns=found.integers("timestamp"),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def exchange_trades(frames: Frames) -> TradeRows:
    """Frames of matches. The first after subscribing, last_match, is the trade before.

    {"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16",
    "taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985",
    "price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,
    "time":"2021-04-17T16:43:37.089723Z"}

    side: the maker's. Raises FrameError.
    """
    found = EXCHANGE_MATCH.decode(frames)
    trade_id = found.integers("trade_id")
    return TradeRows(
        symbols=found.symbols("product_id"),
        price=found.numbers("price"),
        size=found.numbers("size"),
        side=found.among("side", TAKER_OF_MAKER),
        venue_time_ns=found.integers("time"),
        received_time_ns=frames.received_time_ns,
        trade_id=trade_id,
        previous_id=trade_id - 1,
    )


def exchange_book(frames: Frames) -> BookRows:
    """Frames of level2 and level2_batch: snapshots and changes, in received order.

    {"type":"snapshot","product_id":"SKL-GBP","asks":[["0.5762","2865.9"],…],"bids":[…]}
    {"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],
    "time":"2021-04-17T16:43:37.075687Z"}

    A size of 0 removes the level. Updates have no numbers. Raises FrameError.
    """
    found = EXCHANGE_BOOK.decode(frames)
    return BookRows(
        symbols=found.symbols("product_id"),
        first_sequence=zeros(len(found)),
        last_sequence=zeros(len(found)),
        previous_sequence=zeros(len(found)),
        snapshot=found.among("type", SNAPSHOT),
        checksum=None,
        venue_time_ns=found.integers("time"),
        received_time_ns=frames.received_time_ns,
        bids=found.bids,
        asks=found.asks,
    )


def exchange_quotes(frames: Frames) -> QuoteRows:
    """Frames of ticker, sent at every match: the best bid and ask after it.

    {"type":"ticker","sequence":38332655422,"product_id":"BTC-USD","price":"29940.91",
    "open_24h":"31677.61","volume_24h":"27783.70216674","low_24h":"29308.01","high_24h":"31888",
    "volume_30d":"778633.19135445","best_bid":"29940.90","best_bid_size":"0.10647825",
    "best_ask":"29940.91","best_ask_size":"0.03131702","side":"buy",
    "time":"2022-06-02T09:20:54.127011Z","trade_id":347875517,"last_size":"0.00061522"}

    Before 2023 there were no sizes; they are 0 then. Raises FrameError.
    """
    found = EXCHANGE_TICKER.decode(frames)
    return QuoteRows(
        symbols=found.symbols("product_id"),
        bid_price=found.numbers("best_bid"),
        bid_size=found.numbers("best_bid_size"),
        ask_price=found.numbers("best_ask"),
        ask_size=found.numbers("best_ask_size"),
        venue_time_ns=found.integers("time"),
        received_time_ns=frames.received_time_ns,
        sequence=found.integers("sequence"),
    )


def exchange_tickers(frames: Frames) -> TickerRows:
    """The 24-hour statistics of the same frames. Raises FrameError."""
    found = EXCHANGE_TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("product_id"),
        last_price=found.numbers("price"),
        open_price=found.numbers("open_24h"),
        high_price=found.numbers("high_24h"),
        low_price=found.numbers("low_24h"),
        volume=found.numbers("volume_24h"),
        venue_time_ns=found.integers("time"),
        received_time_ns=frames.received_time_ns,
    )
