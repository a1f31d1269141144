"""What each page of a venue's list of fills completes, in the three forms in which venues list."""

import heapq
from collections.abc import AsyncIterator, Sequence

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.contract import FillsPage, VenueFill

SLACK_NS = NANOSECONDS_PER_SECOND
"""Fills that are this near in time may be listed in another order, or on two pages."""

RawPages = AsyncIterator[Sequence[VenueFill]]
"""Pages as the venue lists them. They end after the last page."""


async def newest_first(pages: RawPages, since_ns: int, until_ns: int) -> AsyncIterator[FillsPage]:
    """A page completes what is after its oldest fill."""
    end_ns = until_ns
    async for fills in pages:
        oldest_ns = min((fill.venue_time_ns for fill in fills), default=until_ns)
        begin_ns = max(since_ns, min(end_ns, oldest_ns + SLACK_NS))
        yield FillsPage(fills, begin_ns, end_ns)
        end_ns = begin_ns
    yield FillsPage((), since_ns, end_ns)


async def oldest_first(pages: RawPages, since_ns: int, until_ns: int) -> AsyncIterator[FillsPage]:
    """A page completes what is before its newest fill."""
    begin_ns = since_ns
    async for fills in pages:
        newest_ns = max((fill.venue_time_ns for fill in fills), default=since_ns)
        end_ns = min(until_ns, max(begin_ns, newest_ns - SLACK_NS))
        yield FillsPage(fills, begin_ns, end_ns)
        begin_ns = end_ns
    yield FillsPage((), begin_ns, until_ns)


async def merged(
    lists: Sequence[AsyncIterator[FillsPage]], since_ns: int
) -> AsyncIterator[FillsPage]:
    """Several lists that together have all fills, each oldest first: the list that is behind is
    read next."""
    heads = [(since_ns, number) for number in range(len(lists))]
    begin_ns = since_ns
    while heads:
        _, number = heads[0]
        page = await anext(lists[number], None)
        if page is None:
            heapq.heappop(heads)
            continue
        heapq.heapreplace(heads, (page.end_ns, number))
        yield FillsPage(page.fills, begin_ns, heads[0][0])
        begin_ns = heads[0][0]
