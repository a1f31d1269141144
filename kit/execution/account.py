"""One account put together: its journal, its desk, and everything between the two.

It takes orders when it is READY: the journal is read, the credentials are good, and journal and
venue agree. When the venue's stream was cut they are compared again, and until then it takes none.
Cancelling is always tried.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, trade_flow_pb2

from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import AccountNotReady, CredentialsRejected, StoreUnavailable, VenuemeshError
from kit.execution.amender import Amender
from kit.execution.calls import ask, until
from kit.execution.contract import (
    ExecutionClient,
    StreamInterrupted,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.execution.dead_man import DeadManSwitch
from kit.execution.executions import Event, Executions
from kit.execution.groups.groups import Groups, Means
from kit.execution.journal import records
from kit.execution.journal.journal import Journal, JournalDamaged, Offload, Store
from kit.execution.journal.records import Authority, Balanced, Began, Filled, Positioned, Record
from kit.execution.local_stops import LocalStopOrders, Prices
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.holdings import Holdings, balance_message, position_message
from kit.execution.orders.order import Order, fill_message
from kit.execution.reconciler import Reconciler
from kit.execution.resolver import Resolver
from kit.execution.resuming import resume
from kit.execution.settings import OrdersSettings
from kit.execution.submitter import OrderSubmitter

RECONCILING = trade_flow_pb2.ACCOUNT_STATE_RECONCILING
READY = trade_flow_pb2.ACCOUNT_STATE_READY
DISCONNECTED = trade_flow_pb2.ACCOUNT_STATE_DISCONNECTED
REFUSED = trade_flow_pb2.ACCOUNT_STATE_REFUSED
FIRST_RETRY_S = 0.5
AGAIN_S = 5.0
FAILURES_MAX = 3
NS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
FORGET_INTERVAL_NS = 600 * NANOSECONDS_PER_SECOND

_log = telemetry.logger("orders.account")


class Account:
    """An account at a venue, from its start to its end."""

    def __init__(
        self,
        venue: str,
        name: str,
        desk: ExecutionClient,
        store: Store,
        offload: Offload,
        clock: Clock,
        settings: OrdersSettings,
        *,
        instrument: Callable[[str], types_pb2.Instrument | None],
        prices: Prices | None = None,
        is_paper: bool = False,
        jitter: random.Random | None = None,
    ) -> None:
        self.venue, self.name, self.desk = venue, name, desk
        self.clock, self.settings = clock, settings
        self.instrument, self.prices = instrument, prices
        self.is_paper = is_paper
        self._jitter = jitter
        self.state: int = RECONCILING
        self.detail = "the journal is being read"
        self.fencing_epoch = 0
        self._epoch_on_disk = 0
        self._last_epoch = 0
        self._was_armed = False
        self._forgot_ns = 0
        self._refused = ""
        """What the venue's stream said when it did not let us in."""
        self._compare = asyncio.Event()
        self.journal = Journal(store, offload, clock, self._dump)
        self.ledger = AccountState(venue, name, clock, self._write, self)
        self.holdings = Holdings(clock, self._write, instrument)
        self.resolver = Resolver(desk, self.ledger, clock, settings, jitter)
        self.pilot = OrderSubmitter(desk, self.ledger, self.commit, self.resolver, clock, settings)
        self.resolver.pilot = self.pilot
        self.amender = Amender(desk, self.ledger, self.commit, self.resolver, self.pilot, settings)
        self.reconciler = Reconciler(
            desk, self.ledger, self.holdings, self.resolver, clock, settings, self._differ
        )
        means = Means(
            desk,
            self.ledger,
            self.pilot,
            self.commit,
            clock,
            instrument,
            self._is_ready,
            self._differ,
        )
        self.groups = Groups(means)
        self.held = LocalStopOrders(
            self.ledger, self.pilot, clock, self._is_ready, self.groups.is_armed
        )
        self.dead_man = DeadManSwitch(
            desk, clock, settings, self.pilot.cancel_all, self._is_quiet, self._tell_account
        )
        self.executions = Executions(0, settings.ring_events, self._snapshot)
        if prices is not None:
            prices.listen(self.held)

    async def run(self) -> None:
        """Read the journal, and serve until cancelled. Raises StoreUnavailable when the journal
        cannot be read."""
        await self.load()
        async with asyncio.TaskGroup() as group:
            for work in (self._reconcile, self._follow, self.resolver.run, self.held.run):
                group.create_task(work())
            group.create_task(self.groups.run())
            group.create_task(self.dead_man.run())

    def refuse(self, detail: str) -> None:
        """Take no orders until the process is started anew."""
        self._stand(REFUSED, detail)

    async def load(self) -> None:
        """Know again what was known. Raises StoreUnavailable."""
        for payload in self.journal.load():
            try:
                record = records.decode(payload)
            except msgspec.DecodeError as error:
                text = f"a record of the journal says nothing: {error}"
                raise JournalDamaged(text, store="journal") from error
            self._replay(record)
        epoch = max(self._last_epoch + 1, self.clock.time_ns() // NANOSECONDS_PER_MILLISECOND)
        self._last_epoch = epoch
        self.executions.epoch = epoch
        try:
            await self.journal.open()
        except StoreUnavailable as error:
            # Orders are refused until it can be written; what is open can still be cancelled.
            _log.error("journal not written", extra={"detail": error.message})
        resume(self.ledger, self.resolver, self.clock.time_ns())
        for entry in list(self.ledger.index.open.values()):
            self.held.order(entry)
            self.groups.order(entry)
        self.groups.resume()
        if self._was_armed:
            self.dead_man.beat()

    async def close(self) -> None:
        """End what is under way, and the journal."""
        await self.pilot.works.finish(self.settings.place_timeout_s)
        self.executions.close()
        await self.journal.close()
        await self.desk.close()

    def check_ready(self) -> None:
        """Raises AccountNotReady."""
        if self.state == READY and not self.dead_man.has_fired:
            return
        state = trade_flow_pb2.AccountState.ValueType(self.state)
        name = trade_flow_pb2.AccountState.Name(state).removeprefix("ACCOUNT_STATE_")
        is_silent = self.state == READY
        detail = "the order authority is silent: a heartbeat first" if is_silent else self.detail
        text = f"account {self.name} takes no orders: {name}, {detail}"
        raise AccountNotReady(text, account=self.name, state=name, detail=detail)

    async def beat(self, fencing_epoch: int) -> None:
        """The order authority lives; its epoch was checked. Raises StoreUnavailable."""
        was_armed, self._was_armed = self._was_armed, True
        found = self.take_authority(fencing_epoch)
        if found or not was_armed:
            await self.commit(self.authority())
        self.dead_man.beat()

    def take_authority(self, fencing_epoch: int) -> tuple[Record, ...]:
        """Take note of an authority, whose epoch was checked. Returns what has to be on the disk
        before something is done in its name."""
        if fencing_epoch == self._epoch_on_disk:
            return ()
        self.fencing_epoch = fencing_epoch
        # Also where nothing comes of it: it was seen.
        self._write(self.authority())
        return (self.authority(),)

    def authority(self) -> Authority:
        """What is known of the order authority, for the journal."""
        return Authority(self.fencing_epoch, self._was_armed)

    async def commit(self, *found: Record) -> None:
        """Have records on the disk. Raises StoreUnavailable."""
        await self.journal.commit(*map(records.encode, found))
        for record in found:
            if isinstance(record, Authority):
                self._epoch_on_disk = record.fencing_epoch

    def message(self) -> trade_flow_pb2.Account:
        """As the contract tells it."""
        return trade_flow_pb2.Account(
            account=self.name,
            state=self.state,  # type: ignore[arg-type]  # one of the four above
            detail=self.detail,
            open_orders=len(self.ledger.index.open),
            unknown_orders=self.ledger.unknown_count(),
            paper=self.is_paper,
            dead_man_fired=self.dead_man.has_fired,
        )

    def order(self, entry: Order) -> None:
        self.held.order(entry)
        self.groups.order(entry)
        self.executions.publish(Event(order=entry.message()))

    def fill(self, entry: Order, fill: Filled) -> None:
        self.holdings.fill(fill)
        self.executions.publish(Event(fill=fill_message(self.venue, self.name, fill)))

    def doubt(self, entry: Order) -> None:
        self.resolver.watch(entry)

    def stranger(self, symbol: str, venue_order_id: str) -> None:
        self.resolver.stranger(symbol, venue_order_id)

    def _write(self, record: Record) -> None:
        self.journal.append(records.encode(record))

    def _dump(self) -> Iterator[bytes]:
        now_ns = self.clock.time_ns()
        keep_ns = self.settings.keep_days * NS_PER_DAY
        self.ledger.index.forget(now_ns, now_ns - keep_ns, self.settings.keep_orders)
        for record in (Began(self._last_epoch), self.authority()):
            yield records.encode(record)
        yield from map(records.encode, self.ledger.index.records())
        yield from map(records.encode, self.holdings.records())

    def _replay(self, record: Record) -> None:
        match record:
            case Began():
                self._last_epoch = max(self._last_epoch, record.epoch)
            case Authority():
                self.fencing_epoch = max(self.fencing_epoch, record.fencing_epoch)
                self._epoch_on_disk = self.fencing_epoch
                self._was_armed = self._was_armed or record.armed
            case Balanced() | Positioned():
                self.holdings.replay(record)
            case _:
                self.ledger.index.replay(record)
                if isinstance(record, Filled):
                    self.holdings.fill(record)

    async def _reconcile(self) -> None:
        """Compare when something may have been missed, and now and then."""
        pauses = delays(FIRST_RETRY_S, self.settings.pause_max_s, self._jitter)
        failures = 0
        # A stream that is just being connected does not say what it has missed before.
        pause_s = min(AGAIN_S, self.settings.reconcile_interval_s)
        is_first = not self.holdings.balances and not self.ledger.index.orders
        is_checked = False
        while True:
            self._compare.clear()
            try:
                if not is_checked:
                    await self._authenticate()
                    is_checked = True
                self._log_differences(await self.reconciler.run(is_first=is_first))
            except CredentialsRejected as error:
                self._stand(REFUSED, error.message)
                await self.clock.sleep(self.settings.pause_max_s)
                is_checked = False
            except Exception as error:
                if not isinstance(error, VenuemeshError):
                    _log.exception("reconciling failed")
                failures += 1
                # While the stream is whole, a question that got no answer is asked again.
                if self.state != READY or failures > FAILURES_MAX:
                    self._stand(DISCONNECTED, str(error) or type(error).__name__)
                await self.clock.sleep(next(pauses))
            else:
                is_first = False
                failures = 0
                pauses = delays(FIRST_RETRY_S, self.settings.pause_max_s, self._jitter)
                if not self._compare.is_set() and not self._refused:
                    self._stand(READY, "")
                self._forget()
                await until(self._compare, self.clock, pause_s)
                pause_s = self.settings.reconcile_interval_s

    async def _authenticate(self) -> None:
        rights = await ask(self.desk.authenticate(), self.settings.ask_timeout_s)
        if rights and not self.settings.may_withdraw(self.venue, self.name):
            detail = f"the credentials may {', '.join(rights)}, which they need not"
            raise CredentialsRejected(detail, account=self.name, detail=detail)

    async def _follow(self) -> None:
        """Take in what the venue's stream tells."""
        pauses = delays(FIRST_RETRY_S, self.settings.pause_max_s, self._jitter)
        while True:
            try:
                async for event in self.desk.follow():
                    self._hear(event)
                    pauses = delays(FIRST_RETRY_S, self.settings.pause_max_s, self._jitter)
            except CredentialsRejected as error:
                self._refused = error.message
                self._stand(REFUSED, error.message)
                await self.clock.sleep(self.settings.pause_max_s)
                self._refused = ""
                self._compare.set()
            except VenuemeshError as error:
                self._lose(error.message)
            except Exception as error:
                _log.exception("stream failed")
                self._lose(f"{type(error).__name__}: {error}")
            await self.clock.sleep(next(pauses))

    def _hear(
        self, event: VenueOrder | VenueFill | VenueBalance | VenuePosition | StreamInterrupted
    ) -> None:
        match event:
            case VenueOrder():
                self.ledger.order(event)
            case VenueFill():
                self.ledger.fill(event)
            case VenueBalance():
                if self.holdings.balance(event):
                    self.executions.publish(Event(balance=balance_message(event)))
            case VenuePosition():
                if self.holdings.position(event):
                    self.executions.publish(Event(position=position_message(event)))
            case StreamInterrupted():
                self._lose(event.detail)

    def _lose(self, words: str) -> None:
        """Something may have been missed: compare before new orders are taken."""
        if self.state == READY:
            self._stand(RECONCILING, words)
        self._compare.set()

    def _log_differences(self, found: list[differences_pb2.Difference]) -> None:
        kinds = Counter(differences_pb2.DifferenceKind.Name(one.kind) for one in found)
        if kinds:
            _log.warning("journal and venue differed", extra={"account": self.name, **kinds})

    def _differ(self, difference: differences_pb2.Difference) -> None:
        self.executions.publish(Event(difference=difference))

    def _stand(self, state: int, detail: str) -> None:
        if (self.state, self.detail) != (state, detail):
            self.state, self.detail = state, detail
            self._tell_account()

    def _tell_account(self) -> None:
        self.executions.publish(Event(account=self.message()))

    def _is_ready(self) -> bool:
        return self.state == READY

    def _is_quiet(self) -> bool:
        return not self.ledger.index.open

    def _snapshot(self) -> trade_flow_pb2.ExecutionSnapshot:
        return trade_flow_pb2.ExecutionSnapshot(
            orders=[entry.message() for entry in self.ledger.index.open.values()],
            balances=self.holdings.balance_messages(),
            positions=self.holdings.position_messages(),
            left_open=self.groups.left_open,
        )

    def _forget(self) -> None:
        now_ns = self.clock.time_ns()
        if now_ns - self._forgot_ns >= FORGET_INTERVAL_NS:
            self._forgot_ns = now_ns
            keep_ns = self.settings.keep_days * NS_PER_DAY
            self.ledger.index.forget(now_ns, now_ns - keep_ns, self.settings.keep_orders)
