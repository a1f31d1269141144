"""Names of Coinbase's streams: ``advanced.level2.BTC-USD``, ``exchange.matches.BTC-USD``.

Coinbase has two feeds. Advanced Trade numbers the frames of each connection, so its frames are made
with a mark in place of the number.
"""

from collections.abc import Mapping

from kit.simulator.dialect import Channel, ExchangeStream

ADVANCED, EXCHANGE = "advanced", "exchange"
HEARTBEATS = "heartbeats"
"""A channel of Advanced Trade without products."""
USER = "user"
"""The channel of an account, on both feeds."""
CHANNELS: Mapping[str, Mapping[str, Channel]] = {
    ADVANCED: {
        "level2": Channel.BOOK,
        "market_trades": Channel.TRADES,
        "ticker": Channel.TICKERS,
        "candles": Channel.CANDLES,
        HEARTBEATS: Channel.OTHER,
    },
    EXCHANGE: {
        "level2": Channel.BOOK,
        "matches": Channel.TRADES,
        "ticker": Channel.TICKERS,
        "heartbeat": Channel.OTHER,
    },
}
"""By feed."""
ALIASES = {"level2_batch": "level2", "level2_50": "level2"}
"""Other names of a channel of Exchange. The real level2 needs a key and sends each change, the
others send every 50 ms; here all of them do, without a key."""
ACCOUNT_STREAM = ExchangeStream(USER, Channel.OTHER, "")
SEQUENCE_MARK = b'"sequence_num":#'
"""Stands where the number of a connection goes. It is no JSON, so nothing else looks like it."""


def channel_name(feed: str, channel: str) -> str:
    """The channel of a feed by its first name; "" when the feed does not have it."""
    name = ALIASES.get(channel, channel) if feed == EXCHANGE else channel
    return name if name in CHANNELS[feed] else ""


def stream_name(feed: str, channel: str, product: str = "") -> str:
    """The name of a channel of one product."""
    return ".".join(filter(None, (feed, channel, product)))


def make_stream(name: str) -> ExchangeStream:
    """The stream of a name."""
    feed, _, rest = name.partition(".")
    channel, _, product = rest.partition(".")
    return ExchangeStream(name, CHANNELS.get(feed, {}).get(channel, Channel.OTHER), product)


def numbered(payload: bytes, number: int) -> bytes | None:
    """A frame with its number; None: the frame has no mark, and is not counted."""
    head, mark, tail = payload.partition(SEQUENCE_MARK)
    return b'%b"sequence_num":%d%b' % (head, number, tail) if mark else None
