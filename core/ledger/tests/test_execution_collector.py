"""What a venue reports becomes an event once, whatever breaks off in between."""

import asyncio

from venuemesh.events.v1 import event_pb2

from core.ledger import execution_collector
from core.ledger.tests.collectors import CHAIN, EPOCH, START_NS, fill, flow, name_of
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from tests.support.waiting import WAIT_SECONDS_MAX, until


async def test_all_that_a_venue_lists_is_stored_at_the_first_contact(intake, venue):
    venue.fills = [fill(number) for number in range(1, 6)]
    venue.flows = [flow(2), flow(3)]
    async with intake.runs():
        found = await intake.until(*(f"fill {n}" for n in range(1, 6)), "flow 2", "flow 3")
    fills = [event for event in found if event.HasField("order_filled")]
    assert [event.time_ns for event in fills] == sorted(event.time_ns for event in fills)
    assert {event.lifecycle_id for event in found if event.HasField("order_filled")} == {CHAIN}


async def test_a_stream_is_resumed_after_what_is_stored(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until_cursor(1)
    async with intake.runs():
        venue.add(fill(2))
        await intake.until_cursor(2)
    assert [name_of(event) for event in await intake.events()] == ["fill 1", "fill 2"]
    assert venue.resumed_after == [(0, 0), (EPOCH, 1)]


async def test_a_fill_names_the_strategy_whose_signal_began_its_chain(intake, venue):
    signal = event_pb2.Event(event_id=CHAIN, source="detector", lifecycle_id=CHAIN)
    signal.signal_raised.strategy = "ema_cross"
    async with intake.database.transaction() as connection:
        await event_log.append(connection, event_pb2.EVENT_STREAM_SIGNALS, [signal], START_NS)
    async with intake.runs():
        venue.add(fill(1))
        (found,) = await intake.until("fill 1")
    assert found.order_filled.strategy == "ema_cross"


async def test_a_burst_is_stored_in_few_transactions(intake, venue, monkeypatch):
    saved = []
    save = intake.store.save

    async def counted(before, after, events, instruments):
        saved.append(len(events))
        return await save(before, after, events, instruments)

    monkeypatch.setattr(intake.store, "save", counted)
    async with intake.runs():
        venue.add(fill(1))
        await intake.until_cursor(1)
        saved.clear()
        for number in range(2, 302):
            venue.add(fill(number))
        await intake.until_cursor(301)
    assert len(saved) < 100
    assert len(await intake.events()) == 301


async def test_a_long_list_is_stored_in_parts_that_stay(intake, venue, monkeypatch):
    monkeypatch.setattr(execution_collector, "ARRIVED_MAX", 2)
    stored, killed, go_on = [], asyncio.Event(), asyncio.Event()
    save = intake.store.save

    async def failing(before, after, events, instruments):
        if killed.is_set():
            await go_on.wait()
        elif stored:
            killed.set()
            raise StoreUnavailable("killed", store="postgresql")
        changed = await save(before, after, events, instruments)
        stored.append(len(events))
        return changed

    monkeypatch.setattr(intake.store, "save", failing)
    venue.fills = [fill(number) for number in range(1, 6)]
    async with intake.runs():
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await killed.wait()
        await intake.until("fill 1", "fill 2")
        assert (await intake.store.position()).fills_time_ns == fill(2).venue_time_ns
        go_on.set()
        await intake.until(*(f"fill {number}" for number in range(1, 6)))
    assert max(stored) == 2


async def test_what_happened_while_the_cursor_was_lost_is_listed(intake, venue):
    async with intake.runs():
        venue.add(fill(50))
        await intake.until("fill 50")
    venue.holds_cursors = False
    # The second one happened earlier, and was found late.
    venue.fills += [fill(51), fill(49)]
    async with intake.runs():
        found = await intake.until("fill 49", "fill 50", "fill 51")
    assert name_of(found[0]) == "fill 50"


async def test_what_is_only_listed_comes_while_the_stream_runs(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        venue.flows.append(flow(9))
        found = await intake.until("fill 1", "flow 9")
    assert found[-1].cash_moved.cash_flow == flow(9)


async def test_fills_are_stored_while_the_exchange_lists_no_cash_flows(intake, venue):
    venue.lists_cash_flows = False
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        await until(lambda: "cash flows of binance/main: away" in intake.meter.status().detail)
        venue.lists_cash_flows = True
        venue.flows.append(flow(1))
        await intake.until("fill 1", "flow 1")
        await until(lambda: not intake.meter.status().detail)
    assert len(await intake.events()) == 2


async def test_a_list_of_cash_flows_that_breaks_off_goes_on_where_it_was(intake, venue):
    venue.flows = [flow(number) for number in range(1, 5)]
    venue.pages_until_away = 2
    async with intake.runs():
        await intake.until("flow 1", "flow 2")
        await until(lambda: len(venue.pages_asked) >= 4)
        venue.pages_until_away = 1 << 30
        await intake.until(*(f"flow {number}" for number in range(1, 5)))
    assert venue.pages_asked[:4] == ["", "1", "2", "2"]
    assert set(venue.pages_asked[4 : venue.pages_asked.index("3")]) == {"2"}


async def test_a_list_of_cash_flows_that_broke_off_long_ago_begins_again(
    intake, venue, monkeypatch
):
    """Otherwise what the venue lists late, with a time before the missing page, stays unread."""
    monkeypatch.setattr(execution_collector, "CASH_FLOWS_GO_ON_SECONDS", 0)
    monkeypatch.setattr(execution_collector, "CASH_FLOWS_BACK_SECONDS", 1)
    venue.flows = [flow(number) for number in (1, 3, 4)]
    venue.pages_until_away = 2
    async with intake.runs():
        await intake.until("flow 1", "flow 3")
        await until(lambda: len(venue.pages_asked) >= 3)
        venue.flows.insert(1, flow(2))
        venue.pages_until_away = 1 << 30
        await intake.until(*(f"flow {number}" for number in range(1, 5)))
    assert venue.pages_asked[:4] == ["", "1", "2", ""]


async def test_a_page_that_is_not_known_any_more_is_not_asked_for_again(intake, venue):
    venue.flows = [flow(1), flow(2)]
    venue.rejects_page = "1"
    async with intake.runs():
        await intake.until("flow 1")
        await until(lambda: venue.pages_asked.count("") >= 2)
        venue.rejects_page = None
        await intake.until("flow 1", "flow 2")
    assert venue.pages_asked[:3] == ["", "1", ""]


async def test_a_fill_of_an_unknown_instrument_waits_until_it_is_listed(intake, venue, instruments):
    instruments.is_listed = False
    async with intake.runs():
        venue.add(fill(1))
        await until(lambda: "the terms of 'BTCUSDT'" in intake.meter.status().detail)
        assert await intake.events() == []
        instruments.is_listed = True
        await intake.until("fill 1")
        await until(lambda: not intake.meter.status().detail)


async def test_a_fill_with_other_values_changes_nothing_and_is_reported(intake, venue):
    async with intake.runs():
        venue.add(fill(1))
        await intake.until("fill 1")
        venue.add(fill(1, price="101", second=1))
        await until(lambda: "reports an execution again" in intake.meter.status().detail)
    (event,) = await intake.events()
    assert event.order_filled.fill.price == "100"
