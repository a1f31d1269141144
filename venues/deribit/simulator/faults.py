"""Faults of Deribit alone. Each returns what is sent in place of a frame.

previous_mismatch   prev_change_id of a book change is wrong
omitted_channel     the frame is lost, and the next subscription to its channel is left out of the
                    answer
test_request        an extra frame before it: a test request
too_many_requests   error 10028 in place of the frame; the connection ends within a second
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from kit.simulator.dialect import ExchangeStream, Frame, FrameFault
from venues.deribit.simulator.errors import TOO_MANY_REQUESTS

PREVIOUS_ID = re.compile(rb'"prev_change_id":(\d+)')
TEST_REQUEST = b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}'


class DeribitFaults:
    """Remembers the faults whose effect is still to come."""

    def __init__(self) -> None:
        self._omitted: set[ExchangeStream] = set()
        self._ending: set[ExchangeStream] = set()
        self.by_name: Mapping[str, FrameFault] = {
            "previous_mismatch": _previous_mismatch,
            "omitted_channel": self._omit,
            "test_request": lambda frame: [(frame[0], TEST_REQUEST), frame],
            "too_many_requests": self._end,
        }

    def omits(self, stream: ExchangeStream) -> bool:
        """Whether this subscription is left out of the answer, once."""
        omitted = stream in self._omitted
        self._omitted.discard(stream)
        return omitted

    def ends(self, streams: Iterable[ExchangeStream]) -> bool:
        """Whether a connection with these streams ends now."""
        ending = self._ending.intersection(streams)
        self._ending -= ending
        return bool(ending)

    def _omit(self, frame: Frame) -> Sequence[Frame]:
        self._omitted.add(frame[0])
        return []

    def _end(self, frame: Frame) -> Sequence[Frame]:
        self._ending.add(frame[0])
        return [(frame[0], TOO_MANY_REQUESTS)]


def _previous_mismatch(frame: Frame) -> Sequence[Frame]:
    """prev_change_id is greater by one; a frame without one stays as it is."""
    stream, payload = frame
    return [(stream, PREVIOUS_ID.sub(_greater, payload, count=1))]


def _greater(found: re.Match[bytes]) -> bytes:
    return b'"prev_change_id":%d' % (int(found[1]) + 1)
