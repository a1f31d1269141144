"""Derivatives of paper accounts: positions, margin, funding, average prices."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.paper import records
from kit.execution.paper.instrument_terms import terms_of
from kit.execution.paper.rules import FeeSchedule
from kit.execution.paper.tests.markets import (
    BUY,
    INVERSE,
    LISTED,
    RULES,
    SELL,
    SWAP,
    PaperVenue,
)
from kit.execution.paper.tests.test_exchange import CANCELLED, OPEN, refused
from kit.execution.tests.made_balances import made_balances

D = Decimal
FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING


def test_a_position_wins_and_loses_and_pays_funding():
    floor = PaperVenue(replace(RULES, leverage=5))
    floor.market.whole([(99, 50)], [(101, 50)], symbol=SWAP)
    floor.place(size=10, symbol=SWAP)
    assert floor.totals()["USDT"] == 10_000 - D("2.02")
    floor.market.mark(111, "0.001", 500, time_ns=400)
    (held,) = floor.exchange.positions()
    assert (held.size, held.entry_price, held.unrealized_profit) == (10, 101, 100)
    assert floor.free()["USDT"] == floor.totals()["USDT"] - 222
    before = floor.totals()["USDT"]
    floor.market.mark(112, "0.001", 900, time_ns=500)
    assert floor.totals()["USDT"] == before - D("1.11")
    floor.market.mark(112, "0.001", 500, time_ns=600)
    floor.market.mark(112, "0.001", 900, time_ns=700)
    assert floor.totals()["USDT"] == before - D("1.11")
    floor.place(size=10, side=SELL, symbol=SWAP)
    assert not floor.exchange.positions()
    assert floor.totals()["USDT"] == before - D("1.11") - 20 - D("1.98")


def test_margin_is_needed_for_the_larger_risk():
    floor = PaperVenue()
    floor.market.whole([(99, 50)], [(101, 50)], symbol=SWAP)
    assert floor.place(99, 980, symbol=SWAP).order.state == OPEN
    assert floor.free()["USDT"] == 298
    assert floor.place(101.5, 900, side=SELL, symbol=SWAP).order.state == OPEN
    funds = pb.REJECT_REASON_INSUFFICIENT_FUNDS
    assert refused(floor.place(99, 40, symbol=SWAP)) == funds


def test_reduce_only_never_turns_a_position():
    floor = PaperVenue()
    floor.market.whole([(99, 50)], [(101, 50)], symbol=SWAP)
    only = {"symbol": SWAP, "reduce_only": True, "side": SELL}
    assert refused(floor.place(101, 1, **only)) == pb.REJECT_REASON_REDUCE_ONLY
    floor.place(size=3, symbol=SWAP)
    cut = floor.place(101.5, 5, **only)
    assert cut.order.size == 3
    floor.place(size=2, side=SELL, symbol=SWAP)
    assert floor.now(cut).size == 1
    floor.place(size=1, side=SELL, symbol=SWAP)
    assert floor.now(cut).state == CANCELLED
    assert refused(floor.place(101, 1, side=BUY, reduce_only=True)) == pb.REJECT_REASON_REDUCE_ONLY


def test_funding_of_a_time_that_was_not_seen_is_not_made_up():
    floor = PaperVenue()
    floor.market.whole([(99, 50)], [(101, 50)], symbol=SWAP)
    floor.place(size=10, symbol=SWAP)
    before = floor.totals()
    # A tape of years ago, heard today: the time of the funding is over since long.
    for time_ns in (1000, 1001, 1002):
        floor.market.mark(100, "0.001", 500, time_ns=time_ns)
    assert floor.totals() == before


def test_an_inverse_position_is_won_and_lost_in_coins():
    floor = PaperVenue()
    floor.market.whole([(100, 5000)], [(100.5, 5000)], symbol=INVERSE)
    floor.place(size=1000, side=SELL, symbol=INVERSE)
    assert floor.totals()["BTC"] == 10 - D("0.02")
    floor.market.mark(50, symbol=INVERSE)
    (held,) = floor.exchange.positions()
    assert (held.size, held.entry_price, held.unrealized_profit) == (-1000, 100, 10)
    floor.market.whole([(199, 5000)], [(200, 5000)], symbol=INVERSE)
    floor.place(size=500, symbol=INVERSE)
    # Half of it stood for 5 coins, and for 2.5 when it was bought back.
    assert floor.totals()["BTC"] == 10 - D("0.02") - D("2.5") - D("0.005")
    assert floor.exchange.positions()[0].entry_price == 100


def test_what_cannot_be_divided_is_not_lost():
    floor = PaperVenue(replace(RULES, fee_schedule=FeeSchedule(D(0), D(0))))
    start = floor.totals()["BTC"]
    floor.market.whole([(7, 5000)], [(7, 5000)], symbol=INVERSE)
    floor.place(size=100, symbol=INVERSE)
    for size in (33, 33, 34):
        floor.place(size=size, side=SELL, symbol=INVERSE)
    position = floor.exchange.wallet.position_record(INVERSE)
    assert (position.size, position.cost) == (0, 0)
    assert abs(floor.totals()["BTC"] - start) < D("1e-17")


HOUR_NS = 3600 * 10**9


def test_continuous_funding_is_paid_for_the_time_that_passes():
    schedule = replace(RULES.fee_schedule, continuous_funding_period_ns=8 * HOUR_NS)
    floor = PaperVenue(replace(RULES, fee_schedule=schedule))
    floor.market.whole([(100, 5000)], [(100.5, 5000)], symbol=INVERSE)
    floor.place(size=1000, side=SELL, symbol=INVERSE)
    before = floor.totals()["BTC"]
    for minute in range(61):
        floor.market.mark(100, "0.0008", symbol=INVERSE, time_ns=minute * 60 * 10**9 + 1)
    # Ten coins are short for an hour of the eight that the rate belongs to.
    assert abs(floor.totals()["BTC"] - before - D("0.001")) < D("1e-16")
    for minute in range(61, 121):
        floor.market.mark(100, "0", symbol=INVERSE, time_ns=minute * 60 * 10**9 + 1)
    # The first of these minutes has the last rate, the others have none.
    expected = before + D("0.001") + 10 * D("0.0008") / 480
    assert abs(floor.totals()["BTC"] - expected) < D("1e-16")


def test_continuous_funding_is_paid_before_the_position_changes():
    schedule = replace(RULES.fee_schedule, continuous_funding_period_ns=8 * HOUR_NS)
    floor = PaperVenue(replace(RULES, fee_schedule=replace(schedule, maker=D(0), taker=D(0))))
    floor.market.whole([(100, 5000)], [(100, 5000)], symbol=INVERSE)
    floor.place(size=1000, side=SELL, symbol=INVERSE)
    before = floor.totals()["BTC"]
    for second in (0, 9):
        floor.market.mark(100, "0.0032", symbol=INVERSE, time_ns=second * 10**9 + 1)
    assert floor.totals()["BTC"] == before
    floor.place(size=1000, symbol=INVERSE)
    assert floor.totals()["BTC"] == before + D("0.00001")
    floor.market.mark(100, "0.0032", symbol=INVERSE, time_ns=600 * 10**9)
    assert floor.totals()["BTC"] == before + D("0.00001")


def test_fills_and_cash_flows_make_the_balances():
    floor = PaperVenue()
    steps = []

    def keep():
        step, _ = floor.exchange.take_step()
        steps.append(records.decode(records.encode(step)))

    floor.market.whole([(99, 50)], [(101, 50)], symbol=SWAP)
    floor.market.whole([(7, 5000)], [(7, 5000)], symbol=INVERSE)
    for symbol, sizes in ((SWAP, (10, -3, 5, -7)), (INVERSE, (100, -33, 20, -9))):
        for size in sizes:
            floor.place(size=abs(size), side=BUY if size > 0 else SELL, symbol=symbol)
        keep()
    for price, at_ns in ((111, 400), (112, 500)):
        floor.market.mark(price, "0.00123", 500, time_ns=at_ns)
    floor.place(size=5, side=SELL, symbol=SWAP)
    keep()
    terms = {symbol: terms_of(LISTED[symbol]) for symbol in (SWAP, INVERSE)}
    again = PaperVenue(steps=steps)
    compacted = PaperVenue(steps=list(again.exchange.steps()))
    for account in (floor, again, compacted):
        flows = account.exchange.cash_flows(0)
        assert made_balances(terms, account.exchange.fills("", 0), flows) == account.totals()
        assert [one.symbol for one in flows if one.kind == FUNDING] == [SWAP]
        assert len({one.cash_flow_id for one in flows}) == len(flows)


def test_the_average_price_of_an_inverse_order_is_harmonic():
    floor = PaperVenue()
    floor.market.whole([], [(50_000, 1000), (100_000, 1000)], symbol=INVERSE)
    floor.market.mark(50_000, symbol=INVERSE)
    receipt = floor.place(100_000, 2000, symbol=INVERSE)
    average = D("66666.6666666666666667")
    assert receipt.order.average_price == average
    assert round(floor.exchange.positions()[0].entry_price, 8) == round(average, 8)
    found = floor.exchange.take_step()
    again = PaperVenue(steps=[found[0]])
    assert again.now(receipt).average_price == average


def test_an_order_of_an_earlier_file_keeps_the_average_that_it_has():
    floor = PaperVenue()
    floor.market.whole([], [(50_000, 1000)], symbol=INVERSE)
    floor.market.mark(50_000, symbol=INVERSE)
    receipt = floor.place(50_000, 2000, symbol=INVERSE)
    step = msgspec.msgpack.decode(records.encode(floor.exchange.take_step()[0]))
    for order in step[2]:
        del order[19:]
    again = PaperVenue(steps=[records.decode(msgspec.msgpack.encode(step))])
    assert again.now(receipt).average_price == 50_000


def test_a_position_can_be_closed_when_margin_is_short():
    floor = PaperVenue()
    floor.market.whole([(99, 2000)], [(101, 2000)], symbol=SWAP)
    floor.place(size=900, symbol=SWAP)
    floor.market.mark(91, symbol=SWAP)
    assert floor.free()["USDT"] < 0
    assert floor.place(99, 900, side=SELL, symbol=SWAP).order.filled_size == 900


def test_terms_follow_the_stated_contract_and_not_the_symbol():
    swap = LISTED[SWAP]
    stated = changed(
        swap,
        unified_symbol="",
        quote="USD",
        size_unit=types_pb2.SIZE_UNIT_CONTRACTS,
        settlement_asset="BTC",
        contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
        contract_value="100",
        contract_value_asset="USD",
    )
    terms = terms_of(stated)
    assert (terms.settle, terms.multiplier) == ("BTC", 100)
    assert terms.value(D(50_000), D(5)) == 10**16


@pytest.mark.parametrize(
    "unknown",
    [
        {"contract_kind": types_pb2.CONTRACT_KIND_UNSPECIFIED},
        {"size_unit": types_pb2.SIZE_UNIT_UNSPECIFIED},
        {"size_unit": types_pb2.SIZE_UNIT_CONTRACTS},
    ],
)
def test_a_derivative_whose_sizes_are_not_known_is_not_traded(unknown):
    assert terms_of(changed(LISTED[SWAP], **unknown)) is None


def changed(instrument, **fields):
    copy = types_pb2.Instrument()
    copy.CopyFrom(instrument)
    for name, value in fields.items():
        setattr(copy, name, value)
    return copy
