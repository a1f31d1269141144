"""How to reach Examplex's feed.

To change: the address, the messages, the keep-alive, and what the exchange's answers mean. The
pattern of a kind is a text that stands within the first ``window_bytes`` of its frames and of no
others'. What changes one book must be of one kind: kinds are read one after another.
"""

from collections.abc import Sequence

import msgspec
from venuemesh.common.v1 import types_pb2

from kit.base.cursor import Channel
from kit.connector.contract.venue import ControlMessage, FrameKind
from kit.marketdata.frames import FrameError
from ops.templates.examplex import parse

PATH = "/feed"
CHANNELS = ("trades", "quotes", "book")
BOOK = "book"
REFUSED = "refused"


class _Reply(msgspec.Struct):
    """{"answer":"refused","id":1,"why":"unknown symbols","symbols":["NOPE-USD"]}."""

    answer: str
    why: str = ""
    symbols: list[str] = []


class ExamplexFeedProtocol:
    """Trades, quotes and books, over one connection."""

    channels: frozenset[Channel] = frozenset(
        {types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_BOOK}
    )
    kinds: Sequence[FrameKind] = (
        FrameKind("trades", b'"trades"', [parse.trades]),
        FrameKind("quotes", b'"quotes"', [parse.quotes]),
        FrameKind("book", b'"book"', [parse.book]),
    )
    window_bytes = 24

    def __init__(self, base_url: str) -> None:
        self._url = base_url + PATH

    def url(self, symbols: Sequence[str]) -> str:
        """The same for all symbols: what is wanted is said in messages."""
        return self._url

    def subscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"op":"subscribe","id":1,"channels":["trades",…],"symbols":["BTC-USD"]}."""
        return [_request("subscribe", CHANNELS, symbols, request_id)]

    def unsubscribe(self, symbols: Sequence[str], request_id: int) -> list[str]:
        """{"op":"unsubscribe","id":2,"channels":["trades",…],"symbols":["BTC-USD"]}."""
        return [_request("unsubscribe", CHANNELS, symbols, request_id)]

    def renew_book(self, symbol: str, request_id: int) -> list[str]:
        """Unsubscribe and subscribe again: the whole book comes with each subscription."""
        steps = ("unsubscribe", "subscribe")
        return [_request(op, [BOOK], [symbol], request_id) for op in steps]

    def ping(self, request_id: int) -> str | None:
        """{"op":"ping","id":3}; None would be a websocket ping frame."""
        return msgspec.json.encode({"op": "ping", "id": request_id}).decode()

    def read_control_message(self, frame: bytes) -> ControlMessage:
        """A pong or an acknowledgement says nothing; a refusal names the symbols."""
        try:
            reply = msgspec.json.decode(frame, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FrameError(str(error)) from error
        if reply.answer != REFUSED:
            return ControlMessage()
        return ControlMessage(rejection=reply.why, rejected_symbols=tuple(reply.symbols))


def _request(op: str, channels: Sequence[str], symbols: Sequence[str], request_id: int) -> str:
    message = {"op": op, "id": request_id, "channels": channels, "symbols": symbols}
    return msgspec.json.encode(message).decode()
