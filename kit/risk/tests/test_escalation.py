"""What sets a mode, how long it lasts, and that it does not come again on a win."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kit.risk.escalation import (
    COUNTED_NS,
    EscalatedMode,
    Escalation,
    Observation,
    next_trigger,
)
from kit.risk.facts import Losses, RecentEntries
from kit.risk.observations import of_policy
from kit.risk.policy import Policy
from kit.risk.scopes import Scope, ScopeKind
from kit.risk.tests.contexts import FACTS, NOW_NS, result

SECOND_NS = 1_000_000_000
MESH = Scope(ScopeKind.MESH)
LIMIT = Decimal(100)


def rule(limit="drawdown_max", mode=EscalatedMode.STANDING_DOWN, **fields):
    return Escalation(limit=limit, mode=mode, **fields)


def seen(value, escalation, limit=LIMIT):
    return Observation(escalation, MESH, None if value is None else Decimal(value), limit)


def played(escalation, *values, trigger=None, now_ns=NOW_NS):
    """The state after values that are seen one second after the other."""
    for number, value in enumerate(values):
        trigger = next_trigger(trigger, seen(value, escalation), now_ns + number * SECOND_NS)
    return trigger


def test_limit_itself_escalates_nothing_and_one_step_more_does_at_once():
    assert played(rule(), 100) is None
    assert played(rule(), "100.01").is_active


def test_share_of_a_limit_escalates_earlier():
    near = rule(share=Decimal("0.8"))
    assert played(near, 80) is None
    assert played(near, "80.01").is_active
    at_least = rule("balance_min", share=Decimal("0.8"))
    assert played(at_least, 125) is None
    assert played(at_least, "124.9").is_active


def test_unknown_value_sets_no_mode_and_ends_none():
    assert played(rule(), None) is None
    short = rule(release_seconds=2)
    assert played(short, 101, 5, 5, None, 5, 5).is_active
    assert played(short, 101, 5, 5, None, 5, 5, 5) is None


def test_mode_ends_after_the_waiting_time_within_the_limit_and_not_before():
    short = rule(release_seconds=3)
    assert played(short, 101, 5, 5, 5).is_active
    assert played(short, 101, 5, 5, 101, 5, 5, 5).is_active
    assert played(short, 101, 5, 5, 5, 5) is None
    assert played(rule(), 101, *[5] * 1_000).is_active


def test_clock_that_is_set_ends_no_mode_early():
    long = rule(release_seconds=3_600)
    trigger = played(long, 101, 5)
    day_ns = 86_400 * SECOND_NS
    for now_ns in (NOW_NS + day_ns, NOW_NS - day_ns, NOW_NS + day_ns):
        trigger = next_trigger(trigger, seen(5, long), now_ns)
    assert trigger.is_active
    assert trigger.within_ns <= 3 * COUNTED_NS + 2 * SECOND_NS


def test_protection_does_not_trigger_again_on_a_win():
    """A peer's protection, once over, began again with the next trade that was won."""
    released = played(rule(), 130)._replace(is_active=False)
    better = played(rule(), 129, 120, 129, trigger=released)
    assert not better.is_active
    # Only what is worse than it was when a person released it, or reached again, sets the mode.
    assert played(rule(), 129, "130.01", trigger=released).is_active
    assert played(rule(), 50, "100.01", trigger=released).is_active


def test_loss_streak_is_ended_by_a_win_and_begins_at_one():
    policy = Policy(
        limits={"losses_in_row_max": {"strategy:*": Decimal(3)}},
        escalations=(rule("losses_in_row_max"),),
    )

    def after(in_row):
        (found,) = [
            one
            for one in of_policy(policy, FACTS, {"ema": Losses(in_row=in_row)}, NOW_NS)
            if one.scope.key == "strategy:ema"
        ]
        return found.is_beyond

    # With three in a row the next entry would be blocked.
    assert [after(count) for count in (2, 3, 0)] == [False, True, False]


def test_each_scope_with_a_limit_and_a_mode_is_looked_at():
    policy = Policy(
        limits={
            "loss_per_day_max": {"mesh": Decimal(60), "account:*": Decimal(50)},
            "exposure_max": {"instrument:binance/BTCUSDT": Decimal(0)},
        },
        escalations=(
            rule("loss_per_day_max"),
            rule("exposure_max"),
            rule("entries_per_minute_max"),
        ),
        currency="USDT",
        entries_per_minute_max=3,
    )
    recent = RecentEntries(venue="okx", account="main", strategy="x", count=3)
    facts = msgspec.structs.replace(FACTS, results=(result(-55),), recent=(recent,))
    found = {one.key[:2]: one for one in of_policy(policy, facts, {}, NOW_NS)}
    beyond = {key for key, one in found.items() if one.is_beyond}
    assert beyond == {
        ("account:binance/main", "loss_per_day_max"), ("mesh", "entries_per_minute_max")
    }  # fmt: skip
    assert ("account:okx/main", "loss_per_day_max") in found
    assert not [key for key in found if key[1] == "exposure_max"]


values = st.one_of(st.none(), st.integers(0, 200))


@given(st.lists(values, max_size=30), st.sampled_from([None, 1, 5]))
def test_mode_is_set_exactly_by_what_is_beyond(seen_values, release):
    escalation, trigger = rule(release_seconds=release), None
    for number, value in enumerate(seen_values):
        before = trigger
        trigger = played(escalation, value, trigger=trigger, now_ns=NOW_NS + number * SECOND_NS)
        if value is not None and value > 100:
            assert trigger.is_active
        elif before is not None and trigger is None:
            assert release is not None
            # Each look is a second after the one before.
            assert all(
                one is not None and one <= 100 for one in seen_values[number - release : number + 1]
            )
        else:
            assert (trigger is None) == (before is None)
