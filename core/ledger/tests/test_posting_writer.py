"""Events of fills and of other changes of balances, booked with a real PostgreSQL."""

import random
from collections.abc import Sequence

import pytest
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger import position_history
from core.ledger.contracts import ContractUnknown
from core.ledger.tests.executions import (
    INSTRUMENTS,
    INVERSE,
    LINEAR,
    SPOT,
    expected_balances,
    fill,
    flow,
    random_events,
)
from core.ledger.tests.independent_books import ATOMS
from core.ledger.tests.store_suite import ALL, WHOLE
from kit.base.errors import SettingError
from kit.events import event_log
from kit.events.event_log import EventConflict

EXECUTIONS, LEDGER = event_pb2.EVENT_STREAM_EXECUTIONS, event_pb2.EVENT_STREAM_LEDGER
FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING
SETTLEMENT = cash_flows_pb2.CASH_FLOW_KIND_SETTLEMENT
TRANSFER = cash_flows_pb2.CASH_FLOW_KIND_TRANSFER


def batches(events: Sequence[event_pb2.Event], chance: random.Random, most: int):
    """The events in parts of any size."""
    rest = list(events)
    while rest:
        count = chance.randint(1, most)
        yield rest[:count]
        del rest[:count]


@pytest.fixture
def many_states(monkeypatch):
    """Positions are kept after few changes, and few changes are kept in memory."""
    monkeypatch.setattr(position_history, "STATE_INTERVAL", 5)
    monkeypatch.setattr(position_history, "CHANGES_KEPT_MAX", 20)


@pytest.mark.usefixtures("many_states")
@pytest.mark.parametrize("seed", range(3))
async def test_balances_are_those_of_an_independent_computation(books, seed):
    """Doubled, in any order, in batches of any size, with restarts."""
    chance = random.Random(seed)
    events = random_events(seed, 240)
    arriving = [*events, *chance.sample(events, 40)]
    # First what is late by a little, then what is in any order.
    arriving.sort(key=lambda event: event.time_ns + chance.choice((0, 0, 0, 4, 60)))
    first, second = arriving[:180], arriving[180:]
    chance.shuffle(second)
    for number, batch in enumerate(batches([*first, *second], chance, 24)):
        if number % 7 == 3:
            books = books.restarted()
        await books.book(*batch)
        await books.require_balanced()
        if number == 5:
            done = {event.event_id: event for event in batch}
            done |= {one.event_id: one for one in await books.stored(EXECUTIONS)}
            assert await books.balances() == expected_balances(done.values())
    assert await books.balances() == expected_balances(events)
    assert len(await books.stored(EXECUTIONS)) == len(events)
    booked = await books.stored(LEDGER)
    assert len({one.postings_booked.group_id for one in booked}) == len(events)


async def test_spot_with_a_fee_in_the_base_asset_becomes_flat(books):
    await books.book(
        fill(SPOT, 1, "1", "60000", strategy="s1", fee=("BTC", "0.001")),
        fill(SPOT, 2, "-0.999", "61000", strategy="s1", fee=("USDT", "60.939")),
    )
    assert await books.balances() == {
        ("CASH", "USDT", "", ""): 878_061 * ATOMS // 1000,
        ("FEES", "USDT", SPOT, "s1"): 120_939 * ATOMS // 1000,
        ("REALIZED_PROFIT", "USDT", SPOT, "s1"): -999 * ATOMS,
    }


async def test_all_fees_of_a_fill_are_booked(books):
    filled = fill(SPOT, 1, "1", "60000", strategy="s1", fee=("USDT", "12"))
    filled.order_filled.fill.further_fees.add(asset="BNB", amount="0.5")
    filled.order_filled.fill.further_fees.add(asset="BTC", amount="0.25")
    await books.book(filled)
    found = await books.balances()
    assert found["FEES", "BNB", SPOT, "s1"] == ATOMS // 2
    assert found["CASH", "BNB", "", ""] == -ATOMS // 2
    assert found["CASH", "BTC", "", ""] == 3 * ATOMS // 4
    assert found["FEES", "USDT", SPOT, "s1"] == (12 + 15_000) * ATOMS


async def test_a_fill_of_a_negative_size_takes_an_earlier_one_back(books):
    taken_back = fill(SPOT, 2, "1", "60000", strategy="s1", fee=("USDT", "-60"))
    taken_back.order_filled.fill.size = "-1"
    corrected = fill(SPOT, 3, "0.5", "60000", strategy="s1", fee=("USDT", "30"))
    await books.book(fill(SPOT, 1, "1", "60000", strategy="s1", fee=("USDT", "60")), taken_back)
    assert await books.balances() == {}
    await books.book(corrected)
    assert await books.balances() == {
        ("CASH", "BTC", "", ""): ATOMS // 2,
        ("CASH", "USDT", "", ""): -30_030 * ATOMS,
        ("FEES", "USDT", SPOT, "s1"): 30 * ATOMS,
        ("POSITION", "BTC", SPOT, "s1"): -ATOMS // 2,
        ("POSITION", "USDT", SPOT, "s1"): 30_000 * ATOMS,
    }


async def test_cash_follows_the_net_position_and_profit_the_strategies(books):
    await books.book(
        fill(LINEAR, 1, "1000", "60000", strategy="s1"),
        fill(LINEAR, 2, "-1000", "61000", strategy="s2"),
    )
    # The venue has closed the position; of the strategies none has.
    found = await books.balances()
    assert found["CASH", "USDT", "", ""] == 1000 * ATOMS
    assert found["POSITION", "USDT", LINEAR, ""] == -1000 * ATOMS
    assert not [key for key in found if key[0] == "REALIZED_PROFIT"]
    await books.book(
        fill(LINEAR, 3, "-1000", "61500", strategy="s1"),
        fill(LINEAR, 4, "1000", "61500", strategy="s2"),
    )
    assert await books.balances() == {
        ("CASH", "USDT", "", ""): 1000 * ATOMS,
        ("REALIZED_PROFIT", "USDT", LINEAR, "s1"): -1500 * ATOMS,
        ("REALIZED_PROFIT", "USDT", LINEAR, "s2"): 500 * ATOMS,
    }


async def test_a_late_fill_makes_one_group_of_the_difference(books):
    await books.book(
        fill(LINEAR, 1, "1000", "60000"),
        fill(LINEAR, 3, "-1000", "61000"),
    )
    before = await books.queries.accounts(ALL, WHOLE)
    result = await books.book(fill(LINEAR, 2, "1000", "60500"))
    (booked,) = result.booked
    amounts = {posting.amount for posting in booked.group.postings}
    # It has cost 60,250 on average instead of 60,000.
    assert amounts == {1000 * ATOMS, 250 * ATOMS}
    found = await books.balances()
    assert found["CASH", "USDT", "", ""] == 750 * ATOMS
    assert found["REALIZED_PROFIT", "USDT", LINEAR, ""] == -750 * ATOMS
    assert (await books.queries.accounts(ALL, WHOLE))[1].group_number == before[1].group_number + 1


async def test_funding_is_divided_by_size(books):
    await books.book(
        fill(LINEAR, 1, "3000", "60000", strategy="s1"),
        fill(LINEAR, 2, "-1000", "60000", strategy="s2"),
        flow(FUNDING, 3, "USDT", "-2", symbol=LINEAR),
    )
    found = await books.balances()
    assert found["CASH", "USDT", "", ""] == -2 * ATOMS
    assert found["FUNDING_PROFIT", "USDT", LINEAR, "s1"] == 3 * ATOMS
    assert found["FUNDING_PROFIT", "USDT", LINEAR, "s2"] == -1 * ATOMS
    # Another strategy had a part of it: the venue's amount stays as it is.
    await books.book(fill(LINEAR, 22, "2000", "60000", time_ns=2, strategy="s3"))
    again = await books.balances()
    assert again["CASH", "USDT", "", ""] == -2 * ATOMS
    assert again["FUNDING_PROFIT", "USDT", LINEAR, "s1"] == 15 * ATOMS // 10


async def test_a_settlement_is_no_profit_twice(books):
    """The venue pays what the position has gained each day, and on closing only the rest."""
    await books.book(
        fill(INVERSE, 1, "1000", "50000", strategy="s1"),
        flow(SETTLEMENT, 2, "BTC", "0.01", symbol=INVERSE),
        fill(INVERSE, 3, "-1000", "62500", strategy="s1"),
    )
    assert await books.balances() == {
        ("CASH", "BTC", "", ""): 4 * ATOMS // 100,
        ("REALIZED_PROFIT", "BTC", INVERSE, "s1"): -4 * ATOMS // 100,
    }


async def test_first_in_first_out(books):
    books = books.restarted("fifo")
    await books.book(
        fill(SPOT, 1, "1", "100"), fill(SPOT, 2, "1", "200"), fill(SPOT, 3, "-1.5", "300")
    )
    found = await books.balances()
    assert found["REALIZED_PROFIT", "USDT", SPOT, ""] == -250 * ATOMS
    assert found["POSITION", "USDT", SPOT, ""] == 100 * ATOMS
    books = books.restarted("fifo")
    await books.book(fill(SPOT, 4, "-1", "300"))
    found = await books.balances()
    # Half a coin was held, half a coin is short now.
    assert found["REALIZED_PROFIT", "USDT", SPOT, ""] == -300 * ATOMS
    assert found["POSITION", "USDT", SPOT, ""] == -150 * ATOMS


async def test_the_cost_method_of_a_ledger_stays(books):
    await books.book(fill(SPOT, 1, "1", "100"))
    with pytest.raises(SettingError, match="average"):
        await books.restarted("fifo").book(fill(SPOT, 2, "1", "100"))


async def test_terms_are_needed_once_and_kept(books):
    with pytest.raises(ContractUnknown) as caught:
        await books.writer.book([fill(SPOT, 1, "1", "100")], {})
    assert caught.value.instrument.symbol == SPOT
    assert await books.balances() == {}
    await books.book(fill(SPOT, 1, "1", "100"))
    await books.restarted().writer.book([fill(SPOT, 2, "1", "100")], {})
    assert (await books.balances())["CASH", "BTC", "", ""] == 2 * ATOMS


async def test_what_cannot_be_booked_is_refused_and_the_rest_is_booked(books):
    taken_back = fill(SPOT, 4, "1", "1" + "0" * 9)
    taken_back.order_filled.fill.size = "-1" + "0" * 9
    result = await books.book(
        fill(SPOT, 1, "0.0000000000000000001", "100"),
        fill(SPOT, 2, "1", "100"),
        flow(TRANSFER, 3, "USDT", "1" + "0" * 18),
        taken_back,
    )
    assert [one.reason for one in result.refused.values()] == ["AMOUNT_OUT_OF_BOUNDS"] * 3
    assert (await books.balances())["CASH", "BTC", "", ""] == ATOMS
    refused = [
        one.postings_refused.reason
        for one in await books.stored(LEDGER)
        if one.HasField("postings_refused")
    ]
    assert refused == ["AMOUNT_OUT_OF_BOUNDS"] * 3


async def test_a_fill_of_which_another_event_reports_is_refused(books):
    again = fill(SPOT, 1, "1", "100")
    again.event_id = b"another event id"
    result = await books.book(fill(SPOT, 1, "1", "100"), again)
    assert [one.reason for one in result.refused.values()] == ["GROUP_ID_REUSED"]
    again.event_id = b"a third event id"
    result = await books.restarted().book(again)
    assert [one.reason for one in result.refused.values()] == ["GROUP_ID_REUSED"]
    assert (await books.balances())["CASH", "BTC", "", ""] == ATOMS


async def test_an_event_with_other_content_books_nothing(books):
    await books.book(fill(SPOT, 1, "1", "100"))
    with pytest.raises(EventConflict):
        await books.book(fill(SPOT, 2, "1", "100"), fill(SPOT, 1, "2", "100"))
    await books.book(fill(SPOT, 2, "1", "100"))
    found = await books.balances()
    assert found == expected_balances([fill(SPOT, 1, "1", "100"), fill(SPOT, 2, "1", "100")])


async def test_the_callers_part_of_a_transaction_is_committed_with_it(books):
    async def note(connection) -> None:
        await connection.execute("INSERT INTO event_positions VALUES ('intake', 'system', 7)")

    async def fail(connection) -> None:
        await note(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await books.writer.book([fill(SPOT, 1, "1", "100")], INSTRUMENTS, fail)
    assert await books.balances() == {}
    await books.writer.book([fill(SPOT, 1, "1", "100")], INSTRUMENTS, note)
    async with books.database.transaction() as connection:
        found = await event_log.load_positions(connection, "intake")
    assert found == {event_pb2.EVENT_STREAM_SYSTEM: 7}
    assert await books.balances() == expected_balances([fill(SPOT, 1, "1", "100")])
