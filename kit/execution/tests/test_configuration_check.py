"""An account takes orders only while it is configured at the venue as it must be."""

from dataclasses import replace
from decimal import Decimal
from unittest.mock import Mock

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.errors import AccountNotReady, VenueUnavailable
from kit.execution.account_configuration import (
    AccountConfiguration,
    ClockOffset,
    SymbolConfiguration,
    all_of,
)
from kit.execution.account_terms import AccountsFile
from kit.execution.contract import VenuePosition
from kit.execution.orders import order_states
from kit.execution.readiness import DISCONNECTED, READY, REFUSED
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import SPOT, Prices, run, verified, world

SELL, STOP = types_pb2.SIDE_SELL, orders_pb2.ORDER_TYPE_STOP
DERIVATIVES = replace(CAPABILITIES, has_positions=True)
ONE_WAY = AccountConfiguration(position_mode="one_way", may_trade=True, excess_permissions=())
HEDGE = replace(ONE_WAY, position_mode="hedge")
MILLISECOND = NANOSECONDS_PER_MILLISECOND


def derivatives(file=None, entry=""):
    """A world of derivatives; ``entry``: what the accounts file says of the account."""
    found = world(capabilities=DERIVATIVES)
    found.venue.configuration = ONE_WAY
    if file is not None:
        write(file, entry)
        found.accounts_file = AccountsFile(file, found.clock, is_required=True)
    return found


def write(file, entry):
    file.write_text(f'[[accounts]]\naccount = "fake/main"\n{entry}\n')


async def refused(found):
    """Wait until the account is refused, and return why."""
    await found.until(lambda: found.account.readiness.state == REFUSED)
    with pytest.raises(AccountNotReady) as caught:
        found.account.check_ready()
    assert found.account.message().detail in caught.value.message
    return found.account.message().detail


def test_account_in_hedge_mode_takes_no_orders_until_it_is_put_right():
    async def scenario():
        found = derivatives()
        found.venue.configuration = HEDGE
        found.start()
        detail = await refused(found)
        expected = "position mode is hedge; one_way is needed; set one-way mode at the venue"
        assert detail == expected
        found.venue.configuration = ONE_WAY
        await found.ready()
        found.account.check_ready()

    run(scenario())


def test_account_with_limits_of_unlisted_symbols_takes_no_entries_until_they_are_corrected():
    async def scenario():
        found = derivatives()
        found.unlisted_symbols = lambda: "limits of the account fake/main have 'BTCUSTD'"
        found.start()
        assert "have 'BTCUSTD'" in await refused(found)
        found.account.check_ready(only_reduces=True)
        found = derivatives()
        found.unlisted_symbols = unavailable = Mock(
            side_effect=VenueUnavailable("not known yet", venue="fake", detail="")
        )
        found.start()
        await found.until(lambda: found.account.readiness.state == DISCONNECTED)
        unavailable.side_effect = None
        unavailable.return_value = ""
        await found.ready()

    run(scenario())


def test_change_at_the_venue_closes_a_running_account_and_orders_can_be_cancelled():
    async def scenario():
        found = derivatives()
        found.start()
        await found.ready()
        submitter = found.account.submitter
        order = await submitter.submit(verified(limit_order(), "r"))
        assert order.state == order_states.OPEN
        found.venue.configuration = HEDGE
        assert "position mode is hedge" in await refused(found)
        await submitter.cancel(order)
        await found.until(lambda: order.state == order_states.CANCELLED, 5)
        found.venue.configuration = ONE_WAY
        await found.until(lambda: found.account.readiness.state == READY)

    run(scenario())


def test_orders_of_a_refused_account_are_compared_all_the_same():
    async def scenario():
        found = derivatives()
        found.start()
        await found.ready()
        order = await found.account.submitter.submit(verified(limit_order(), "r"))
        found.venue.configuration = HEDGE
        await refused(found)
        found.venue.publishes = False
        found.venue.end(found.venue.by_client_id[order.key], order_states.CANCELLED)
        await found.until(lambda: order.state == order_states.CANCELLED, 120)
        assert found.account.readiness.state == REFUSED

    run(scenario())


def test_query_without_an_answer_does_not_hide_the_refusal():
    async def scenario():
        found = derivatives()
        found.venue.configuration = HEDGE
        found.start()
        found.account.client.failures = 20
        await refused(found)
        await found.let_pass(100)
        assert found.account.readiness.state == REFUSED

    run(scenario())


IN_USE = {"BTCUSDT": SymbolConfiguration("isolated", Decimal(20))}
CASES = {
    'position_mode = "one_way"': HEDGE,
    'position_mode = "hedge"': HEDGE,
    'margin_mode = "cross"': replace(ONE_WAY, symbols=IN_USE),
    'margin_mode = "isolated"': replace(ONE_WAY, margin_mode="portfolio"),
    'leverage_max = "10.5"': replace(ONE_WAY, symbols=IN_USE),
    "leverage_max = 3": ONE_WAY,
    "": replace(ONE_WAY, may_trade=False, obstacles=["it is closed: open it"]),
}
REFUSALS = """
position mode is hedge; the accounts file says one_way; set one-way mode at the venue
the accounts file says position_mode hedge; only one_way is supported; set one-way mode at the \
venue and position_mode in the accounts file to one_way
margin mode is isolated for BTCUSDT; the accounts file says cross; set it at the venue, or \
margin_mode in the file
margin mode is portfolio; the accounts file says isolated; set it at the venue, or margin_mode in \
the file
leverage is 20 for BTCUSDT; the accounts file allows 10.5; lower it at the venue, or raise \
leverage_max in the file
the accounts file says leverage_max 3; the venue does not state it, so it cannot be checked; \
remove leverage_max from the account's entry
the key or the account may not trade; allow trading for it at the venue; it is closed: open it
"""


@pytest.mark.parametrize(
    ("entry", "expected"), list(zip(CASES, REFUSALS.strip().splitlines(), strict=True))
)
def test_refusal_says_what_is_found_what_is_expected_and_what_to_do(entry, expected, tmp_path):
    async def scenario():
        found = derivatives(tmp_path / "accounts.toml", entry)
        found.venue.configuration = CASES[entry]
        found.venue.positions = [VenuePosition("BTCUSDT", Decimal(1))]
        found.start()
        assert await refused(found) == expected

    run(scenario())


def test_leverage_of_a_symbol_that_is_not_in_use_keeps_this_symbol_closed(tmp_path):
    async def scenario():
        found = derivatives(tmp_path / "accounts.toml", "leverage_max = 10")
        found.venue.configuration = replace(ONE_WAY, symbols=IN_USE)
        found.instruments["ETHUSDT"] = SPOT
        found.start()
        await found.ready()
        found.account.check_ready()
        found.account.check_inputs("ETHUSDT")
        with pytest.raises(AccountNotReady, match="no orders in BTCUSDT: leverage is 20"):
            found.account.check_inputs("BTCUSDT")
        await found.account.submitter.submit(verified(limit_order(), "r"))
        assert "leverage is 20 for BTCUSDT" in await refused(found)
        # A position could be reduced.
        found.account.check_inputs("BTCUSDT")

    run(scenario())


def test_changed_accounts_file_holds_at_the_next_comparison(tmp_path):
    async def scenario():
        file = tmp_path / "accounts.toml"
        found = derivatives(file, 'margin_mode = "cross"')
        found.venue.configuration = replace(ONE_WAY, margin_mode="cross")
        found.start()
        await found.ready()
        write(file, 'margin_mode = "isolated"')
        assert "the accounts file says isolated" in await refused(found)
        write(file, 'margin_mode = "cross" ')
        await found.until(lambda: found.account.readiness.state == READY)

    run(scenario())


def test_refused_account_is_compared_often_at_first():
    async def scenario():
        found = derivatives()
        found.start()
        await found.ready()
        found.venue.configuration = HEDGE
        await refused(found)
        found.venue.configuration = ONE_WAY
        await found.until(lambda: found.account.readiness.state == READY, 6)
        found.venue.configuration = HEDGE
        await refused(found)
        await found.let_pass(300)
        asked = found.venue.calls["configuration"]
        await found.let_pass(300)
        assert found.venue.calls["configuration"] - asked <= 10

    run(scenario())


@pytest.mark.parametrize("sign", [1, -1])
def test_wrong_clock_keeps_the_account_closed_at_its_start(sign):
    async def scenario():
        found = derivatives()
        found.venue.clock_offset = ClockOffset(sign * 1_300 * MILLISECOND, 200 * MILLISECOND)
        found.start()
        detail = await refused(found)
        where = "ahead of" if sign > 0 else "behind"
        assert f"clock is 1.300 s {where} ours, measured to 0.200 s" in detail
        assert "allows 1000 ms; set the clock of this machine" in detail
        assert not found.venue.calls["configuration"]
        found.venue.clock_offset = ClockOffset(sign * 1_200 * MILLISECOND, 200 * MILLISECOND)
        await found.ready()

    run(scenario())


def test_wrong_clock_of_a_running_account_is_an_alarm():
    async def scenario():
        found = derivatives()
        found.venue.clock_offset = ClockOffset(0, MILLISECOND)
        found.start()
        await found.ready()
        found.venue.clock_offset = ClockOffset(5 * NANOSECONDS_PER_SECOND, MILLISECOND)
        await found.until(lambda: "clock is 5.000 s ahead" in found.account.message().detail)
        found.account.check_ready()
        # An answer that is too slow to say anything does not end it.
        found.venue.clock_offset = ClockOffset(0, 5 * NANOSECONDS_PER_SECOND)
        await found.let_pass(100)
        assert found.account.message().detail
        found.venue.clock_offset = ClockOffset(0, MILLISECOND)
        await found.until(lambda: not found.account.message().detail)
        assert found.account.readiness.state == READY

    run(scenario())


def test_clock_that_cannot_be_measured_is_not_taken_for_right():
    async def scenario():
        found = derivatives()
        found.venue.clock_offset = ClockOffset(0, 2 * NANOSECONDS_PER_SECOND)
        found.start()
        await found.until(lambda: found.account.readiness.state == DISCONNECTED)
        assert "can be measured to 2.000 s only" in found.account.message().detail
        found.venue.clock_offset = ClockOffset(0, MILLISECOND)
        await found.ready()

    run(scenario())


def test_bound_of_the_clock_is_in_the_accounts_file(tmp_path):
    async def scenario():
        found = derivatives(tmp_path / "accounts.toml", "clock_skew_max_ms = 50")
        found.venue.clock_offset = ClockOffset(80 * MILLISECOND, MILLISECOND)
        found.start()
        assert "clock_skew_max_ms allows 50 ms" in await refused(found)

    run(scenario())


def test_one_unknown_flag_is_not_taken_for_granted():
    assert all_of(True, True) is True
    assert all_of(True, None) is None
    assert all_of(None, False) is False


def test_protective_orders_of_a_refused_account_are_sent_and_entries_are_not():
    async def scenario():
        found = derivatives()
        found.prices = Prices()
        found.start()
        await found.ready()
        submitter = found.account.submitter
        entry = await submitter.submit(verified(limit_order(), "entry"), held_here=True)
        stop = limit_order(type=STOP, side=SELL, price="", stop_price="90")
        held = await submitter.submit(verified(stop, "stop"), held_here=True)
        found.venue.configuration = HEDGE
        await refused(found)
        # The account is compared with the venue after it was refused.
        await found.until(lambda: found.account.readiness.is_reconciled)
        found.prices.trade("89")
        await found.until(lambda: found.venue.sends == {held.key: 1}, 5)
        readiness = found.account.readiness
        assert (readiness.allows(held), readiness.allows(entry)) == (True, False)
        found.account.check_ready(only_reduces=True)

    run(scenario())


def test_nothing_is_sent_before_a_refused_account_is_compared():
    async def scenario():
        found = derivatives()
        found.venue.configuration = HEDGE
        found.start()
        found.account.client.failures = 10**6
        await refused(found)
        await found.let_pass(20)
        with pytest.raises(AccountNotReady):
            found.account.check_ready(only_reduces=True)

    run(scenario())
