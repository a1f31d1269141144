"""What RiskReports says of limits, exposures, stops, verdicts and unclear orders."""

import asyncio
from decimal import Decimal

import msgspec
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import signed_pb2

from core.inspector.price_cache import PriceCache
from core.inspector.protection import (
    CLOSING,
    NOTHING_HELD,
    PROTECTED,
    UNCONFIRMED,
    UNKNOWN,
    UNPROTECTED,
)
from core.inspector.service import RiskReportsServicer
from core.inspector.tests.books import hold
from core.inspector.tests.lying_venue import CANCELLED, OPEN
from core.inspector.tests.rig import DECISIONS, START_NS, close, decision, mode
from core.inspector.tests.test_lifecycles import STOP
from core.inspector.tests.test_limit_monitor import acting, escalating, hold_at, price_is, rule
from core.inspector.tests.test_limits import LIMIT, limited
from core.inspector.tests.test_manual_orders import LENA, place
from kit.base.errors import BadPageToken
from kit.events import newest_events
from kit.risk.escalation import EscalatedMode
from kit.risk.policy import OPEN_POLICY
from tests.support.waiting import eventually

ALLOW, BLOCK = risk_pb2.VERDICT_ALLOW, risk_pb2.VERDICT_BLOCK
STAND_DOWN = risk_pb2.VERDICT_STAND_DOWN


def reports(rig, process):
    return RiskReportsServicer(rig.database, process.rules, PriceCache(None, rig.clock))


async def limits(rig, process, **request):
    asked = risk_reports_pb2.ListLimitsRequest(**request)
    answer = await reports(rig, process).ListLimits(asked, None)
    return {(one.name, one.scope): one for one in answer.limits}


async def exposures(rig, process, **request):
    asked = risk_reports_pb2.ListExposuresRequest(**request)
    return await reports(rig, process).ListExposures(asked, None)


async def protections(rig):
    asked = risk_reports_pb2.ListProtectionsRequest()
    return (await reports(rig, rig.process).ListProtections(asked, None)).protections


async def verdicts(rig, **request):
    asked = risk_reports_pb2.ListVerdictsRequest(**request)
    return await reports(rig, rig.process).ListVerdicts(asked, None)


async def until_verdicts(rig, count):
    async def are_there():
        return len((await verdicts(rig)).verdicts) >= count

    await eventually(are_there)
    return (await verdicts(rig)).verdicts


async def until_state(rig, state):
    found = []

    async def is_so():
        found[:] = await protections(rig)
        return [one.state for one in found] == [state]

    await eventually(is_so)
    return found[0]


async def test_drawdown_of_the_equity_is_shown_against_its_limit(rig):
    halts = rule("drawdown_max", EscalatedMode.HALTED)
    throttles = rule(
        "drawdown_max", EscalatedMode.THROTTLED, share=Decimal("0.8"), release_seconds=60
    )
    process = await acting(rig, escalating(throttles, halts, drawdown_max={"strategy:*": "2000"}))
    await hold_at(rig, 60_000)
    price_is(process, 61_000)
    await process.limits.look()
    price_is(process, 60_250)
    (found,) = (await limits(rig, process, scope="strategy:ema_cross")).values()
    # Nothing was closed: the drawdown is that of the equity.
    assert (found.observed, found.limit, found.unit) == ("750", "2000", "USDT")
    assert (found.used, found.is_beyond, found.problem) == ("0.375", False, "")
    modes = [(one.mode, one.share, one.release_seconds) for one in found.escalations]
    assert modes == [
        (risk_pb2.TRADING_MODE_THROTTLED, "0.8", 60),
        (risk_pb2.TRADING_MODE_HALTED, "1", 0),
    ]


async def test_value_that_is_not_known_has_no_use_and_says_why(rig):
    process = await acting(rig, limited(exposure_max={"mesh": "500"}, balance_min={"mesh": "2000"}))
    await hold_at(rig, 60_000)
    found = (await limits(rig, process))["exposure_max", "mesh"]
    assert (found.observed, found.used, found.is_beyond) == ("", "", False)
    assert "binance/paper/BTCUSDT" in found.problem
    price_is(process, 60_000)
    found = await limits(rig, process)
    exposed, owned = found["exposure_max", "mesh"], found["balance_min", "mesh"]
    assert (exposed.observed, exposed.used, exposed.is_beyond) == ("60000", "120", True)
    assert (owned.observed, owned.is_minimum, owned.is_beyond) == ("1000", True, True)
    assert owned.used == "2"


async def test_limits_of_orders_are_listed_without_a_value(rig):
    policy = msgspec.structs.replace(
        limited(order_value_max={"strategy:*": "700"}),
        order_size_max={"binance/BTCUSDT": Decimal("0.5")},
        waived=("drawdown_max",),
    )
    process = await acting(rig, policy)
    answer = await reports(rig, process).ListLimits(risk_reports_pb2.ListLimitsRequest(), None)
    assert (answer.policy_version, answer.waived) == (policy.version.hex(), ["drawdown_max"])
    found = await limits(rig, process)
    of_order = found["order_value_max", "strategy:*"]
    assert (of_order.limit, of_order.is_of_orders, of_order.observed) == ("700", True, "")
    assert found["order_size_max", "instrument:binance/BTCUSDT"].limit == "0.5"
    rate = found["entries_per_minute_max", "mesh"]
    assert (rate.limit, rate.observed, rate.is_of_orders) == ("600", "0", False)


async def test_limits_come_in_pages_of_one_list(rig):
    process = await acting(rig, limited(exposure_max={"mesh": "5", "venue:okx": "6"}))
    servicer, token, seen = reports(rig, process), "", []
    while token or not seen:
        asked = risk_reports_pb2.ListLimitsRequest(page_size=2, page_token=token)
        answer = await servicer.ListLimits(asked, None)
        seen += [(one.name, one.scope, one.unit) for one in answer.limits]
        token = answer.next_page_token
    assert seen == sorted(set(seen))
    assert ("exposure_max", "venue:okx", "USDT") in seen
    assert len(seen) > 2


async def test_exposures_of_venues_are_added_up_in_the_currency(rig):
    policy = msgspec.structs.replace(OPEN_POLICY, currency="USDT", rates={"USD": Decimal(2)})
    process = await acting(rig, policy)
    price_is(process, 100)
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inspector_terms VALUES ('binance', 'BTCUSDT', 'USDT', false, 1),"
            " ('coinbase', 'BTC-USD', 'USD', false, 1);"
            "INSERT INTO inspector_entries (venue, account, client_order_id, symbol, strategy,"
            " is_buy, size, price) VALUES ('binance', 'paper', 'x', 'BTCUSDT', '', true, 2, 90)"
        )
    await hold(rig, Decimal(3))
    await hold(rig, Decimal(-1), "BTC-USD", venue="coinbase")
    found = await exposures(rig, process)
    assert found.currency == "USDT"
    rows = [(one.venue, one.strategy, one.held, one.buys, one.gross) for one in found.exposures]
    # A purchase counts at the higher one of its own price and the middle.
    assert rows == [
        ("binance", "", "0", "200", "200"),
        ("binance", "ema_cross", "300", "0", "300"),
        ("coinbase", "ema_cross", "-100", "0", "200"),
    ]
    sums = {one.scope: (one.asset, one.gross, one.net, one.open_orders) for one in found.sums}
    assert sums["mesh"] == ("USDT", "700", "100", "200")
    assert sums["venue:coinbase"] == ("USDT", "200", "-200", "0")
    assert sums["strategy:ema_cross"] == ("USDT", "500", "100", "0")
    (only,) = (await exposures(rig, process, venue="coinbase")).exposures
    assert only.symbol == "BTC-USD"


async def test_exposures_without_a_currency_are_added_up_by_asset(rig):
    process = await acting(rig, OPEN_POLICY)
    price_is(process, 100)
    async with rig.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO inspector_terms VALUES ('binance', 'BTCUSDT', 'USDT', false, 1)"
        )
    await hold(rig, Decimal(3))
    await hold(rig, Decimal(1), "NEWUSDT")
    found = await exposures(rig, process)
    sums = {(one.scope, one.asset): one for one in found.sums}
    assert sums["mesh", "USDT"].gross == "300"
    unknown = sums["mesh", ""]
    assert (unknown.gross, unknown.net) == ("", "")
    assert unknown.problem.endswith("the terms of an instrument are not known")
    assert [one.problem == "" for one in found.exposures] == [True, False]


async def test_position_shows_its_stop_as_the_venue_has_it(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    found = await until_state(rig, PROTECTED)
    assert (found.strategy, found.stop_price, found.target_price) == ("ema_cross", "59000", "62000")
    assert Decimal(found.size) == rig.venue.held() > 0
    assert {(one.is_stop, one.state) for one in found.exits} == {(True, OPEN), (False, OPEN)}


async def test_position_shows_what_is_wrong_with_its_stop_at_the_venue(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await until_state(rig, PROTECTED)
    # The clock is fast: the inspector would act before the report is read.
    act, is_read = process.unprotected._act, asyncio.Event()

    async def act_later(position_id, **named):
        await is_read.wait()
        await act(position_id, **named)

    process.unprotected._act = act_later
    # Nobody gives it another one.
    rig.venue.always["place"] = "lost"
    (stop,) = [one for one in rig.venue.orders.values() if one.content.type == STOP]
    stop.content.size = "0.005"
    found = await until_state(rig, UNPROTECTED)
    assert found.problem == f"its stop is for 0.005 of {rig.venue.held()}"
    assert found.since_time_ns > START_NS
    # The order states that events have told say nothing of it.
    assert {(one.is_stop, one.state) for one in found.exits} == {(True, OPEN), (False, OPEN)}
    is_read.set()
    assert (await until_state(rig, CLOSING)).stop_price == "59000"


async def test_position_without_a_stop_whose_orders_are_on_their_way_is_not_confirmed(rig):
    await rig.start()
    make = rig.venue._make

    def without_exits(approved):
        order = make(approved)
        if order.content.stop_price:
            rig.venue._set(order, CANCELLED)
        return order

    rig.venue._make = without_exits
    # The call has made the orders, and the inspector does not know it.
    rig.venue.always["place"] = "unanswered"
    await rig.put(DECISIONS, decision(1))
    assert (await until_state(rig, UNCONFIRMED)).problem == "it has no stop"


async def test_position_of_a_silent_account_is_not_known(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    since_ns = (await until_state(rig, PROTECTED)).since_time_ns
    rig.venue.is_silent = True
    found = await until_state(rig, UNKNOWN)
    assert found.problem == "not known: silent"
    assert found.since_time_ns > since_ns


async def test_position_that_nobody_has_looked_at_is_not_known(rig):
    process = await rig.start()
    process.unprotected.look = lambda account, watched: rig.clock.sleep(0)
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    assert (await until_state(rig, UNKNOWN)).since_time_ns == 0


async def test_position_that_is_being_closed_may_be_without_a_stop(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    rig.venue.always["cancel"] = "lost"
    await rig.put(DECISIONS, close(2))
    assert (await until_state(rig, CLOSING)).strategy == "ema_cross"


async def test_entry_that_waits_in_the_book_needs_no_stop_yet(rig):
    await rig.start()
    await rig.put(DECISIONS, decision(1, **LIMIT))
    await rig.until_outcomes(1)
    found = await until_state(rig, NOTHING_HELD)
    assert found.size == "0"


async def test_orders_without_an_outcome_are_listed_until_there_is_one(rig):
    process = await rig.start()
    rig.venue.always["place"] = "lost"
    await rig.put(DECISIONS, decision(1))

    async def pending():
        asked = risk_reports_pb2.ListSubmissionsRequest()
        return (await reports(rig, process).ListSubmissions(asked, None)).submissions

    await eventually(pending)
    (found,) = await pending()
    assert (found.strategy, found.symbol, found.orders) == ("ema_cross", "BTCUSDT", 3)
    assert (found.operation, found.is_entry) == (signed_pb2.OPERATION_PLACE, True)
    assert START_NS <= found.approved_time_ns < found.expires_time_ns
    del rig.venue.always["place"]
    await rig.until_outcomes(1)
    assert not await pending()


async def test_verdicts_come_newest_first_with_who_and_what(rig):
    process = await acting(rig, limited(exposure_max={"strategy:*": "1"}))
    price_is(process, 60_000)
    await rig.put(DECISIONS, decision(1, **LIMIT))
    await until_verdicts(rig, 1)
    await process.manual.submit(place(), LENA)
    newest, first = (await verdicts(rig)).verdicts
    assert (first.strategy, first.caller, first.verdict.verdict) == ("ema_cross", "", BLOCK)
    assert (first.venue, first.account, first.symbol) == ("binance", "paper", "BTCUSDT")
    assert (first.side, first.size) == (types_pb2.SIDE_BUY, "0.01")
    assert not first.verdict.facts
    assert len(first.verdict.checks) > 1
    assert (newest.strategy, newest.caller, newest.verdict.verdict) == ("", "lena", ALLOW)
    assert not newest.verdict.orders
    assert [one.caller for one in (await verdicts(rig, refused_only=True)).verdicts] == [""]


async def test_verdict_that_closes_for_a_mode_names_what_it_closes(rig):
    process = await rig.start()
    await rig.put(DECISIONS, decision(1))
    await rig.until_outcomes(1)
    await process.changes.set(mode(risk_pb2.TRADING_MODE_CLOSING_ALL), "otto")
    await rig.until_flat()
    newest = (await verdicts(rig)).verdicts[0]
    assert newest.verdict.is_reduction
    assert (newest.strategy, newest.venue, newest.symbol) == ("ema_cross", "binance", "BTCUSDT")


async def test_pages_of_verdicts_join_also_where_refusals_are_rare(rig, monkeypatch):
    monkeypatch.setattr(newest_events, "READ_EVENTS", 2)
    monkeypatch.setattr(newest_events, "READ_EVENTS_MAX", 4)
    process = await acting(rig, OPEN_POLICY)
    await process.changes.set(mode(risk_pb2.TRADING_MODE_STANDING_DOWN), "otto")
    for number in (1, 2, 3):
        await rig.put(DECISIONS, decision(number))
    await until_verdicts(rig, 3)
    for _ in range(7):
        await process.changes.set(mode(risk_pb2.TRADING_MODE_ACTIVE), "otto")
    found, token, sizes = [], "", []
    while token or not sizes:
        page = await verdicts(rig, refused_only=True, page_size=2, page_token=token)
        found += [one.event_id for one in page.verdicts]
        sizes.append(len(page.verdicts))
        token = page.next_page_token
    assert len(found) == len(set(found)) == 3
    assert sizes[0] == 0
    with pytest.raises(BadPageToken):
        await verdicts(rig, page_token="x")


async def test_full_page_of_verdicts_is_followed_by_the_next_verdict(rig):
    await acting(rig, OPEN_POLICY)
    for number in (1, 2, 3):
        await rig.put(DECISIONS, decision(number))
    expected = [one.event_id for one in await until_verdicts(rig, 3)]
    found, token = [], ""
    while token or not found:
        page = await verdicts(rig, page_size=1, page_token=token)
        found += [one.event_id for one in page.verdicts]
        token = page.next_page_token
    assert found == expected
