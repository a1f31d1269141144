"""The connector on exchanges that ccxt.pro takes for real ones, and what they do to it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2

from kit.connector.contract.venue import Venue
from venues.ccxt.exchange import CcxtExchange
from venues.ccxt.feed import CcxtFeedFactory
from venues.ccxt.tests.connecting import Connector, connected

TRADES, BOOK = types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_BOOK
SYMBOL = "BTC/USDT"
NATIVE = {"binance": "BTCUSDT", "kraken": "BTC/USDT", "okx": "BTC-USDT", "bybit": "BTCUSDT"}
BURST = 2_500


def consecutive(ids: list[str]) -> bool:
    """Whether none is missing and none is double."""
    return [int(one) for one in ids] == list(range(int(ids[0]), int(ids[-1]) + 1))


async def begins_again(connector: Connector, since: int) -> None:
    """A gap was reported, and trades and the book go on after it."""
    await connector.until(lambda: connector.gaps(BOOK, since) and connector.gaps(TRADES, since))
    reported = len(connector.batches)
    await connector.until(connector.followed)
    await connector.until(
        lambda: connector.rows(TRADES, reported) > 2 and connector.rows(BOOK, reported) > 2
    )


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
        ids = connector.trade_ids(symbol)
        # OKX puts several trades into one, so its ids do not count by one.
        assert consecutive(ids) if name != "okx" else len(ids) == len(set(ids))


async def test_a_book_is_that_of_the_exchange() -> None:
    async with connected("binance", [SYMBOL]) as (connector, simulated):
        simulated.order("halt", "BTCUSDT")
        truth = await simulated.book("BTCUSDT")
        best = [Decimal(truth.bids[0][0]), Decimal(truth.asks[0][0])]

        def ours() -> list[Decimal]:
            book = connector.book(SYMBOL)
            tops = (book.book.bids(1), book.book.asks(1))
            return [Decimal(levels[0][0]).scaleb(-book.scale.price) for levels in tops]

        await connector.until(lambda: ours() == best)
        assert connector.gaps(BOOK) == []


@pytest.mark.parametrize("name", ["binance", "kraken", "okx", "bybit"])
@pytest.mark.parametrize("fault", ["disconnect", "malformed"])
async def test_a_broken_socket_is_a_gap_and_is_reopened(name: str, fault: str) -> None:
    """A frame that is cut in half ends ccxt's own receive loop without a word."""
    async with connected(name, [SYMBOL]) as (connector, simulated):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        since = len(connector.batches)
        for channel in ("trades", "book"):
            simulated.order(fault, NATIVE[name], channel)
        await begins_again(connector, since)
        ids = connector.trade_ids(SYMBOL)
        assert len(ids) == len(set(ids))
        assert connector.book(SYMBOL).epoch >= 2


async def test_a_socket_that_is_silent_and_deaf_is_given_up() -> None:
    async with connected("okx", [SYMBOL], adjust=impatient) as (connector, simulated):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        since = len(connector.batches)
        simulated.order("stall", NATIVE["okx"])
        await begins_again(connector, since)
        reasons = {gap.reason for gap in connector.gaps(BOOK, since)}
        assert reasons == {types_pb2.GAP_REASON_RECONNECT}


async def test_a_socket_that_ccxt_closes_itself_is_a_gap() -> None:
    """ccxt cancels those who wait for it, as if we had done so."""
    async with connected("bybit", [SYMBOL]) as (connector, _):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        since = len(connector.batches)
        sockets = exchange_of(connector.venue).sockets()
        assert sockets
        for client in sockets:
            await client.close()
        await begins_again(connector, since)


async def test_a_burst_of_trades_loses_none() -> None:
    async with connected("binance", [SYMBOL]) as (connector, simulated):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        simulated.order("burst", "BTCUSDT", value=str(BURST))
        await connector.until(lambda: connector.rows(TRADES) > BURST + 10)
        assert consecutive(connector.trade_ids(SYMBOL))
        assert connector.gaps(TRADES) == []


async def test_a_burst_that_is_too_large_is_a_gap() -> None:
    async with connected("binance", [SYMBOL], trades_max=500) as (connector, simulated):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        simulated.order("burst", "BTCUSDT", value=str(BURST))
        await connector.until(lambda: connector.gaps(TRADES))
        assert {gap.reason for gap in connector.gaps(TRADES)} == {types_pb2.GAP_REASON_OVERFLOW}
        assert not consecutive(connector.trade_ids(SYMBOL))


async def test_consecutive_ids_show_trades_that_ccxt_lost() -> None:
    async with connected("binance", [SYMBOL], trade_ids="consecutive") as (connector, simulated):
        await connector.until(lambda: connector.rows(TRADES) > 20)
        assert connector.gaps(TRADES) == []
        simulated.order("drop", "BTCUSDT", "trades")
        await connector.until(lambda: connector.gaps(TRADES))
        assert connector.gaps(TRADES)[0].reason == types_pb2.GAP_REASON_SEQUENCE


@pytest.mark.parametrize("name", ["okx", "kraken"])
async def test_a_new_subscription_gets_a_new_snapshot(name: str) -> None:
    """Alone on OKX, with its whole socket on Kraken."""
    async with connected(name, [SYMBOL]) as (connector, _):
        doubted = types_pb2.GAP_REASON_CROSSED
        connector.feed_handler.book_manager.mark_in_doubt([SYMBOL], doubted, 1, "for the test")
        connector.feed_handler.book_manager.snapshot_wanted.set()
        await connector.until(lambda: connector.followed() and connector.book(SYMBOL).epoch == 2)
        assert [gap.reason for gap in connector.gaps(BOOK)] == [doubted]


async def test_an_unsubscribed_stream_ends_and_the_others_continue() -> None:
    async with connected("bybit", [SYMBOL, "ETH/USDT"]) as (connector, _):
        connector.feed.remove([SYMBOL])
        connector.feed_handler.book_manager.remove([SYMBOL])
        connector.subscriptions.remove([SYMBOL])
        since = len(connector.batches)
        # What was received before is published with the next rows.
        await connector.until(lambda: connector.rows(TRADES, since) > 2)
        since = len(connector.batches)
        await connector.until(lambda: connector.rows(TRADES, since) > 5)
        assert connector.trade_ids(SYMBOL, since) == []
        assert connector.trade_ids("ETH/USDT", since)
        assert not connector.feed.carries(SYMBOL, TRADES)


async def test_sockets_can_be_dropped() -> None:
    async with connected("bybit", [SYMBOL]) as (connector, _):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        since = len(connector.batches)
        connector.feed.reconnect()
        await begins_again(connector, since)
        assert connector.feed.connected


async def test_a_pause_is_a_gap() -> None:
    async with connected("bybit", [SYMBOL]) as (connector, _):
        await connector.until(lambda: connector.rows(TRADES) > 2)
        since = len(connector.batches)
        connector.feed.set_paused(True)
        assert not connector.feed.connected
        connector.feed.set_paused(False)
        await begins_again(connector, since)


async def test_kept_trades_are_released() -> None:
    async with connected("binance", [SYMBOL]) as (connector, _):
        await connector.until(lambda: connector.rows(TRADES) > 50)
        await connector.until(lambda: len(exchange_of(connector.venue).api.trades[SYMBOL]) < 20)
        assert consecutive(connector.trade_ids(SYMBOL))


def exchange_of(venue: Venue) -> CcxtExchange:
    row_feed = venue.row_feed
    assert isinstance(row_feed, CcxtFeedFactory)
    return row_feed.exchange


def impatient(venue: Venue) -> Venue:
    """It gives up a socket after two silent seconds."""
    return replace(venue, row_feed=CcxtFeedFactory(exchange_of(venue), 100, False, silence_s=2.0))
