"""The record of a mesh is played into a second mesh, which records the same."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import orders_pb2

from tests.integration import recorded
from tests.integration.mesh import (
    CALL_SECONDS_MAX,
    NO_TRADING,
    VENUE,
    Mesh,
    metadata,
    new_folder,
    running,
)
from tests.integration.orders import TICK, OrderCaller, limit
from tests.integration.replayed import expected
from tests.integration.replicas import admin, pause

pytestmark = pytest.mark.integration

INTERVALS = ("1s", "1m", "5m")
CHANNELS = (types_pb2.CHANNEL_TRADES, types_pb2.CHANNEL_QUOTES, types_pb2.CHANNEL_BOOK)
ROWS = {
    "trade_rows": "venue_time_ns, received_time_ns, trade_id, side, price, size",
    "quote_rows": "received_time_ns, venue_time_ns, sequence, bid_price, bid_size, ask_price,"
    " ask_size",
    "instrument_terms": "venue, symbol, valid_from_ns, change, definition",
    "gaps": "channel, symbol, reason, last_id_before, first_id_after, detected_time_ns, detail",
    "bars": "symbol, interval, open_time_ns, number, open, high, low, close, volume, buy_volume,"
    " quote_volume, trade_count, covered_ns, revision, final",
}

TRADES_SECONDS = 40.0
ORDERS_SECONDS = 90.0
"""Of a play in which orders are placed a third of the way through."""
STANDS_SECONDS = 5.0
WHOLE_SECONDS = 90.0
"""The record begins with the listing, and the first trade must come within a wait of a test."""
PAPER = "paper"
FALLEN = 61_760
"""Of the best bid, a third of the way through the capture."""


@contextmanager
def played(source: Mesh, *arguments: str) -> Iterator[Mesh]:
    """A mesh that plays what another one has recorded."""
    replay = f"{VENUE}=store:{source.data}"
    with (
        new_folder() as data,
        running(data, "--world", "replay", "--replay", replay, *NO_TRADING, *arguments) as mesh,
    ):
        yield mesh


@pytest.fixture(scope="module")
def second(replayed: Mesh) -> Iterator[Mesh]:
    with played(replayed, "--speed", "max") as mesh:
        wait_until_same(replayed, mesh)
        yield mesh


def rows(mesh: Mesh, table: str) -> list[tuple[object, ...]]:
    """All of a table, in an order that depends on nothing but the rows."""
    found = mesh.sql(f"SELECT {ROWS[table]} FROM {table}")
    return sorted(found, key=repr)


def wait_until_same(first: Mesh, second: Mesh) -> None:
    """Wait for the counts of rows; the tests compare the rows."""

    def counts(mesh: Mesh) -> list[tuple[object, ...]]:
        return mesh.sql(
            "SELECT (SELECT count(*) FROM trade_rows), (SELECT count(*) FROM quote_rows),"
            " (SELECT sum(update_count) FROM book_batch_rows), (SELECT count(*) FROM bars),"
            " (SELECT sum(trade_count) FROM bars WHERE interval = '1m')"
        )

    wanted = counts(first)
    second.wait_until(lambda: counts(second) == wanted, "everything is recorded again", 180)


@pytest.mark.parametrize("table", ROWS)
def test_the_second_record_equals_the_first(table, replayed, second):
    assert rows(second, table) == rows(replayed, table)


def test_the_second_record_has_the_same_books(replayed, second):
    assert recorded.book_updates(second) == recorded.book_updates(replayed)


def test_the_served_book_equals_the_recorded_book(replayed, second):
    request = market_data_pb2.GetOrderBookRequest(venue=VENUE, symbol="BTCUSDT", depth=1000)
    books = [
        market_data_pb2_grpc.MarketDataStub(mesh.channel).GetOrderBook(request, metadata=metadata())
        for mesh in (replayed, second)
    ]
    for book in books:
        book.ClearField("cursor")
    assert books[0].state == market_data_pb2.BOOK_STATE_PROVEN
    assert books[1] == books[0]


def test_two_plays_give_the_same_bytes(replayed, second):
    event_count = sum(len(rows(replayed, table)) for table in ("trade_rows", "quote_rows"))
    event_count += len(recorded.book_updates(replayed))
    # The record of a record: it is the same, and so is a play of it.
    with played(second, "--speed", "max") as third:
        assert digest(third, event_count) == digest(second, event_count)


def test_a_killed_playback_is_resumed(replayed):
    before = 0
    with played(replayed, "--speed", slowly(replayed)) as mesh:
        for service in (VENUE, "ingest", VENUE):
            mesh.wait_until(
                lambda before=before: recorded.trade_count(mesh) > before, "something is recorded"
            )
            before = recorded.trade_count(mesh)
            mesh.kill(service)
        assert before < recorded.trade_count(replayed)
        wait_until_same(replayed, mesh)
        assert rows(mesh, "trade_rows") == rows(replayed, "trade_rows")
        assert rows(mesh, "quote_rows") == rows(replayed, "quote_rows")
        assert rows(mesh, "gaps") == rows(replayed, "gaps")


def test_paper_orders_are_filled_by_recorded_trades_also_after_kill(replayed):
    with played(replayed, "--speed", slowly(replayed, ORDERS_SECONDS)) as mesh:
        caller = OrderCaller(mesh, PAPER)
        mesh.wait_until(caller.is_ready, "the account on paper is ready")
        mesh.wait_until(lambda: 0 < caller.best_bid() < FALLEN, "the market has fallen")
        pause(mesh, VENUE)
        wait_until_it_stands(mesh)
        bid, before = caller.best_bid(), caller.balances()
        everything = expected.events(replayed, 0)
        happens = expected.events(replayed, played_until_ns(mesh))
        lowest, highest = (most(expected.prices(happens)) for most in (min, max))
        wanted = ((bid + 3 * lowest) / 4).quantize(TICK)
        price = expected.untouched_price(wanted, TICK, everything)
        assert lowest < price < bid
        buys = caller.place(limit("1", str(price), account=PAPER))
        # Such prices were traded before, and are not any more.
        dear = highest + 5
        assert dear < max(expected.prices(everything))
        sells = caller.place(limit("0.5", str(dear), account=PAPER, side=types_pb2.SIDE_SELL))
        assert {buys.state, sells.state} == {orders_pb2.ORDER_STATE_OPEN}
        # It restarts at the beginning and catches up at full speed.
        mesh.kill(VENUE)
        mesh.wait_until(
            lambda: recorded.trade_count(mesh) == recorded.trade_count(replayed), "it has ended"
        )
        wanted_sizes = expected.bought(price, Decimal(1), happens)
        assert sum(wanted_sizes) == 1
        mesh.wait_until(
            lambda: len(caller.fills(buys.client_order_id)) >= len(wanted_sizes), "it is filled"
        )
        fills = caller.fills(buys.client_order_id)[::-1]
        assert [Decimal(fill.size) for fill in fills] == wanted_sizes
        assert {Decimal(fill.price) for fill in fills} == {price}
        assert caller.order(buys.client_order_id).state == orders_pb2.ORDER_STATE_FILLED
        assert caller.order(sells.client_order_id).state == orders_pb2.ORDER_STATE_OPEN
        assert not caller.fills(sells.client_order_id)
        fees = sum(Decimal(fill.fee.amount) for fill in fills)
        # The balances are asked for last when the account is compared with its venue.
        expected_balances = before | {
            "USDT": before["USDT"] - price,
            "BTC": before["BTC"] + 1 - fees,
        }
        mesh.wait_until(lambda: caller.balances() == expected_balances, "the balances follow")


def wait_until_it_stands(mesh: Mesh) -> None:
    """Wait until what was read before the pause is published. In a play that is so slow, some
    hundreds of milliseconds pass between two batches also while it goes on."""
    seen: list[tuple[float, int]] = []

    def stands() -> bool:
        until_ns = played_until_ns(mesh)
        seen.append((time.monotonic(), until_ns))
        same = [at for at, played_ns in seen if played_ns == until_ns]
        return same[-1] - same[0] >= STANDS_SECONDS

    mesh.wait_until(stands, "nothing is played any more")


def played_until_ns(mesh: Mesh) -> int:
    """Everything that was received before this has been played."""
    request = admin_pb2.ListSubscriptionsRequest()
    found = admin(mesh, VENUE).ListSubscriptions(request, timeout=CALL_SECONDS_MAX).subscriptions
    return max(one.received_time_ns for one in found)


def slowly(replayed: Mesh, trades_seconds: float = TRADES_SECONDS) -> str:
    """A speed at which each kill finds it playing."""
    ((first_ns, last_ns),) = replayed.sql(
        "SELECT min(received_time_ns), max(received_time_ns) FROM trade_rows"
    )
    ((began_ns,),) = replayed.sql("SELECT min(valid_from_ns) FROM instrument_terms")
    speed = max((last_ns - first_ns) / trades_seconds, (last_ns - began_ns) / WHOLE_SECONDS)
    return f"{speed / 1e9:.6f}"


def digest(mesh: Mesh, event_count: int) -> str:
    """A digest of all kept batches of the venue's process, in order."""
    request = market_data_pb2.SubscribeRequest(
        venue=VENUE, channels=CHANNELS, start_at=market_data_pb2.START_AT_EARLIEST
    )
    found, count = hashlib.sha256(), 0
    with mesh.connect(f"127.0.0.1:{mesh.port(VENUE)}") as channel:
        stub = market_data_pb2_grpc.MarketDataStub(channel)
        call = stub.Subscribe(request, wait_for_ready=True, timeout=120)
        for response in call:
            for batch in response.batches:
                kind = batch.WhichOneof("columns")
                count += len(getattr(batch, kind).instrument) if kind else 0
                if kind:
                    found.update(batch.SerializeToString(deterministic=True))
            if count >= event_count:
                break
        call.cancel()
    return found.hexdigest()
