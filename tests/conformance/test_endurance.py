"""The endurance test passes a correct connector and fails a wrong one."""

import asyncio

import pytest

from kit.conformance.endurance import EnduranceResult, endure
from kit.connector.contract import discovery
from kit.connector.contract.venue import VenueFactory
from kit.simulator.dialect import find_dialects
from tests.conformance.test_broken import VENUE, blind

pytestmark = pytest.mark.integration

EVENTS = 12_000
SHARE = 0.05
"""Few books change in so short a time: of a hundredth of the frames none may be of a book."""

CHECKS_MIN = 100


async def lose(make: VenueFactory) -> EnduranceResult:
    """The result of a feed that loses frames."""
    (result,) = await endure(VENUE, make, find_dialects()[VENUE], EVENTS, ["drop"], share=SHARE)
    return result


async def test_a_correct_connector_passes_and_a_blind_rule_is_detected() -> None:
    right, wrong = await asyncio.gather(lose(discovery.require(VENUE)), lose(blind))
    runs = [right]
    while sum(run.checked for run in runs) <= CHECKS_MIN:
        # On a busy machine books are in doubt for longer, and fewer can be checked.
        runs.append(await lose(discovery.require(VENUE)))
    for run in runs:
        assert run.wrong == []
        assert run.events >= EVENTS
        assert 0 < len(run.recovery_s) <= run.gaps
    assert any("was never at the exchange" in line for line in wrong.wrong)
