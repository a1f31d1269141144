"""One run: the processes from a strategy to its venue, for half a minute of virtual time; then
nothing fails any more, all positions are closed, and the promises are checked."""

import asyncio
import heapq
import random
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count

from venuemesh.events.v1 import risk_pb2, signals_pb2

from core.detector.tests.rig import MadeBars
from core.inspector.tests import rig
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.event_ids import event_id
from kit.events.leases import LeaseLost
from kit.execution.approval.keys import NEVER_NS
from kit.execution.request_ids import lifecycle_request_id
from kit.execution.tests.simulated_process import START_NS, LoopClock
from tests.simulation.chain import market as markets
from tests.simulation.chain.flattening import FlattenedVenue
from tests.simulation.chain.held_checks import HeldChecks
from tests.simulation.chain.history import Promise
from tests.simulation.chain.market import CLOSES, NOTHING, Market
from tests.simulation.chain.processes import SIGNALS, Services
from tests.simulation.chain.promises import PromiseChecks
from tests.simulation.chain.raised_signals import ACTIONS, OPEN, REDUCE, raised_signal
from tests.simulation.chain.record import Record
from tests.simulation.chain.redis_streams import RedisStreams
from tests.simulation.chain.store import DatabaseFaults, SimulatedDatabase
from tests.simulation.chain.venue_faults import VenueFaults
from tests.simulation.history import History

ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
MODES = (
    risk_pb2.TRADING_MODE_STANDING_DOWN,
    risk_pb2.TRADING_MODE_CLOSING_ALL,
    risk_pb2.TRADING_MODE_HALTED,
    risk_pb2.TRADING_MODE_HALTED,
)
SCOPES = ("mesh", "mesh", "strategy:always", "account:binance/paper")
TRAILING = (4, 8)
"""Last digits of the seeds of runs in which stops trail."""
LOOKS, LOOK_S = 100, 0.1
"""How often somebody looks whether an entry is on its way."""
SETTLED_S = 240
"""How long it may take until nothing is on its way, once nothing fails any more."""
QUIET_S = 12
"""For how long nothing may be on its way before it counts: longer than the inspector
waits before it asks for orders, and before it protects again what has no stop."""


class ChainClock(LoopClock):
    """The time of all processes, and of the database."""

    started_ns = START_NS

    def database_s(self):
        return self.time_ns() / NANOSECONDS_PER_SECOND


@dataclass
class Halt:
    """A mode that allows no entry."""

    scope: str
    asked_ns: int
    begins_ns: int
    """When the inspector has said so."""


class Chain:
    """One run."""

    def __init__(self, seed, store):
        self._seed = seed
        self.chance = self.random("chain")
        self.clock = clock = ChainClock()
        self.history = History(lambda: clock.monotonic_ns() / NANOSECONDS_PER_SECOND)
        self.store, self.redis = store, RedisStreams(self.random("redis"))
        self.faults = DatabaseFaults(self.random("database"), clock, self.history)
        store.begin(clock, self.faults, partial(self.history.broke, Promise.NO_ERROR))
        kind = self.random("strategy rules")
        self.market = Market(self.random("market"), clock, kind)
        self._venue_faults = VenueFaults.drawn(self.random("faults"))
        self.venue = FlattenedVenue(
            self.random("venue"), clock, self.market, self._venue_faults, self.history
        )
        self._trails = seed % 10 in TRAILING
        self.venue.amends_stops = self.random("amendments").random() < 0.7
        self.strategy = markets.drawn_strategy(self.chance, kind, trails=self._trails)
        self.bars = MadeBars()
        self.database = SimulatedDatabase(store)
        self.record = Record(self.database)
        self._services = Services(self)
        names = ["detector", "advisor", "inspector-1", "ledger"]
        names += ["inspector-2"] * (self.chance.random() < 0.5)
        self.processes = dict.fromkeys(names)
        self._events, self._numbers, self._bar = [], count(), 0
        self._halts, self._resumed = [], []
        self._wants_more, self._closes, self._tasks = True, False, []
        self.history.note("faults", f"{self._venue_faults}, bars {self.strategy.expiry_s}")

    def random(self, name):
        """A source of chance of its own, so that one part does not change another."""
        return random.Random(f"{self._seed} {name}")

    async def run(self):
        """Run until the end. The history has the broken promises."""
        ends_s = self.chance.uniform(15, 35)
        self._plan(ends_s)
        for name in self.processes:
            self._start(name)
        await self._play(ends_s)
        await self._heal()
        if await self._settled():
            await HeldChecks(self).check()
            await self._close_out()
        if await self._settled():
            await PromiseChecks(self).check()
        self._check_alive()

    # What is planned.

    def _plan(self, ends_s):
        chance = self.chance
        faults = (
            (self._crash, 0, 6),
            (self._cut_off, 0, 2),
            (self._lose_redis, 0, 1),
            (self._restart_venue, 0, 1),
            (self._lose_bars, 0, 1),
            (self._set_mode, 0, 2),
            (self._raise_signal, 0, 3),
            (self._raise_two_reductions, 0, 1),
            (self._halt_an_entry, 0, 1),
            (self._reduce_an_entry, 0, 1),
            (self._flatten, 0, 1),
            (self._cancel_exits, 0, 1),
        )
        for work, least, most in faults:
            for _ in range(chance.randint(least, most)):
                self._at(chance.uniform(0.5, ends_s), work)
        self._at(1, self._next_second)

    def _at(self, seconds, work):
        heapq.heappush(self._events, (seconds, next(self._numbers), work))

    def _after(self, seconds, work):
        self._at(asyncio.get_running_loop().time() + seconds, work)

    async def _play(self, until_s):
        """Do what is planned up to a time."""
        loop = asyncio.get_running_loop()
        while self._events and self._events[0][0] <= until_s:
            at, _, work = heapq.heappop(self._events)
            await asyncio.sleep(max(0, at - loop.time()))
            self._notice_deaths()
            work()
        await asyncio.sleep(max(0, until_s - loop.time()))
        self._notice_deaths()

    def _start(self, name):
        if self.processes[name] is None:
            self.history.note("start", name)
            self.processes[name] = self._services.start(name)

    def _crash(self):
        """Kill a process at one of its next steps, or after a second."""
        alive = [one for one in self.processes.values() if one is not None]
        if not alive:
            return
        process = self.chance.choice(alive)
        process.dies_at = process.steps + self.chance.randint(1, self.chance.choice((10, 60, 300)))
        self._after(1, lambda: process.is_dead or process.die())
        self._after(1.001, lambda: None)

    def _notice_deaths(self):
        for name, process in self.processes.items():
            if process is None or not process.is_dead:
                continue
            self.history.note("crash", f"{name} at step {process.steps}")
            self.store.kill(process)
            self.processes[name] = None
            delay_s = self.chance.choice((0, 0.1, 2, 8)) if self._wants_more else 0
            self._after(delay_s, partial(self._start, name))

    def _cut_off(self):
        """A process does not reach the database for some time."""
        acting = self._acting()
        # A second inspector takes the lease of one that does not reach the database.
        is_acting = acting is not None and self.chance.random() < 0.5
        name = acting.name if is_acting else self.chance.choice(list(self.processes))
        self.history.note("cut off", name)
        self.faults.away.add(name)
        self._after(self.chance.choice((1, 7, 12)), lambda: self.faults.away.discard(name))

    def _lose_redis(self):
        self.history.note("Redis away")
        self.redis.is_away = True
        self._after(self.chance.uniform(0.5, 5), self._restart_redis)

    def _restart_redis(self):
        if self.chance.random() < 0.5:
            self.redis.lose()
        self.redis.is_away = False

    def _restart_venue(self):
        self._begin(self._restart_venue_with_news())

    async def _restart_venue_with_news(self):
        """Mostly nobody has read by then that an order has ended."""
        if self.chance.random() < 0.8:
            while not self.venue.news.tells_of_an_end:
                await self.venue.news.changed.wait()
        self.history.note("venue process restarted")
        self.venue.news.restart()

    def _lose_bars(self):
        self.history.note("bars away")
        self.bars.is_away = True
        self._after(self.chance.uniform(0.5, 5), partial(setattr, self.bars, "is_away", False))

    def _set_mode(self):
        scope, mode = self.chance.choice(SCOPES), self.chance.choice(MODES)
        self._change_mode(scope, mode)
        self._after(self.chance.uniform(1, 10), partial(self._change_mode, scope, ACTIVE))

    def _change_mode(self, scope, mode):
        process = self._acting()
        if process is not None:
            process.start(self._change(process.parts.changes, scope, mode))

    def _acting(self):
        """The inspector that acts, or None."""
        for process in self.processes.values():
            acting = getattr(process.parts, "active", None) if process is not None else None
            if acting is not None and acting.is_active and not process.is_dead:
                return process
        return None

    async def _change(self, changes, scope, mode):
        self.history.note("mode", f"{scope} {risk_pb2.TradingMode.Name(mode)}")
        asked_ns = self.clock.time_ns()
        if mode == ACTIVE:
            self._resumed.append((scope, asked_ns))
        with suppress(StoreUnavailable, LeaseLost):
            state = await changes.set(rig.mode(mode, scope), "lena")
            if mode != ACTIVE and not state.unfenced_accounts:
                self._halts.append(Halt(scope, asked_ns, self.clock.time_ns()))

    def halted(self):
        """The times in which a venue makes no entry: begin and end, in ns."""
        for halt in self._halts:
            # The answer to a mode may come after the next one was asked for.
            ends = [ns for scope, ns in self._resumed if scope == halt.scope and ns > halt.asked_ns]
            yield halt.begins_ns, min(ends, default=NEVER_NS)

    def _raise_signal(self):
        self._begin(self._store_signal(self.chance.choice(ACTIONS)))

    def _raise_two_reductions(self):
        """The second one comes while the first one runs."""
        self._begin(self._store_signal(REDUCE))
        self._after(self.chance.choice((0.01, 0.3, 2)), self._raise_reduction)

    def _halt_an_entry(self):
        """A mode is set while one is on its way for longer, as its first call does not arrive."""
        self.venue.loses_next_place = True
        self._begin(self._store_signal(OPEN))
        self._begin(self._set_mode_when_pending())

    async def _set_mode_when_pending(self):
        for _ in range(LOOKS):
            await self.clock.sleep(LOOK_S)
            if await self.record.has_pending_entry():
                self._set_mode()
                return

    def _reduce_an_entry(self):
        """Reductions come soon after it."""
        self._begin(self._store_signal(OPEN))
        for _ in range(self.chance.randint(0, 2)):
            self._after(self.chance.choice((0.5, 2, 5)), self._raise_reduction)

    def _raise_reduction(self):
        self._begin(self._store_signal(REDUCE))

    def _flatten(self):
        """A person flattens the account."""
        lifecycle_id = event_id("inspector", "manual", [str(next(self._numbers)).encode()])
        self._begin(self.venue.flatten(lifecycle_request_id(lifecycle_id, 1)))

    def _cancel_exits(self):
        """A person cancels them on the web page of the venue."""
        self.history.note("exits cancelled")
        self.venue.cancel_exits()

    def _begin(self, work):
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _store_signal(self, action):
        """Another detector raises a signal of the same strategy."""
        now_ns = self.clock.time_ns()
        bar = self.market.next_bar(max(self._bar - 1, 0), NOTHING)
        sides = self.market.sides
        number, chance = next(self._numbers), self.chance
        event = raised_signal(number, action, bar, sides, now_ns, chance, trails=self._trails)
        self.history.note("signal", signals_pb2.PositionAction.Name(action))
        async with self.database.transaction() as connection:
            await event_log.append(connection, SIGNALS, [event], now_ns)

    def _next_second(self):
        """A bar has ended, and the price moves."""
        wants = NOTHING
        if self._wants_more:
            wants = self.chance.choice(self.market.bars_want)
            self.market.move()
            self.venue.on_price()
        elif self._closes:
            wants = CLOSES
        self.bars.add(self.market.next_bar(self._bar, wants))
        self._bar += 1
        self._at(self._bar + 1, self._next_second)

    # The end.

    async def _heal(self):
        """End all faults, and have all processes run."""
        self.history.note("healed")
        self._wants_more = False
        self.faults.heal()
        self._venue_faults.heal()
        self.redis.is_away = self.bars.is_away = False
        for process in self.processes.values():
            if process is not None:
                process.dies_at = 0
        second = [one for one in self._events if one[2] == self._next_second]
        self._events = second
        heapq.heapify(self._events)
        self._notice_deaths()
        for name in self.processes:
            self._after(0, partial(self._start, name))
        # So that some runs have a position at the end.
        if self.chance.random() < 0.5:
            self._after(self.chance.uniform(1, 8), self._reduce_an_entry)
            if self.chance.random() < 0.5:
                self._after(self.chance.uniform(8, 20), self._cancel_exits)

    async def _settled(self):
        """Wait until nothing is on its way. Returns whether it is so."""
        loop = asyncio.get_running_loop()
        ends_s, quiet_since_s, why = loop.time() + SETTLED_S, loop.time(), ""
        while loop.time() < ends_s and not self.history.broken:
            news = self.venue.news.position
            await self._play(loop.time() + 0.5)
            why = await self._why_unsettled()
            if why or self.venue.news.position != news:
                quiet_since_s = loop.time()
            elif loop.time() - quiet_since_s > QUIET_S:
                return True
        if not self.history.broken:
            self.history.broke(Promise.ENDED, f"after {SETTLED_S} s: {why}")
        return False

    async def _why_unsettled(self):
        if not self.venue.is_settled():
            return "orders are being filled"
        return await self.record.why_unsettled(self.venue.news.position)

    async def _close_out(self):
        """Have the stops, often with nobody reading of it, or the strategy close everything."""
        self.history.note("close out")
        if self.chance.random() < 0.5:
            if self.chance.random() < 0.5:
                self._restart_venue()
            self.venue.end_all_exits()
            await self._settled()
        self._closes = True

    def _check_alive(self):
        for name, process in self.processes.items():
            for task in process.running:
                if task.done():
                    self.history.broke(Promise.NO_ERROR, f"a task of {name} has ended: {task}")
