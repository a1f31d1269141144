"""One run: a process with one account, its callers, its authorities and its venue, for a minute or
two of virtual time; then nothing fails any more, and all promises are checked."""

import heapq
import random
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import count

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import VenuemeshError
from kit.base.request_budget import RequestBudget
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from kit.execution.contract import OrderRequest
from kit.execution.orders import order_states
from kit.execution.service import TradeFlowServicer
from kit.execution.settings import OrdersSettings
from kit.execution.tests.simulated_process import SCOPE, World
from tests.simulation.authority import TEMPORARY, Authorities
from tests.simulation.calls import LeavingCallers
from tests.simulation.clock import ActualClock
from tests.simulation.faults import Faults
from tests.simulation.history import History, Promise
from tests.simulation.limits import AccountLimits
from tests.simulation.market import HIGHEST, LOWEST, START, Market
from tests.simulation.promises import PromiseChecks, left_open
from tests.simulation.rest import RestInterface, execution_client
from tests.simulation.terms import Terms
from tests.simulation.trader import Trader
from tests.simulation.venue import Refused, SimulatedVenue
from tests.simulation.watch import Watch

SETTINGS = OrdersSettings(
    dead_man_s=5, place_timeout_s=4, ask_timeout_s=4, pause_max_s=10, reconcile_interval_s=20
)
VALIDITY_MAX_NS = 60 * NANOSECONDS_PER_SECOND
SETTLED_S = 1500
"""How long the account may take to settle: all attempts of an exit take about ten minutes."""
QUIET_S = 25
"""For how long nothing may be open before the account has settled: longer than the time between
two comparisons."""
DECEIVED_S = 90
"""The same after an amendment that was acknowledged and not done: answers are believed again after
a minute."""
STEPS_MAX = 400_000
SILENCE_S = 60
ANSWER_S = 22
"""An answer to Flatten comes earlier."""
FLATTENED_S = 150
"""How long it may take to flatten the account while nothing fails."""


class Simulation:
    """One run."""

    def __init__(self, seed) -> None:
        self.random = random.Random(seed)
        clock = ActualClock()
        self.history = History(lambda: clock.monotonic_ns() / NANOSECONDS_PER_SECOND)
        self.market = Market(random.Random(f"{seed} market"))
        self.faults = Faults.drawn(self.random)
        terms = Terms.drawn(self.random, random.Random(f"{seed} batches").choice((1, 2, 3)))
        self.authorities = Authorities(clock, is_spot=not terms.capabilities.has_positions)
        self.watch = Watch(self.history)
        self.world = world = World(seed, SETTINGS)
        world.clock, world.market, world.prices = clock, self.market, self.market.prices
        world.venue = SimulatedVenue(
            random.Random(f"{seed} venue"), clock, self.market, terms, self.faults
        )
        world.instruments["BTCUSDT"] = terms.instrument
        world.connect, world.verify = self._connect, self._verifier
        self.watch.follow(world.venue)
        self.interface = RestInterface(world.venue, self.faults, self.history, self.watch)
        chance = random.Random(f"{seed} limits")
        limits = AccountLimits(chance, world.venue, self.watch, self.history)
        self.limits = world.accounts_file = limits
        world.leaving = LeavingCallers(random.Random(f"{seed} leaving"), world.venue)
        self.trader = Trader(world, self.authorities, self.watch, self.history)
        self.left_open = set()
        self._releases, self.is_silent = 0, False
        self._running = None
        self._events = []
        self._numbers = count()
        self.history.note("venue", f"{terms.text}, {self.faults}, {limits.limits}")

    async def run(self):
        """Run until the end. The history has the broken promises."""
        self._plan()
        self._start()
        await self._play()
        await self._heal()
        for last in (self._close_out, self._fall_silent, self._flatten):
            await self._settle()
            if not self.history.broken:
                PromiseChecks(self).check()
            if self.history.broken:
                break
            await last()
        self._check_alive()

    def _plan(self):
        chance = self.random
        ends_s = chance.uniform(20, 70)
        times = [chance.uniform(1, ends_s) for _ in range(chance.randint(4, 25))]
        for seconds in times:
            self._at(seconds, self.trader.act)
        for _ in range(chance.randint(0, 3)):
            # Most happens after a call, and when the price has moved.
            self._at(chance.choice((chance.choice(times), chance.randint(1, 20))), self._crash)
        faults = (
            (self._fill_disk, 0, 1),
            (self._interrupt, 0, 2),
            (self._jump, 0, 1),
            (self._lose_data, 0, 1),
            (self._place_external, 0, 2),
            (self.world.venue.end_any, 0, 2),
            (self.authorities.take_over, 0, 2),
            (self._revoke, 0, 1),
            (self._reject_key, 0, 1),
            (self._silence, 0, 1),
            (self._send_old_heartbeat, 0, 1),
        )
        for work, least, most in faults:
            for _ in range(chance.randint(least, most)):
                self._at(chance.uniform(1, ends_s), work)
        self._deadly_releases = chance.sample(range(5), chance.choice((0, 0, 1, 2)))
        self.watch.on_release = self._order_released
        self._at(1, self._move_market)
        if chance.random() < 0.7:
            self._at(chance.uniform(0.5, 10), self._heartbeat)
        self._ends_s = ends_s

    def _at(self, seconds, work):
        heapq.heappush(self._events, (seconds, next(self._numbers), work))

    def _after(self, seconds, work):
        self._at(self.world.venue.time + seconds, work)

    async def _play(self, until_s=None):
        """Do what is planned up to a time."""
        until_s = self._ends_s if until_s is None else until_s
        while self._events and self._events[0][0] <= until_s:
            at, _, work = heapq.heappop(self._events)
            await self.world.let_pass(max(0, at - self.world.venue.time))
            work()
            self._notice_death()
        await self.world.let_pass(max(0, until_s - self.world.venue.time))

    def _start(self):
        self.history.note("start")
        self._running = self.world.start()
        self.watch.use(self.world.account.state.index)
        self.limits.follow(self.world.account)
        for _ in range(2):
            self._after(self.random.uniform(0.2, 3), self.trader.resend)

    def _connect(self, process):
        return process.call(
            execution_client,
            self.world.venue,
            self.interface,
            process.call(RequestBudget, "fake", 20, self.world.clock, 40, 20),
        )

    def _verifier(self):
        scope = AccountScope(SCOPE, "fake", "main")
        return ApprovalVerifier(scope, self.authorities.find_key, VALIDITY_MAX_NS)

    def _move_market(self):
        self.market.move()
        self.world.venue.on_price()
        self._after(1, self._move_market)

    def _heartbeat(self):
        self._after(self.random.choice((0.8, 1.5)), self._heartbeat)
        if not self.is_silent and not self.world.process.is_dead:
            self.world.process.start(self._send_heartbeat(self.authorities.heartbeat()))

    def _send_old_heartbeat(self):
        epoch = self.authorities.epoch - 1
        if epoch and not self.world.process.is_dead:
            self.world.process.start(self._send_heartbeat(self.authorities.heartbeat(epoch)))

    async def _send_heartbeat(self, heartbeat):
        is_old = heartbeat.fencing_epoch < self.authorities.accepted_epoch
        flow = TradeFlowServicer("fake", {"main": self.world.account})
        try:
            await flow.Heartbeat(heartbeat, None)
        except VenuemeshError as error:
            self.history.note("heartbeat", f"rejected: {error.message}")
            return
        self.history.counts["heartbeat accepted"] += 1
        if is_old:
            text = f"a heartbeat of the epoch {heartbeat.fencing_epoch} was accepted"
            self.history.broke(Promise.APPROVED, text)
        accepted = max(self.authorities.accepted_epoch, heartbeat.fencing_epoch)
        self.authorities.accepted_epoch = accepted

    def _silence(self):
        self.history.note("silence")
        self.is_silent = True
        self._after(self.random.uniform(3, 15), partial(setattr, self, "is_silent", False))

    def _revoke(self):
        self.history.note("revoked", TEMPORARY)
        self.authorities.revoke(TEMPORARY)

    def _reject_key(self):
        if self.random.random() < 0.3:
            self.history.note("key rejected")
            self.faults.is_key_rejected = True
            accept = partial(setattr, self.faults, "is_key_rejected", False)
            self._after(self.random.uniform(1, 12), accept)

    def _crash(self):
        """Kill the process at one of its next steps, or after a second. An order takes about 40."""
        process = self.world.process
        if process.is_dead:
            return
        process.dies_at = process.steps + self.random.randint(1, self.random.choice((15, 60, 200)))
        self._after(1, lambda: process.is_dead or process.die())

    def _order_released(self):
        """Kill the process after it has sent an order that was held here, as planned."""
        self._releases += 1
        if self._releases in self._deadly_releases and not self.world.process.dies_at:
            self._crash()

    def _notice_death(self):
        """Restart a process that has died since."""
        world = self.world
        if not world.process.is_dead or self._running is None:
            return
        self.left_open |= left_open(world.account)
        had_power = self.random.random() < 0.5
        world.process.die()
        world.disk.crash(world.random, power=not had_power)
        world.venue.stream = None
        if not had_power:
            world.boot_id = self.random.choice(("", str(world.venue.time)))
        self.history.note("crash", f"at step {world.process.steps}, power lost: {not had_power}")
        self._running = None
        self._after(self.random.choice((0, 0.5, 3, 20)), self._start)

    def _fill_disk(self):
        self.history.note("disk full")
        self.world.disk.fail(OSError(28, "full"))
        self._after(self.random.uniform(1, 8), self._free_disk)

    def _free_disk(self):
        self.world.disk.fail(None)

    def _interrupt(self):
        self.history.note("stream interrupted")
        self.world.venue.interrupt(self.random.uniform(0.5, 6))

    def _jump(self):
        seconds = self.random.choice((-3600, -30, -1, 1, 30, 3600))
        self.history.note("clock", f"jumps by {seconds} s")
        self.world.clock.jumped_ns += seconds * NANOSECONDS_PER_SECOND
        if self.random.random() < 0.5:
            self._after(self.random.uniform(1, 20), self._set_clock)

    def _set_clock(self):
        self.world.clock.jumped_ns = 0

    def _lose_data(self):
        self.history.note("market data stale")
        self.market.set_stale(True)
        self._after(self.random.uniform(2, 15), self._resume_data)

    def _resume_data(self):
        self.market.set_stale(False)

    def _place_external(self):
        side = self.random.choice((types_pb2.SIDE_BUY, types_pb2.SIDE_SELL))
        away = self.random.choice((-3, -1, 0, 1, 3))
        request = OrderRequest(
            client_order_id="",
            symbol="BTCUSDT",
            side=side,
            type=orders_pb2.ORDER_TYPE_LIMIT,
            size=Decimal("0.25"),
            price=self.market.price_at(away),
        )
        with suppress(Refused):
            self.world.venue.place(request)

    async def _heal(self):
        """End all faults, and have a process that runs."""
        self.history.note("healed")
        self._events = []
        self.faults.heal()
        self._free_disk()
        self._resume_data()
        self.is_silent = False
        self.world.venue.resume()
        self.world.process.dies_at = 0
        self._notice_death()
        self._events, self._deadly_releases = [], ()
        is_ready = self._running is not None and self.world.account.readiness.is_ready
        if not is_ready or self.random.random() < 0.5:
            # An account does not become ready with a wrong clock, and it stays ready with one.
            self._set_clock()
        if self._running is None:
            self._start()
        self._after(3, self.trader.resend)
        if self.authorities.accepted_epoch:
            self._heartbeat()

    async def _settle(self):
        """Wait until nothing is open any more."""
        quiet_since_s = self.world.venue.time
        ends_s = quiet_since_s + SETTLED_S
        quiet_s = DECEIVED_S if self.history.counts["acknowledged, not done"] else QUIET_S
        while self.world.venue.time < ends_s:
            await self._play(self.world.venue.time + 1)
            why = self._why_unsettled()
            if self._running.done() or self.world.process.steps > STEPS_MAX:
                break
            if why:
                quiet_since_s = self.world.venue.time
            elif self.world.venue.time - quiet_since_s > quiet_s:
                self.left_open |= left_open(self.world.account)
                return
        self.history.broke(Promise.READY, f"after {SETTLED_S} s: {why}")

    def _why_unsettled(self):
        account = self.world.account
        if not account.readiness.is_ready:
            return f"the account is not ready: {account.readiness.detail}"
        if account.resolver.open_queries or account.state.unknown_count():
            return f"{account.resolver.open_queries} orders are in doubt"
        if account.submitter._placing or account.submitter.tasks._tasks:
            return "orders are being sent"
        for order in account.state.index.open.values():
            if order.held_here and order.is_triggered:
                return f"{order.request_id} was triggered and is not sent"
            if order.state in (order_states.INTENDED, order_states.SENT):
                return f"{order.request_id} is {order_states.name_of(order.state)}"
        return ""

    async def _close_out(self):
        """Have the price reach every stop and limit, and wait until what follows has settled."""
        self.history.note("all prices")
        for price in (LOWEST, HIGHEST, START):
            self.market.move_to(price)
            self.world.venue.on_price()
            await self._play(self.world.venue.time + 2)

    async def _fall_silent(self):
        """Have the authority stop, and check what is open then."""
        account, venue = self.world.account, self.world.venue
        if not account.dead_man.is_armed:
            return
        protective = [one.key for one in account.state.index.open.values() if one.is_protective]
        self.history.note("silence", "for ever")
        self._events = []
        await self.world.let_pass(SILENCE_S)
        for truth in venue.open_orders():
            now = truth.now
            found = account.state.index.find(now.symbol, now.client_order_id, now.venue_order_id)
            if found is None or not found.is_protective:
                name = found.request_id if found is not None else now.venue_order_id
                self.history.broke(Promise.DEAD_MAN, f"the entry {name} is open")
        for key in protective:
            order = account.state.index.orders[key]
            if order.is_final and order.state == order_states.CANCELLED and not order.group_id:
                self.history.broke(Promise.DEAD_MAN, f"{order.request_id} was cancelled")
        self._heartbeat()

    async def _flatten(self):
        """Flatten the account, and check that it is flat then."""
        venue = self.world.venue
        self.history.note("flatten", f"the position {venue.position}")
        # An approval is not accepted by a clock that is wrong.
        self._set_clock()
        request = self.trader.flatten()
        ends_s = venue.time + FLATTENED_S
        await self._play(venue.time + ANSWER_S)
        while venue.time < ends_s and (request.response is None or request.response.under_way):
            request = self.trader.flatten(request.text)
            await self._play(venue.time + ANSWER_S)
        if request.response is None or request.response.under_way:
            self.history.broke(Promise.READY, f"not flat after {FLATTENED_S} s")
            return
        left = [one for one in request.response.left_open if "below the minimum" not in one.detail]
        if left:
            self.history.broke(Promise.STOPS, f"left open without a reason: {left}")
        if venue.open_orders() or venue.position:
            text = f"the position {venue.position} and {len(venue.open_orders())} orders are open"
            self.history.broke(Promise.AGREEMENT, f"flat is reported, and {text}")

    def _check_alive(self):
        if self._running is not None and self._running.done():
            self.history.broke(Promise.NO_ERROR, f"the account ended: {self._running}")
