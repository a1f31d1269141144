"""What must hold once nothing is on its way any more."""

from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

from venuemesh.events.v1 import decisions_pb2, risk_pb2, signals_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from core.advisor.decider import repeated_event
from core.inspector import modes, submissions
from core.inspector.approvals import Approver, entry_contents
from core.inspector.first_events import SOURCE
from core.inspector.position_opener import proposed_entry
from core.inspector.risk_facts import MINUTE_NS
from core.inspector.submissions import RISK, TAKEN, verdict_event
from core.inspector.tests.rig import KEY
from core.inspector.verdicts import RiskState, blocked, verdict_on_entry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.event_ids import event_id
from kit.events.event_log import encoded
from kit.events.streams import EVENT_STREAMS, stream_name
from kit.execution.approval.signing import MeshScope
from kit.execution.request_ids import CLOSE_MARK, lifecycle_of, lifecycle_request_id
from kit.risk.facts import read_facts
from kit.risk.policy import OPEN_POLICY
from tests.simulation.chain.history import Promise
from tests.simulation.chain.processes import DECISIONS, EXECUTIONS, RULES, SIGNALS

ALLOW = risk_pb2.VERDICT_ALLOW
ACTIVE = risk_pb2.TRADING_MODE_ACTIVE
ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
REDUCTIONS = (signals_pb2.POSITION_ACTION_CLOSE, signals_pb2.POSITION_ACTION_REDUCE)
SCOPE = MeshScope("local", "simulate")
APPROVAL_NS = 20 * NANOSECONDS_PER_SECOND


class PromiseChecks:
    """Compares the record with itself and with the venue."""

    def __init__(self, chain):
        self._chain, self._record, self._venue = chain, chain.record, chain.venue
        self._min = Decimal(chain.market.instrument.size_min)

    def _broke(self, promise, text):
        self._chain.history.broke(promise, text)

    async def check(self):
        """Check all promises about the end."""
        stored = [one.event() for one in await self._record.events(SIGNALS)]
        self._signals = [event for event in stored if event.HasField("signal_raised")]
        decisions = await self._record.events(DECISIONS)
        self._decisions = [one.event() for one in decisions]
        risk = await self._record.events(RISK)
        self._risk = [one.event() for one in risk]
        self._bodies = {one.event().event_id: one.body for one in (*decisions, *risk)}
        self._check_decisions()
        self._check_verdicts()
        self._check_entries()
        self._check_outcomes()
        self._check_epochs()
        await self._check_ended()
        await self._check_fills()
        await self._check_published()
        counts = self._chain.history.counts
        counts["signals"] += len(self._signals)
        for event in self._signals:
            if event.instance == self._chain.strategy.name:
                action = signals_pb2.PositionAction.Name(event.signal_raised.action)
                counts[action.removeprefix("POSITION_ACTION_").lower()] += 1
        counts["entries"] += len(self._venue.entries())

    def _check_decisions(self):
        causes = [list(one.cause_ids) for one in self._decisions]
        if causes != [[one.event_id] for one in self._signals]:
            self._broke(Promise.ONE_DECISION, f"{len(self._signals)} signals: {causes}")
            return
        for signal, decision in zip(self._signals, self._decisions, strict=True):
            again = encoded(repeated_event(signal, decision, RULES))
            if again != self._bodies[decision.event_id]:
                self._broke(Promise.REPLAYED, f"the decision {decision.event_id.hex()}")

    def _check_verdicts(self):
        """Check the verdict on each intent, in the order of the record."""
        intents = {one.event_id: one for one in self._decisions if _is_issued(one)}
        wanted = {
            event_id(SOURCE, one.decision_made.intent.strategy, [one.event_id]): one
            for one in intents.values()
        }
        known_modes, entries_ns = {}, []
        for event in self._risk:
            if event.HasField("mode_changed"):
                known_modes[event.mode_changed.scope] = event.mode_changed.after
            decision = wanted.pop(event.event_id, None)
            if decision is None and _opens_other_side(event):
                decision = intents.get(event.cause_ids[0])
            if decision is not None:
                self._check_verdict(event, decision, known_modes, entries_ns)
        for decision in wanted.values():
            self._broke(Promise.ONE_VERDICT, f"{decision.event_id.hex()} has none")

    def _check_verdict(self, event, decision, known_modes, entries_ns):
        given, intent = event.verdict_given, decision.decision_made.intent
        if intent.action in REDUCTIONS or given.is_reduction:
            if given.verdict != ALLOW:
                self._broke(Promise.REDUCED, f"{decision.event_id.hex()}: {given}")
            return
        scopes = modes.scopes_of(intent.venue, intent.account, intent.strategy)
        found = {scope: known_modes.get(scope, ACTIVE) for scope in scopes}
        if given.verdict == ALLOW and any(mode != ACTIVE for mode in found.values()):
            self._broke(Promise.HALTED, f"{decision.event_id.hex()} with {found}")
        checks = {one.name: one for one in given.checks}
        now_ns = int(checks["expiry"].observed)
        recent = sum(one > now_ns - MINUTE_NS for one in entries_ns)
        open_positions = int(checks["open_positions_max"].observed)
        state = RiskState(now_ns, found, self._chain.market.instrument, open_positions, recent)
        state = replace(state, facts=read_facts(given.facts))
        verdict = verdict_on_entry(OPEN_POLICY, state, proposed_entry(intent))
        if "flip_side" in checks:
            verdict = blocked(verdict, "flip_side", "", "")
            verdict.checks[-1].CopyFrom(checks["flip_side"])
        again = verdict_event(decision, intent.strategy, verdict, OPEN_POLICY.version)
        if verdict.is_allowed:
            entries_ns.append(now_ns)
            again.verdict_given.orders.extend(_approved(decision, given, now_ns))
        # That of the other side of a flip is another one than that of its closing.
        again.event_id = event.event_id
        if encoded(again) != self._bodies[event.event_id]:
            self._broke(Promise.REPLAYED, f"the verdict {event}, and again {again}")

    def _check_entries(self):
        expires_ns = {
            one.lifecycle_id: one.decision_made.intent.expires_time_ns for one in self._decisions
        }
        seen = set()
        for order in self._venue.entries():
            lifecycle_id = lifecycle_of(order.request_id)
            if lifecycle_id in seen:
                self._broke(Promise.ONE_ENTRY, f"{order.request_id} is the second one")
            seen.add(lifecycle_id)
            made_ns = self._venue.made_ns[order.request_id]
            if made_ns >= expires_ns.get(lifecycle_id, 0):
                self._broke(Promise.IN_TIME, f"{order.request_id}")
            for begins_ns, ends_ns in self._chain.halted():
                if begins_ns < made_ns < ends_ns:
                    text = f"{order.request_id} is taken between {begins_ns} and {ends_ns}"
                    self._broke(Promise.HALTED, text)

    def _check_outcomes(self):
        outcomes = {one.event_id: one for one in self._risk if one.HasField("orders_submitted")}
        at_venue = set(self._venue.made)
        for event in self._risk:
            approved = event.verdict_given.orders
            if not approved:
                continue
            name = submissions.submitted_id(event.event_id, "binance/paper")
            found = outcomes.pop(name, None)
            names = {one.request_id for one in approved}
            if found is None:
                self._broke(Promise.ONE_OUTCOME, f"no outcome of {names}")
                continue
            outcome = found.orders_submitted.outcome
            there = names & at_venue
            if there != (names if outcome == TAKEN else set()):
                said = risk_pb2.SubmissionOutcome.Name(outcome)
                self._broke(Promise.ONE_OUTCOME, f"{names}: {said}, at the venue are {there}")
        if outcomes:
            self._broke(Promise.ONE_OUTCOME, f"without an approval: {outcomes}")
        approved = {order.request_id for one in self._risk for order in one.verdict_given.orders}
        for name in at_venue:
            if CLOSE_MARK not in name and name.partition("~")[0] not in approved:
                self._broke(Promise.ONE_OUTCOME, f"{name} was not approved")

    def _check_epochs(self):
        epochs = [one.fencing_epoch for event in self._risk for one in event.verdict_given.orders]
        if epochs != sorted(epochs):
            self._broke(Promise.FENCED, f"the epochs of the approvals are {epochs}")

    async def _check_ended(self):
        still_open = await self._record.open_positions()
        for position, orders in still_open:
            self._broke(Promise.ENDED, f"the inspector has {position} with {orders}")
        believed = await self._record.detector_position()
        if believed:
            self._broke(Promise.ENDED, f"the detector has {believed}")
        held, dust = self._venue.position(), self._min * len(self._venue.entries())
        if abs(held) > dust:
            self._broke(Promise.ENDED, f"the venue has {held}")
        working = [one.request_id for one in self._venue.working_exits()]
        if working:
            self._broke(Promise.ENDED, f"orders are open at the venue: {working}")

    async def _check_fills(self):
        """Check that the ledger has each fill of the venue once."""
        events = [one.event() for one in await self._record.events(EXECUTIONS)]
        stored = [one.order_filled.fill.fill_id for one in events if one.HasField("order_filled")]
        made = [one.fill_id for one in self._venue.all_fills]
        if sorted(stored) != sorted(made):
            self._broke(Promise.AGREED, f"the ledger has the fills {stored}, the venue {made}")

    async def _check_published(self):
        states, redis = await self._record.states(), self._chain.redis
        for stream in EVENT_STREAMS:
            entries = redis.entries.get(stream, [])
            state = states[stream]
            newest = entries[-1][0] if entries else (state.epoch, 0)
            # What Redis has lost is published again with the next event.
            is_behind = newest < (state.epoch, state.sequence) and not redis.has_lost
            if is_behind or newest > (state.epoch, state.sequence):
                text = f"{stream_name(stream)}: {newest}, and the record has {state}"
                self._broke(Promise.PUBLISHED, text)
            numbers = [cursor.sequence for cursor, _ in entries if cursor.epoch == state.epoch]
            if numbers != list(range(1, len(numbers) + 1)):
                self._broke(Promise.PUBLISHED, f"{stream_name(stream)}: holes in {numbers}")
            bodies = {one.sequence: one.body for one in await self._record.events(stream)}
            for cursor, body in entries:
                if cursor.epoch == state.epoch and bodies[cursor.sequence] != body:
                    self._broke(Promise.PUBLISHED, f"{stream_name(stream)}: {cursor} differs")


def _opens_other_side(event):
    """Whether it is the verdict on the entry of a flip that has closed first."""
    names = {check.name for check in event.verdict_given.checks}
    return "open_positions_max" in names and not event.verdict_given.is_reduction


def _is_issued(event):
    return event.decision_made.outcome == ISSUED


def _approved(decision, given, now_ns):
    """The orders of an entry, approved again."""
    intent = decision.decision_made.intent
    contents = entry_contents(intent, decision.lifecycle_id)
    first = given.orders[0] if given.orders else signed_pb2.ApprovedOrder()
    number = int(first.request_id.rpartition("-")[2] or 1)
    ids = [lifecycle_request_id(decision.lifecycle_id, number + n) for n in range(len(contents))]
    epoch, fence = first.fencing_epoch, first.entry_fence
    approver = Approver("inspector", KEY, SCOPE, SimpleNamespace(epoch=epoch))
    expires_ns = min(intent.expires_time_ns, now_ns + APPROVAL_NS)
    return approver.approve(contents, ids, expires_ns, entry_fence=fence)
