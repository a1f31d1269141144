"""Reads a venue's lists of cash flows span by span, from the oldest time on."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeAlias

from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowsPage, VenueCashFlow

SPAN_NS = NANOSECONDS_PER_DAY
"""The first span. After a span without any changes the next one is twice as long."""
SPAN_NS_MIN = 60 * NANOSECONDS_PER_SECOND
AHEAD_NS = 60 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be ahead of ours."""
RawCashFlows: TypeAlias = AsyncIterator[Sequence[VenueCashFlow]]


class SpanTooLong(Exception):
    """A span has more rows than a caller waits for. ``span_ns``: of one that has few enough."""

    def __init__(self, span_ns: int) -> None:
        super().__init__(f"{span_ns} ns are short enough")
        self.span_ns = span_ns


class CashFlowApi(Protocol):
    """The lists of one venue."""

    @property
    def kept_days(self) -> int:
        """How many days back the venue lists changes."""

    @property
    def span_days_max(self) -> int | None:
        """The longest span of one call; None where the lists are read from their newest row on."""

    def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """Yield the pages of all lists from a time on and before another, both in whole seconds, in
        any order; changes of other times, and the same ones again, may be among them. Raises as
        AccountApi, and SpanTooLong for a span above SPAN_NS_MIN."""


async def read_spans(
    api: CashFlowApi, queries: RestQuerySession, since_ns: int, span_ns: int = 0
) -> AsyncIterator[CashFlowsPage]:
    """Yield what the venue lists from a time on until now, a page for each span, and an empty one
    for each that is too long. ``span_ns``: the first one; 0: as a list begins."""
    now_ns = queries.exchange.milliseconds() * NANOSECONDS_PER_MILLISECOND
    last_ns = _whole_seconds(now_ns + AHEAD_NS)
    kept_ns = now_ns - api.kept_days * NANOSECONDS_PER_DAY
    longest_ns = api.span_days_max * NANOSECONDS_PER_DAY if api.span_days_max else last_ns
    begin_ns = _whole_seconds(max(0, since_ns, kept_ns))
    span_ns = min(_span(span_ns or SPAN_NS), longest_ns) if api.span_days_max else longest_ns
    while begin_ns < last_ns:
        end_ns = min(begin_ns + span_ns, last_ns)
        try:
            found = {
                flow.position: flow
                async for page in api.read(queries, begin_ns, end_ns)
                for flow in page
                if max(begin_ns, since_ns) <= flow.venue_time_ns < end_ns
            }
        except SpanTooLong as error:
            span_ns = _span(error.span_ns)
            yield CashFlowsPage((), begin_ns, span_ns)
            continue
        span_ns = min(span_ns, SPAN_NS) if found else min(2 * span_ns, longest_ns)
        yield CashFlowsPage([found[one] for one in sorted(found)], end_ns, span_ns)
        begin_ns = end_ns


def _span(span_ns: int) -> int:
    return max(_whole_seconds(span_ns), SPAN_NS_MIN)


def _whole_seconds(time_ns: int) -> int:
    return time_ns // NANOSECONDS_PER_SECOND * NANOSECONDS_PER_SECOND
