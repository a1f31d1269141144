"""How to reach Binance's spot feed.

Combined streams, wss://stream.binance.com:9443/stream, with SUBSCRIBE messages:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.frames import FrameError
from kit.venue.contract import Answer, FrameKind
from venues.binance import parse

STREAMS = ("trade", "bookTicker", "depth@100ms")
WINDOW_BYTES = 64
"""The name of a stream stands within so many bytes: {"stream":"btcusdt@trade","data":…"""


class _Error(msgspec.Struct):
    code: int
    msg: str


class _Reply(msgspec.Struct):
    """{"result":null,"id":1}, {"code":2,"msg":"Invalid request: …"} or {"error":{…},"id":1}."""

    id: int | str | msgspec.UnsetType | None = msgspec.UNSET
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: int | None = None
    msg: str = ""
    error: _Error | None = None


class SpotWire:
    """The combined stream of one connection."""

    channels = frozenset(
        (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_BOOK)
    )
    kinds = (
        FrameKind("trades", b'@trade"', (parse.trades,)),
        FrameKind("quotes", b'@bookTicker"', (parse.quotes,)),
        FrameKind("book", b"@depth", (parse.book,)),
    )
    window_bytes = WINDOW_BYTES

    def __init__(self, base_url: str) -> None:
        self._url = f"{base_url}/stream"

    def url(self, symbols: Sequence[str]) -> str:
        """The same for all symbols: what is wanted is said in messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"SUBSCRIBE","params":["btcusdt@trade",…],"id":1}."""
        return [_request("SUBSCRIBE", symbols, request_id)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"method":"UNSUBSCRIBE","params":["btcusdt@trade",…],"id":2}."""
        return [_request("UNSUBSCRIBE", symbols, request_id)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """None: whole books come over REST."""
        return []

    def ping(self, request_id: int) -> str | None:
        """None: the venue pings."""
        return None

    def understand(self, frame: bytes) -> Answer:
        """An answer to a request. Raises FrameError for what answers nothing."""
        try:
            decoded = msgspec.json.decode(frame, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if decoded.error is not None:
            return Answer(refusal=f"{decoded.error.code}: {decoded.error.msg}")
        if decoded.code is not None:
            return Answer(refusal=f"{decoded.code}: {decoded.msg}")
        if decoded.id is msgspec.UNSET and decoded.result is msgspec.UNSET:
            raise FrameError("neither data nor an answer")
        return Answer()


def _request(method: str, symbols: Sequence[str], request_id: int) -> str:
    streams = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in STREAMS]
    message = {"method": method, "params": streams, "id": request_id}
    return msgspec.json.encode(message).decode()
