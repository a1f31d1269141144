"""A trade_sequencer, a venue that keeps some of its trades, and what comes out."""

import asyncio
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.clock import SystemClock
from kit.base.cursor import CHANNELS
from kit.base.telemetry import Meter
from kit.connector.process.trade_backfill import TradeBackfill
from kit.connector.publishing.hub import Hub
from kit.connector.subscriptions import VenueSubscriptions
from kit.connector.trades.trade_sequencer import TradeSequencer
from kit.marketdata.codec.encode import BatchDraft
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import NumberColumn, SymbolColumn, TradeRows, zeros
from tests.support.waiting import until

TRADES = types_pb2.CHANNEL_TRADES
SYMBOL, OTHER = "BTCUSDT", "ETHUSDT"
PATIENCE_S = 3.0


def trades(
    ids: Iterable[int], symbol: str = SYMBOL, texts: bool = False, price: str = ""
) -> TradeRows:
    """As the feed brings them; a price is the id, a time is too."""
    numbers = np.array(list(ids), dtype=np.int64)
    prices = NumberColumn.parse([price or f"{number}.0" for number in numbers])
    rows = TradeRows(
        SymbolColumn.of([symbol] * len(numbers)),
        prices,
        NumberColumn.parse(["1"] * len(numbers)),
        zeros(len(numbers)) + 1,
        numbers,
        numbers,
        numbers,
        numbers - 1,
    )
    if not texts:
        return rows
    named = [f"t{number}" for number in numbers]
    none = zeros(len(numbers))
    return dataclasses.replace(rows, trade_id=none, previous_id=None, trade_id_text=named)


class FakeHistory:
    """A venue that keeps some of its trades, and answers when it may."""

    def __init__(self) -> None:
        self.kept: set[int] = set()
        self.coming: set[int] = set()
        """Kept after the first answer."""
        self.texts = False
        self.newest = 60
        self.page = 1_000
        self.asked: list[tuple[str, int, int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        self.price = ""

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        self.asked.append((symbol, first_trade_id, count))
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        found = sorted(number for number in self.kept if number >= first_trade_id)
        self.kept = self.kept | self.coming
        wanted = found[: min(count, self.page)] if first_trade_id else found[-self.newest :]
        return [self._trade(number) for number in wanted]

    async def last_trade(self, symbol: str) -> market_data_pb2.Trade | None:
        return self._trade(max(self.kept)) if self.kept else None

    def _trade(self, number: int) -> market_data_pb2.Trade:
        return market_data_pb2.Trade(
            trade_id=f"t{number}" if self.texts else str(number),
            price=self.price or f"{number}.00",
            size="1",
            side=types_pb2.SIDE_SELL,
            venue_time_ns=number,
        )


class Impatient(SystemClock):
    """Who sleeps wakes at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class Stage:
    """A trade_sequencer, what fills its holes, and what came out."""

    def __init__(self) -> None:
        clock = Impatient()
        self.history = FakeHistory()
        self.meter = Meter("somewhere")
        self.subscriptions = VenueSubscriptions(CHANNELS)
        self.subscriptions.add([SYMBOL, OTHER])
        self._hub = Hub("somewhere", 1, clock, self.meter)
        self._reader = self._hub.reader({}, earliest=[TRADES], latest=(), symbols=frozenset())
        self.keeper = TradeSequencer(self._publish, self.subscriptions, clock)
        self._clock = clock
        self.batches: list[Batch] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self, patience_s: float = PATIENCE_S) -> None:
        history: Any = self.history  # it is asked for trades alone
        refill = TradeBackfill(self.keeper, history, patience_s, self.meter, self._clock)
        self._task = asyncio.create_task(refill.run())
        await asyncio.sleep(0)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def filled(self) -> None:
        """Wait until nothing waits."""
        await until(lambda: not self.keeper.held)

    def _publish(self, draft: BatchDraft) -> None:
        self._hub.publish(TRADES, draft)

    def events(self, symbol: str = SYMBOL) -> list[int | types_pb2.Gap]:
        """Trades and gaps in the order in which a reader has them."""
        response = market_data_pb2.SubscribeResponse.FromString(self._reader.take())
        self.batches += response.batches
        found: list[int | types_pb2.Gap] = []
        for batch in self.batches:
            found += [gap for gap in batch.gaps if gap.symbol == symbol]
            columns = batch.trades
            for row, place in enumerate(columns.instrument):
                entry = batch.instruments[place]
                if entry.symbol == symbol:
                    scale = 10**entry.price_scale
                    assert columns.price[row] % scale == 0
                    found.append(columns.price[row] // scale)
        return found

    def ids(self, symbol: str = SYMBOL) -> list[int]:
        return [one for one in self.events(symbol) if isinstance(one, int)]

    def gaps(self, symbol: str = SYMBOL) -> list[types_pb2.Gap]:
        return [one for one in self.events(symbol) if not isinstance(one, int)]

    def counted(self) -> tuple[float, float]:
        """Refilled trades, failures."""
        counters = self.meter.counters
        return counters["refilled_trades_total"], counters["refill_failures_total"]
