"""OKX's channels, and one object for each channel of each instrument: ``trades:BTC-USDT``."""

import msgspec

from kit.simulator.dialect import Channel, Stream
from venues.okx.simulator.candles import bar_start
from venues.okx.simulator.listings import SUFFIX

NAMES_MAX = 100_000
"""More names than these come from garbage, and are not remembered."""
PUBLIC = {
    "trades": Channel.TRADES,
    "bbo-tbt": Channel.QUOTES,
    "books": Channel.BOOK,
    "books5": Channel.BOOK,
    "tickers": Channel.TICKERS,
    "mark-price": Channel.MARKS,
    "index-tickers": Channel.MARKS,
    "funding-rate": Channel.MARKS,
}
BUSINESS = {"trades-all": Channel.TRADES}
"""Beside the candles of every length."""
CANDLE = "candle"


def access_of(channel: str) -> str:
    """At which of the addresses, ``public`` or ``business``, a channel is. Empty: at none."""
    if channel in PUBLIC:
        return "public"
    is_candle = channel.startswith(CANDLE) and bar_start(channel.removeprefix(CANDLE)) is not None
    return "business" if channel in BUSINESS or is_candle else ""


class OkxStreams:
    """Every stream that was ever named, one object per name."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Stream] = {}
        self._by_argument: dict[bytes, Stream] = {}
        self.known = self._by_argument.get
        """The stream of an argument as it stands in frames, ``{"channel":…,"instId":…}``, if it was
        named before. Called for every frame of a capture."""

    def get(self, channel: str, name: str) -> Stream:
        """The stream of this channel and instId, known or not to the exchange."""
        stream = self._by_name.get((channel, name))
        if stream is None:
            stream = make_stream(channel, name)
            if len(self._by_name) < NAMES_MAX:
                self._by_name[channel, name] = stream
                self._by_argument[argument(channel, name)] = stream
        return stream


def symbol_of(channel: str, name: str) -> str:
    """The instrument that a channel's instId is about: an index is filed under the swap on it."""
    return name + SUFFIX if channel == "index-tickers" else name


def make_stream(channel: str, name: str) -> Stream:
    """What a channel of an instrument carries."""
    if channel.startswith(CANDLE):
        kind = Channel.CANDLES
    else:
        kind = PUBLIC.get(channel) or BUSINESS.get(channel, Channel.OTHER)
    return Stream(f"{channel}:{name}", kind, symbol_of(channel, name))


def argument(channel: str, name: str) -> bytes:
    """As it stands in requests and frames."""
    return msgspec.json.encode({"channel": channel, "instId": name})


def parts(stream: Stream) -> tuple[str, str]:
    """Channel and instId of a stream."""
    channel, _, name = stream.name.partition(":")
    return channel, name
