"""Connections to OKX's feeds: addresses, subscriptions, keep-alive and answers.

https://www.okx.com/docs-v5/en/#overview-websocket
wss://ws.okx.com:8443/ws/v5/public has all channels of market data except candles, which are at
/ws/v5/business. A subscription is confirmed for each of its arguments.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage, FrameKind, Parse
from kit.marketdata.frames import FrameError
from venues.okx import parse

PING, PONG = "ping", b"pong"
SERVICE_UPGRADE = "64008"
"""The code of the notice about a minute before the end of a connection."""
NO_SUCH_CHANNEL = "60018"
QUIET_EVENTS = frozenset({"subscribe", "unsubscribe", "channel-conn-count"})
"""Answers that only confirm."""
WINDOW_BYTES = 48
"""A frame starts with {"arg":{"channel":"trades","instId":…; a confirmation starts with its
event."""
REFUSED = re.compile(r"channel:([^,]+),instId:([^ ]+)")

InstrumentOf = Callable[[str], str]
"""The name of an instrument in a channel."""


def by_symbol(symbol: str) -> str:
    """The symbol itself, as in most channels."""
    return symbol


def by_index(symbol: str) -> str:
    """The index of a swap: BTC-USDT for BTC-USDT-SWAP."""
    return symbol.removesuffix(parse.SWAP)


SPOT_CHANNELS: Mapping[str, InstrumentOf] = {
    "trades": by_symbol,
    "bbo-tbt": by_symbol,
    "books": by_symbol,
    "tickers": by_symbol,
}
SWAP_CHANNELS: Mapping[str, InstrumentOf] = {
    **SPOT_CHANNELS,
    "mark-price": by_symbol,
    "funding-rate": by_symbol,
    "index-tickers": by_index,
}
CANDLE_CHANNELS: Mapping[str, InstrumentOf] = {"candle1m": by_symbol}

CARRIES: Mapping[str, tuple[Channel, Parse]] = {
    "trades": (types_pb2.CHANNEL_TRADES, parse.trades),
    "bbo-tbt": (types_pb2.CHANNEL_QUOTES, parse.quotes),
    "books": (types_pb2.CHANNEL_BOOK, parse.book),
    "tickers": (types_pb2.CHANNEL_TICKERS, parse.tickers),
    "mark-price": (types_pb2.CHANNEL_MARKS, parse.marks),
    "funding-rate": (types_pb2.CHANNEL_MARKS, parse.fundings),
    "index-tickers": (types_pb2.CHANNEL_MARKS, parse.indexes),
    "candle1m": (types_pb2.CHANNEL_CANDLES, parse.candles),
}
"""The data of each of OKX's channels, and its parser."""


class _Event(msgspec.Struct):
    """{"event":"error","code":"60018","msg":"…","connId":"a4d3ae55"}."""

    event: str
    code: str = ""
    msg: str = ""


_event = msgspec.json.Decoder(_Event)


class OkxFeedProtocol:
    """Some of OKX's channels, all at one address."""

    window_bytes = WINDOW_BYTES

    def __init__(self, url: str, channels: Mapping[str, InstrumentOf]) -> None:
        self._url = url
        self._channels = channels
        self.channels = frozenset(CARRIES[channel][0] for channel in channels)
        self.kinds: Sequence[FrameKind] = [
            FrameKind(channel, _beginning(channel), (CARRIES[channel][1],)) for channel in channels
        ]

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"id":"1","op":"subscribe","args":[{"channel":"trades","instId":"BTC-USDT"},…]}."""
        return [_request("subscribe", self._arguments(symbols), request_id)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"id":"2","op":"unsubscribe","args":[{"channel":"trades","instId":"BTC-USDT"},…]}."""
        return [_request("unsubscribe", self._arguments(symbols), request_id)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """Unsubscribe and subscribe again: a subscription starts with a snapshot."""
        if "books" not in self._channels:
            return []
        book = [{"channel": "books", "instId": symbol}]
        return [_request(word, book, request_id) for word in ("unsubscribe", "subscribe")]

    def ping(self, request_id: int) -> str | None:
        """The text "ping", which is answered with "pong"."""
        return PING

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode "pong", or an event, which may span several lines."""
        if frame == PONG:
            return ControlMessage()
        try:
            said = _event.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if said.event in QUIET_EVENTS:
            return ControlMessage()
        if said.event == "notice":
            return ControlMessage(is_closing=said.code == SERVICE_UPGRADE)
        if said.event == "error":
            refused = self._refused(said.msg) if said.code == NO_SUCH_CHANNEL else []
            return ControlMessage(rejection=f"{said.code}: {said.msg}", rejected_symbols=refused)
        raise FrameError(f"neither data nor an answer: {said.event[:40]!r}")

    def _refused(self, text: str) -> list[str]:
        """Instruments that do not exist, found by the rejection of the first channel. Other
        channels may be rejected alone, for example where an index has another name."""
        first = next(iter(self._channels))
        return [symbol for channel, symbol in REFUSED.findall(text) if channel == first]

    def _arguments(self, symbols: Sequence[str]) -> list[dict[str, str]]:
        return [
            {"channel": channel, "instId": instrument_of(symbol)}
            for symbol in symbols
            for channel, instrument_of in self._channels.items()
        ]


def _beginning(channel: str) -> bytes:
    return b'{"arg":{"channel":"%b"' % channel.encode()


def _request(word: str, arguments: list[dict[str, str]], request_id: int) -> str:
    message = {"id": str(request_id), "op": word, "args": arguments}
    return msgspec.json.encode(message).decode()
