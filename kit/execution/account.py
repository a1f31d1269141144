"""One account: its journal, its execution client, and the parts between them.

The account takes orders while it is READY: the journal is read, the credentials are accepted, and
journal and venue agree. When the venue's stream is interrupted they are compared again, and until
then no new orders are taken. Cancelling is always tried.
"""

import asyncio
from collections.abc import Iterator
from typing import NoReturn

from msgspec.structs import replace
from venuemesh.tradeflow.v1 import accounts_pb2, differences_pb2, signed_pb2, snapshots_pb2

from kit.base import telemetry
from kit.base.clock import (
    NANOSECONDS_PER_DAY,
    NANOSECONDS_PER_MILLISECOND,
    NANOSECONDS_PER_SECOND,
)
from kit.base.errors import AccountNotReady, StoreUnavailable, UnknownInstrument, UnknownOrder
from kit.execution.approval.verifier import ApprovalVerifier, VerifiedOrder, require_verified
from kit.execution.checks.order_limiter import OrderLimiter
from kit.execution.checks.pre_trade_checks import PreTradeCheckInputs
from kit.execution.checks.reductions import Reductions
from kit.execution.context import AccountContext
from kit.execution.contract import (
    AccountEvent,
    ExecutionClient,
    Operation,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.execution.execution_stream import Event, ExecutionStream
from kit.execution.groups.order_groups import OrderGroups
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.records import (
    BalanceRecord,
    ExecutionEpochRecord,
    FencingRecord,
    FillCoverageRecord,
    OrderFill,
    PositionRecord,
    Record,
    RequestAnswered,
)
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.orders.order import Order
from kit.execution.orders.order_messages import (
    balance_message,
    fill_message,
    order_message,
    position_message,
)
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.protection.dead_man_switch import DeadManSwitch
from kit.execution.protection.flatten import Flattener
from kit.execution.protection.local_stops import LocalStopOrders
from kit.execution.protection.substitute_prices import SubstitutePrices
from kit.execution.readiness import REFUSED
from kit.execution.reconciliation.configuration_check import ConfigurationCheck
from kit.execution.reconciliation.fill_reader import OVERLAP_NS, FillReader
from kit.execution.reconciliation.journal_recovery import recover
from kit.execution.reconciliation.reconciler import Reconciler
from kit.execution.reconciliation.venue_session import VenueSession
from kit.execution.sending.order_amender import OrderAmender
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.sending.retries import OrderRetries
from kit.execution.sending.submitter import OrderSubmitter
from kit.execution.tasks import in_parts

FORGET_INTERVAL_NS = 600 * NANOSECONDS_PER_SECOND

_log = telemetry.logger("orders.account")


class Account:
    """An account at a venue, from its start to its end."""

    def __init__(
        self,
        context: AccountContext,
        client: ExecutionClient,
        journal: AccountJournal,
        verifier: ApprovalVerifier,
        market: ReferenceMarketData,
    ) -> None:
        self.context, self.client, self.market = context, client, market
        self.journal, self.verifier = journal, verifier
        self._last_epoch = self._forgot_ns = 0
        venue, name, clock = context.venue, context.account, context.clock
        self.state = AccountState(venue, name, clock, journal, self, market.instrument)
        positions = BalancesAndPositions(clock, journal, market.instrument)
        self.balances_and_positions = positions
        resolver = self.resolver = OutcomeResolver(client, self.state, context)
        self.submitter = OrderSubmitter(client, self.state, journal, resolver, context, market)
        self.amender = OrderAmender(self.submitter, resolver, context.settings.place_timeout_s)
        publish = self.publish_account
        fills = FillReader(client, self.state, journal, context, self.reading_fills)
        self.reconciler = Reconciler(client, self.state, positions, resolver, context, fills)
        self.configuration = ConfigurationCheck(client, context, self._symbols_in_use)
        self.session = VenueSession(context, client, self.configuration, self.reconciler, self)
        self.readiness = self.session.readiness
        retries = self.retries = OrderRetries(self.submitter, positions, self.difference_found)
        self.groups = OrderGroups(self.submitter, market, self.readiness, retries)
        self.local_stops = LocalStopOrders(self.submitter, self.groups, retries, market, publish)
        self.substitute_prices = SubstitutePrices(self.local_stops, market, context)
        self.dead_man = DeadManSwitch(self.submitter, positions, context, publish)
        index = self.state.index
        self.reductions = Reductions(index, positions, market.instrument, clock, publish)
        self.limiter = OrderLimiter(index, positions, market, context)
        self.flattener = Flattener(
            self.submitter, self.reductions, positions, market, context, self.flatten_found
        )
        self.is_loaded = False
        self._known_authority = self._authority()
        """As it was written last."""
        self.executions = ExecutionStream(0, context.settings.ring_events, self._snapshot)
        if market.prices is not None:
            market.prices.listen(self.local_stops)

    async def run(self) -> None:
        """Read the journal, and serve until cancelled. Raises StoreUnavailable when the journal
        cannot be read."""
        await self.load()
        is_new = not self.balances_and_positions.balances and not self.state.index.orders
        async with asyncio.TaskGroup() as group:
            group.create_task(self.session.run(is_new=is_new))
            group.create_task(self.resolver.run())
            group.create_task(self.local_stops.run())
            group.create_task(self.substitute_prices.run())
            group.create_task(self.groups.run())
            group.create_task(self.dead_man.run())
            group.create_task(self.journal.keep_anchored())

    async def load(self) -> None:
        """Restore the account from its journal. Raises StoreUnavailable."""
        async for record in self.journal.load():
            self._replay(record)
        self._known_authority = self._authority()
        clock = self.context.clock
        epoch = max(self._last_epoch + 1, clock.time_ns() // NANOSECONDS_PER_MILLISECOND)
        self._last_epoch = epoch
        self.executions.begin(epoch)
        await self._forget()
        try:
            await self.journal.open(self._records, epoch)
        except StoreUnavailable as error:
            # Orders are rejected until it can be written; open orders can still be cancelled.
            _log.error("journal not written", extra={"detail": error.message})
        await recover(self.state, self.resolver, clock.monotonic_ns())
        async for order in in_parts(self.state.index.open.values()):
            self.local_stops.order_changed(order)
            self.groups.order_changed(order)
        await self.retries.recover()
        await self.groups.recover()
        self.dead_man.resume()
        self.is_loaded = True

    async def close(self) -> None:
        """Finish what is under way, and close journal and connections."""
        await self.submitter.tasks.finish(self.context.settings.place_timeout_s)
        self.executions.close()
        await self.journal.close()
        await self.client.close()

    def refuse(self, detail: str) -> None:
        """Take no orders until the process is restarted."""
        self.session.set_readiness(REFUSED, detail)

    def verify(
        self, approved: signed_pb2.ApprovedOrder, operation: Operation, target: str = ""
    ) -> VerifiedOrder:
        """Check the approval of an operation on this account. Raises ApprovalRejected."""
        verified = self.verifier.verify(approved, self.context.clock.time_ns())
        authority = self._authority()
        if authority != self._known_authority:
            # The commit of the order includes it.
            self._known_authority = authority
            self.journal.append(authority)
        require_verified(verified, operation, target)
        return verified

    async def heartbeat(self, heartbeat: signed_pb2.HeartbeatRequest) -> None:
        """Take a heartbeat of the order authority, once its time is on disk. One that was taken
        before has no effect. Raises ApprovalRejected, StoreUnavailable."""
        verifier = self.verifier
        verifier.verify_heartbeat(heartbeat, self.context.clock.time_ns())
        newest = (heartbeat.fencing_epoch, heartbeat.time_ns)
        if newest <= verifier.last_heartbeat:
            return
        authority = self.dead_man.record_of(heartbeat)
        self._known_authority = authority
        await self.journal.commit(authority)
        self.dead_man.heartbeat(authority)
        verifier.last_heartbeat = max(verifier.last_heartbeat, newest)

    async def fence_entries(self, approved: signed_pb2.ApprovedOrder) -> None:
        """Refuse approvals of entries that were given before this one, once that is on disk. Raises
        ApprovalRejected, StoreUnavailable."""
        self.verifier.fence(self.verify(approved, signed_pb2.OPERATION_FENCE))
        self._known_authority = self._authority()
        await self.journal.commit(self._known_authority)

    def check_loaded(self, *, or_refused: bool = False) -> None:
        """Raises AccountNotReady before the journal is read; with ``or_refused`` not if it cannot
        be read."""
        if not (self.is_loaded or (or_refused and self.readiness.state == REFUSED)):
            self._raise_not_ready(self.readiness.detail)

    def check_ready(self, *, only_reduces: bool = False) -> None:
        """Raises AccountNotReady while no new orders are taken. An order that ``only_reduces`` a
        position is taken while the order authority is silent, the account is flattened, or it is
        refused for its configuration."""
        readiness = self.readiness
        if not readiness.is_ready and not (only_reduces and readiness.is_reconciled):
            self._raise_not_ready(self.readiness.detail)
        if self.dead_man.has_fired and not only_reduces:
            self._raise_not_ready("the order authority is silent: a heartbeat has to come first")
        if self.flattener.is_working and not only_reduces:
            self._raise_not_ready("it is being flattened")

    def _raise_not_ready(self, detail: str) -> NoReturn:
        name = accounts_pb2.AccountState.Name(self.readiness.state)
        state = name.removeprefix("ACCOUNT_STATE_")
        account = self.context.account
        text = f"account {account} takes no orders: {state}, {detail}"
        raise AccountNotReady(text, account=account, state=state, detail=detail)

    def order(self, client_order_id: str) -> Order:
        """Return an order that is known. Raises UnknownOrder."""
        order = self.state.index.orders.get(client_order_id)
        if order is None:
            text = f"no order {client_order_id!r} is known"
            raise UnknownOrder(text, client_order_id=client_order_id)
        return order

    def check_inputs(self, symbol: str) -> PreTradeCheckInputs:
        """What an order is checked against now. Raises UnknownInstrument, and AccountNotReady for a
        symbol that is not in use yet, whose settings at the venue are not as they must be."""
        venue, market = self.context.venue, self.market
        instrument = market.instrument(symbol)
        if instrument is None:
            raise UnknownInstrument(f"{venue} does not list {symbol!r}", venue=venue, symbol=symbol)
        refusal = self.configuration.refusal_of(symbol)
        if refusal and symbol not in self._symbols_in_use():
            account = self.context.account
            text = f"account {account} takes no orders in {symbol}: {refusal}"
            raise AccountNotReady(text, account=account, state="READY", detail=refusal)
        return PreTradeCheckInputs(
            instrument=instrument,
            capabilities=self.client.capabilities,
            now_ns=self.context.clock.time_ns(),
            best=market.best(symbol),
            balances=self.balances_and_positions.balances,
            band_percent=self.context.settings.price_band_percent,
            market_band_percent=self.context.settings.market_band_percent,
            has_prices=market.prices is not None,
            data_problem=market.data_problem(symbol),
        )

    def message(self) -> accounts_pb2.Account:
        """Render the account as the contract's message."""
        return accounts_pb2.Account(
            account=self.context.account,
            state=self.readiness.state,
            detail="; ".join(filter(None, (self.readiness.detail, *self._alarms()))),
            open_orders=len(self.state.index.open),
            unknown_orders=self.state.unknown_count(),
            paper=self.context.is_paper,
            dead_man_fired=self.dead_man.has_fired,
            reconciled_fills=self.state.fill_coverage.count,
            fills_known_until_ns=self.state.fill_coverage.known_until_ns,
            dead_man_ms=self.dead_man.span_ms,
        )

    def apply(self, event: AccountEvent) -> None:
        match event:
            case VenueOrder():
                self.state.apply_order(event)
            case VenueFill():
                self.state.apply_fill(event)
            case VenueBalance():
                if self.balances_and_positions.apply_balance(event):
                    self.executions.publish(Event(balance=balance_message(event)))
            case VenuePosition():
                if self.balances_and_positions.apply_position(event):
                    message = position_message(event, self.market.instrument)
                    self.executions.publish(Event(position=message))

    def order_changed(self, order: Order) -> None:
        self.limiter.order_changed(order)
        self.retries.order_changed(order)
        self.local_stops.order_changed(order)
        self.groups.order_changed(order)
        self.reductions.order_changed()
        self.flattener.order_changed(order)
        self.executions.publish(Event(order=order_message(order)))

    def fill_added(self, fill: OrderFill) -> None:
        self.balances_and_positions.apply_fill(fill)
        message = fill_message(self.context, fill, self.market.instrument, self.client.capabilities)
        self.executions.publish(Event(fill=message))

    def order_in_doubt(self, order: Order) -> None:
        self.resolver.watch(order)

    def update_unmatched(self, symbol: str, venue_order_id: str) -> None:
        self.resolver.watch_unmatched(symbol, venue_order_id)

    def publish_account(self) -> None:
        self.executions.publish(Event(account=self.message()))

    def reading_fills(self, detail: str) -> None:
        """Show how far the reading of the venue's fills is."""
        self.session.reconciling(detail)

    async def reconciled(self) -> None:
        self.limiter.reconciled()
        now_ns = self.context.clock.time_ns()
        if now_ns - self._forgot_ns >= FORGET_INTERVAL_NS:
            self._forgot_ns = now_ns
            await self._forget()

    def difference_found(self, difference: differences_pb2.Difference) -> None:
        self.executions.publish(Event(difference=difference))

    def flatten_found(self, difference: differences_pb2.Difference) -> None:
        if difference.kind == differences_pb2.DIFFERENCE_KIND_LEFT_OPEN:
            self.retries.publish_difference(difference)
        else:
            self.difference_found(difference)

    def _alarms(self) -> tuple[str, ...]:
        return (
            self.context.file_problem(),
            self.journal.alarm,
            self.reductions.problem,
            self.configuration.alarm,
            self.local_stops.problem,
        )

    def _symbols_in_use(self) -> set[str]:
        """The symbols with an open order or a position."""
        positions = self.balances_and_positions.positions.values()
        held = {one.symbol for one in positions if one.size}
        return held | {order.symbol for order in self.state.index.open.values()}

    def _authority(self) -> FencingRecord:
        epoch, fence = self.verifier.fencing_epoch, self.verifier.entry_fence
        return replace(self.dead_man.last, fencing_epoch=epoch, entry_fence=fence)

    def _records(self) -> Iterator[Record]:
        yield ExecutionEpochRecord(self._last_epoch)
        yield self._authority()
        # As it is now: it may not say more than the fills that follow.
        yield from self.state.fill_coverage.records(self.state.unmatched.values())
        yield from self.submitter.answered.records()
        yield from self.state.index.records()
        yield from self.balances_and_positions.records()

    def _replay(self, record: Record) -> None:
        match record:
            case ExecutionEpochRecord():
                self._last_epoch = max(self._last_epoch, record.epoch)
            case FencingRecord():
                self.verifier.replay(record)
                self.dead_man.replay(record)
            case FillCoverageRecord():
                self.state.fill_coverage.replay(record)
            case RequestAnswered():
                self.submitter.answered.replay(record)
            case BalanceRecord() | PositionRecord():
                self.balances_and_positions.replay(record)
            case _:
                fill_count = len(self.state.index.fills)
                self.state.index.replay(record)
                if isinstance(record, OrderFill) and len(self.state.index.fills) > fill_count:
                    self.balances_and_positions.apply_fill(record)

    def _snapshot(self) -> snapshots_pb2.ExecutionSnapshot:
        return snapshots_pb2.ExecutionSnapshot(
            orders=[order_message(order) for order in self.state.index.open.values()],
            balances=self.balances_and_positions.balance_messages(),
            positions=self.balances_and_positions.position_messages(),
            left_open=self.retries.left_open,
        )

    async def _forget(self) -> None:
        """Remove ended orders, a part at a time: other tasks run in between."""
        settings, now_ns = self.context.settings, self.context.clock.time_ns()
        older_than_ns = now_ns - settings.keep_days * NANOSECONDS_PER_DAY
        # The venue lists the fills of younger orders again.
        known_ns = self.state.fill_coverage.known_until_ns - OVERLAP_NS
        index = self.state.index
        for _ in index.forget(now_ns, older_than_ns, settings.keep_orders, known_ns):
            await asyncio.sleep(0)
