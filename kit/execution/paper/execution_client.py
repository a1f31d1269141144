"""The execution client of a paper account.

Requests and answers travel with a latency, as to a real venue, and an order meets the market as it
is when it arrives. The simulated venue writes its state to disk before it publishes an event or
answers a request.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import StoreUnavailable
from kit.base.request_budget import Priority
from kit.execution.account_configuration import (
    AccountConfiguration,
    ClockOffset,
    SymbolConfiguration,
)
from kit.execution.cash_flows import CashFlowsPage
from kit.execution.contract import (
    NO_END_NS,
    AccountEvent,
    FillsPage,
    OrderCapabilities,
    OrderKey,
    OrderRequest,
    StreamInterrupted,
    VenueBalance,
    VenueOrder,
    VenuePosition,
    Verdict,
)
from kit.execution.journal.journal import Journal, JournalCorrupted, JournalStorage, Offload
from kit.execution.paper import records
from kit.execution.paper.exchange import FindInstrument, PaperExchange
from kit.execution.paper.latency import LatencyQueue
from kit.execution.paper.market import MarketEvent, MarketListener, PaperMarket
from kit.execution.paper.records import PaperAccountChange
from kit.execution.paper.rules import PaperRules

Answer = TypeVar("Answer")
RULES = OrderCapabilities(
    types=frozenset({orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_LIMIT}),
    times_in_force=frozenset(orders_pb2.TimeInForce.values()) - {0},
    waits_for_book=True,
    reduce_only=True,
    has_positions=True,
    self_trade_prevention=frozenset({orders_pb2.SELF_TRADE_PREVENTION_CANCEL_TAKER}),
    lag_s=0,
)
"""Stops are not among them: they wait in the account, for the price of a trade."""

PAUSE_S = 0.25
"""How often ends of time are looked for, and a disk that took nothing is tried again."""

_log = telemetry.logger("orders.paper")


class PaperExecutionClient:
    """Of one account. ``run`` must run for anything to be answered."""

    capabilities = RULES

    def __init__(
        self,
        rules: PaperRules,
        make_market: Callable[[MarketListener], PaperMarket],
        store: JournalStorage,
        offload: Offload,
        clock: Clock,
        instrument: FindInstrument,
    ) -> None:
        """``make_market`` is given who is to be told what happens."""
        self._clock, self._leverage = clock, rules.leverage
        chance = random.Random(rules.seed or None)
        self._there, self._back = (
            LatencyQueue(clock, rules.latency_ms, rules.jitter_ms, chance, rules.pace)
            for _ in range(2)
        )
        self._market = make_market(self._hear)
        self.exchange = PaperExchange(rules, self._market, clock, instrument)
        self._journal = Journal(store, offload, clock, self._dump)
        self.journal_read = asyncio.Event()
        """Also set if the journal cannot be read."""
        self._broken = ""
        """Why there is no account."""
        self._noted = asyncio.Event()
        self._quiet = asyncio.Event()
        """All that has happened is on disk, and told."""
        self._quiet.set()
        self._untold: list[AccountEvent] = []
        self._told_count = 0
        self._followers: set[_News] = set()

    async def run(self) -> None:
        """Read what is on disk, and follow the market until cancelled. When it cannot be read,
        nothing is done and nothing is answered."""
        try:
            self.exchange.load(_changes(await self._journal.load()))
        except StoreUnavailable as error:
            _log.error("paper not read", extra={"detail": error.message})
            self._broken = error.message
            self.journal_read.set()
            return
        try:
            await self._journal.open()
        except StoreUnavailable as error:
            # Nothing is told until it can be written.
            _log.error("paper not written", extra={"detail": error.message})
        self.journal_read.set()
        self._note()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._market.run())
            group.create_task(self._tell())
            group.create_task(self._expire())

    async def place(self, request: OrderRequest, priority: Priority = Priority.NEW) -> Verdict:
        return await self._do(lambda: self.exchange.place(request.bounded()))

    async def amend(
        self, key: OrderKey, request: OrderRequest, priority: Priority = Priority.NEW
    ) -> Verdict:
        return await self._do(lambda: self.exchange.amend(key, request))

    async def cancel(self, key: OrderKey) -> Verdict:
        return await self._do(lambda: self.exchange.cancel(key))

    async def cancel_all(self, symbol: str = "") -> Verdict:
        return await self._do(lambda: self.exchange.cancel_all(symbol))

    async def find(self, key: OrderKey) -> VenueOrder | None:
        return await self._ask(lambda: self.exchange.find(key))

    async def open_orders(self, symbol: str = "") -> list[VenueOrder]:
        return await self._ask(lambda: self.exchange.open_orders(symbol))

    async def fills(
        self, symbol: str, since_time_ns: int, until_time_ns: int = NO_END_NS
    ) -> AsyncIterator[FillsPage]:
        found = await self._ask(lambda: self.exchange.fills(symbol, since_time_ns))
        fills = [fill for fill in found if fill.venue_time_ns < until_time_ns]
        yield FillsPage(fills, since_time_ns, until_time_ns)

    async def cash_flows(
        self, since_time_ns: int, span_ns: int = 0
    ) -> AsyncIterator[CashFlowsPage]:
        end_ns = self._clock.time_ns()
        flows = await self._ask(lambda: self.exchange.cash_flows(since_time_ns))
        yield CashFlowsPage(sorted(flows, key=lambda one: one.position), end_ns)

    async def balances(self) -> list[VenueBalance]:
        return await self._ask(self.exchange.balances)

    async def positions(self) -> list[VenuePosition]:
        return await self._ask(self.exchange.positions)

    async def configuration(self, symbols: Collection[str] = ()) -> AccountConfiguration:
        """The configuration that the rules state, at once."""
        await self._ready()
        of_symbol = SymbolConfiguration("cross", Decimal(self._leverage))
        return AccountConfiguration(
            position_mode="one_way",
            margin_mode="cross",
            symbols=dict.fromkeys(symbols, of_symbol),
            may_trade=True,
            excess_permissions=(),
        )

    async def clock_offset(self) -> ClockOffset | None:
        """None: the paper venue runs by our clock."""
        return None

    async def countdown(self, seconds: float) -> None:
        """Nothing of it: the rules say so."""

    async def follow(self) -> AsyncIterator[AccountEvent]:
        news = _News()
        self._followers.add(news)
        try:
            yield StreamInterrupted("followed from here on")
            while True:
                yield await news.next()
        finally:
            self._followers.discard(news)
            news.idle.set()

    async def close(self) -> None:
        self._market.watch(frozenset())
        await self._journal.close()

    async def _do(self, work: Callable[[], Verdict]) -> Verdict:
        """There, do it, write it down, and back."""
        await self._ready()
        await self._there.delay()
        receipt = work()
        self._note()
        await self._journal.commit()
        await self._back.delay()
        return receipt

    async def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Nothing is in the answer that is not on disk, and that was not told before."""
        await self._ready()
        await self._there.delay()
        while True:
            told_count = self._told_count
            await self._quiet.wait()
            for news in list(self._followers):
                await news.idle.wait()
            if self._quiet.is_set() and told_count == self._told_count:
                break
        answer = question()
        await self._back.delay()
        return answer

    async def _ready(self) -> None:
        await self.journal_read.wait()
        if self._broken:
            raise StoreUnavailable(self._broken, store="paper")

    def _hear(self, events: Sequence[MarketEvent]) -> None:
        self.exchange.on_events(events)
        self._note()

    def _note(self) -> None:
        """Write down what has changed, to be told then."""
        found = self.exchange.take_step()
        if found is None:
            return
        step, events = found
        self._journal.append(records.encode(step))
        self._untold += events
        self._quiet.clear()
        self._noted.set()

    async def _tell(self) -> None:
        """Tell what is on disk, for ever."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            while self._untold:
                count = len(self._untold)
                try:
                    await self._journal.commit()
                except StoreUnavailable:
                    await self._clock.sleep(PAUSE_S)
                    continue
                for event in self._untold[:count]:
                    for news in self._followers:
                        news.put(event)
                del self._untold[:count]
            self._told_count += 1
            self._quiet.set()

    async def _expire(self) -> None:
        """End orders whose time is over, for ever."""
        while True:
            await self._clock.sleep(PAUSE_S)
            if 0 < self.exchange.next_expiry_ns() <= self._clock.time_ns():
                self.exchange.expire()
                self._note()

    def _dump(self) -> Iterator[bytes]:
        return map(records.encode, self.exchange.steps())


def _changes(payloads: Iterable[bytes]) -> Iterator[PaperAccountChange]:
    for payload in payloads:
        try:
            yield records.decode(payload)
        except msgspec.DecodeError as error:
            text = f"a record of the paper account cannot be decoded: {error}"
            raise JournalCorrupted(text, store="paper") from error


class _News:
    """What one follower has not taken yet."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        """Whether the follower has dealt with all there was."""
        self.idle.set()
        self._events: deque[AccountEvent] = deque()
        self._come = asyncio.Event()

    def put(self, event: AccountEvent) -> None:
        self._events.append(event)
        self.idle.clear()
        self._come.set()

    async def next(self) -> AccountEvent:
        """The next one. Who asks has dealt with the one before."""
        while not self._events:
            self.idle.set()
            self._come.clear()
            await self._come.wait()
        return self._events.popleft()
