"""The messages of clients, and what is wrong with one."""

import re
from typing import Annotated, Literal, TypeAlias

import msgspec

from gateway.push.encoding import Encoding
from kit.base.errors import BadRequest

SUBSCRIPTIONS_MAX = 1_000
"""Of one message."""
PLACE = re.compile(r"(.*?)(?: - at `(.*)`)?", re.DOTALL)

Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=256)]
RequestId: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
Depth: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel that a client wants, as it names it. What it does not name is empty or 0."""

    channel: Text
    venue: Text = ""
    symbol: Text = ""
    interval: Text = ""
    service: Text = ""
    level: Text = ""
    logger: Text = ""
    delivery: Literal["", "lossless", "conflated"] = ""
    interval_ms: Milliseconds = 0
    depth: Depth = 0
    cursor: Text = ""


class Subscribe(
    msgspec.Struct, frozen=True, tag="subscribe", tag_field="type", forbid_unknown_fields=True
):
    """Begin subscriptions."""

    subscriptions: Annotated[
        list[Subscription], msgspec.Meta(min_length=1, max_length=SUBSCRIPTIONS_MAX)
    ]
    request_id: RequestId = ""


class Unsubscribe(
    msgspec.Struct, frozen=True, tag="unsubscribe", tag_field="type", forbid_unknown_fields=True
):
    """End subscriptions."""

    topics: Annotated[list[str], msgspec.Meta(min_length=1, max_length=SUBSCRIPTIONS_MAX)]
    request_id: RequestId = ""


Request: TypeAlias = Subscribe | Unsubscribe

_DECODERS: dict[Encoding, msgspec.json.Decoder[Request] | msgspec.msgpack.Decoder[Request]] = {
    Encoding.JSON: msgspec.json.Decoder(Request),
    Encoding.MSGPACK: msgspec.msgpack.Decoder(Request),
}


def decode(payload: bytes, encoding: Encoding) -> Request:
    """Read one message. Raises BadRequest, which names the place and what is allowed there."""
    try:
        return _DECODERS[encoding].decode(payload)
    except msgspec.ValidationError as error:
        found = PLACE.fullmatch(str(error))
        allowed, place = found.groups() if found is not None else (str(error), "")
        field = (place or "$").removeprefix("$").removeprefix(".")
        raise BadRequest(str(error), field=field, value="", allowed=allowed) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        allowed = "JSON in text frames, MessagePack in binary frames"
        text = f"the message cannot be read: {error}"
        raise BadRequest(text, field="", value="", allowed=allowed) from None
