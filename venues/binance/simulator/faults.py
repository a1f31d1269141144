"""Faults of Binance alone. Each returns what is sent in place of a frame.

first_id_gap        spot: a book update begins one id too late, so one seems to be missing
previous_mismatch   futures: a book update follows one that was not sent
spent_trade_id      futures: an id is used up without a trade, so price and size are 0
insurance_fund      futures: a trade that was not made in the order book, far from its prices
server_shutdown     an extra frame: the server announces its shutdown
"""

import re
from collections.abc import Callable, Mapping, Sequence

from kit.simulator.dialect import Channel, Frame, FrameFault

FIRST_ID = re.compile(rb'"U":(\d+)')
PREVIOUS_ID = re.compile(rb'"pu":(\d+)')
PRICE_AND_SIZE = re.compile(rb'"p":"[^"]*","q":"[^"]*","X":"MARKET"')
PRICE = re.compile(rb'"p":"(\d+)([^"]*)","q":"([^"]*)","X":"MARKET"')
EVENT_TIME = re.compile(rb'"E":(\d+)')


def first_id_gap(frame: Frame) -> Sequence[Frame]:
    """U is greater by one."""
    return [_replaced(frame, Channel.BOOK, FIRST_ID, lambda found: b'"U":%d' % (int(found[1]) + 1))]


def previous_mismatch(frame: Frame) -> Sequence[Frame]:
    """pu is greater by one."""
    return [
        _replaced(frame, Channel.BOOK, PREVIOUS_ID, lambda found: b'"pu":%d' % (int(found[1]) + 1))
    ]


def spent_trade_id(frame: Frame) -> Sequence[Frame]:
    """{"t":7950493454,"p":"0","q":"0","X":"NA",…}, as Binance writes it."""
    return [_replaced(frame, Channel.TRADES, PRICE_AND_SIZE, lambda _: b'"p":"0","q":"0","X":"NA"')]


def insurance_fund(frame: Frame) -> Sequence[Frame]:
    """The price is about twice as high."""

    def replaced(found: re.Match[bytes]) -> bytes:
        price = b"%d%b" % (int(found[1]) * 2, found[2])
        return b'"p":"%b","q":"%b","X":"INSURANCE_FUND"' % (price, found[3])

    return [_replaced(frame, Channel.TRADES, PRICE, replaced)]


def server_shutdown(frame: Frame) -> Sequence[Frame]:
    """{"e":"serverShutdown","E":1770123456789}"""
    stream, payload = frame
    time = EVENT_TIME.search(payload)
    notice = b'{"e":"serverShutdown","E":%b}' % (time[1] if time else b"0")
    return [(stream, notice), frame]


def _replaced(
    frame: Frame,
    channel: Channel,
    pattern: re.Pattern[bytes],
    make: Callable[[re.Match[bytes]], bytes],
) -> Frame:
    """A frame of another channel stays as it is."""
    stream, payload = frame
    return (stream, pattern.sub(make, payload, count=1)) if stream.channel is channel else frame


SPOT_FAULTS: Mapping[str, FrameFault] = {
    "first_id_gap": first_id_gap,
    "server_shutdown": server_shutdown,
}
FUTURES_FAULTS: Mapping[str, FrameFault] = {
    "previous_mismatch": previous_mismatch,
    "spent_trade_id": spent_trade_id,
    "insurance_fund": insurance_fund,
    "server_shutdown": server_shutdown,
}
