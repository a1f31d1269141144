"""Prints the recorded trades of the last hour, page by page."""

import time
from datetime import UTC, datetime

from example import run
from venuemesh.history.v1 import history_pb2
from venuemesh_client import Client, pages

HOUR_NS = 3_600 * 1_000_000_000


async def print_history(client: Client, venue: str, symbol: str) -> None:
    request = history_pb2.ListTradesRequest(venue=venue, symbol=symbol)
    request.range.start_time_ns = time.time_ns() - HOUR_NS
    page_count = trade_count = 0
    async for page in pages(client.history.ListTrades, request):
        page_count += 1
        for trade in page.trades:
            trade_count += 1
            at = datetime.fromtimestamp(trade.venue_time_ns // 1_000_000_000, UTC)
            print(f"trade {at:%Y-%m-%dT%H:%M:%SZ} {trade.price} {trade.size}")
    print(f"{trade_count} trades on {page_count} pages")


run(print_history)
