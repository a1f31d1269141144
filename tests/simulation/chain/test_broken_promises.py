"""A promise of the chain that is broken is found and reported, within a few seeds."""

from itertools import count

import pytest
from venuemesh.events.v1 import risk_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.advisor import decider, signal_handler
from core.inspector import (
    decision_handler,
    entry_fences,
    external_fills,
    order_reconciler,
    position_closer,
    position_opener,
    position_updates,
    positions,
    reduction_queue,
    submission_sender,
    submissions,
    verdicts,
)
from core.inspector.order_reconciler import OrderReconciler
from core.inspector.position_closer import PositionCloser
from core.inspector.stop_monitor import StopMonitor
from core.inspector.submission_sender import SubmissionSender
from core.inspector.tests.lying_venue import FILLED
from core.inspector.venue_processes import CallRefused, NoAnswer
from core.ledger.execution_collector import ExecutionCollector
from kit.events import event_log
from kit.events.consumer import EventConsumer
from kit.events.leases import Lease
from kit.events.relay import EventRelay
from kit.execution.approval.verifier import ApprovalVerifier
from tests.simulation.chain import unreliable_calls
from tests.simulation.chain.chain import Chain
from tests.simulation.chain.execution_news import VenueNews
from tests.simulation.chain.history import Promise
from tests.simulation.chain.venue_faults import NOT_CLEAR
from tests.simulation.runs import first_broken, report


async def nothing(*arguments, **named):
    """Does nothing."""


def fence_nothing(patch):
    async def make(connection, scope):
        return []

    patch.setattr(entry_fences, "create", make)


def take_what_is_fenced(patch):
    patch.setattr(ApprovalVerifier, "_check_fence", lambda self, approved: None)


def ignore_the_mode(patch):
    check = verdicts._mode_check
    patch.setattr(verdicts, "_mode_check", lambda state, otherwise: check(state, verdicts.PASSED))


def hold_reductions_back(patch):
    def verdict(state, checks=()):
        found = verdict_on_reduction(state, checks)
        if state.mode == risk_pb2.TRADING_MODE_HALTED:
            found = verdicts.blocked(found, "mode", "", "")
        return found

    verdict_on_reduction = verdicts.verdict_on_reduction
    patch.setattr(decision_handler, "verdict_on_reduction", verdict)


def decide_twice(patch):
    """A signal is handled again, and has another decision, when its transaction fails late."""
    numbers = count()

    def make(signal, *rest):
        made = case_event(signal, *rest)
        made.event_id = decider.event_id("advisor", "again", [signal.event_id], next(numbers))
        return made

    case_event = decider.case_event
    patch.setattr(signal_handler, "case_event", make)
    move_positions_late(patch)


def move_positions_late(patch):
    """What is handled, and that it is handled, are two transactions."""

    async def step(self, before):
        async with self._database.transaction() as connection:
            events = await event_log.read_in_order(connection, before, 500)
        if not events:
            await self._reader.wait(before)
            return before
        await self._consumption.prepare(events)
        async with self._database.transaction() as connection:
            await self._consumption.send(connection, events)
            await self._consumption.handle(connection, events)
        reached = {one.stream: one.sequence for one in events}
        async with self._database.transaction() as connection:
            await event_log.save_positions(connection, self._consumption.consumer, reached, before)
        self._consumption.after_commit()
        return {**before, **reached}

    patch.setattr(EventConsumer, "_step", step)


def move_positions_early(patch):
    async def step(self, before):
        async with self._database.transaction() as connection:
            events = await event_log.read_in_order(connection, before, 500)
        if not events:
            await self._reader.wait(before)
            return before
        reached = {one.stream: one.sequence for one in events}
        async with self._database.transaction() as connection:
            await event_log.save_positions(connection, self._consumption.consumer, reached, before)
        await self._consumption.prepare(events)
        async with self._database.transaction() as connection:
            await self._consumption.send(connection, events)
            await self._consumption.handle(connection, events)
        self._consumption.after_commit()
        return {**before, **reached}

    patch.setattr(EventConsumer, "_step", step)


def hide_a_fact(patch):
    """A decision rests on something that is not recorded with it."""
    numbers = count()
    made = decider.decide

    def decide(case, *rest):
        found = made(case, *rest)
        found.stages[0].checks.add(name="hidden", observed=str(next(numbers)))
        return found

    patch.setattr(decider, "decide", decide)


def open_again(patch):
    """Orders whose answer is lost are sent again under other ids."""
    again = count(500, 10)

    async def call(self, submission):
        if submission.is_entry and submission.submission_id not in called:
            called.add(submission.submission_id)
        elif submission.is_entry:
            number = next(again)
            for place, one in enumerate(submission.approved):
                one.request_id = f"{one.request_id.rpartition('-')[0]}-{number + place}"
        return await make(self, submission)

    called = set()
    make = SubmissionSender._call
    patch.setattr(SubmissionSender, "_call", call)
    patch.setattr(ApprovalVerifier, "verify", lambda self, approved, now_ns: None)


def approve_too_long(patch):
    """Approvals of entries outlast their intents."""
    patch.setattr(position_opener, "min", max, raising=False)


def take_what_has_expired(patch):
    verify = ApprovalVerifier.verify

    def verify_at_any_time(self, approved, now_ns):
        return verify(self, approved, min(now_ns, approved.expires_time_ns - 1))

    patch.setattr(ApprovalVerifier, "verify", verify_at_any_time)


def take_unclear_refusals_for_clear(patch):
    patch.setattr(submission_sender, "CLEAR", submission_sender.CLEAR | set(NOT_CLEAR))
    # Calls fail in no other way: only such a refusal tells.
    patch.setattr(unreliable_calls, "FAULTS", ("not clear",))


def give_up_early(patch):
    """What the venue does not know counts as expired before its approval has ended."""

    async def outcome(self, submission):
        try:
            return submissions.Outcome(submissions.TAKEN, await self._call(submission))
        except (CallRefused, NoAnswer):
            return submissions.Outcome(submissions.EXPIRED)

    patch.setattr(SubmissionSender, "_outcome", outcome)


def act_without_the_lease(patch):
    """Two inspectors act at once, and close the same position."""

    async def send_hold(self, connection):
        return nothing

    patch.setattr(Lease, "send_hold", send_hold)
    patch.setattr(Lease, "renew", nothing)


def wait_for_nothing(patch):
    """The next closing order does not wait for the outcome of the last one."""

    async def has_pending(*arguments):
        return False

    def is_complete(self):
        return not self.state or complete(self)

    complete = positions.StrategyOrder.is_complete.fget
    patch.setattr(submissions, "has_pending", has_pending)
    patch.setattr(positions.StrategyOrder, "is_complete", property(is_complete))


def close_the_whole(patch):
    """A reduction has the size of what was opened."""

    def held(orders):
        return true([one for one in orders if one.role == positions.OrderRole.ENTRY])

    true = positions.held
    patch.setattr(position_closer.positions, "held", held)


def close_while_fills_are_missing(patch):
    async def fills_of(venues, found):
        return await venues.fills(found)

    patch.setattr(order_reconciler, "fills_of", fills_of)
    is_ended = property(lambda self: self.state >= positions.FILLED)
    patch.setattr(positions.StrategyOrder, "is_complete", is_ended)


def close_before_exits_have_ended(patch):
    patch.setattr(PositionCloser, "_bring_to_end", nothing)
    patch.setattr(positions.StrategyOrder, "is_complete", property(lambda self: True))


def watch_no_stops(patch):
    """What is wrong with a stop is not repaired."""
    patch.setattr(StopMonitor, "look", nothing)


def replace_no_exits(patch):
    watch_no_stops(patch)
    # A mode that stays keeps runs from having a position at the end.
    patch.setattr(Chain, "_set_mode", lambda self: None)


def protect_nothing_after_reductions(patch):
    async def protect(self, connection, position, held, left):
        await positions.request_close(connection, position, "", b"", b"")

    patch.setattr(PositionCloser, "_protect", protect)
    replace_no_exits(patch)


def protect_half(patch):
    protect = PositionCloser._protect

    async def protect_half(self, connection, position, held, left):
        await protect(self, connection, position, held, left / 2)

    patch.setattr(PositionCloser, "_protect", protect_half)
    watch_no_stops(patch)


def reduce_too_little(patch):
    rest = position_closer._rest

    async def more(connection, position, held):
        return (await rest(connection, position, held) + held) / 2

    patch.setattr(position_closer, "_rest", more)


def forget_waiting_reductions(patch):
    patch.setattr(reduction_queue, "add", nothing)


def forget_closes(patch):
    """A close that comes while the position is reduced is dropped."""
    patch.setattr(
        decision_handler, "_is_wanted_already", lambda intent, position: position.is_closing
    )


def flip_nothing(patch):
    patch.setattr(PositionCloser, "_open_other_side", nothing)


def ask_for_no_ends(patch):
    forget_ends(patch)
    patch.setattr(OrderReconciler, "run", nothing)


def forget_ends(patch):
    """The venue's process restarts whenever an order ends, and then reports open orders only. This
    alone breaks no promise."""

    def add_or_restart(self, entry):
        if isinstance(entry, orders_pb2.Order) and entry.state >= FILLED:
            self.restart()
        else:
            add(self, entry)

    add = VenueNews.add
    patch.setattr(VenueNews, "add", add_or_restart)


def tell_no_ends(patch):
    tell = position_updates._publish

    async def tell_changes(*arguments, is_flat=False):
        if not is_flat:
            await tell(*arguments)

    patch.setattr(position_updates, "_publish", tell_changes)


def tell_no_changes(patch):
    tell = position_updates._publish

    async def tell_ends(connection, position, held, now_ns, *, is_flat=False):
        if is_flat or not position.published_size:
            await tell(connection, position, held, now_ns, is_flat=is_flat)

    patch.setattr(position_updates, "_publish", tell_ends)


def keep_no_shares(patch):
    async def take(connection, event):
        return set()

    patch.setattr(external_fills, "apply", take)


def list_no_fills(patch):
    patch.setattr(ExecutionCollector, "_list_fills", nothing)


def publish_the_newest(patch):
    """Of events that are published together, the first ones are left out."""

    async def append_newest(self, stream, epoch, events):
        await append(self, stream, epoch, events[-1:])

    append = EventRelay._append
    patch.setattr(EventRelay, "_append", append_newest)


# The first seed to try is one that finds the fault.
FAULTS = [
    (fence_nothing, Promise.HALTED, 5),
    (take_what_is_fenced, Promise.HALTED, 10),
    (ignore_the_mode, Promise.HALTED, 7),
    (hold_reductions_back, Promise.REDUCED, 5),
    (decide_twice, Promise.ONE_DECISION, 9),
    (move_positions_early, Promise.ONE_DECISION, 9),
    (hide_a_fact, Promise.REPLAYED, 0),
    (open_again, Promise.ONE_ENTRY, 3),
    (approve_too_long, Promise.IN_TIME, 29),
    (take_what_has_expired, Promise.IN_TIME, 62),
    (take_unclear_refusals_for_clear, Promise.ONE_OUTCOME, 6),
    (give_up_early, Promise.ONE_OUTCOME, 3),
    (act_without_the_lease, Promise.FENCED, 5),
    (wait_for_nothing, Promise.CLOSED, 5),
    (close_the_whole, Promise.CLOSED, 0),
    (close_while_fills_are_missing, Promise.CLOSED, 1),
    (close_before_exits_have_ended, Promise.CLOSED, 22),
    (replace_no_exits, Promise.PROTECTED, 29),
    (protect_nothing_after_reductions, Promise.PROTECTED, 2),
    (protect_half, Promise.PROTECTED, 2),
    (reduce_too_little, Promise.DONE, 2),
    (forget_waiting_reductions, Promise.DONE, 25),
    (forget_closes, Promise.DONE, 11),
    (flip_nothing, Promise.DONE, 10),
    (ask_for_no_ends, Promise.ENDED, 9),
    (tell_no_ends, Promise.AGREED, 1),
    (tell_no_changes, Promise.AGREED, 0),
    (keep_no_shares, Promise.ENDED, 11),
    (list_no_fills, Promise.AGREED, 0),
    (publish_the_newest, Promise.PUBLISHED, 0),
]


@pytest.mark.parametrize(("break_it", "promise", "first"), FAULTS)
def test_broken_promise_is_found(monkeypatch, runs, break_it, promise, first):
    break_it(monkeypatch)
    text = report(first_broken(runs.run_seed, promise, first))
    assert f"broken: {promise.value}" in text
