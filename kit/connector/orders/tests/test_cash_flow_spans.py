"""Reading lists of cash flows span by span."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.base.clock import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND
from kit.connector.orders.cash_flow_spans import AHEAD_NS, read_spans
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
    first_span_days: int = 1

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


@pytest.mark.parametrize(("first", "expected"), [(1, [1, 1, 2, 4]), (7, [7, 3])])
async def test_spans_grow_from_the_first_one_while_nothing_is_found(first, expected):
    api = Api([flow(9.5, 0)], 10, 7, first)
    await read(api)
    days = [round((end - begin) / NANOSECONDS_PER_DAY) for begin, end in api.spans]
    assert days[: len(expected)] == expected


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
