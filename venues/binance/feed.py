"""How to reach Binance's spot feed.

Combined streams, wss://stream.binance.com:9443/stream, with SUBSCRIBE messages:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from collections.abc import Sequence

import msgspec

from kit.frames import FrameError, Frames
from kit.numbers import IntColumn
from venues.binance import parse

STREAMS = ("trade", "bookTicker", "depth@100ms")


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


class BinanceWire:
    """The combined stream of one connection."""

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

    def classify(self, frames: Frames) -> IntColumn:
        """From the streams' names."""
        return parse.classify(frames)

    def refusal(self, reply: bytes) -> str | None:
        """The text of an error. Raises FrameError for what answers nothing."""
        try:
            decoded = msgspec.json.decode(reply, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if decoded.error is not None:
            return f"{decoded.error.code}: {decoded.error.msg}"
        if decoded.code is not None:
            return f"{decoded.code}: {decoded.msg}"
        if decoded.id is msgspec.UNSET and decoded.result is msgspec.UNSET:
            raise FrameError("neither data nor an answer")
        return None


def _request(method: str, symbols: Sequence[str], request_id: int) -> str:
    streams = [f"{symbol.lower()}@{stream}" for symbol in symbols for stream in STREAMS]
    message = {"method": method, "params": streams, "id": request_id}
    return msgspec.json.encode(message).decode()
