"""The connector on exchanges that ccxt.pro takes for real ones."""

import pytest
from venuemesh.common.v1 import types_pb2

from venues.ccxt.tests.connecting import connected

TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binance", "BTC/USDT"),
        ("kraken", "BTC/USDT"),
        ("okx", "BTC/USDT"),
        ("bybit", "BTC/USDT"),
        ("coinbase", "BTC/USD"),
        ("deribit", "BTC/USD:BTC"),
    ],
)
async def test_every_channel_that_ccxt_has_arrives(name: str, symbol: str) -> None:
    async with connected(name, [symbol]) as (connector, _):
        wanted = connector.venue.channels - {types_pb2.CHANNEL_STATUS}
        assert {TRADES, BOOK} <= wanted
        await connector.until(lambda: all(connector.rows(channel) > 2 for channel in wanted))
        assert connector.gaps(BOOK) == []
