"""Streams of recorded columns: Read and ReadBars.

A reader gets a message when it has taken the one before. At most two slices are read ahead for it,
so a slow reader costs bounded memory and no connection to the database.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2

from core.history import request_checks
from core.history.raw_frames import frames
from kit.base.access.call_guard import streams_for_caller
from kit.base.cursor import CHANNELS
from kit.base.database import Database
from kit.base.errors import TooManySubscribers
from kit.marketdata.delivery.subscription import frame
from kit.storage.archive.archive import Archive

READABLE = tuple(
    channel
    for channel in (*CHANNELS, types_pb2.CHANNEL_FRAMES)
    if channel != types_pb2.CHANNEL_STATUS
)


class ColumnResponses:
    """Serialised responses of Read and ReadBars.

    Raises BadRequest, UnknownVenue, UnknownInstrument, NotSupported, StoreUnavailable, and
    TooManySubscribers beyond ``readers_max`` at a time.
    """

    def __init__(self, archive: Archive, database: Database, readers_max: int) -> None:
        self._archive = archive
        self._database = database
        self._readers_max = readers_max
        self._readers = 0

    async def batches(self, request: history_pb2.ReadRequest) -> AsyncGenerator[bytes, None]:
        if request.channel not in READABLE:
            allowed = " ".join(map(types_pb2.Channel.Name, READABLE))
            raise request_checks.bad("channel", request.channel, allowed)
        start_ns, end_ns = _bounds(request)
        for symbol in request.symbols or [""]:
            request_checks.check_names(request.venue, symbol)
        with self._admitted():
            if _is_empty(start_ns, end_ns):
                return
            async with aclosing(self._batches(request, start_ns, end_ns)) as batches:
                async for batch in batches:
                    yield frame(batch)

    def _batches(
        self, request: history_pb2.ReadRequest, start_ns: int, end_ns: int
    ) -> AsyncGenerator[bytes, None]:
        if request.channel != types_pb2.CHANNEL_FRAMES:
            return self._archive.batches(
                request.venue, request.channel, set(request.symbols), start_ns, end_ns
            )
        if request.symbols:
            symbols = ",".join(request.symbols)
            raise request_checks.bad("symbols", symbols, "none: frames have no symbol")
        return frames(self._database, request.venue, start_ns, end_ns)

    async def bars(self, request: history_pb2.ReadBarsRequest) -> AsyncGenerator[bytes, None]:
        interval = request_checks.interval(request.interval)
        as_of_ns = request_checks.not_negative("as_of_time_ns", request.as_of_time_ns)
        start_ns, end_ns = _bounds(request)
        request_checks.check_names(request.venue, request.symbol)
        with self._admitted():
            if _is_empty(start_ns, end_ns):
                return
            messages = self._archive.bars(
                request.venue, request.symbol, interval, start_ns, end_ns, as_of_ns
            )
            async with aclosing(messages):
                async for message in messages:
                    # Field 1 of the response, like the batches of Read.
                    yield frame(message)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._readers >= streams_for_caller(self._readers_max):
            limit = self._readers_max
            raise TooManySubscribers(
                f"the limit of {limit} concurrent readers is reached", limit=limit
            )
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1


def _bounds(request: request_checks.RangeRequest) -> tuple[int, int]:
    """Start and end for Archive, where 0 is open."""
    request_checks.times(request)
    return request.range.start_time_ns, request.range.end_time_ns


def _is_empty(start_ns: int, end_ns: int) -> bool:
    return start_ns == end_ns and start_ns != 0
