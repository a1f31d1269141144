"""Connections to Bybit's spot feed.

One websocket for all topics, wss://stream.bybit.com/v5/public/spot:
https://bybit-exchange.github.io/docs/v5/ws/connect
"""

import re
from collections.abc import Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage, FrameKind
from kit.marketdata.frames import FrameError
from venues.bybit import parse

PATH = "/v5/public/spot"
DEPTHS = ("50", "200", "1000")
ALREADY_SUBSCRIBED = "error:already subscribed"
"""The error of a repeated subscription; it is not a rejection."""
REFUSED_TOPICS = re.compile(r"Invalid symbol :\[([^\]]*)\]")


class _Reply(msgspec.Struct):
    """{"success":true,"ret_msg":"subscribe","conn_id":"…","req_id":"1","op":"subscribe"}."""

    op: str
    success: bool = True
    ret_msg: str = ""


class BybitFeedProtocol:
    """Trades, quotes, a book, tickers and candles of one minute, over one connection."""

    channels: frozenset[Channel] = frozenset(
        {
            types_pb2.CHANNEL_TRADES,
            types_pb2.CHANNEL_QUOTES,
            types_pb2.CHANNEL_BOOK,
            types_pb2.CHANNEL_TICKERS,
            types_pb2.CHANNEL_CANDLES,
        }
    )
    kinds: Sequence[FrameKind] = (
        FrameKind("trades", b'"publicTrade.', [parse.trades]),
        FrameKind("quotes", b'"orderbook.1.', [parse.quotes]),
        FrameKind("book", b'"orderbook.', [parse.book]),
        FrameKind("tickers", b'"tickers.', [parse.tickers]),
        FrameKind("candles", b'"kline.', [parse.candles]),
    )
    window_bytes = 32

    def __init__(self, base_url: str, depth: str) -> None:
        self._url = base_url + PATH
        self._book_topic = f"orderbook.{depth}."
        self._topics = (
            "publicTrade.",
            "orderbook.1.",
            self._book_topic,
            "tickers.",
            "kline.1.",
        )

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"req_id":"1","op":"subscribe","args":["publicTrade.BTCUSDT",…]}, one for each symbol.

        A symbol that the venue does not know makes it refuse the whole request, so no two symbols
        share one.
        """
        return [_request("subscribe", self._all_topics(symbol), request_id) for symbol in symbols]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"req_id":"2","op":"unsubscribe","args":["publicTrade.BTCUSDT",…]}, likewise."""
        return [_request("unsubscribe", self._all_topics(symbol), request_id) for symbol in symbols]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """Unsubscribe and subscribe again: each subscription starts with a snapshot."""
        topics = [self._book_topic + symbol]
        return [_request(what, topics, request_id) for what in ("unsubscribe", "subscribe")]

    def ping(self, request_id: int) -> str:
        """{"req_id":"7","op":"ping"}; the venue does not count a websocket ping frame."""
        return msgspec.json.encode({"req_id": str(request_id), "op": "ping"}).decode()

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode a pong, an acknowledgement, or a rejection, which may name topics.

        {"success":false,"ret_msg":"Invalid symbol :[tickers.NOPEUSDT]","op":"subscribe",…}
        """
        try:
            reply = msgspec.json.decode(frame, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if reply.success or reply.ret_msg.startswith(ALREADY_SUBSCRIBED):
            return ControlMessage()
        named = REFUSED_TOPICS.search(reply.ret_msg)
        topics = named[1].split(",") if named else []
        symbols = dict.fromkeys(topic.strip().rpartition(".")[2] for topic in topics)
        return ControlMessage(rejection=reply.ret_msg, rejected_symbols=tuple(symbols))

    def _all_topics(self, symbol: str) -> list[str]:
        return [topic + symbol for topic in self._topics]


def _request(what: str, topics: Sequence[str], request_id: int) -> str:
    message = {"req_id": str(request_id), "op": what, "args": topics}
    return msgspec.json.encode(message).decode()
