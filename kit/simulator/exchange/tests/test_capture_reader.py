"""Captured frames are read together, with the parsers of a connector."""

import numpy as np
import pytest

from kit.marketdata.frames import Field, Frames, FrameSchema
from kit.marketdata.model.columns import SIDE_BUY, SIDE_SELL, TradeRows
from kit.simulator.dialect import Channel, ExchangeStream
from kit.simulator.exchange.capture_reader import BATCH_LINES, CaptureReader
from kit.simulator.listing import Listing

STREAM = ExchangeStream("trades", Channel.TRADES, "AB")
TRADE = FrameSchema(
    "",
    {"s": Field.TEXT, "p": Field.DECIMAL, "q": Field.DECIMAL, "i": Field.INTEGER, "b": Field.TEXT},
)


def parse(frames: Frames) -> TradeRows:
    found = TRADE.decode(frames)
    return TradeRows(
        symbols=found.symbols("s"),
        price=found.numbers("p"),
        size=found.numbers("q"),
        side=found.among("b", {"buy": SIDE_BUY, "sell": SIDE_SELL}),
        venue_time_ns=np.zeros(len(found.frame), dtype=np.int64),
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=found.integers("i"),
    )


def line_of(number: int, price: str = "1.50", size: str = "2") -> bytes:
    return b'{"s":"AB","p":"%b","q":"%b","i":%d,"b":"buy"}' % (
        price.encode(),
        size.encode(),
        number,
    )


def reader(**fields: object) -> CaptureReader:
    return CaptureReader(
        frame_of=lambda line: (STREAM, line),
        parsers={Channel.TRADES: parse},
        assets_of=lambda symbol: (symbol[0], symbol[1]),
        **fields,
    )


@pytest.mark.parametrize("damaged", [0, 1, BATCH_LINES - 1, BATCH_LINES, 2 * BATCH_LINES + 5])
def test_only_the_damaged_line_of_a_batch_is_left_out(damaged: int):
    lines = [line_of(number) for number in range(3 * BATCH_LINES)]
    lines[damaged] = lines[damaged][:20]
    trades = reader().trades_in(lines)
    assert [one.trade_id for one in trades] == [
        number for number in range(3 * BATCH_LINES) if number != damaged
    ]
    assert {(one.price, one.size, one.taker_buys) for one in trades} == {("1.50", "2", True)}


@pytest.mark.parametrize("price", ["-1", "1e-7"])
def test_a_trade_with_a_strange_price_is_left_out(price: str):
    found = reader().trades_in([line_of(1), line_of(2, price), line_of(3)])
    assert [one.trade_id for one in found] == [1, 3]


@pytest.mark.parametrize(("keeps_zeros", "tick"), [(True, "0.01"), (False, "0.1")])
def test_the_places_of_numbers_are_the_tick_and_the_lot(keeps_zeros: bool, tick: str):
    lines = [line_of(1), line_of(2, "1", "0.125"), b"damaged"]
    assert reader(keeps_zeros=keeps_zeros).listings_of(lines) == [
        Listing("AB", "A", "B", tick, "0.001", "0", derived=True)
    ]
