"""Some seeds keep all promises, and a promise that is broken is found and reported.

The seeds run in a process of their own with a fixed hash seed, so that each of them can be played
again.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.approval import verifier as approval_verifier
from kit.execution.approval.verifier import ApprovalVerifier
from kit.execution.checks.order_limiter import OrderLimiter
from kit.execution.checks.reductions import Reductions
from kit.execution.groups import group_plan
from kit.execution.journal.records import OrderSent
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState, FillUpdateResult
from kit.execution.orders.order import Order
from kit.execution.orders.order_index import OrderIndex
from kit.execution.protection.dead_man_switch import DeadManSwitch
from kit.execution.sending import attempts, retries
from kit.execution.sending.answered_requests import AnsweredRequests
from kit.execution.sending.outcome_resolver import OutcomeResolver
from kit.execution.sending.retries import OrderRetries
from kit.execution.sending.submitter import OrderSubmitter
from tests.simulation.history import Promise
from tests.simulation.runs import first_broken, report, run_seed

SEEDS = 60
ROOT = Path(__file__).parents[2]


def test_sample_of_seeds_keeps_all_promises():
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((".", "gen"))}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SEEDS} seeds, 0 failed" in done.stdout
    # Most of what is placed gets to the venue.
    (sent,) = re.findall("call place: ([0-9]+)", done.stdout)
    assert int(sent) > 3 * SEEDS


def test_seed_is_played_again_as_it_was():
    first, second = run_seed(3), run_seed(3)
    assert first.lines == second.lines


def accept_old_epochs(patch):
    patch.setattr(ApprovalVerifier, "_check_epoch", lambda self, key, epoch: None)


def accept_revoked_keys(patch):
    patch.setattr(approval_verifier, "_check_key", lambda *arguments: None)


def cancel_without_approval(patch):
    patch.setattr(Order, "is_protective", property(lambda self: False))


def ignore_the_silence(patch):
    async def nothing(self):
        self.has_fired = True

    patch.setattr(DeadManSwitch, "_fire", nothing)


def retry_nothing(patch):
    patch.setattr(OrderRetries, "_is_retried", lambda self, order: False)
    patch.setattr(OrderRetries, "_publish_lost", lambda self, order: None)


def retry_no_stop_of_the_venue(patch):
    for module in (attempts, retries):
        patch.setattr(module, "may_have_attempts", lambda order: order.was_held_here)


def forget_stops_that_never_arrived(patch):
    patch.setattr(attempts, "NEVER_RECEIVED", "-")


def cancel_one_attempt(patch):
    async def cancel(self, order, requested_by=""):
        await self._submitter.cancel(order, requested_by)

    patch.setattr(OrderRetries, "cancel", cancel)


def confirm_cancels_at_once(patch):
    async def end(self, order):
        self.state._set_state(order, order_states.CANCELLED)

    patch.setattr(OrderSubmitter, "_cancel", end)


def lose_fills(patch):
    patch.setattr(AccountState, "apply_fill", lambda self, update: FillUpdateResult.KNOWN)


def send_before_the_journal(patch):
    async def append(self, orders, *records):
        for record in records:
            self.journal.append(record)

    patch.setattr(OrderSubmitter, "_write", append)


def send_again_after_a_crash(patch):
    def forget(self, order, record):
        if not isinstance(record, OrderSent):
            replay(self, order, record)

    replay = OrderIndex._replay_step
    patch.setattr(OrderIndex, "_replay_step", forget)


def ask_nothing(patch):
    async def nothing(self):
        await asyncio.get_running_loop().create_future()

    patch.setattr(OutcomeResolver, "run", nothing)


def send_batches_again(patch):
    async def send(self, *arguments):
        verdicts = await place_many(self, *arguments)
        await asyncio.gather(*(self.place(one) for one in arguments[0]))
        return verdicts

    place_many = CcxtExecutionClient.place_many
    patch.setattr(CcxtExecutionClient, "place_many", send)


def send_all_exits(patch):
    def plan(found, members, waiting, *rest):
        plan_exits(found, [one for one in members if one not in at_venue(members)], waiting, *rest)

    def at_venue(members):
        return [one for one in members if one.takes_turns and not one.held_here]

    plan_exits = group_plan._plan_exits
    patch.setattr(group_plan, "_plan_exits", plan)


def close_the_whole_size(patch):
    patch.setattr(group_plan, "left_of", lambda members, instrument: members[0].size)


def count_no_open_orders(patch):
    patch.setattr(OrderLimiter, "_orders_of", lambda self, name: ())


def limit_reductions(patch):
    patch.setattr(Reductions, "is_reduction", lambda self, content, amended=None: False)


def forget_answers(patch):
    patch.setattr(AnsweredRequests, "find", lambda self, verified: None)


def forget_ended_orders(patch):
    def find_open(self, content, request_id):
        order = find(self, content, request_id)
        return None if order is not None and order.is_final else order

    find = OrderSubmitter.find
    patch.setattr(OrderSubmitter, "find", find_open)


# The first seed to try is one that finds the fault.
FAULTS = [
    (accept_old_epochs, Promise.APPROVED, 1),
    (accept_revoked_keys, Promise.APPROVED, 2),
    (cancel_without_approval, Promise.APPROVED, 14),
    (ignore_the_silence, Promise.DEAD_MAN, 1),
    (retry_nothing, Promise.STOPS, 1),
    (retry_no_stop_of_the_venue, Promise.STOPS, 4),
    (forget_stops_that_never_arrived, Promise.STOPS, 63),
    (cancel_one_attempt, Promise.CANCELLED, 38),
    (confirm_cancels_at_once, Promise.CANCELLED, 14),
    (count_no_open_orders, Promise.LIMITED, 6),
    (limit_reductions, Promise.REDUCED, 4),
    (lose_fills, Promise.AGREEMENT, 0),
    (send_before_the_journal, Promise.KNOWN, 38),
    (send_again_after_a_crash, Promise.SENT_ONCE, 47),
    (ask_nothing, Promise.READY, 2),
    (send_batches_again, Promise.SENT_ONCE, 1),
    (forget_answers, Promise.ONCE, 15),
    (forget_ended_orders, Promise.SENT_ONCE, 1),
    (send_all_exits, Promise.ONE_EXIT, 10),
    (close_the_whole_size, Promise.CLOSED, 8),
]


@pytest.mark.parametrize(("break_it", "promise", "first"), FAULTS)
def test_broken_promise_is_found(monkeypatch, break_it, promise, first):
    break_it(monkeypatch)
    result = first_broken(run_seed, promise, first)
    text = report(result)
    assert promise.value in text
    assert f"--seed {result.seed}" in text
