"""Compares what was approved with what was held and open at the venue, and the modes with their
events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.events.v1 import decisions_pb2, risk_pb2, signals_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import legacy_positions, modes
from core.inspector.legacy_positions import ADOPTED
from core.inspector.submissions import RISK
from kit.accounting.amounts import ZERO, product
from kit.execution.request_ids import lifecycle_of
from kit.risk.facts import read_facts
from tests.simulation.chain.processes import DECISIONS
from tests.simulation.chain.venue import BUY
from tests.simulation.risk.promises import Promise

ALLOW = risk_pb2.VERDICT_ALLOW
ACTIVE, HALTED = risk_pb2.TRADING_MODE_ACTIVE, risk_pb2.TRADING_MODE_HALTED
REDUCTIONS = (signals_pb2.POSITION_ACTION_CLOSE, signals_pb2.POSITION_ACTION_REDUCE)
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
STEP = Decimal("0.00000001")


@dataclass(frozen=True)
class Snapshot:
    """The venue when an entry was approved."""

    time_ns: int
    held: Mapping[str, Decimal]
    """By owner."""
    to_fill: Sequence[tuple[Decimal, orders_pb2.OrderContent]]
    """What may still be filled of entries."""
    made: frozenset[str]
    """Request ids of the orders that had been made."""


class Checks:
    """What must hold at the end of a run."""

    def __init__(self, run):
        self._run, self._venue, self._policy = run, run.venue, run.policy
        self._modes = {}
        self._set = {}
        self._approved = []
        """Entries before: snapshot and order."""

    def _broke(self, promise, text):
        self._run.history.broke(promise, text)

    async def check(self):
        """Check all promises."""
        record = self._run.record
        risk = [one.event() for one in await record.events(RISK)]
        decisions = [one.event() for one in await record.events(DECISIONS)]
        self._check_reductions(risk, decisions)
        self._check_adopted(risk)
        await self._check_announced()
        for event in risk:
            if event.HasField("mode_changed"):
                self._check_mode(event.mode_changed)
            elif event.HasField("verdict_given"):
                self._check_verdict(event)
        for position, _ in await record.open_positions():
            self._broke(Promise.ENDED, f"the inspector has {position}")
        counts = self._run.history.counts
        counts["entries approved"] += len(self._approved)
        verdicts = [one.verdict_given for one in risk if one.HasField("verdict_given")]
        counts["entries refused"] += sum(one.verdict != ALLOW for one in verdicts)
        changes = [one.mode_changed for one in risk if one.HasField("mode_changed")]
        counts["modes by rule"] += sum(bool(one.rule) for one in changes)

    def _check_reductions(self, risk, decisions):
        given = {cause: event.verdict_given for event in risk for cause in event.cause_ids
                 if event.HasField("verdict_given")}  # fmt: skip
        for event in decisions:
            verdict = given.get(event.event_id)
            if verdict is None:
                self._broke(Promise.REDUCED, f"the decision {event.event_id.hex()} has no verdict")
            elif event.decision_made.intent.action in REDUCTIONS and verdict.verdict != ALLOW:
                self._broke(Promise.REDUCED, f"{event.decision_made.intent}: {verdict}")
        for event in risk:
            verdict = event.verdict_given
            if verdict.is_reduction and verdict.verdict != ALLOW:
                self._broke(Promise.REDUCED, f"{verdict}")

    def _check_adopted(self, risk):
        """Compare what closed adopted positions with the sizes that persons have adopted."""
        left = {one.lifecycle_id: Decimal(one.position_adopted.size) for one in risk
                if one.HasField("position_adopted")}  # fmt: skip
        self._run.history.counts["positions adopted"] += len(left)
        first = dict(left)
        for fill in self._venue.all_fills:
            order = self._venue.orders[fill.client_order_id]
            if self._venue.owner_of(order) != ADOPTED:
                continue
            lifecycle_id = lifecycle_of(order.request_id)
            if lifecycle_id not in left:
                self._broke(Promise.ADOPTED, f"{order.request_id} closes what nobody has adopted")
                continue
            size = Decimal(fill.size)
            left[lifecycle_id] += size if fill.side == BUY else -size
            if left[lifecycle_id] * first[lifecycle_id] < 0:
                self._broke(Promise.CLOSED, f"{order.request_id}: {left[lifecycle_id]} is left")

    async def _check_announced(self):
        is_spot = not self._run.market.instrument.settlement_asset
        held = ZERO if is_spot else self._venue.held_of_no_strategy()
        async with self._run.database.transaction() as connection:
            announced = await legacy_positions.stored(connection)
        found = [one.size for one in announced.values()]
        self._run.history.counts["legacy positions"] += len(found)
        if found != ([held] if held else []):
            self._broke(Promise.ANNOUNCED, f"the venue has {held}, announced is {found}")

    def _check_mode(self, changed):
        scope, before = changed.scope, self._modes.get(changed.scope, ACTIVE)
        if (
            changed.before != before
            or not changed.reason
            or bool(changed.rule) == bool(changed.caller)
        ):
            self._broke(Promise.EXPLAINED, f"{changed} after {before}")
        self._modes[scope] = changed.after
        if changed.caller:
            self._set[scope] = changed.after
        elif changed.before == HALTED or changed.after < self._set.get(scope, ACTIVE):
            self._broke(Promise.LATCHED, f"{changed}")

    def _check_verdict(self, event):
        given = event.verdict_given
        if given.is_reduction or given.verdict != ALLOW or not given.orders:
            return
        entry = given.orders[0]
        owner = self._venue.owner_of(entry)
        scopes = modes.scopes_of(entry.content.venue, entry.content.account, owner)
        strictest = max(self._modes.get(scope, ACTIVE) for scope in scopes)
        if not modes.allows_entries(strictest):
            self._broke(Promise.ENTRIES, f"{entry.request_id} in {strictest}")
        snapshot = self._run.snapshots[event.event_id]
        self._check_caps(given, entry, owner, snapshot)
        self._approved.append((snapshot, entry, owner))

    def _check_caps(self, given, entry, owner, snapshot):
        """Compare with the limits of the mesh and of the strategy, at the price of the verdict."""
        facts = read_facts(given.facts)
        flying = [
            (one, of)
            for _, one, of in self._approved
            if one.request_id not in snapshot.made and one.request_id in self._venue.made
        ]
        if facts.reference is not None:
            in_flight = [(Decimal(one.content.size), one.content) for one, _ in flying]
            price = facts.reference.middle
            to_fill = (_value(*one, price) for one in (*snapshot.to_fill, *in_flight))
            waiting = sum(to_fill, ZERO) + facts.notional
            held = product(sum(map(abs, snapshot.held.values())), price)
            self._compare("exposure_max", "mesh", held + waiting)
            self._compare("open_order_notional_max", "mesh", waiting)
            if owner:
                own = product(abs(snapshot.held[owner]), price) + facts.notional
                self._compare("exposure_max", "strategy:*", own)
        owners = {name for name, size in snapshot.held.items() if abs(size) > STEP}
        self._compare("positions_max", "mesh", len(owners | {of for _, of in flying} | {owner}))

    def _compare(self, name, scope, value):
        limit = self._policy.limits.get(name, {}).get(scope)
        if limit is not None and value > limit:
            self._broke(Promise.CAPPED, f"{name} of {scope}: {value} is beyond {limit}")


def _value(size, content, price):
    """A purchase that waits below the price is filled at its own price at most."""
    at = Decimal(content.price) if content.side == BUY and content.price else price
    return product(size, min(at, price))
