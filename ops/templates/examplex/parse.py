"""Examplex's frames to rows. No I/O, no clock, no state: bytes in, columns out.

To change: the schemas (names of members, and whether a number is INTEGER or DECIMAL; both are read
exactly, bare or quoted), and which member becomes which column. Show the payload of each frame in
its function's docstring, and where the exchange documents it. One decode for each kind.
"""

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.marketdata.frames import Field, Frames, FrameSchema, LevelList, optional
from kit.marketdata.model.columns import SIDE_BUY, SIDE_SELL, BookRows, QuoteRows, TradeRows

SIDES = {"buy": SIDE_BUY, "sell": SIDE_SELL}
WHOLE = {"snapshot": 1, "update": 0}

TRADE = FrameSchema(
    "",
    {
        "symbol": Field.TEXT,
        "id": Field.INTEGER,
        "price": Field.DECIMAL,
        "size": Field.DECIMAL,
        "side": Field.TEXT,
        "time": Field.INTEGER,
    },
)
QUOTE = FrameSchema(
    "",
    {
        "symbol": Field.TEXT,
        "sequence": Field.INTEGER,
        "bid": Field.DECIMAL,
        "bid_size": Field.DECIMAL,
        "ask": Field.DECIMAL,
        "ask_size": Field.DECIMAL,
        "time": Field.INTEGER,
    },
)
BOOK = FrameSchema(
    "",
    {
        "type": Field.TEXT,
        "symbol": Field.TEXT,
        "number": Field.INTEGER,
        "sequence": Field.INTEGER,
        "previous": optional(Field.INTEGER),
        "bids": LevelList.bids(price=0, size=1),
        "asks": LevelList.asks(price=0, size=1),
        "time": Field.INTEGER,
    },
)


def trades(frames: Frames) -> TradeRows:
    """Frames of trades, one trade each.

    {"channel":"trades","symbol":"BTC-USD","id":17,"price":"61800.10","size":"0.02000",
    "side":"buy","time":1781885870259}

    id: counts by one for each symbol. side: the taker's. time: ms. Raises FrameError.
    """
    found = TRADE.decode(frames)
    trade_id = found.integers("id")
    return TradeRows(
        symbols=found.symbols("symbol"),
        price=found.numbers("price"),
        size=found.numbers("size"),
        side=found.among("side", SIDES),
        venue_time_ns=found.integers("time") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=trade_id,
        previous_id=trade_id - 1,
    )


def quotes(frames: Frames) -> QuoteRows:
    """Frames of quotes: the best bid and ask, whenever one of them has changed.

    {"channel":"quotes","symbol":"BTC-USD","sequence":105,"bid":"61800.10","bid_size":"0.02000",
    "ask":"61800.20","ask_size":"0.30000","time":1781885870259}

    sequence: grows for each symbol. time: ms. Raises FrameError.
    """
    found = QUOTE.decode(frames)
    return QuoteRows(
        symbols=found.symbols("symbol"),
        bid_price=found.numbers("bid"),
        bid_size=found.numbers("bid_size"),
        ask_price=found.numbers("ask"),
        ask_size=found.numbers("ask_size"),
        venue_time_ns=found.integers("time") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        sequence=found.integers("sequence"),
    )


def book(frames: Frames) -> BookRows:
    """Frames of books: the whole of one, and then its changes.

    {"channel":"book","type":"snapshot","symbol":"BTC-USD","number":20,"sequence":100,
    "bids":[["61800.10","0.02000"]],"asks":[["61800.20","0.30000"]],"time":1781885870259}

    {"channel":"book","type":"update","symbol":"BTC-USD","number":21,"sequence":107,"previous":100,
    "bids":[["61800.10","0.00000"]],"asks":[],"time":1781885870359}

    number: counts the updates of a book. previous: sequence of the update before. A size
    of 0 removes the level. time: ms. Raises FrameError.
    """
    found = BOOK.decode(frames)
    sequence = found.integers("sequence")
    return BookRows(
        symbols=found.symbols("symbol"),
        first_sequence=sequence,
        last_sequence=sequence,
        previous_sequence=found.integers("previous"),
        snapshot=found.among("type", WHOLE),
        checksum=None,
        venue_time_ns=found.integers("time") * NANOSECONDS_PER_MILLISECOND,
        received_time_ns=frames.received_time_ns[found.frame],
        bids=found.bids,
        asks=found.asks,
    )
