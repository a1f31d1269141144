"""Prints trades and gaps as they happen, until Ctrl-C."""

from example import run
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2
from venuemesh_client import Client, read_batch, subscribe, text_of, word_of


async def print_trades(client: Client, venue: str, symbol: str) -> None:
    request = market_data_pb2.SubscribeRequest(
        venue=venue, channels=[types_pb2.CHANNEL_TRADES], symbols=[symbol]
    )
    async for batch in subscribe(client, request):
        for gap in batch.gaps:
            reason = word_of(types_pb2.GapReason.DESCRIPTOR, gap.reason)
            print(f"gap {reason} {gap.detail}", flush=True)
        for row in read_batch(batch).rows():
            cells = (text_of(row[name]) for name in ("symbol", "side", "price", "size"))
            print("trade", *cells, flush=True)


run(print_trades)
