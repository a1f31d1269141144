"""Compares every account three ways, and makes one stand down whose sides differ lastingly.

Late differences end by waiting, and an order whose end no event has reported is asked for. Nothing
else is mended here: a person finds out, corrects it, and sets the mode ACTIVE. What this person has
accepted sets the mode again only when something else differs.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from venuemesh.events.v1 import event_pb2, reconciliations_pb2
from venuemesh.inspector.v1 import inspector_pb2

from core.inspector import account_books, mode_rules, modes, open_entries, reconciliation
from core.inspector import reconciliation_store as store
from core.inspector.account_books import AccountBooks
from core.inspector.account_reports import AccountKey, AccountReport, VenueReports
from core.inspector.entry_fences import EntryFence, EntryFences
from core.inspector.first_events import first_event
from core.inspector.mode_changes import enter
from core.inspector.mode_rules import MODES, TriggerKey
from core.inspector.positions import FILLED
from core.inspector.reconciliation import LOST_ORDER, UNKNOWN, Comparison, Difference, key_of
from core.inspector.reconciliation_store import StoredReconciliation, account_of
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from core.inspector.venue_processes import CallRefused, NoAnswer
from core.inspector.verdict_inputs import VerdictInputs
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.leases import Lease
from kit.risk.escalation import EscalatedMode, Trigger

LOOK_SECONDS = 10.0
RULE = "reconciliation"
"""The rule that sets the mode, as an event and the API name it."""
UNREGISTERED = AccountReport("no process of the venue lists the account")


class AccountReconciler:
    """Compares accounts while its process has the lease."""

    def __init__(
        self,
        database: Database,
        rules: VerdictInputs,
        lease: Lease,
        reports: VenueReports,
        fences: EntryFences,
        degraded_reasons: DegradedReasons,
    ) -> None:
        self._database = database
        self._rules = rules
        self._lease = lease
        self._reports = reports
        self._fences = fences
        self._degraded_reasons = degraded_reasons
        self.after_commit: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Look until cancelled. Raises LeaseLost."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    made = await self.look()
                    if made:
                        group.create_task(self._send(made))
                except StoreUnavailable as error:
                    self._degraded_reasons.report(POSTGRESQL, error.message)
                await self._rules.clock.sleep(LOOK_SECONDS)

    async def look(self) -> list[EntryFence]:
        """Look once. Returns the fences that are to be sent. Raises LeaseLost,
        StoreUnavailable."""
        reports = await self._reports.read()
        async with self._database.transaction() as connection:
            known = {account_of(one): one for one in await store.load(connection)}
            books = await account_books.read(connection, reports.keys() | known.keys())
        made: list[EntryFence] = []
        for key in sorted(books):
            before = known.get(key, StoredReconciliation(*key))
            made += await self._reconcile(before, reports.get(key, UNREGISTERED), books[key])
        return made

    async def _send(self, made: Sequence[EntryFence]) -> None:
        """What is not sent here, the task of the fences sends."""
        with suppress(StoreUnavailable):
            await self._fences.send_all(made)

    async def _reconcile(
        self, before: StoredReconciliation, report: AccountReport, books: AccountBooks
    ) -> list[EntryFence]:
        now_ns = self._rules.clock.time_ns()
        found = reconciliation.compare(report, books, before.differences, now_ns)
        await self._explain(account_of(before), found)
        after = before.after(found, now_ns)
        events: list[event_pb2.Event] = []
        async with exclusive_transaction(self._database, self._lease) as connection:
            await store.keep(connection, after)
            if after.changes != before.changes:
                events.append(_event(after))
            changed, made = await self._stand_down(connection, before, after)
            events += changed
            if events:
                await event_log.append(connection, RISK, events, now_ns)
        if events:
            self.after_commit()
        return made

    async def _explain(self, account: AccountKey, found: Comparison) -> None:
        """Ask the venue's process what explains the differences. Without an answer they stay
        unexplained."""
        with suppress(NoAnswer, CallRefused):
            for one in found.differences:
                if one.cause == LOST_ORDER:
                    await self._ask(account, one)
            if any(one.cause == UNKNOWN for one in found.differences):
                fills = await self._reports.fills(*account)
                async with self._database.transaction() as connection:
                    missed = await store.not_booked(connection, fills)
                reconciliation.explain(found.differences, missed)

    async def _ask(self, account: AccountKey, lost: Difference) -> None:
        """Take the final state of an order of a person; those of strategies OrderReconciler
        asks for."""
        order = await self._reports.find(*account, lost.order_id)
        if order is None:
            lost.detail = "the venue's process does not know the order"
        elif order.state >= FILLED:
            lost.cause = reconciliation.LATE
            async with exclusive_transaction(self._database, self._lease) as connection:
                await open_entries.change(connection, order)

    async def _stand_down(
        self, connection: Connection, before: StoredReconciliation, after: StoredReconciliation
    ) -> tuple[list[event_pb2.Event], list[EntryFence]]:
        """Set the mode, if something differs that no person has accepted."""
        scope = f"account:{after.venue}/{after.account}"
        key: TriggerKey = scope, RULE, EscalatedMode.STANDING_DOWN
        known = (await mode_rules.load(connection)).get(key)
        trigger = _next_trigger(known, before, after)
        if trigger != known:
            await mode_rules.keep(connection, key, trigger)
        differing = reconciliation.lasting(after.differences)
        if trigger is None or not trigger.is_active or not differing:
            return [], []
        mode, _ = await modes.of_scope(connection, scope, self._rules.world)
        wanted = MODES[EscalatedMode.STANDING_DOWN]
        if mode >= wanted:
            return [], []
        state = inspector_pb2.ModeState(
            scope=scope,
            mode=wanted,
            rule=RULE,
            reason=_reason(differing),
            changed_time_ns=after.compared_time_ns,
        )
        event, made = await enter(connection, state, self._rules.world)
        return [event], made


def _next_trigger(
    known: Trigger | None, before: StoredReconciliation, after: StoredReconciliation
) -> Trigger | None:
    """What is remembered of the rule. A person ends it, by setting another mode, and accepts what
    differs then; so it is not forgotten while it is active."""
    differing = {key_of(one) for one in reconciliation.lasting(after.differences)}
    if not differing:
        is_over = known is not None and not known.is_active and not after.unreadable
        return None if is_over else known
    is_new = bool(differing - {key_of(one) for one in reconciliation.lasting(before.differences)})
    is_active = known is None or known.is_active or is_new
    count = Decimal(len(differing))
    if known is not None and (is_active, count) == (known.is_active, known.value):
        return known
    return Trigger(is_active, count, after.compared_time_ns)


def _reason(differing: Sequence[Difference]) -> str:
    """The first difference in words, and how many more there are."""
    first = differing[0]
    item = reconciliations_pb2.ReconciledItem.Name(first.item).removeprefix("RECONCILED_ITEM_")
    cause = reconciliations_pb2.ReconciliationCause.Name(first.cause)
    parts = [item.lower().replace("_", " "), first.subject, first.strategy, first.order_id]
    sides: Mapping[str, str] = {
        "venue": first.venue_value,
        "ledger": first.ledger_value,
        "inspector": first.inspector_value,
    }
    values = ", ".join(f"{side} {value}" for side, value in sides.items() if value)
    more = f"; {len(differing) - 1} more" if len(differing) > 1 else ""
    text = cause.removeprefix("RECONCILIATION_CAUSE_").lower().replace("_", " ")
    return f"{' '.join(filter(None, parts))}: {values} ({text}){more}"


def _event(found: StoredReconciliation) -> event_pb2.Event:
    instance = f"{found.venue}/{found.account}"
    # Nothing in the mesh is the cause: the number of the change names it.
    cause = f"reconciliation {instance} {found.changes}"
    event = first_event(instance, cause, found.compared_time_ns)
    changed = event.reconciliation_changed
    changed.venue, changed.account = found.venue, found.account
    changed.differences.extend(reconciliation.lasting(found.differences))
    return event
