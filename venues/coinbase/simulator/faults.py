"""Faults of Coinbase alone.

error                    an error before the frame
slow_consumer            an error after the frame; then the exchange closes the connection
update_before_snapshot   a book update is sent twice, and again before the next snapshot
"""

from collections.abc import Sequence

from kit.simulator.dialect import Channel, ExchangeStream, Frame
from venues.coinbase.simulator.websocket import ADVANCED_INVALID, SLOW_CONSUMER


def with_error(frame: Frame) -> Sequence[Frame]:
    """The frame after an error that names no reason."""
    return [(frame[0], ADVANCED_INVALID), frame]


def with_slow_consumer(frame: Frame) -> Sequence[Frame]:
    """The frame, and the last message to a client that reads too slowly."""
    return [frame, (frame[0], SLOW_CONSUMER)]


class UpdatesBeforeSnapshot:
    """Book updates that are sent before the next snapshot of their stream."""

    def __init__(self) -> None:
        self._updates: dict[ExchangeStream, bytes] = {}

    def keep(self, frame: Frame) -> Sequence[Frame]:
        """The frame of a book twice, and remembered; any other frame once."""
        stream, payload = frame
        if stream.channel is not Channel.BOOK:
            return [frame]
        self._updates[stream] = payload
        return [frame, frame]

    def take(self, stream: ExchangeStream) -> list[bytes]:
        """The update that is sent before a snapshot, if there is one."""
        update = self._updates.pop(stream, None)
        return [] if update is None else [update]
