import asyncio
import contextlib

import grpc
import pytest
from venuemesh.bars.v1 import bars_pb2, bars_pb2_grpc

from core.bars.bar_record import BarRecord, time_bar_record
from core.bars.peer_aggregators import PeerAggregators
from core.bars.service import BarsServicer
from core.bars.settings import BarsSettings
from core.bars.subscribers import BarSubscribers
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.rig import rig_for
from kit.base import rpc
from kit.base.clock import SystemClock
from kit.base.errors import ProcessDraining, SettingError, SubscriberTooSlow, error_info, reason_of
from kit.base.intervals import INTERVALS
from tests.support.waiting import WAIT_SECONDS_MAX

T = MONDAY_NS


@contextlib.asynccontextmanager
async def served(subscribers: BarSubscribers, open_bars=lambda venue_id, symbol: ()):
    """The service on a free port, and a stub that calls it."""
    server = rpc.server()
    servicer = BarsServicer(subscribers, open_bars, _Alone(), SETTINGS, CLOCK)
    rpc.serve(server, bars_pb2.DESCRIPTOR.services_by_name["Bars"], servicer)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc.channel(f"127.0.0.1:{port}") as channel:
        yield bars_pb2_grpc.BarsStub(channel)
    await server.stop(0)


CLOCK = SystemClock()
SETTINGS = BarsSettings(kinds=("tick:2",))


class _Alone(PeerAggregators):
    """There is no other aggregator."""

    def __init__(self) -> None:
        super().__init__(None, lambda venue_id, symbol: True, CLOCK)


def request(**fields) -> bars_pb2.SubscribeRequest:
    wanted = {"venue": "binance", "symbol": "BTCUSDT", "update_interval_ms": 50, **fields}
    return bars_pb2.SubscribeRequest(**wanted)


def open_bars_of(memory: MemoryVenue):
    return lambda venue_id, symbol: [
        time_bar_record(venue_id, bar)
        for bar in memory.venue.instruments[symbol].bars.values()
        if not bar.final
    ]


def folded(memory: MemoryVenue) -> list[BarRecord]:
    """The bars that a fold has changed."""
    return [time_bar_record("binance", bar) for bar in memory.roll_up()]


async def test_open_bars_are_sent_first() -> None:
    memory = MemoryVenue().take(batch([Trade(1, T, price=12_345, size=10), Trade(2, T + 1)]))
    memory.roll_up()
    async with served(BarSubscribers(2, 100), open_bars_of(memory)) as bars:
        call = bars.Subscribe(request(intervals=["1m", "1w"]))
        first = await call.read()
        call.cancel()
    assert sorted(bar.interval for bar in first.bars) == ["1m", "1w"]
    assert first.bars[0] == bars_pb2.Bar(
        venue="binance",
        symbol="BTCUSDT",
        interval="1m",
        open_time_ns=T,
        open="123.45",
        high="123.45",
        low="1",
        close="1",
        volume="0.011",
        buy_volume="0.011",
        quote_volume="1.2355",
        trade_count=2,
        covered_ns=0,
        close_time_ns=T + 60 * SECOND_NS,
        source=bars_pb2.BAR_SOURCE_TRADES,
    )


async def test_intervals_are_listed() -> None:
    async with served(BarSubscribers(2, 100)) as bars:
        asked = bars_pb2.ListIntervalsRequest(venue="binance", symbol="BTCUSDT")
        answer = await bars.ListIntervals(asked)
    assert list(answer.intervals) == [*(interval.name for interval in INTERVALS), "tick:2"]


async def test_changes_and_final_bars_are_sent_after() -> None:
    memory = MemoryVenue().take(batch([Trade(1, T)]))
    memory.roll_up()
    subscribers = BarSubscribers(2, 100)
    async with served(subscribers, open_bars_of(memory)) as bars:
        call = bars.Subscribe(request(intervals=["1s"]))
        await call.read()
        for number, second in ((2, 0.5), (3, 10), (4, 0.6)):
            memory.take(batch([Trade(number, T + round(second * SECOND_NS))]))
            subscribers.show(folded(memory))
            seen = [(bar.trade_count, bar.final, bar.revision) for bar in (await call.read()).bars]
            expected = {
                2: [(2, False, 0)],
                3: [(1, False, 0), (2, True, 0)],
                4: [(3, True, 1)],
            }
            assert sorted(seen) == expected[number]
        call.cancel()


async def test_other_instruments_are_not_sent() -> None:
    memory = MemoryVenue().take(batch([Trade(1, T), Trade(1, T, symbol="ETHUSDT")]))
    subscribers, open_bars = BarSubscribers(2, 100), open_bars_of(memory)("binance", "ETHUSDT")
    with subscribers.admit("binance", "ETHUSDT", ["1s"], open_bars) as reader:
        subscribers.show(folded(memory))
        updates = reader.updates(50, CLOCK)
        assert [bar.symbol for bar in await anext(updates)] == ["ETHUSDT"]


async def test_slow_subscriber_gets_the_newest_state_once() -> None:
    memory = MemoryVenue()
    subscribers = BarSubscribers(2, 100)
    memory.take(batch([Trade(1, T)])).roll_up()
    open_bars = open_bars_of(memory)("binance", "BTCUSDT")
    with subscribers.admit("binance", "BTCUSDT", ["1d"], open_bars) as reader:
        for number in range(2, 1000):
            subscribers.show(
                time_bar_record("binance", bar)
                for bar in memory.take(batch([Trade(number, T + number)])).roll_up()
            )
        waiting = await anext(reader.updates(50, CLOCK))
    assert [bar.trade_count for bar in waiting] == [999]


async def test_subscriber_far_behind_is_ended_and_delays_no_other() -> None:
    memory = MemoryVenue().take(batch([Trade(1, T)]))
    memory.roll_up()
    subscribers = BarSubscribers(subscribers_max=2, bars_max=5)
    open_bars = open_bars_of(memory)("binance", "BTCUSDT")
    with (
        subscribers.admit("binance", "BTCUSDT", ["1s"], open_bars) as slow,
        subscribers.admit("binance", "BTCUSDT", ["1w"], open_bars) as other,
    ):
        for number in range(2, 10):
            trade = Trade(number, T + number * SECOND_NS)
            subscribers.show(folded(memory.take(batch([trade]))))
        with pytest.raises(SubscriberTooSlow):
            await anext(slow.updates(50, CLOCK))
        assert [bar.trade_count for bar in await anext(other.updates(50, CLOCK))] == [9]


async def test_an_update_interval_is_kept() -> None:
    class Watch(SystemClock):
        def __init__(self) -> None:
            self.slept: list[float] = []

        async def sleep(self, seconds: float) -> None:
            self.slept.append(seconds)

    memory, watch = MemoryVenue().take(batch([Trade(1, T)])), Watch()
    memory.roll_up()
    subscribers, open_bars = BarSubscribers(2, 100), open_bars_of(memory)("binance", "BTCUSDT")
    with subscribers.admit("binance", "BTCUSDT", [], open_bars) as reader:
        updates = reader.updates(400, watch)
        assert len(await anext(updates)) == 11
        subscribers.show(folded(memory.take(batch([Trade(2, T)]))))
        await anext(updates)
    assert watch.slept == [0.4]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"venue": ""}, "venue"),
        ({"symbol": ""}, "symbol"),
        ({"intervals": ["1m", "2m"]}, "intervals"),
        ({"update_interval_ms": 1}, "update_interval_ms"),
        ({"update_interval_ms": 60_001}, "update_interval_ms"),
    ],
)
async def test_invalid_request_is_rejected(fields, field) -> None:
    async with served(BarSubscribers(2, 2)) as bars:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bars.Subscribe(request(**fields)).read()
    assert reason_of(caught.value) == "BAD_REQUEST"
    assert error_info(caught.value).metadata["field"] == field


async def until_watched(subscribers: BarSubscribers, *, watched: bool = True) -> None:
    """A reader learns that it is served a moment before it reads."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while subscribers.is_watched is not watched:
            await asyncio.sleep(0.01)


async def test_subscribers_are_limited_and_free_their_slot() -> None:
    subscribers = BarSubscribers(subscribers_max=1, bars_max=2)
    async with served(subscribers) as bars:
        first = bars.Subscribe(request())
        await until_watched(subscribers)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bars.Subscribe(request()).read()
        assert reason_of(caught.value) == "TOO_MANY_SUBSCRIBERS"
        first.cancel()
        await until_watched(subscribers, watched=False)
        again = bars.Subscribe(request())
        assert await again.initial_metadata() is not None
        again.cancel()


@pytest.mark.parametrize("is_late", [False, True])
async def test_draining_ends_subscribers_with_its_reason(is_late: bool) -> None:
    subscribers = BarSubscribers(subscribers_max=1, bars_max=2)
    async with served(subscribers) as bars:
        if is_late:
            subscribers.end(ProcessDraining("stopping"))
        call = bars.Subscribe(request())
        if not is_late:
            await until_watched(subscribers)
            subscribers.end(ProcessDraining("stopping"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    assert reason_of(caught.value) == "DRAINING"


async def test_a_symbol_that_has_not_traded_yet_is_waited_for(valkey_url, postgres_url) -> None:
    async with (
        rig_for(valkey_url, postgres_url) as rig,
        rig.running(),
        served(rig.subscribers, rig.aggregator.open_bars) as bars,
    ):
        call = bars.Subscribe(request(intervals=["1s"]))
        await call.initial_metadata()
        await rig.append(batch([Trade(1, T)]))
        assert [bar.trade_count for bar in (await call.read()).bars] == [1]
        again = bars.Subscribe(request(intervals=["1h"]))
        assert [bar.interval for bar in (await again.read()).bars] == ["1h"]
        call.cancel()
        again.cancel()


@pytest.mark.parametrize(
    "wrong", [{"lateness_ms": -1}, {"store_interval_ms": 0}, {"waiting_bars_max": 0}]
)
def test_invalid_settings_are_rejected(wrong) -> None:
    with pytest.raises(SettingError):
        BarsSettings(**wrong)
