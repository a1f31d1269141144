"""Connections to Kraken's spot feed.

WebSocket API v2, wss://ws.kraken.com/v2:
https://docs.kraken.com/api/docs/guides/spot-ws-intro
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import ControlMessage
from kit.marketdata.frames import FrameError
from venues.kraken import parse

UNKNOWN_PAIR = "Currency pair not supported"


class _Reply(msgspec.Struct):
    """{"method":"subscribe","result":{"channel":"book",…},"success":true,…}, the same with
    "error" and "symbol" in place of "result", or {"method":"pong",…}."""

    method: str = ""
    success: bool | None = None
    error: str = ""
    symbol: str = ""


class KrakenFeedProtocol:
    """One connection for all channels."""

    channels = frozenset(
        {
            types_pb2.CHANNEL_TRADES,
            types_pb2.CHANNEL_QUOTES,
            types_pb2.CHANNEL_BOOK,
            types_pb2.CHANNEL_TICKERS,
            types_pb2.CHANNEL_CANDLES,
        }
    )
    kinds = parse.KINDS
    window_bytes = parse.WINDOW_BYTES

    def __init__(self, base_url: str, depth: int) -> None:
        self._url = f"{base_url}/v2"
        self._book: Mapping[str, object] = {"channel": "book", "depth": depth}
        self._subscriptions: Sequence[Mapping[str, object]] = (
            {"channel": "trade"},
            {"channel": "ticker", "event_trigger": "bbo"},
            self._book,
            {"channel": "ohlc", "interval": 1},
        )

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"subscribe","params":{"channel":"trade","snapshot":true,"symbol":["BTC/USDT",
        …]},"req_id":1}; a message for each channel."""
        return [_request("subscribe", one, symbols, request_id) for one in self._subscriptions]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"unsubscribe","params":{"channel":"trade","symbol":["BTC/USDT",…]},…}."""
        return [_request("unsubscribe", one, symbols, request_id) for one in self._subscriptions]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """Unsubscribe and subscribe again: a subscription starts with a snapshot."""
        methods: Sequence[_Method] = ("unsubscribe", "subscribe")
        return [_request(method, self._book, [symbol], request_id) for method in methods]

    def ping(self, request_id: int) -> str | None:
        """{"method":"ping","req_id":1}."""
        return msgspec.json.encode({"method": "ping", "req_id": request_id}).decode()

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode an acknowledgement, which is sent per symbol, or a pong."""
        try:
            reply = msgspec.json.decode(frame, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if reply.error:
            gone = reply.error.startswith(UNKNOWN_PAIR) and reply.method == "subscribe"
            return ControlMessage(
                rejection=f"{reply.error} ({reply.symbol or 'all'})",
                rejected_symbols=(reply.symbol,) if gone and reply.symbol else (),
            )
        if reply.success is None and reply.method != "pong":
            raise FrameError("neither data nor an answer")
        return ControlMessage()


_Method = Literal["subscribe", "unsubscribe"]


def _request(
    method: _Method, what: Mapping[str, object], symbols: Sequence[str], request_id: int
) -> str:
    params = {**what, "symbol": list(symbols)}
    if method == "subscribe":
        params["snapshot"] = True
    message = {"method": method, "params": params, "req_id": request_id}
    return msgspec.json.encode(message).decode()
