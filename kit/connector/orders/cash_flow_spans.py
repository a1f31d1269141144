"""Reads a venue's lists of cash flows span by span, from the oldest time on."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeAlias

from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.connector.orders.rest_session import RestQuerySession
from kit.execution.cash_flows import CashFlowsPage, VenueCashFlow

AHEAD_NS = 60 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be ahead of ours."""
RawCashFlows: TypeAlias = AsyncIterator[Sequence[VenueCashFlow]]


class CashFlowApi(Protocol):
    """The lists of one venue."""

    @property
    def kept_days(self) -> int:
        """How many days back the venue lists changes."""

    @property
    def first_span_days(self) -> int:
        """The first span of a reading; after one without any changes the next is twice as long. A
        list with a row for each fill begins with a day, one that takes many calls with more."""

    @property
    def span_days_max(self) -> int | None:
        """The longest span of one call; None where the lists are read from their newest row on."""

    def read(self, queries: RestQuerySession, begin_ns: int, end_ns: int) -> RawCashFlows:
        """Yield the pages of all lists from a time on and before another, both in whole seconds, in
        any order; changes of other times, and the same ones again, may be among them. Raises as
        AccountApi."""


async def read_spans(
    api: CashFlowApi, queries: RestQuerySession, since_ns: int
) -> AsyncIterator[CashFlowsPage]:
    """Yield what the venue lists from a time on until now, a page for each span."""
    now_ns = queries.exchange.milliseconds() * NANOSECONDS_PER_MILLISECOND
    last_ns = _whole_seconds(now_ns + AHEAD_NS)
    kept_ns = now_ns - api.kept_days * NANOSECONDS_PER_DAY
    longest_ns = api.span_days_max * NANOSECONDS_PER_DAY if api.span_days_max else last_ns
    begin_ns = _whole_seconds(max(0, since_ns, kept_ns))
    first_ns = min(api.first_span_days * NANOSECONDS_PER_DAY, longest_ns)
    span_ns = first_ns if api.span_days_max else longest_ns
    while begin_ns < last_ns:
        end_ns = min(begin_ns + span_ns, last_ns)
        found = {
            flow.position: flow
            async for page in api.read(queries, begin_ns, end_ns)
            for flow in page
            if max(begin_ns, since_ns) <= flow.venue_time_ns < end_ns
        }
        yield CashFlowsPage([found[one] for one in sorted(found)], end_ns)
        span_ns = first_ns if found else min(2 * span_ns, longest_ns)
        begin_ns = end_ns


def _whole_seconds(time_ns: int) -> int:
    return time_ns // NANOSECONDS_PER_SECOND * NANOSECONDS_PER_SECOND
