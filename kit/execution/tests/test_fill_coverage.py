"""The spans of time of which fills are known."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from kit.base.errors import VenueUnavailable
from kit.execution.contract import NO_END_NS, VenueFill
from kit.execution.orders.fill_coverage import FillCoverage
from kit.execution.venue_calls import answer_of, answered, pages_of

FILL = VenueFill("BTCUSDT", "f", "v", "", 1, Decimal(1), Decimal(1), (), 1, 150)


def test_spans_grow_together_from_both_sides():
    coverage = FillCoverage()
    assert coverage.missing("", 50) == ((50, NO_END_NS),)
    coverage.add("", 50, 100)
    coverage.add("", 300, 400)
    coverage.add("", 200, 300)
    assert coverage.known_until_ns == coverage.until_ns("") == coverage.until_ns("BTCUSDT") == 100
    assert coverage.missing("", 100) == ((100, 200), (400, NO_END_NS))
    coverage.add("", 100, 200)
    assert coverage.known_until_ns == 400
    assert coverage.missing("", 400) == ((400, NO_END_NS),)


def test_fills_of_unknown_orders_are_read_again_after_a_restart():
    coverage = FillCoverage()
    coverage.add("", 0, 1000, count=3)
    record = coverage.record("", [[FILL, replace(FILL, venue_time_ns=250)]])
    again = FillCoverage()
    again.replay(record)
    assert again.missing("", 0) == ((150, 251), (1000, NO_END_NS))
    assert again.count == coverage.count == 3
    assert coverage.missing("", 0) == ((1000, NO_END_NS),)


def test_finished_listing_is_counted_from_nothing():
    coverage = FillCoverage()
    coverage.add("", 0, 10, count=3)
    coverage.finish("")
    assert (coverage.count, coverage.record("", []).count) == (3, 0)
    coverage.add("", 10, 20, count=2)
    assert coverage.count == 2


async def test_each_page_has_a_deadline_of_its_own():
    async def pages(pause_s):
        for number in range(4):
            await asyncio.sleep(pause_s)
            yield number

    assert [page async for page in pages_of(pages(0.05), 0.15)] == [0, 1, 2, 3]
    with pytest.raises(VenueUnavailable, match=r"no answer in 0\.01 s"):
        await anext(pages_of(pages(10), 0.01))


async def test_question_of_several_answers_has_a_deadline_for_each():
    async def question(pauses):
        for pause_s in pauses:
            await asyncio.sleep(pause_s)
            answered()
        return "all"

    assert await answer_of(question([0.05] * 5), 0.15) == "all"
    with pytest.raises(VenueUnavailable):
        await answer_of(question([0, 10]), 0.01)
