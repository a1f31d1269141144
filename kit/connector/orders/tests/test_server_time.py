"""The offset of a venue's clock, from its answer and the time of the round trip."""

import pytest

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.connector.orders.server_time import ServerTimeQuery

SECOND = NANOSECONDS_PER_SECOND


@pytest.mark.parametrize(
    ("stated_ns", "offset_ns"), [(107 * SECOND, 2 * SECOND), (102 * SECOND, -3 * SECOND)]
)
def test_offset_is_corrected_by_half_of_the_round_trip(stated_ns: int, offset_ns: int) -> None:
    query = ServerTimeQuery("time", int, resolution_ns=1)
    found = query.offset(stated_ns, 104 * SECOND, 106 * SECOND)
    assert found.offset_ns == offset_ns
    assert found.uncertainty_ns == SECOND
    assert found.is_beyond(abs(offset_ns) - SECOND - 1)
    assert not found.is_beyond(abs(offset_ns) - SECOND)


def test_what_a_venue_cuts_off_makes_the_offset_less_certain() -> None:
    query = ServerTimeQuery("time", int, resolution_ns=SECOND)
    found = query.offset(100 * SECOND, 100 * SECOND, 100 * SECOND)
    assert (found.offset_ns, found.uncertainty_ns) == (SECOND // 2, SECOND // 2)


def test_answer_without_a_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time"):
        ServerTimeQuery("time", int).offset(0, 1, 2)
