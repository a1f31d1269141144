"""A feed with faults is found to be right where it is, and wrong where it is not."""

import asyncio

import pytest

from kit.conformance.endurance import Endured, endure
from kit.connector.contract import discovery
from kit.connector.contract.venue import VenueFactory
from kit.simulator.dialect import find_dialects
from tests.conformance.test_broken import VENUE, careless

pytestmark = pytest.mark.integration

EVENTS = 12_000
SHARE = 0.05
"""Few books change in so short a time: of a hundredth of the frames none may be of a book."""


async def lose(make: VenueFactory) -> Endured:
    """What becomes of a feed that loses frames."""
    (result,) = await endure(VENUE, make, find_dialects()[VENUE], EVENTS, ["drop"], share=SHARE)
    return result


async def test_who_checks_is_always_right_and_who_does_not_is_found_out() -> None:
    right, wrong = await asyncio.gather(lose(discovery.require(VENUE)), lose(careless))
    assert right.wrong == []
    assert right.events >= EVENTS
    assert right.checked > 100
    assert 0 < len(right.recovery_s) <= right.gaps
    assert any("was never there" in line for line in wrong.wrong)
