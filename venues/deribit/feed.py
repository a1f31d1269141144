"""Connections to Deribit's feed: JSON-RPC 2.0 over one websocket.

https://docs.deribit.com/articles/json-rpc-overview, /articles/notifications and
/api-reference/session-management/public-set_heartbeat

The answer to a subscription lists the accepted channels; all others were rejected. An answer
repeats the id of its request, so our ids describe the request: "7 subscribe BTC-PERPETUAL".
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage
from kit.marketdata.frames import FrameError
from venues.deribit import parse

STREAMS = ("trades.{}.100ms", "quote.{}", "book.{}.100ms", "ticker.{}.100ms", "chart.trades.{}.1")
BOOK_STREAM = "book.{}.100ms"
HEARTBEAT_S = 15
"""Interval of the venue's test requests, which must be answered; the minimum is 10."""
TOO_MANY_REQUESTS = 10028
"""The venue ends the session after this error."""
REFUSED_SHOWN_MAX = 20


class _Error(msgspec.Struct):
    code: int
    message: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Parameters(msgspec.Struct, frozen=True):
    type: str = ""


class _Message(msgspec.Struct):
    """{"jsonrpc":"2.0","id":…,"result":…}, {…,"error":{"message","code"}} or
    {"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}."""

    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None
    method: str = ""
    params: _Parameters = _Parameters()


class DeribitFeedProtocol:
    """One websocket with all channels."""

    channels: frozenset[Channel] = frozenset(
        {
            types_pb2.CHANNEL_TRADES,
            types_pb2.CHANNEL_QUOTES,
            types_pb2.CHANNEL_BOOK,
            types_pb2.CHANNEL_TICKERS,
            types_pb2.CHANNEL_MARKS,
            types_pb2.CHANNEL_CANDLES,
        }
    )
    kinds = parse.KINDS
    window_bytes = parse.WINDOW_BYTES

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/ws/api/v2"

    def url(self, symbols: Sequence[str]) -> str:
        """One address for all symbols: subscriptions are sent as messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"jsonrpc":"2.0","id":"7 subscribe BTC-PERPETUAL","method":"public/subscribe",
        "params":{"channels":["trades.BTC-PERPETUAL.100ms",…]}}."""
        asked = f"{request_id} subscribe {' '.join(symbols)}"
        return [_request(asked, "public/subscribe", {"channels": _named(STREAMS, symbols)})]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"jsonrpc":"2.0","id":"8 unsubscribe","method":"public/unsubscribe","params":…}."""
        channels = {"channels": _named(STREAMS, symbols)}
        return [_request(f"{request_id} unsubscribe", "public/unsubscribe", channels)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """A new subscription starts with a snapshot."""
        channels = {"channels": _named([BOOK_STREAM], [symbol])}
        return [
            _request(f"{request_id} unsubscribe", "public/unsubscribe", channels),
            _request(f"{request_id} renew {symbol}", "public/subscribe", channels),
        ]

    def ping(self, request_id: int) -> str | None:
        """public/test, which the venue answers with its version."""
        return _request(f"{request_id} test", "public/test", {})

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """Decode a test request, a rejected channel or an error. The answer to a subscription is
        followed by a request for heartbeats, which may be repeated without harm. Raises
        FrameError for frames that are neither an answer nor a heartbeat."""
        try:
            message = msgspec.json.decode(frame, type=_Message)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if message.error is not None:
            return _refused(message.error)
        if message.method == "heartbeat":
            wanted = message.params.type == "test_request"
            return ControlMessage(replies=[TEST] if wanted else ())
        if message.result is msgspec.UNSET:
            raise FrameError("neither data nor an answer")
        return _accepted(message.id, message.result)


def _refused(error: _Error) -> ControlMessage:
    refusal = f"{error.code}: {error.message} {bytes(error.data).decode()}".rstrip()
    return ControlMessage(rejection=refusal, is_broken=error.code == TOO_MANY_REQUESTS)


def _accepted(asked: int | str | None, result: msgspec.Raw) -> ControlMessage:
    """The accepted channels of a subscription, and the rejected ones."""
    verb, *symbols = str(asked).partition(" ")[2].split(" ")
    streams = {"subscribe": STREAMS, "renew": (BOOK_STREAM,)}.get(verb, ())
    if not streams:
        return ControlMessage()
    try:
        accepted = frozenset(msgspec.json.decode(result, type=list[str]))
    except msgspec.DecodeError as error:
        raise FrameError(str(error)) from error
    missing = [name for name in _named(streams, symbols) if name not in accepted]
    return ControlMessage(
        rejection=f"not accepted: {' '.join(missing[:REFUSED_SHOWN_MAX])}" if missing else "",
        rejected_symbols=[
            one for one in symbols if not accepted.intersection(_named(streams, [one]))
        ],
        replies=[SET_HEARTBEAT] if verb == "subscribe" else (),
    )


def _named(streams: Iterable[str], symbols: Sequence[str]) -> list[str]:
    names = list(streams)
    return [stream.format(symbol) for symbol in symbols for stream in names]


def _request(request_id: str, method: str, parameters: Mapping[str, object]) -> str:
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": parameters}
    return msgspec.json.encode(message).decode()


TEST = _request("test", "public/test", {})
SET_HEARTBEAT = _request("heartbeat", "public/set_heartbeat", {"interval": HEARTBEAT_S})
