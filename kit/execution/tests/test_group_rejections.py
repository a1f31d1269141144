"""An alternative that is sent with its group, and is rejected after the answer to the caller."""

from dataclasses import replace

import pytest

from kit.execution.contract import OutcomeUnknown
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import ALL_TYPES, CAPABILITIES
from kit.execution.tests.order_groups import (
    ALTERNATIVE,
    PROFIT,
    SELL,
    STOP,
    at_venue,
    entries,
    oco,
    order,
    place,
    standing,
)
from kit.execution.tests.simulated_process import Prices, run, world
from kit.execution.tests.test_exit_retry import said


async def oco_at_the_venue(verdicts=()):
    """An OCO whose stop is sent at once, while its take-profit waits here."""
    found = world(capabilities=replace(CAPABILITIES, types=ALL_TYPES))
    found.prices = Prices()
    found.start()
    await found.ready()
    found.account.client.verdicts = list(verdicts)
    profit = order(ALTERNATIVE, PROFIT, side=SELL, stop_price="110")
    contents = oco(profit, order(ALTERNATIVE, STOP, side=SELL, stop_price="95"))
    answer = await place(found, contents)
    return found, contents, [one.state for one in answer]


def is_left_open_without_a_stop(found, contents):
    profit, stop = entries(found, contents)
    (one,) = said(found)
    is_told = (one.client_order_id, one.found) == (
        stop.key,
        "2",
    ) and "no stop is left" in one.detail
    return is_told and standing([profit, stop]) == ["OPEN", "REJECTED"]


@pytest.mark.parametrize("crashes", [False, True])
def test_stop_sent_with_its_group_that_turns_out_never_to_have_arrived_is_left_open(crashes):
    async def scenario():
        async def lose(_):
            return OutcomeUnknown("lost")

        found, contents, states = await oco_at_the_venue([lose])
        assert states == [order_states.OPEN, order_states.UNKNOWN]
        if crashes:
            found.crash()
            found.start()
            await found.ready()
        assert not said(found)
        await found.until(lambda: said(found))
        assert is_left_open_without_a_stop(found, contents)

    run(scenario())


def test_stop_sent_with_its_group_that_the_venue_rejects_later_is_left_open():
    async def scenario():
        found, contents, states = await oco_at_the_venue()
        assert order_states.REJECTED not in states
        found.venue.end(at_venue(found, entries(found, contents)[1]), order_states.REJECTED)
        await found.until(lambda: said(found))
        assert is_left_open_without_a_stop(found, contents)

    run(scenario())
