"""The record of a venue, all channels merged by received time, window after window."""

from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import groupby
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2

from core.playback.recorded_channel import NEVER_NS, ChannelWindow, RecordedChannelReader
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import Channel
from kit.marketdata.codec import encode
from kit.marketdata.codec.encode import BatchDraft
from kit.storage.archive.archive import Archive
from kit.storage.archive.gaps_and_listings import RecordedInstrumentTerms

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


class PlaybackSelection(NamedTuple):
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


class PlaybackContent(NamedTuple):
    """The content of a playback."""

    selection: PlaybackSelection
    symbols: list[str]
    terms: list[RecordedInstrumentTerms]
    booked: frozenset[str]
    """Symbols with recorded books."""


class RecordWindow(NamedTuple):
    """What was received in a span of time."""

    start_ns: int
    end_ns: int
    batches: list[tuple[Channel, BatchDraft]]
    book: ChannelWindow | None


async def windows(
    archive: Archive,
    selection: PlaybackSelection,
    terms: Sequence[RecordedInstrumentTerms],
    window_ns: int,
    rows_max: int,
) -> AsyncGenerator[RecordWindow, None]:
    """All that was recorded, in windows that follow each other. What a window holds depends on
    nothing but the arguments."""
    async with AsyncExitStack() as stack:
        channels = await _channels(archive, selection, stack)
        statuses = deque(_statuses(selection, terms))
        checkpoints = _Checkpoints(selection.channels, selection.start_ns)
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
            yield RecordWindow(start_ns, end_ns, batches, taken.get(types_pb2.CHANNEL_BOOK))


async def _channels(
    archive: Archive, selection: PlaybackSelection, stack: AsyncExitStack
) -> list[RecordedChannelReader]:
    gaps = await archive.gaps(selection.venue, selection.channels, selection.symbols)
    found = []
    for channel in selection.channels:
        slices = archive.events(
            selection.venue, channel, selection.symbols, selection.start_ns, selection.end_ns
        )
        own = [
            gap
            for gap in gaps
            if gap.channel == channel and selection.start_ns <= gap.time_ns < selection.end_ns
        ]
        events = await stack.enter_async_context(aclosing(slices))
        found.append(RecordedChannelReader(channel, events, own))
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


def _statuses(
    selection: PlaybackSelection, terms: Sequence[RecordedInstrumentTerms]
) -> Iterator[tuple[int, BatchDraft]]:
    """What was listed when the playback begins, then what changed, each with its time in the
    playback."""
    listed = batch_pb2.STATUS_CHANGE_LISTED
    reported = [
        (selection.start_ns, listed, term) for term in terms if term.is_valid_at(selection.start_ns)
    ]
    reported += [
        (term.from_ns, term.change, term)
        for term in terms
        if selection.start_ns < term.from_ns < selection.end_ns
    ]
    for (time_ns, noticed_ns), group in groupby(reported, key=lambda one: (one[0], one[2].from_ns)):
        same = list(group)
        for start in range(0, len(same), STATUS_ROWS_MAX):
            part = same[start : start + STATUS_ROWS_MAX]
            definitions = [term.definition for _, _, term in part]
            yield time_ns, encode.statuses(definitions, [one[1] for one in part], noticed_ns)
