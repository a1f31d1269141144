"""The record of a venue, all channels merged by received time, window after window."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import groupby
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.playback.recorded_channel import NEVER_NS, ChannelWindow, RecordedChannel
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import Channel
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.storage.archive.archive import Archive
from kit.storage.archive.gaps_and_listings import InstrumentTerms

CHANNELS: Sequence[Channel] = (
    types_pb2.CHANNEL_TRADES,
    types_pb2.CHANNEL_QUOTES,
    types_pb2.CHANNEL_BOOK,
    types_pb2.CHANNEL_TICKERS,
    types_pb2.CHANNEL_MARKS,
    types_pb2.CHANNEL_CANDLES,
)
"""In this order within a window, behind STATUS."""
STATUS = types_pb2.CHANNEL_STATUS
STATUS_ROWS_MAX = 1_000
CHECKPOINT_NS = NANOSECONDS_PER_SECOND


class Play(NamedTuple):
    """What is played."""

    venue: str
    symbols: tuple[str, ...]
    """None: all."""
    start_ns: int
    """Inclusive; 0 stands for the first that was received, and for no state before it."""
    end_ns: int
    """Exclusive."""
    channels: tuple[Channel, ...]
    """Those that the record has."""


class PlayContent(NamedTuple):
    """The content of a play."""

    play: Play
    symbols: list[str]
    terms: list[InstrumentTerms]
    booked: frozenset[str]
    """Symbols with recorded books."""


class Window(NamedTuple):
    """What was received in a span of time."""

    start_ns: int
    end_ns: int
    batches: list[tuple[Channel, BatchDraft]]
    book: ChannelWindow | None


async def windows(
    archive: Archive, play: Play, terms: Sequence[InstrumentTerms], window_ns: int, rows_max: int
) -> AsyncGenerator[Window, None]:
    """All that was recorded, in windows that follow each other. What a window holds depends on
    nothing but the arguments."""
    async with AsyncExitStack() as stack:
        channels = await _channels(archive, play, stack)
        statuses = deque(_statuses(play, terms))
        checkpoints = _Checkpoints(play.channels, play.start_ns)
        while True:
            starts = [await channel.next_ns() for channel in channels]
            if statuses:
                starts.append(statuses[0][0])
            start_ns = min(starts, default=NEVER_NS)
            if start_ns == NEVER_NS:
                return
            end_ns = start_ns + window_ns
            for channel in channels:
                end_ns = await channel.limit_ns(end_ns, rows_max)
            batches: list[tuple[Channel, BatchDraft]] = []
            while statuses and statuses[0][0] < end_ns:
                batches.append((STATUS, statuses.popleft()[1]))
            taken = {channel.channel: await channel.take(end_ns) for channel in channels}
            for name, part in taken.items():
                batches += [(name, draft) for draft in part.drafts()]
            batches += checkpoints.after(batches, end_ns)
            yield Window(start_ns, end_ns, batches, taken.get(types_pb2.CHANNEL_BOOK))


async def _channels(archive: Archive, play: Play, stack: AsyncExitStack) -> list[RecordedChannel]:
    gaps = await archive.gaps(play.venue, play.channels, play.symbols)
    found = []
    for channel in play.channels:
        slices = archive.events(play.venue, channel, play.symbols, play.start_ns, play.end_ns)
        own = [
            gap
            for gap in gaps
            if gap.channel == channel and play.start_ns <= gap.time_ns < play.end_ns
        ]
        events = await stack.enter_async_context(aclosing(slices))
        found.append(RecordedChannel(channel, events, own))
    return found


class _Checkpoints:
    """Empty batches of quiet channels, so that their readers know the time."""

    def __init__(self, channels: Sequence[Channel], start_ns: int) -> None:
        self._last_ns = dict.fromkeys(channels, start_ns)

    def after(
        self, batches: Sequence[tuple[Channel, BatchDraft]], end_ns: int
    ) -> Iterator[tuple[Channel, BatchDraft]]:
        busy = {channel for channel, _ in batches}
        for channel, last_ns in self._last_ns.items():
            if channel in busy:
                self._last_ns[channel] = end_ns
            elif end_ns - last_ns >= CHECKPOINT_NS:
                self._last_ns[channel] = end_ns
                yield channel, BatchDraft()


def _statuses(play: Play, terms: Sequence[InstrumentTerms]) -> Iterator[tuple[int, BatchDraft]]:
    """What was listed when the play begins, then what changed, each with its time in the play."""
    listed = batch_pb2.STATUS_CHANGE_LISTED
    told = [(play.start_ns, listed, term) for term in terms if term.is_valid_at(play.start_ns)]
    told += [
        (term.from_ns, term.change, term)
        for term in terms
        if play.start_ns < term.from_ns < play.end_ns
    ]
    for (time_ns, noticed_ns), group in groupby(told, key=lambda one: (one[0], one[2].from_ns)):
        same = list(group)
        for start in range(0, len(same), STATUS_ROWS_MAX):
            part = same[start : start + STATUS_ROWS_MAX]
            definitions = [term.definition for _, _, term in part]
            yield time_ns, encode.statuses(definitions, [one[1] for one in part], noticed_ns)
