"""Reading Binance's lists of what has changed balances."""

from kit.connector.orders.cash_flow_spans import read_spans
from venues.binance.cash_flows import TRANSFER_TYPES, BinanceSpotCashFlowApi

NOW_MS = 1_790_000_000_000
SPANS_MAX = 8
LISTS = len(TRANSFER_TYPES) + 3
"""Deposits, withdrawals and dividends are the others."""


class EmptyLists:
    """An account in which nothing has ever happened."""

    exchange = type("Exchange", (), {"milliseconds": staticmethod(lambda: NOW_MS)})

    def __init__(self) -> None:
        self.calls = 0

    async def ask(self, method, query):
        self.calls += 1
        listed = method in ("sapiGetAssetTransfer", "sapiGetAssetAssetDividend")
        return {"rows": []} if listed else []


async def test_all_that_is_kept_takes_few_calls_also_when_each_span_is_a_page():
    """A page ends after some seconds, in which the venue allows the calls of one span."""
    queries, api = EmptyLists(), BinanceSpotCashFlowApi()
    since_ns, pages = 0, 0
    while True:
        page = await anext(aiter(read_spans(api, queries, since_ns)), None)
        if page is None:
            break
        since_ns, pages = page.end_ns, pages + 1
    assert pages <= SPANS_MAX
    assert queries.calls == pages * LISTS
