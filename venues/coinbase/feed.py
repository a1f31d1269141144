"""Connections to Coinbase's two feeds of spot markets.

Advanced Trade, one channel per message:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview
Exchange, all channels in one message:
https://docs.cdp.coinbase.com/exchange/websocket-feed/overview
"""

import re
from collections.abc import Iterable, Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage, FrameKind
from kit.marketdata.frames import FrameError
from venues.coinbase import parse

ADVANCED_CHANNELS = ("level2", "market_trades", "ticker", "candles")
EXCHANGE_CHANNELS = ("level2_batch", "matches", "ticker", "heartbeat")
TOO_SLOW = "ErrSlowConsume"
"""The last message to a client that reads too slowly."""
REFUSED = re.compile(r"([A-Z0-9]+-[A-Z0-9-]+) is (?:not a valid product|delisted)")


class _Message(msgspec.Struct):
    """Advanced Trade: {"channel":"subscriptions",…}; Exchange: {"type":"subscriptions",…}; both:
    {"type":"error","message":"authentication failure","reason":"…"}."""

    channel: str = ""
    type: str = ""
    message: str = ""
    reason: str = ""


class CoinbaseAdvancedFeedProtocol:
    """The Advanced Trade feed. Each frame has the next number of its connection."""

    channels: frozenset[Channel] = frozenset(
        {
            types_pb2.CHANNEL_TRADES,
            types_pb2.CHANNEL_QUOTES,
            types_pb2.CHANNEL_BOOK,
            types_pb2.CHANNEL_TICKERS,
            types_pb2.CHANNEL_CANDLES,
        }
    )
    # A data frame begins {"channel":"market_trades",…
    kinds: Sequence[FrameKind] = (
        FrameKind("book", b'"l2_data"', (parse.advanced_book,)),
        FrameKind("trades", b'"market_trades"', (parse.advanced_trades,)),
        FrameKind("tickers", b'"ticker"', (parse.advanced_quotes, parse.advanced_tickers)),
        FrameKind("candles", b'"candles"', (parse.advanced_candles,)),
        FrameKind("heartbeats", b'"heartbeats"', ()),
    )
    window_bytes = 32

    def __init__(self, base_url: str) -> None:
        self._url = base_url

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"type":"subscribe","channel":"level2","product_ids":["BTC-USD",…]}, for each channel.

        The heartbeats of the connection, which keep quiet subscriptions open, have no products.
        """
        heartbeats = _text({"type": "subscribe", "channel": "heartbeats"})
        return [heartbeats, *_advanced("subscribe", ADVANCED_CHANNELS, symbols)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"type":"unsubscribe","channel":"level2","product_ids":["BTC-USD",…]}, for each."""
        return _advanced("unsubscribe", ADVANCED_CHANNELS, symbols)

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """A new subscription to level2 starts with a snapshot."""
        again = [_advanced(verb, ["level2"], [symbol]) for verb in ("unsubscribe", "subscribe")]
        return [message for messages in again for message in messages]

    def ping(self, request_id: int) -> str | None:
        """A ping frame: the venue has no message for it."""
        return None

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode the active subscriptions, or an error. Raises FrameError."""
        message = _read(frame)
        if message.channel == "subscriptions":
            return ControlMessage()
        return _error(message)


class CoinbaseExchangeFeedProtocol:
    """The Exchange feed."""

    channels: frozenset[Channel] = frozenset(
        {
            types_pb2.CHANNEL_TRADES,
            types_pb2.CHANNEL_QUOTES,
            types_pb2.CHANNEL_BOOK,
            types_pb2.CHANNEL_TICKERS,
        }
    )
    # {"type":"match",… and {"type":"last_match",… name their product late. Snapshots and changes
    # are one kind, so that their order is kept; they name their product at once.
    kinds: Sequence[FrameKind] = (
        FrameKind("trades", b'match"', (parse.exchange_trades,)),
        FrameKind("tickers", b'"ticker"', (parse.exchange_quotes, parse.exchange_tickers)),
        FrameKind("heartbeats", b'"heartbeat"', ()),
        FrameKind("book", b',"product_id":"', (parse.exchange_book,)),
    )
    window_bytes = 40

    def __init__(self, base_url: str) -> None:
        self._url = base_url

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"type":"subscribe","product_ids":["BTC-USD",…],"channels":["level2_batch",…]}."""
        return [_exchange("subscribe", EXCHANGE_CHANNELS, symbols)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"type":"unsubscribe","product_ids":["BTC-USD",…],"channels":["level2_batch",…]}."""
        return [_exchange("unsubscribe", EXCHANGE_CHANNELS, symbols)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """A new subscription to level2_batch starts with a snapshot."""
        return [
            _exchange(verb, ["level2_batch"], [symbol]) for verb in ("unsubscribe", "subscribe")
        ]

    def ping(self, request_id: int) -> str | None:
        """A ping frame: the venue has no message for it."""
        return None

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode the active subscriptions, or an error. Raises FrameError."""
        message = _read(frame)
        if message.type == "subscriptions":
            return ControlMessage()
        return _error(message)


def _read(frame: bytes) -> _Message:
    try:
        return msgspec.json.decode(frame, type=_Message)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from error


def _error(message: _Message) -> ControlMessage:
    if message.type != "error":
        raise FrameError("neither data nor an answer")
    words = ": ".join(filter(None, (message.message, message.reason))) or "error"
    return ControlMessage(
        rejection=words,
        rejected_symbols=REFUSED.findall(words),
        is_broken=message.message == TOO_SLOW,
    )


def _advanced(verb: str, channels: Iterable[str], symbols: Sequence[str]) -> list[str]:
    return [
        _text({"type": verb, "channel": channel, "product_ids": list(symbols)})
        for channel in channels
    ]


def _exchange(verb: str, channels: Sequence[str], symbols: Sequence[str]) -> str:
    return _text({"type": verb, "product_ids": list(symbols), "channels": list(channels)})


def _text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
