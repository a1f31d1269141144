"""Validates a subscription request: which channels, delivered how."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2

from core.bridge.settings import BridgeSettings
from kit.base.cursor import CHANNELS, Channel, Cursor, StreamKey
from kit.base.errors import BadRequest
from kit.marketdata.delivery.subscription import SymbolFilter

INTERVAL_MS_DEFAULT, INTERVAL_MS_MIN, INTERVAL_MS_MAX = 100, 10, 60_000
BOOK_DEPTH_DEFAULT = 20


class ChannelSelection(NamedTuple):
    """One channel of one venue."""

    key: StreamKey
    symbols: SymbolFilter
    """Empty: all symbols."""
    resume_after: Cursor | None
    """None: start with the next batch."""


class ConflationOptions(NamedTuple):
    """How a conflated subscriber is served."""

    interval_seconds: float
    book_depth: int


def selections(request: live_pb2.SubscribeRequest) -> list[ChannelSelection]:
    """Return the channels that the selectors name. Raises BadRequest."""
    venues = [selector.venue for selector in request.selectors]
    if not venues or "" in venues or len(set(venues)) < len(venues):
        raise _bad("selectors", ",".join(venues), "one or more, each with a different venue")
    conflated = request.delivery.WhichOneof("mode") == "conflated"
    if conflated and any(selector.resume_after for selector in request.selectors):
        raise _bad("resume_after", "a cursor", "lossless delivery only")
    frames = types_pb2.CHANNEL_FRAMES
    if conflated and any(frames in selector.channels for selector in request.selectors):
        raise _bad("channels", types_pb2.Channel.Name(frames), "lossless delivery only")
    return [found for selector in request.selectors for found in _of_venue(selector)]


def conflation(delivery: types_pb2.Delivery, settings: BridgeSettings) -> ConflationOptions:
    """Return interval and depth as asked for, or their defaults. Raises BadRequest."""
    interval_ms = delivery.conflated.interval_ms or INTERVAL_MS_DEFAULT
    if not INTERVAL_MS_MIN <= interval_ms <= INTERVAL_MS_MAX:
        raise _bad("interval_ms", interval_ms, f"{INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}")
    depth = delivery.conflated.book_depth or BOOK_DEPTH_DEFAULT
    if depth > settings.book_depth_max:
        raise _bad("book_depth", depth, f"1 to {settings.book_depth_max}")
    return ConflationOptions(interval_ms / 1000, depth)


def buffer_bytes(delivery: types_pb2.Delivery, settings: BridgeSettings) -> int:
    """Return how many bytes may wait for a lossless subscriber."""
    wanted = delivery.lossless.buffer_bytes_max or settings.buffer_bytes
    return min(wanted, settings.buffer_bytes_max)


def _of_venue(selector: live_pb2.Selector) -> Iterator[ChannelSelection]:
    channels = list(dict.fromkeys(selector.channels))
    unknown = [channel for channel in channels if channel not in CHANNELS]
    if unknown or not channels:
        allowed = " ".join(map(types_pb2.Channel.Name, CHANNELS))
        raise _bad("channels", ",".join(map(str, unknown)), f"one or more of {allowed}")
    if "" in selector.symbols:
        raise _bad("symbols", "", "native symbols, or none for all")
    cursors = _cursors(selector, channels)
    symbols = frozenset(selector.symbols)
    for channel in channels:
        yield ChannelSelection(StreamKey(selector.venue, channel), symbols, cursors.get(channel))


def _cursors(selector: live_pb2.Selector, channels: Sequence[Channel]) -> dict[Channel, Cursor]:
    cursors = {each.channel: Cursor.of(each.cursor) for each in selector.resume_after}
    if len(cursors) < len(selector.resume_after) or not cursors.keys() <= set(channels):
        value = ",".join(types_pb2.Channel.Name(each.channel) for each in selector.resume_after)
        raise _bad("resume_after", value, "at most one cursor for each of the channels")
    return cursors


def _bad(field: str, value: object, allowed: str) -> BadRequest:
    return BadRequest(f"{field}: allowed is {allowed}", field=field, value=value, allowed=allowed)
