"""At the first start, a chart shows the venue's past candles joined with new bars."""

import time

import pytest

from tests.integration.mesh import SYMBOL, VENUE, Mesh, new_folder, running
from tests.integration.simulation import SIMULATE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

MINUTE_NS = 60_000_000_000
DAY_MINUTES = 24 * 60


def minutes(mesh: Mesh, candles: str = "true") -> list[dict[str, str]]:
    """The bars of one minute that a chart asks for, newest first."""
    path = f"/v1/history/{VENUE}/{SYMBOL}/bars?interval=1m&page_size=2000"
    path += f"&order=SORT_ORDER_NEWEST_FIRST&include_venue_candles={candles}"
    return mesh.get(path)[1].get("bars", [])


def test_a_day_of_bars_exists_after_the_first_start(record_property):
    began = time.monotonic()
    with new_folder() as data, running(data, *SIMULATE) as mesh:
        mesh.wait_until(lambda: len(minutes(mesh)) >= DAY_MINUTES, "a day of bars")
        record_property("past_seconds", round(time.monotonic() - began, 1))
        mesh.wait_until(
            lambda: any(bar["source"] == "BAR_SOURCE_TRADES" for bar in minutes(mesh)),
            "a bar is made of trades",
        )
        found = minutes(mesh)
        times_ns = [int(bar["open_time_ns"]) for bar in found]
        assert times_ns == list(range(times_ns[0], times_ns[-1] - 1, -MINUTE_NS))
        sources = [bar["source"] for bar in found]
        recorded = sources.count("BAR_SOURCE_TRADES")
        assert sources[recorded:] == ["BAR_SOURCE_VENUE_CANDLE"] * (len(found) - recorded)
        assert len(minutes(mesh, candles="false")) in (recorded, recorded + 1)
        assert_prices_join(found)


def assert_prices_join(found: list[dict[str, str]]) -> None:
    """Check that the price does not jump between the past and the new bars."""
    pairs = zip(found[1:], found, strict=False)
    jumps = [abs(float(after["open"]) / float(before["close"]) - 1) for before, after in pairs]
    assert max(jumps) < 0.01
