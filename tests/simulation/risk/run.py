"""One run: strategies and persons trade for half a minute of virtual time under a policy; then
nothing fails any more, everything is closed, and the promises are checked."""

import asyncio
import heapq
import random
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import count

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2, signals_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import submissions
from core.inspector.tests import rig
from kit.accounting.amounts import plain
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import StoreUnavailable, VenuemeshError
from kit.events import event_log
from kit.events.leases import LeaseLost
from kit.risk.facts import ReferencePrice
from tests.simulation.chain.chain import ChainClock
from tests.simulation.chain.market import Market
from tests.simulation.chain.processes import DECISIONS, Services
from tests.simulation.chain.record import Record
from tests.simulation.chain.redis_streams import RedisStreams
from tests.simulation.chain.store import DatabaseFaults, SimulatedDatabase
from tests.simulation.chain.venue_faults import VenueFaults
from tests.simulation.history import History
from tests.simulation.risk import books
from tests.simulation.risk.checks import Checks, Snapshot
from tests.simulation.risk.persons import Persons
from tests.simulation.risk.policies import drawn_policy
from tests.simulation.risk.promises import Promise
from tests.simulation.risk.protection_watch import ProtectionWatch
from tests.simulation.risk.venue import TradingVenue

STRATEGIES = ("ema", "carry", "maker")
OPEN, CLOSE = signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_CLOSE
REDUCE, FLIP = signals_pb2.POSITION_ACTION_REDUCE, signals_pb2.POSITION_ACTION_FLIP
MODES = (
    risk_pb2.TRADING_MODE_THROTTLED,
    risk_pb2.TRADING_MODE_STANDING_DOWN,
    risk_pb2.TRADING_MODE_CLOSING_ALL,
    risk_pb2.TRADING_MODE_HALTED,
)
ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
SCOPES = ("mesh", "venue:binance", "account:binance/paper", *(f"strategy:{s}" for s in STRATEGIES))
SETTLED_S = 240
QUIET_S = 12
ANNOUNCED_S = 25
"""By then what no strategy has opened was seen twice."""


class SetClock(ChainClock):
    """A clock that is set forward and back while time goes on as before."""

    offset_ns = 0

    def time_ns(self):
        return super().time_ns() + self.offset_ns


class LimitServices(Services):
    """Inspectors with a policy, and a ledger that books."""

    def _inspector(self, process):
        world = self._world
        parts = rig.Process(self, process, holder=process.name, policy=world.policy)
        parts.rules.price = world.price
        approved = parts.sender.approved

        def when_approved(submission):
            world.snapshots[submission.submission_id] = world.snapshot()
            approved(submission)

        parts.opener.when_approved = parts.manual.when_approved = when_approved
        parts.tasks.append(parts.legacy.run)
        relay = self._relay(parts.database, submissions.RISK, parts.reasons)
        return parts, (relay.run, parts.active.run)

    def recorder(self, database, relay):
        world = self._world
        return books.Recorder(database, relay, self.clock, world.owner, world.market.instrument)


class RiskRun:
    """One run."""

    def __init__(self, seed, store):
        self._seed = seed
        self.chance = chance = self.random("limits")
        self.clock = clock = SetClock()
        self.history = History(lambda: clock.monotonic_ns() / NANOSECONDS_PER_SECOND)
        self.store, self.redis = store, RedisStreams(self.random("redis"))
        self.faults = DatabaseFaults(self.random("database"), clock, self.history)
        store.begin(clock, self.faults, partial(self.history.broke, Promise.NO_ERROR))
        self.market = Market(self.random("market"), clock, self.random("bars"))
        self._venue_faults = VenueFaults.drawn(self.random("faults"))
        self.owners = {}
        """By lifecycle, the strategy."""
        self.venue = TradingVenue(
            self.random("venue"), clock, self.market, self._venue_faults, self.history,
            owner=self.owner,
        )  # fmt: skip
        self.venue.amends_stops = self.random("amendments").random() < 0.8
        self.policy = drawn_policy(chance)
        self.database = SimulatedDatabase(store)
        self.record = Record(self.database, {"inspector": (DECISIONS, books.EXECUTIONS)})
        self._services = LimitServices(self)
        names = ["inspector-1", "ledger"] + ["inspector-2"] * (chance.random() < 0.5)
        self.processes = dict.fromkeys(names)
        self._events, self.numbers, self._tasks = [], count(1), []
        self._persons = Persons(self)
        self._trailing = self.random("trailing")
        self._watch = ProtectionWatch(self)
        self.snapshots = {}
        """By submission, what was held and open at the venue when it was approved."""

    def random(self, name):
        return random.Random(f"{self._seed} {name}")

    def owner(self, lifecycle_id):
        return self.owners.get(bytes(lifecycle_id or b""), "")

    def price(self, venue, symbol):
        """The top of the book, or nothing."""
        if self.chance.random() < self.market.bad:
            return None
        at = self.market.price
        return ReferencePrice(
            bid=at - 1, ask=at + 1, time_ns=self.clock.time_ns(), book_state="proven"
        )

    def snapshot(self):
        held = {one: self.venue.held(one) for one in STRATEGIES}
        return Snapshot(
            self.clock.monotonic_ns(),
            {"": self.venue.held_of_no_strategy(), **held},
            self.venue.to_fill(),
            set(self.venue.made),
        )

    async def run(self):
        """Run until the end. The history has the broken promises."""
        async with self.database.transaction() as connection:
            await books.begin(connection, self.market.instrument)
        ends_s = self.chance.uniform(15, 40)
        self._plan(ends_s)
        for name in self.processes:
            self._start(name)
        watching = asyncio.create_task(self._watch.run())
        await self._play(ends_s)
        await self._heal()
        if await self._settled():
            self.venue.cancel_entries()
            await self._play(asyncio.get_running_loop().time() + ANNOUNCED_S)
            await Checks(self).check()
        if watching.done():
            self.history.broke(Promise.NO_ERROR, f"nobody looks any more: {watching}")
        watching.cancel()
        for name, process in self.processes.items():
            for task in process.running:
                if task.done():
                    self.history.broke(Promise.NO_ERROR, f"a task of {name} has ended: {task}")

    # What happens.

    def _plan(self, ends_s):
        chance, persons = self.chance, self._persons
        works = (
            (self._crash, 0, 5),
            (self._cut_off, 0, 2),
            (self._set_clock, 0, 3),
            (self._jump, 0, 3),
            (self._set_mode, 0, 4),
            (self._decide, 4, 25),
            (persons.ask, 2, 12),
        )
        self._plan_some(chance, works, ends_s)
        works = ((persons.adopt, 0, 4), (persons.cancel_exits, 0, 2))
        self._plan_some(persons.chance, works, ends_s)
        self._at(1, self._next_second)

    def _plan_some(self, chance, works, ends_s):
        for work, least, most in works:
            for _ in range(chance.randint(least, most)):
                self._at(chance.uniform(0.5, ends_s), work)

    def _at(self, seconds, work):
        heapq.heappush(self._events, (seconds, next(self.numbers), work))

    def _after(self, seconds, work):
        self._at(asyncio.get_running_loop().time() + seconds, work)

    async def _play(self, until_s):
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
        alive = [one for one in self.processes.values() if one is not None]
        if alive:
            process = self.chance.choice(alive)
            steps = self.chance.randint(1, self.chance.choice((10, 60, 300)))
            process.dies_at = process.steps + steps
            self._after(1, lambda: process.is_dead or process.die())
            self._after(1.001, lambda: None)

    def _notice_deaths(self):
        for name, process in self.processes.items():
            if process is not None and process.is_dead:
                self.history.note("crash", f"{name} at step {process.steps}")
                self.store.kill(process)
                self.processes[name] = None
                self._after(self.chance.choice((0, 0.1, 2, 8)), partial(self._start, name))

    def _cut_off(self):
        name = self.chance.choice(list(self.processes))
        self.history.note("cut off", name)
        self.faults.away.add(name)
        self._after(self.chance.choice((1, 7, 12)), lambda: self.faults.away.discard(name))

    def _set_clock(self):
        seconds = self.chance.choice((-2, -1, 3, 90, 3_600))
        self.history.note("clock set", f"{seconds} s")
        self.clock.offset_ns += seconds * NANOSECONDS_PER_SECOND

    def _jump(self):
        part = Decimal(self.chance.choice((-20, -8, -3, 3, 8, 20))) / 100
        self.market.price = (self.market.price * (1 + part)).quantize(Decimal("0.01"))
        self.history.note("jump", f"to {self.market.price}")
        self.venue.on_price()

    def _next_second(self):
        self.market.move()
        self.venue.on_price()
        self._after(1, self._next_second)

    def acting(self):
        """The inspector that acts, or None."""
        for process in self.processes.values():
            acting = getattr(process.parts, "active", None) if process is not None else None
            if acting is not None and acting.is_active and not process.is_dead:
                return process
        return None

    def _set_mode(self):
        scope, mode = self.chance.choice(SCOPES), self.chance.choice(MODES)
        self._change_mode(scope, mode)
        self._after(self.chance.uniform(1, 10), partial(self._change_mode, scope, ACTIVE))

    def _change_mode(self, scope, mode):
        """Returns the task, or None if no process acts."""
        process = self.acting()
        if process is None:
            return None
        self.history.note("mode", f"{scope} {risk_pb2.TradingMode.Name(mode)}")
        return process.start(self.quietly(process.parts.changes.set(rig.mode(mode, scope), "lena")))

    async def quietly(self, work):
        """Do what may fail in a run. Returns whether it has not."""
        with suppress(VenuemeshError, StoreUnavailable, LeaseLost):
            await work
            return True
        return False

    def size(self):
        """That of an order."""
        return self.chance.choice(("0.001", "0.004", "0.004", "0.01", "0.03"))

    def _decide(self):
        """A strategy decides something; mostly one that has a position ends it, and often twice."""
        chance = self.chance
        action = chance.choice((OPEN, OPEN, OPEN, CLOSE, REDUCE, FLIP))
        held = [one for one in STRATEGIES if action != OPEN and self.venue.held(one)]
        strategy = chance.choice(held or STRATEGIES)
        self._decide_on(strategy, action)
        if held and chance.random() < 0.5:
            again = partial(self._decide_on, strategy, chance.choice((CLOSE, REDUCE, FLIP)))
            self._after(chance.choice((0.1, 1, 4)), again)

    def _decide_on(self, strategy, action):
        chance, number = self.chance, next(self.numbers)
        side = chance.choice(self.market.sides)
        price, is_buy = self.market.price, side == types_pb2.SIDE_BUY
        away = Decimal("0.97") if is_buy else Decimal("1.03")
        at = (price * chance.choice((Decimal("0.998"), Decimal(1), Decimal("1.002")))).quantize(
            Decimal("0.01")
        )
        is_limit = chance.random() < 0.5
        expires_s = chance.choice((0, 3, 20, 20, 20))
        event = rig.decision(
            number,
            action,
            strategy=strategy,
            side=side,
            type=orders_pb2.ORDER_TYPE_LIMIT if is_limit else orders_pb2.ORDER_TYPE_MARKET,
            price=plain(at) if is_limit else "",
            size=self.size(),
            reference_price=chance.choice((plain(price), plain(price), "NaN", "")),
            stop_price=plain((price * away).quantize(Decimal("0.01"))),
            target_price="",
            trailing_offset=self._trailing.choice(("", "90", "600", "3000", "3000")),
            reduce_fraction=chance.choice(("0.3", "0.5")) if action == REDUCE else "",
            expires_time_ns=self.clock.time_ns() + expires_s * NANOSECONDS_PER_SECOND,
        )
        self.owners[event.lifecycle_id] = strategy
        self.history.note("decision", f"{signals_pb2.PositionAction.Name(action)} {strategy}")
        self.begin(self._put(event))

    async def _put(self, event):
        async with self.database.transaction() as connection:
            await event_log.append(connection, DECISIONS, [event], self.clock.time_ns())

    def begin(self, work):
        """Do something beside all else."""
        self._tasks.append(asyncio.get_running_loop().create_task(self.quietly(work)))

    # The end.

    async def _heal(self):
        self.history.note("healed")
        self.faults.heal()
        self._venue_faults.heal()
        self.market.bad = 0
        for process in self.processes.values():
            if process is not None:
                process.dies_at = 0
        self._events = [one for one in self._events if one[2] == self._next_second]
        heapq.heapify(self._events)
        self._notice_deaths()
        for name in self.processes:
            self._after(0, partial(self._start, name))
        closing = None
        while closing is None or not closing.done() or not closing.result():
            if closing is None or closing.done():
                # Again, if the process has lost its lease meanwhile.
                closing = self._change_mode("mesh", risk_pb2.TRADING_MODE_CLOSING_ALL)
            await self._play(asyncio.get_running_loop().time() + 0.5)

    async def _settled(self):
        """Wait until nothing is on its way. Returns whether it is so."""
        loop = asyncio.get_running_loop()
        ends_s, quiet_since_s, why = loop.time() + SETTLED_S, loop.time(), ""
        while loop.time() < ends_s and not self.history.broken:
            await self._play(loop.time() + 0.5)
            why = await self._why_unsettled()
            if why:
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
