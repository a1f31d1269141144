"""Messages to whole websocket frames, so that one encoding serves all who read it."""

from enum import Enum
from typing import Any

import msgspec

TEXT, BINARY = 0x81, 0x82
"""First byte of a frame that is a whole message."""
SHORT_MAX, MEDIUM_MAX = 125, 0xFFFF
MEDIUM, LONG = 126, 127
HEADER_BYTES = {MEDIUM: 4, LONG: 10}
"""By the second byte of a frame; others have 2."""


class Encoding(Enum):
    """How a connection wants its messages. The value is that of the parameter ``encoding``."""

    JSON = "json"
    MSGPACK = "msgpack"

    def frame(self, message: Any) -> bytes:
        """A message as one frame of a server."""
        if self is Encoding.JSON:
            return framed(TEXT, _JSON.encode(message))
        return framed(BINARY, _MSGPACK.encode(message))

    def read(self, frame: bytes) -> Any:
        """The message in a frame that ``frame`` has made."""
        payload = frame[HEADER_BYTES.get(frame[1], 2) :]
        if self is Encoding.JSON:
            return msgspec.json.decode(payload)
        return msgspec.msgpack.decode(payload)


_JSON = msgspec.json.Encoder()
_MSGPACK = msgspec.msgpack.Encoder()


def framed(first: int, payload: bytes) -> bytes:
    """A payload behind the header of a frame (RFC 6455, 5.2) without a mask."""
    length = len(payload)
    if length <= SHORT_MAX:
        return bytes((first, length)) + payload
    if length <= MEDIUM_MAX:
        return bytes((first, MEDIUM)) + length.to_bytes(2) + payload
    return bytes((first, LONG)) + length.to_bytes(8) + payload
