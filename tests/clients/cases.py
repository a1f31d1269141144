"""Batches and books with awkward numbers, from which the golden vectors are made."""

from collections.abc import Sequence

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.marketdata.model.batches import Batch

SYMBOL, OTHER = "BTCUSDT", "ETH/USD:β"
TIME_NS = 1_700_000_000_123_456_789
MOST, LEAST = 2**63 - 1, -(2**63)
Start = market_data_pb2.GetOrderBookResponse | None
Side = Sequence[tuple[int, int]]
"""Scaled prices and sizes."""

PLAIN = batch_pb2.InstrumentEntry(symbol=SYMBOL, price_scale=2, size_scale=8, rate_scale=10)
COARSE = batch_pb2.InstrumentEntry(symbol=SYMBOL, price_scale=1, size_scale=3)
WHOLE = batch_pb2.InstrumentEntry(symbol=OTHER)
FINE = batch_pb2.InstrumentEntry(symbol=OTHER, price_scale=30, size_scale=24, rate_scale=40)
GAP = types_pb2.Gap(
    symbol=SYMBOL,
    reason=types_pb2.GAP_REASON_SEQUENCE,
    last_id_before=2**64 - 3,
    first_id_after=2**64 - 1,
    detected_time_ns=TIME_NS,
    detail='two are "missing"',
)


def batches() -> dict[str, Batch]:
    """By what is awkward about them."""
    two = [0, 1]
    times = {"venue_time_ns": [0, TIME_NS], "received_time_ns": [TIME_NS, TIME_NS + 1]}
    trades = batch_pb2.TradeColumns(
        instrument=two,
        price=[-5, MOST],
        size=[0, LEAST],
        side=[types_pb2.SIDE_BUY, types_pb2.SIDE_UNSPECIFIED],
        trade_id=[MOST, 0],
        **times,
    )
    named = batch_pb2.TradeColumns()
    named.CopyFrom(trades)
    named.trade_id_text.extend(["a-1", ""])
    return {
        "trades, negative and largest numbers": _batch("trades", trades, [PLAIN, WHOLE]),
        "trades with ids of text, at huge scales": _batch("trades", named, [FINE, FINE]),
        "quotes": _batch("quotes", _quotes(times), [PLAIN, FINE]),
        "book": _batch("book", _updates([_update([(10050, 0)], [(10100, 7)])]), [PLAIN]),
        "tickers": _batch("tickers", _tickers(times), [PLAIN, WHOLE]),
        "marks": _batch("marks", _marks(times), [PLAIN, FINE]),
        "candles": _batch("candles", _candles(times), [COARSE, WHOLE]),
        "listings": _batch("status", _listings(), [WHOLE]),
        "frames": _batch("frames", _frames(), [batch_pb2.InstrumentEntry()]),
        "a checkpoint with the largest cursor": Batch(
            channel=types_pb2.CHANNEL_TRADES,
            cursor=types_pb2.Cursor(epoch=2**64 - 1, sequence=2**64 - 1),
            published_time_ns=TIME_NS,
        ),
        "gaps": Batch(
            channel=types_pb2.CHANNEL_BOOK,
            gaps=[GAP, types_pb2.Gap(reason=types_pb2.GAP_REASON_RESTART)],
        ),
        "an instrument that is not there": _batch("trades", trades, [PLAIN]),
        "a column that is too short": _batch(
            "trades", batch_pb2.TradeColumns(instrument=[0], size=[1]), [PLAIN]
        ),
        "more levels than prices": _batch(
            "book", _updates([_update([(1, 1)], [])], lost_levels=1), [PLAIN]
        ),
        "more prices than levels": _batch(
            "book", _updates([_update([(1, 1)], [])], lost_levels=-1), [PLAIN]
        ),
    }


def books() -> dict[str, tuple[Start, list[Batch]]]:
    """The answer with which a book begins, if one, and the batches that follow."""
    snapshot = _update([(10050, 5 * 10**7), (10049, 1)], [(10100, 10**8)], snapshot=True)
    deep = _update(
        [(10_000 - n, n + 1) for n in range(40)],
        [(10_001 + n, 10**n % MOST) for n in range(40)],
        snapshot=True,
    )
    change = _update([(10050, 0), (10051, 30)], [(10100, 2)], last=8)
    return {
        "snapshot, change and removal": (None, _series([snapshot], [change])),
        "an update before the snapshot is not applied": (None, _series([change], [snapshot])),
        "a gap ends the proof until the next snapshot": (
            None,
            [
                *_series([snapshot]),
                _gap(2, SYMBOL),
                *_series([change], first=3),
                *_series([_update([(1, 1)], [], snapshot=True, epoch=2)], first=4),
            ],
        ),
        "a gap of another instrument does not matter": (
            None,
            [*_series([snapshot]), _gap(2, OTHER), *_series([change], first=3)],
        ),
        "a gap of the channel": (None, [*_series([snapshot]), _gap(2, "")]),
        "updates of another epoch and of none": (
            None,
            _series(
                [snapshot],
                [_update([(9, 9)], [], epoch=2)],
                [_update([(9, 9)], [], epoch=0)],
                [change],
            ),
        ),
        "more than 25 levels": (None, _series([deep], [_update([(10_000, 0)], [(10_001, 0)])])),
        "an empty snapshot": (None, _series([snapshot], [_update([], [], snapshot=True, epoch=2)])),
        "the scale changes": (
            None,
            [
                *_series([snapshot]),
                _batch("book", _updates([_update([(1005, 0), (1006, 250)], [])]), [COARSE], 2),
            ],
        ),
        "a malformed batch": (
            None,
            [*_series([snapshot]), _batch("book", _updates([change], lost_levels=1), [PLAIN], 2)],
        ),
        "two instruments in one batch": (
            None,
            [
                _batch(
                    "book", _updates([snapshot, (snapshot[0], 1, *snapshot[2:])]), [PLAIN, FINE], 1
                )
            ],
        ),
    } | _answered(change, snapshot)


def _answered(change: "Update", snapshot: "Update") -> dict[str, tuple[Start, list[Batch]]]:
    return {
        "an answer goes on": (_answer(market_data_pb2.BOOK_STATE_PROVEN), _series([change])),
        "an unproven answer stays so": (
            _answer(market_data_pb2.BOOK_STATE_UNPROVEN),
            [*_series([change]), _gap(2, ""), *_series([snapshot], first=3)],
        ),
        "an answer in doubt": (_answer(market_data_pb2.BOOK_STATE_IN_DOUBT), _series([change])),
    }


Update = tuple[tuple[Side, Side], int, bool, int, int]
"""Bids and asks, instrument, snapshot, epoch, last sequence."""


def _update(
    bids: Side, asks: Side, snapshot: bool = False, epoch: int = 1, last: int = 7
) -> Update:
    return ((bids, asks), 0, snapshot, epoch, last)


def _updates(updates: Sequence[Update], lost_levels: int = 0) -> batch_pb2.BookColumns:
    levels = [level for (bids, asks), *_ in updates for side in (bids, asks) for level in side]
    levels = levels[: len(levels) - lost_levels] if lost_levels >= 0 else [*levels, (1, 1)]
    return batch_pb2.BookColumns(
        instrument=[update[1] for update in updates],
        first_sequence=[2**64 - 1 for _ in updates],
        last_sequence=[update[4] for update in updates],
        snapshot=[update[2] for update in updates],
        book_epoch=[update[3] for update in updates],
        venue_time_ns=[0 for _ in updates],
        received_time_ns=[TIME_NS for _ in updates],
        bid_count=[len(bids) for (bids, _), *_ in updates],
        ask_count=[len(asks) for (_, asks), *_ in updates],
        price=[price for price, _ in levels],
        size=[size for _, size in levels],
    )


def _series(*updates: Sequence[Update], first: int = 1) -> list[Batch]:
    return [
        _batch("book", _updates(each), [PLAIN], number)
        for number, each in enumerate(updates, first)
    ]


def _batch(
    name: str,
    columns: object,
    instruments: Sequence[batch_pb2.InstrumentEntry],
    sequence: int = 1,
) -> Batch:
    channel = types_pb2.Channel.Value(f"CHANNEL_{name.upper()}")
    batch = Batch(
        venue="binance",
        channel=channel,
        cursor=types_pb2.Cursor(epoch=1_700_000_000_123, sequence=sequence),
        instruments=instruments,
        published_time_ns=TIME_NS,
    )
    getattr(batch, name).CopyFrom(columns)
    return batch


def _gap(sequence: int, symbol: str) -> Batch:
    gap = types_pb2.Gap(symbol=symbol, reason=types_pb2.GAP_REASON_CHECKSUM)
    batch = _batch("book", batch_pb2.BookColumns(), [], sequence)
    batch.ClearField("book")
    batch.gaps.append(gap)
    return batch


def _answer(state: "market_data_pb2.BookState.ValueType") -> market_data_pb2.GetOrderBookResponse:
    level = market_data_pb2.Level
    return market_data_pb2.GetOrderBookResponse(
        venue="binance",
        symbol=SYMBOL,
        state=state,
        book_epoch=1,
        last_sequence=2**64 - 1,
        cursor=types_pb2.Cursor(epoch=1_700_000_000_123, sequence=2**63),
        bids=[level(price="100.5", size="0.5"), level(price="100", size="92233720368.54775807")],
        asks=[level(price="101", size="0.00000001")],
    )


def _quotes(times: dict[str, list[int]]) -> batch_pb2.QuoteColumns:
    return batch_pb2.QuoteColumns(
        instrument=[0, 1],
        bid_price=[-1, 0],
        bid_size=[10**8, 1],
        ask_price=[100, MOST],
        ask_size=[0, LEAST],
        sequence=[0, 2**64 - 1],
        **times,
    )


def _tickers(times: dict[str, list[int]]) -> batch_pb2.TickerColumns:
    return batch_pb2.TickerColumns(
        instrument=[1, 0],
        last_price=[1, 2],
        open_price=[0, 1230],
        high_price=[3, 1200],
        low_price=[-4, -1200],
        volume=[5, 10**18],
        **times,
    )


def _marks(times: dict[str, list[int]]) -> batch_pb2.MarkColumns:
    return batch_pb2.MarkColumns(
        instrument=[0, 1],
        mark_price=[-3763, 1],
        index_price=[0, 10**18],
        funding_rate=[-1, 1],
        next_funding_time_ns=[0, TIME_NS],
        **times,
    )


def _candles(times: dict[str, list[int]]) -> batch_pb2.CandleColumns:
    return batch_pb2.CandleColumns(
        instrument=[0, 1],
        interval_s=[60, 2**32 - 1],
        open_time_ns=[TIME_NS, 0],
        open=[10, 1],
        high=[11, 2],
        low=[-1, 0],
        close=[100, 1],
        volume=[1000, 0],
        closed=[True, False],
        **times,
    )


def _listings() -> batch_pb2.StatusColumns:
    definition = types_pb2.Instrument(
        venue="binance", symbol=OTHER, price_tick="0.01", kind=types_pb2.INSTRUMENT_KIND_SPOT
    )
    return batch_pb2.StatusColumns(
        instrument=[0],
        change=[batch_pb2.STATUS_CHANGE_LISTED],
        definition=[definition],
        received_time_ns=[TIME_NS],
    )


def _frames() -> batch_pb2.FrameColumns:
    return batch_pb2.FrameColumns(
        instrument=[0], frame=[b'\x00\xff{"e":1}'], connection=[2], received_time_ns=[TIME_NS]
    )
