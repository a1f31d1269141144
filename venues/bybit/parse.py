"""Parses Bybit v5 spot frames into columns, without I/O, clock or state.

Documentation: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook and its
neighbours ``trade``, ``ticker`` and ``kline``.
"""

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.marketdata.frames import Field, Frames, FrameSchema, LevelList
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
    zeros,
)

SIDES = {"Buy": SIDE_BUY, "Sell": SIDE_SELL}
INTERVALS_S = {"1": 60}
"""Lengths of the subscribed candles, by the venue's interval name."""
FIRST_UPDATE_ID = 1
"""The update id of the snapshot after a restart of the venue's service."""

TRADE = FrameSchema(
    "data[]",
    {
        "i": Field.IDENTIFIER,
        "T": Field.INTEGER,
        "p": Field.DECIMAL,
        "v": Field.DECIMAL,
        "S": Field.TEXT,
        "s": Field.TEXT,
    },
)
QUOTE = FrameSchema(
    "data",
    {
        "s": Field.TEXT,
        "b": LevelList.bids(price=0, size=1),
        "a": LevelList.asks(price=0, size=1),
        "seq": Field.INTEGER,
    },
    outer={"type": Field.TEXT, "cts": Field.INTEGER},
)
BOOK = FrameSchema(
    "data",
    {
        "s": Field.TEXT,
        "b": LevelList.bids(price=0, size=1),
        "a": LevelList.asks(price=0, size=1),
        "u": Field.INTEGER,
    },
    outer={"type": Field.TEXT, "cts": Field.INTEGER},
)
TICKER = FrameSchema(
    "data",
    {
        "symbol": Field.TEXT,
        "lastPrice": Field.DECIMAL,
        "highPrice24h": Field.DECIMAL,
        "lowPrice24h": Field.DECIMAL,
        "prevPrice24h": Field.DECIMAL,
        "volume24h": Field.DECIMAL,
    },
    outer={"ts": Field.INTEGER},
)
CANDLE = FrameSchema(
    "data[]",
    {
        "start": Field.INTEGER,
        "interval": Field.TEXT,
        "open": Field.DECIMAL,
        "close": Field.DECIMAL,
        "high": Field.DECIMAL,
        "low": Field.DECIMAL,
        "volume": Field.DECIMAL,
        "confirm": Field.FLAG,
        "timestamp": Field.INTEGER,
    },
    outer={"topic": Field.TEXT},
)


def trades(frames: Frames) -> TradeRows:
    """Frames of publicTrade.<symbol>, each with up to 1024 trades.

    {"topic":"publicTrade.BTCUSDT","ts":1781885870260,"type":"snapshot","data":[
    {"i":"2290000001162605275","T":1781885870259,"p":"63311.4","v":"0.000001","S":"Buy",
    "seq":109888984948,"s":"BTCUSDT","BT":false,"RPI":false}]}

    i: the id, a text. S: side of the taker. T: trade time, ms. Raises FrameError.
    """
    found = TRADE.decode(frames)
    return TradeRows(
        symbols=found.symbols("s"),
        price=found.numbers("p"),
        size=found.numbers("v"),
        side=found.among("S", SIDES),
        venue_time_ns=found.integers("T") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=zeros(len(found)),
        trade_id_text=found.identifiers("i"),
    )


def quotes(frames: Frames) -> QuoteRows:
    """Frames of orderbook.1.<symbol>, which are always snapshots: the best bid and ask.

    {"topic":"orderbook.1.BTCUSDT","ts":1786613159749,"type":"snapshot","data":{"s":"BTCUSDT",
    "b":[["63705.3","2.045546"]],"a":[["63705.4","2.334566"]],"u":72212457,"seq":112603120278},
    "cts":1786613159748}

    u restarts when the venue restarts its service; seq comes from the matching engine and does not,
    so it is the sequence here. cts: time of the matching engine, ms. Raises FrameError.
    """
    found = QUOTE.decode(frames)
    found.among("type", {"snapshot": 1})
    bid_price, bid_size = found.bids.best()
    ask_price, ask_size = found.asks.best()
    return QuoteRows(
        symbols=found.symbols("s"),
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        venue_time_ns=found.integers("cts") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        sequence=found.integers("seq"),
    )


def book(frames: Frames) -> BookRows:
    """Frames of orderbook.<depth>.<symbol>, with more than one level.

    {"topic":"orderbook.200.BTCUSDT","ts":1787612486116,"type":"delta","data":{"s":"BTCUSDT","b":[],
    "a":[["78716.8","0.027559"],["78748.5","0"]],"u":217107085,"seq":113099229629},
    "cts":1787612486108}

    u: update id, grows by one. A size of 0 removes the level; what falls out of the depth is
    removed so, too. cts: time of the matching engine, ms. Raises FrameError.
    """
    found = BOOK.decode(frames)
    update_id = found.integers("u")
    whole = found.among("type", {"snapshot": 1, "delta": 0})
    return BookRows(
        symbols=found.symbols("s"),
        first_sequence=update_id,
        last_sequence=update_id,
        previous_sequence=zeros(len(found)),
        snapshot=whole | (update_id == FIRST_UPDATE_ID),
        checksum=None,
        venue_time_ns=found.integers("cts") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        bids=found.bids,
        asks=found.asks,
    )


def tickers(frames: Frames) -> TickerRows:
    """Frames of tickers.<symbol>, which are always whole.

    {"topic":"tickers.BTCUSDT","ts":1786538729776,"type":"snapshot","cs":112571857121,"data":{
    "symbol":"BTCUSDT","lastPrice":"64057.7","highPrice24h":"64500","lowPrice24h":"63232.1",
    "prevPrice24h":"64326.9","volume24h":"7217.990977","turnover24h":"460629823.77866687",
    "price24hPcnt":"-0.0042","usdIndexPrice":"63989.741059"}}

    prevPrice24h: the price 24 hours ago. volume24h: in base units. Raises FrameError.
    """
    found = TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("symbol"),
        last_price=found.numbers("lastPrice"),
        open_price=found.numbers("prevPrice24h"),
        high_price=found.numbers("highPrice24h"),
        low_price=found.numbers("lowPrice24h"),
        volume=found.numbers("volume24h"),
        venue_time_ns=found.integers("ts") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
    )


def candles(frames: Frames) -> CandleRows:
    """Frames of kline.<interval>.<symbol>; only the topic names the symbol.

    {"topic":"kline.1.BTCUSDT","data":[{"start":1672324800000,"end":1672324859999,"interval":"1",
    "open":"16649.5","close":"16677","high":"16677","low":"16608","volume":"2.081",
    "turnover":"34666.4005","confirm":false,"timestamp":1672324830882}],"ts":1672324830882,
    "type":"snapshot"}

    confirm: the candle is final. timestamp: of the last trade in it, ms. Raises FrameError.
    """
    found = CANDLE.decode(frames)
    return CandleRows(
        symbols=_symbols_of(found.symbols("topic")),
        interval_s=found.among("interval", INTERVALS_S),
        open_time_ns=found.integers("start") * NANOSECONDS_PER_MILLISECOND,
        open=found.numbers("open"),
        high=found.numbers("high"),
        low=found.numbers("low"),
        close=found.numbers("close"),
        volume=found.numbers("volume"),
        closed=found.integers("confirm"),
        venue_time_ns=found.integers("timestamp") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
    )


def _symbols_of(topics: SymbolColumn) -> SymbolColumn:
    """The symbols of topics such as "kline.1.BTCUSDT"."""
    symbols = SymbolColumn.of([topic.rpartition(".")[2] for topic in topics.names])
    return SymbolColumn(symbols.names, symbols.row[topics.row])
