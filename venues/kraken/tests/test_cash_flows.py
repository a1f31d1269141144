"""Reading the ledger of Kraken."""

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.orders.cash_flow_spans import SPAN_NS_MIN, read_spans
from venues.kraken.account import KrakenRestNames
from venues.kraken.cash_flows import KrakenCashFlowApi

NOW_S = 1_790_000_000
DAY_S = 86_400
PAGE = 50
CALLS_MAX = 8
"""In a minute, at six seconds each, with some for others."""


class Ledger:
    """The rows of an account, by the second in which they were made."""

    exchange = type("Exchange", (), {"milliseconds": staticmethod(lambda: NOW_S * 1000)})

    def __init__(self, rows) -> None:
        self.rows = rows
        self.calls = 0

    async def ask(self, method, query):
        self.calls += 1
        begin, end, skipped = int(query["start"]), int(query["end"]), query["ofs"]
        listed = [(time_s, kind) for time_s, kind in self.rows[::-1] if begin < time_s <= end]
        page = {
            f"{time_s}-{number}": {
                "refid": "",
                "time": f"{time_s}.5",
                "type": kind,
                "asset": "USDT",
                "amount": "1",
                "fee": "0",
            }
            for number, (time_s, kind) in enumerate(listed[skipped : skipped + PAGE], skipped)
        }
        return {"result": {"ledger": page, "count": len(listed)}}


def api() -> KrakenCashFlowApi:
    return KrakenCashFlowApi(KrakenRestNames())


async def test_ten_years_without_a_change_take_few_calls_also_when_each_is_a_page():
    """Kraken allows a call in six seconds, in which a page ends."""
    ledger = Ledger([])
    since_ns, span_ns = 0, 0
    while (page := await anext(read_spans(api(), ledger, since_ns, span_ns), None)) is not None:
        since_ns, span_ns = page.end_ns, page.next_span_ns
    assert ledger.calls <= 13


async def test_no_span_of_a_day_with_many_trades_takes_a_caller_longer_than_a_minute():
    """The caller gets a page before it gives up, and goes on after it."""
    begin_s = NOW_S - DAY_S
    rows = [(begin_s + second, "trade") for second in range(0, DAY_S, 20)]
    rows[1000] = (rows[1000][0], "deposit")
    ledger, found, before = Ledger(rows), [], 0
    async for page in read_spans(api(), ledger, (begin_s - 1) * NANOSECONDS_PER_SECOND):
        found += page.flows
        assert ledger.calls - before <= CALLS_MAX
        before = ledger.calls
    assert [one.detail for one in found] == ["deposit"]
    # Half of them would be in vain if each span were found by halving.
    assert ledger.calls < 1.5 * len(rows) / PAGE


async def test_the_shortest_span_is_read_however_many_rows_it_has():
    begin_ns = (NOW_S - DAY_S) * NANOSECONDS_PER_SECOND
    ledger = Ledger([(NOW_S - DAY_S + 1, "trade")] * 1_000)
    async for _ in api().read(ledger, begin_ns, begin_ns + SPAN_NS_MIN):
        pass
    assert ledger.calls == 1_000 // PAGE
