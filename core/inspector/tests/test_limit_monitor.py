"""Modes that follow from limits: at once, over restarts, and until they are released."""

from decimal import Decimal

import msgspec
import pytest
from venuemesh.events.v1 import risk_pb2

from core.inspector import equity_marks, mode_rules
from core.inspector.tests.books import CASH, Booked, book
from core.inspector.tests.rig import DECISIONS, close, decision, mode
from core.inspector.tests.test_limits import LIMIT, blocked, given, limited, priced
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.risk.escalation import EscalatedMode, Escalation
from kit.risk.facts import ReferencePrice
from tests.support.waiting import eventually, until

ACTIVE, HALTED = risk_pb2.TRADING_MODE_ACTIVE, risk_pb2.TRADING_MODE_HALTED
STANDING_DOWN = risk_pb2.TRADING_MODE_STANDING_DOWN
THROTTLED = risk_pb2.TRADING_MODE_THROTTLED
CLOSING_ALL = risk_pb2.TRADING_MODE_CLOSING_ALL
STRATEGY = "strategy:ema_cross"


def escalating(*escalations, **limits):
    policy = limited(**limits)
    return msgspec.structs.replace(policy, escalations=escalations)


def rule(limit, mode=EscalatedMode.STANDING_DOWN, **fields):
    return Escalation(limit=limit, mode=mode, **fields)


async def acting(rig, policy):
    process = await rig.start(policy=policy)
    await until(lambda: process.active.is_active)
    return process


async def changes(rig):
    return await rig.payloads("mode_changed")


async def until_changes(rig, count):
    async def are_there():
        return len(await changes(rig)) >= count

    await eventually(are_there)
    return await changes(rig)


async def hold_at(rig, cost, size=1):
    """A position of the strategy in the books, with its cost in USDT, and the account's cash."""
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO ledger_contracts VALUES ('binance', 'BTCUSDT', 'BTC', 'USDT', '', 1);"
            "INSERT INTO ledger_positions VALUES ('binance', 'paper', 'BTCUSDT', 'ema_cross',"
            f" {size}e18, {cost}e18)"
        )
    await book(rig, Booked(100, 1, -1_000, code=CASH, strategy=""))


def price_is(process, price):
    best = Decimal(price)
    clock = process.rules.clock
    process.rules.price = lambda venue, symbol: ReferencePrice(
        bid=best, ask=best, time_ns=clock.time_ns()
    )


async def test_open_loss_beyond_the_drawdown_closes_all_at_once_and_says_why(rig):
    policy = escalating(
        rule("drawdown_max", EscalatedMode.CLOSING_ALL), drawdown_max={"strategy:*": "500"}
    )
    process = await acting(rig, policy)
    price_is(process, 60_000)
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await hold_at(rig, 60_000)
    # The ledger has one BTC at 60,000: it falls by as much as the limit, and by a little more.
    price_is(process, 59_500)
    await process.limits.look()
    assert await changes(rig) == []
    price_is(process, 59_499)
    (changed,) = await until_changes(rig, 1)
    assert (changed.scope, changed.before, changed.after) == (STRATEGY, ACTIVE, CLOSING_ALL)
    assert (changed.rule, changed.caller) == ("drawdown_max", "")
    assert changed.reason == f"drawdown_max of {STRATEGY}: 501 is beyond 500"
    await rig.until_flat()
    await rig.put(DECISIONS, decision(2, **LIMIT))
    verdicts = await given(rig, 3)
    assert verdicts[-1].verdict == risk_pb2.VERDICT_CLOSE_ALL


async def test_drawdown_is_from_the_high_water_mark_also_after_a_restart(rig):
    policy = escalating(rule("drawdown_max"), drawdown_max={"mesh": "500"})
    process = await acting(rig, policy)
    await hold_at(rig, 60_000)
    price_is(process, 61_000)
    await process.limits.look()
    await rig.kill()
    process = await acting(rig, policy)
    # 100 above the cost, and 900 below the mark.
    price_is(process, 60_100)
    (changed,) = await until_changes(rig, 1)
    assert changed.reason == "drawdown_max of mesh: 900 is beyond 500"
    await rig.kill()
    process = await acting(rig, policy)
    price_is(process, 60_000)
    await process.limits.look()
    await rig.put(DECISIONS, decision(1, **LIMIT))
    (verdict,) = await given(rig, 1)
    assert (verdict.verdict, verdict.mode) == (risk_pb2.VERDICT_STAND_DOWN, STANDING_DOWN)
    assert len(await changes(rig)) == 1


async def test_person_who_releases_a_drawdown_begins_the_mark_again(rig):
    policy = escalating(rule("drawdown_max"), drawdown_max={"mesh": "500"})
    process = await acting(rig, policy)
    await hold_at(rig, 60_000)
    price_is(process, 59_000)
    await until_changes(rig, 1)
    await process.changes.set(mode(ACTIVE), "lena")
    for price in (58_600, 58_900, 58_600):
        price_is(process, price)
        await process.limits.look()
    # 400 below what it was at the release is within the limit, and 501 is not.
    assert [one.after for one in await changes(rig)] == [STANDING_DOWN, ACTIVE]
    price_is(process, 58_499)
    changed = (await until_changes(rig, 3))[2]
    assert (changed.rule, changed.reason) == (
        "drawdown_max", "drawdown_max of mesh: 501 is beyond 500"
    )  # fmt: skip


async def test_other_rates_are_no_loss(rig):
    await rig.start()
    async with rig.database.transaction() as connection:
        await equity_marks.raise_to(connection, {"mesh": Decimal(100)}, "USDT BTC=1")
        await equity_marks.raise_to(connection, {"mesh": Decimal(70)}, "USDT BTC=1")
        await equity_marks.raise_to(connection, {"mesh": Decimal(7)}, "EUR BTC=1")
        marks = await equity_marks.send_load(connection)
        assert await marks() == {"mesh": Decimal(37)}


async def test_mode_of_a_rule_ends_by_itself_after_its_waiting_time(rig):
    policy = escalating(
        rule("loss_per_day_max", release_seconds=20), loss_per_day_max={STRATEGY: "40"}
    )
    await book(rig, Booked(1, 1, -50))
    process = await acting(rig, policy)
    await until_changes(rig, 1)
    await book(rig, Booked(2, 1, 30))
    began_ns = process.rules.clock.time_ns()
    released = (await until_changes(rig, 2))[1]
    assert process.rules.clock.time_ns() - began_ns >= 20 * NANOSECONDS_PER_SECOND
    assert (released.before, released.after) == (STANDING_DOWN, ACTIVE)
    assert released.rule == "loss_per_day_max"
    assert released.reason == f"loss_per_day_max of {STRATEGY}: 20 was within 40 for 20 s"


async def test_rule_does_not_set_again_what_a_person_has_released_on_a_win(rig):
    """A peer's protection triggered again on each trade after it, a win too."""
    policy = escalating(rule("losses_in_row_max"), losses_in_row_max={"strategy:*": "2"})
    await book(rig, Booked(1, 30, -5), Booked(2, 20, -5))
    process = await acting(rig, policy)
    await until_changes(rig, 1)
    await process.changes.set(mode(ACTIVE, STRATEGY), "lena")
    await process.limits.look()
    await book(rig, Booked(3, 10, 50))
    await process.limits.look()
    assert [one.after for one in await changes(rig)] == [STANDING_DOWN, ACTIVE]
    await book(rig, Booked(4, 5, -5), Booked(5, 4, -5))
    assert (await until_changes(rig, 3))[2].after == STANDING_DOWN


async def test_halted_is_latched_and_survives_a_restart(rig):
    policy = escalating(
        rule("loss_per_day_max", EscalatedMode.HALTED), loss_per_day_max={"mesh": "40"}
    )
    await book(rig, Booked(1, 1, -50))
    await acting(rig, policy)
    (changed,) = await until_changes(rig, 1)
    assert (changed.after, changed.rule) == (HALTED, "loss_per_day_max")
    await book(rig, Booked(2, 1, 500))
    await rig.kill()
    process = await acting(rig, policy)
    for _ in range(3):
        await process.limits.look()
    await rig.put(DECISIONS, decision(1, **LIMIT), close(2))
    entry, reduction = await given(rig, 2)
    assert (entry.verdict, entry.mode) == (risk_pb2.VERDICT_STAND_DOWN, HALTED)
    assert reduction.verdict == risk_pb2.VERDICT_ALLOW
    assert len(await changes(rig)) == 1
    await process.changes.set(mode(ACTIVE), "lena")
    await rig.put(DECISIONS, decision(3, **LIMIT))
    assert (await given(rig, 3))[2].verdict == risk_pb2.VERDICT_ALLOW


async def test_rule_makes_what_a_person_has_set_stricter_and_never_less_strict(rig):
    policy = escalating(
        rule("loss_per_day_max", release_seconds=1), loss_per_day_max={"mesh": "40"}
    )
    process = await acting(rig, policy)
    await process.changes.set(mode(THROTTLED), "lena")
    await book(rig, Booked(1, 1, -50))
    await until_changes(rig, 2)
    await book(rig, Booked(2, 1, 50))
    third = (await until_changes(rig, 3))[2]
    assert (third.before, third.after) == (STANDING_DOWN, THROTTLED)
    await process.changes.set(mode(HALTED), "lena")
    await book(rig, Booked(3, 1, -100))
    await process.limits.look()
    assert len(await changes(rig)) == 4


async def test_nearer_limit_throttles_and_the_limit_stands_down(rig):
    policy = escalating(
        rule("loss_per_day_max", EscalatedMode.THROTTLED, share=Decimal("0.5")),
        rule("loss_per_day_max"),
        loss_per_day_max={"mesh": "40"},
        throttled_entries_per_minute_max={"mesh": "1"},
    )
    process = await acting(rig, policy)
    priced(process)
    await book(rig, Booked(1, 1, -30))
    await until_changes(rig, 1)
    await rig.put(DECISIONS, decision(1, **LIMIT), decision(2, strategy="other", **LIMIT))
    first, second = await given(rig, 2)
    assert (first.verdict, first.mode) == (risk_pb2.VERDICT_ALLOW, THROTTLED)
    assert second.verdict == risk_pb2.VERDICT_THROTTLE
    assert blocked(second) == ["throttled_entries_per_minute_max"]
    await book(rig, Booked(2, 1, -30))
    assert [one.after for one in await until_changes(rig, 2)] == [THROTTLED, STANDING_DOWN]


async def test_rule_makes_approved_entries_void(rig):
    policy = escalating(rule("loss_per_day_max"), loss_per_day_max={"mesh": "40"})
    process = await acting(rig, policy)
    rig.venue.faults, rig.venue.always = ["late"], {"place": "lost"}
    await rig.put(DECISIONS, decision(1))
    await until(lambda: rig.venue.late)
    await book(rig, Booked(1, 1, -50))
    await process.limits.look()
    await until(lambda: rig.venue.entry_fence > 0)
    rig.venue.arrive_late()
    rig.expire_approvals()
    await rig.until_outcomes(1)
    assert rig.venue.made == []


@pytest.mark.parametrize("scope", ["mesh", "venue:binance", "account:binance/paper", STRATEGY])
async def test_each_scope_has_rules_of_its_own(rig, scope):
    policy = escalating(rule("loss_per_day_max"), loss_per_day_max={scope: "40"})
    await book(rig, Booked(1, 1, -50))
    await acting(rig, policy)
    (changed,) = await until_changes(rig, 1)
    assert changed.scope == scope
    async with rig.database.transaction() as connection:
        assert [key[0] for key in await mode_rules.load(connection)] == [scope]


async def test_price_that_is_not_known_sets_no_mode_and_lets_no_entry_pass(rig):
    policy = escalating(rule("drawdown_max"), drawdown_max={"mesh": "500"})
    process = await acting(rig, policy)
    await hold_at(rig, 60_000)
    await process.limits.look()
    await rig.put(DECISIONS, decision(1, **LIMIT), close(2))
    entry, reduction = await given(rig, 2)
    assert blocked(entry) == ["drawdown_max"]
    assert reduction.verdict == risk_pb2.VERDICT_ALLOW
    assert await changes(rig) == []
