"""Reading lists of cash flows span by span."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND
from kit.connector.orders.cash_flow_spans import AHEAD_NS, SPAN_NS_MIN, SpanTooLong, read_spans
from kit.execution.cash_flows import VenueCashFlow

NOW_MS = 1_790_000_000_123
NOW_NS = NOW_MS * 1_000_000
FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING


def flow(days_ago, number):
    time_ns = NOW_NS - int(days_ago * NANOSECONDS_PER_DAY)
    return VenueCashFlow(str(number), FUNDING, "", "USDT", Decimal(1), time_ns)


@dataclass
class Api:
    """A venue that lists everything in every answer, twice, on two pages."""

    flows: list
    kept_days: int = 90
    span_days_max: int | None = 7

    def __post_init__(self):
        self.spans = []

    async def read(self, queries, begin_ns, end_ns):
        self.spans.append((begin_ns, end_ns))
        yield self.flows
        yield self.flows[::-1]


class Queries:
    exchange = type("Exchange", (), {"milliseconds": staticmethod(lambda: NOW_MS)})


async def read(api, since_ns=0):
    return [page async for page in read_spans(api, Queries(), since_ns)]


@pytest.mark.parametrize(("kept", "longest"), [(90, 7), (90, 90), (3650, None), (10, 1)])
async def test_spans_join_and_have_each_change_once(kept, longest):
    flows = [flow(days, number) for number, days in enumerate((0, 0.1, 1, 5, 8.5, 9.9))]
    api = Api(flows, kept, longest)
    pages = await read(api)
    assert [one.cash_flow_id for page in pages for one in page.flows] == list("543210")
    begins, ends = zip(*api.spans, strict=True)
    assert begins[1:] == ends[:-1]
    assert [page.end_ns for page in pages] == list(ends)
    assert begins[0] <= max(0, NOW_NS - kept * NANOSECONDS_PER_DAY) + NANOSECONDS_PER_SECOND
    assert NOW_NS < ends[-1] <= NOW_NS + AHEAD_NS
    assert all(time_ns % NANOSECONDS_PER_SECOND == 0 for span in api.spans for time_ns in span)
    if longest is None:
        assert len(api.spans) == 1
    else:
        assert max(end - begin for begin, end in api.spans) <= longest * NANOSECONDS_PER_DAY


async def test_a_list_that_is_left_after_each_span_goes_on_with_the_same_spans():
    flows = [flow(days, number) for number, days in enumerate((0, 5, 88.5))]
    at_once, left = Api(flows, 90, 30), Api(flows, 90, 30)
    await read(at_once)
    since_ns, span_ns = 0, 0
    while (page := await anext(read_spans(left, Queries(), since_ns, span_ns), None)) is not None:
        since_ns, span_ns = page.end_ns, page.next_span_ns
    assert left.spans == at_once.spans
    days = [round((end - begin) / NANOSECONDS_PER_DAY) for begin, end in left.spans]
    assert days[:7] == [1, 2, 1, 2, 4, 8, 16]


class Crowded(Api):
    """A venue that lists no span with more than two changes, unless it is as short as can be."""

    async def read(self, queries, begin_ns, end_ns):
        count = sum(begin_ns <= one.venue_time_ns < end_ns for one in self.flows)
        if count > 2 and end_ns - begin_ns > SPAN_NS_MIN:
            self.too_long += 1
            raise SpanTooLong((end_ns - begin_ns) * 2 // count)
        async for page in super().read(queries, begin_ns, end_ns):
            yield page

    too_long = 0


async def test_what_is_listed_in_no_long_span_is_read_in_shorter_ones():
    flows = [flow(3 - number / 1_000, number) for number in range(40)]
    flows += [flow(1 + number / 10**10, 100 + number) for number in range(9)]
    api = Crowded(flows, 10)
    pages = await read(api)
    found = [one for page in pages for one in page.flows]
    assert found == sorted(flows, key=lambda one: one.position)
    assert [page for page in pages if not page.flows and page.end_ns == pages[0].end_ns]
    begins, ends = zip(*api.spans, strict=True)
    assert begins[1:] == ends[:-1]
    assert api.too_long < len(flows)


async def test_a_start_between_two_changes_leaves_the_first_one_out():
    flows = [
        flow(1, 0),
        VenueCashFlow("1", FUNDING, "", "", Decimal(1), flow(1, 0).venue_time_ns - 1),
    ]
    api = Api(flows)
    (first, *_) = await read(api, flows[0].venue_time_ns)
    assert [one.cash_flow_id for one in first.flows] == ["0"]


async def test_a_start_in_the_future_finds_nothing():
    assert await read(Api([flow(0, 0)]), NOW_NS + 2 * AHEAD_NS) == []
