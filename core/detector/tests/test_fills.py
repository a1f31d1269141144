"""The positions of strategies, from the fills of their own orders."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, executions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.detector import store
from core.detector.fills import book_fills
from core.detector.tests.rig import numbers, rig_for
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.features.indicators import close
from kit.strategy.strategy import Exit
from kit.strategy.tests.market import bar, strategy
from tests.support.waiting import until

EXECUTIONS = event_pb2.EVENT_STREAM_EXECUTIONS
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL


@pytest.fixture
async def rig(postgres_url):
    async with rig_for(postgres_url) as rig:
        yield rig


def fill(number, lifecycle_id, side=BUY, size="0.5"):
    return event_pb2.Event(
        event_id=event_id("ledger", "a", [str(number).encode()]),
        source="ledger",
        time_ns=number,
        lifecycle_id=lifecycle_id,
        order_filled=executions_pb2.OrderFilled(
            fill=orders_pb2.Fill(
                venue="binance", symbol="BTCUSDT", fill_id=str(number), side=side, size=size
            ),
        ),
    )


async def book(rig, *fills):
    """Store events, and let the detector see them."""
    async with rig.database.transaction() as connection:
        before = (await event_log.stream_states(connection, [EXECUTIONS]))[EXECUTIONS].sequence
        await event_log.append(connection, EXECUTIONS, fills, 1)
        await book_fills(connection, await event_log.read(connection, EXECUTIONS, before))


async def position(rig, runner):
    async with rig.database.transaction() as connection:
        return await store.position(connection, runner.key)


async def test_a_filled_signal_is_a_position_that_its_exit_closes(rig):
    exits = (Exit(name="high", condition=close > 105),)
    runner = rig.runner(strategy(exits=exits))
    async with rig.running(runner):
        rig.bars.add(bar(0))
        await until(lambda: runner.signals == 1)
        entry = (await rig.signals())[0].event_id
        await book(rig, fill(1, entry, size="0.3"), fill(2, entry, size="0.2"))
        rig.bars.add(bar(1), bar(2, 106.0))
        await until(lambda: runner.signals == 2)
        closing = (await rig.signals())[1]
        assert (closing.signal_raised.side, closing.signal_raised.position_size) == (SELL, "0.5")
        # A fee was taken from what was bought, so that less is sold, and in two parts.
        await book(rig, fill(3, closing.event_id, SELL, "0.49"))
        await book(rig, fill(4, closing.event_id, SELL, "0.009"))
        assert await position(rig, runner) == 0
        rig.bars.add(bar(3))
        await until(lambda: runner.signals == 3)
        entry = (await rig.signals())[2].event_id
        await book(rig, fill(5, entry, size="0.002"))
        assert await position(rig, runner) == Decimal("0.002")
    assert numbers(await rig.signals()) == [0, 2, 3]


async def test_a_stop_of_the_entry_closes_the_position(rig):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(bar(0))
        await until(lambda: runner.signals == 1)
    (entry,) = await rig.signals()
    await book(rig, fill(1, entry.event_id, size="0.5"))
    assert await position(rig, runner) == Decimal("0.5")
    await book(rig, fill(2, entry.event_id, SELL, "0.2"))
    assert await position(rig, runner) == Decimal("0.3")
    for number, size in ((3, "0.29"), (4, "0.01")):
        await book(rig, fill(number, entry.event_id, SELL, size))
        assert await position(rig, runner) == 0


@pytest.mark.parametrize("lifecycle_id", [b"", bytes(16), bytes([1] * 16)])
async def test_other_orders_change_no_position(rig, lifecycle_id):
    runner = rig.runner()
    async with rig.running(runner):
        rig.bars.add(bar(0))
        await until(lambda: runner.signals == 1)
    person = event_pb2.Event(event_id=bytes(16), order_requested={}, source="inspector")
    await rig.store(event_pb2.EVENT_STREAM_RISK, person)
    await book(rig, fill(1, lifecycle_id))
    assert await position(rig, runner) == 0


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (["1", "1"], "2"),
        (["1", "-0.5"], "0.5"),
        (["1", "-0.95"], "0"),
        (["1", "-0.95", "-0.05"], "0"),
        (["1", "-0.94"], "0.06"),
        (["1", "-1.005"], "0"),
        (["1", "-1.005", "1"], "1"),
        (["1", "-0.96", "0.01"], "0.01"),
        (["-1", "0.96"], "0"),
        (["1e-18", "1e18"], "1000000000000000000.000000000000000001"),
    ],
)
async def test_a_small_rest_is_no_position(rig, sizes, expected):
    key = rig.runner().key
    for size in map(Decimal, sizes):
        is_entry = size.is_signed() == sizes[0].startswith("-")
        async with rig.database.transaction() as connection:
            await store.change_position(connection, key, size, is_entry=is_entry)
    assert await position(rig, rig.runner()) == Decimal(expected)
