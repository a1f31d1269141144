"""A capture of several instruments, whose books came from REST: each is kept by itself."""

import json

import pytest

from tests.integration import capture, recorded
from tests.integration.mesh import VENUE, replaying

pytestmark = pytest.mark.integration

SYMBOLS = ("COMPUSDT", "CRVUSDT", "OMGBUSD", "ZRXUSDT")
KINDS = ("bookTicker", "depth")


@pytest.fixture(scope="module")
def truth(frames):
    """What the frames say of each instrument."""
    lines = capture.lines(frames)
    return {symbol: capture.read(wanted(lines, symbol)) for symbol in SYMBOLS}


@pytest.fixture(scope="module")
def frames(captures):
    """Four instruments among more than a hundred that the exchange lists."""
    return captures / "binance" / "binance_us_2021" / "frames.jsonl"


@pytest.fixture(scope="module")
def mesh(frames, truth):
    """A mesh that has played them."""
    count = sum(len(found.quotes) for found in truth.values())
    with replaying(frames, "max") as running:
        running.wait_until(
            lambda: running.sql("SELECT count(*) FROM quote_rows") == [(count,)], "all quotes"
        )
        running.wait_until(lambda: all(updates(running, symbol) for symbol in SYMBOLS), "all books")
        yield running


def wanted(lines, symbol):
    """The frames of one instrument that are recorded."""
    for line in lines:
        name, _, kind = json.loads(line)["stream"].partition("@")
        if name == symbol.lower() and kind.partition("@")[0] in KINDS:
            yield line


def updates(running, symbol):
    """The recorded updates of one book."""
    return [found for found in recorded.book_updates(running) if found.symbol == symbol]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_quote_of_each_is_recorded(symbol, mesh, truth):
    rows = mesh.sql("SELECT sequence FROM quotes WHERE symbol = %s ORDER BY sequence", symbol)
    assert rows == [(quote.sequence,) for quote in truth[symbol].quotes]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_book_of_each_goes_on_from_its_own_snapshot(symbol, mesh, truth):
    snapshot, *rest = updates(mesh, symbol)
    assert snapshot.snapshot
    later = [update for update in truth[symbol].updates if update.last > snapshot.update.last]
    assert [found.update for found in rest] == later
    served = mesh.get(f"/v1/venues/{VENUE}/instruments/{symbol}/book")[1]
    assert served["state"] == "BOOK_STATE_PROVEN"
    assert int(served["last_sequence"]) == later[-1].last


def test_no_gap_is_recorded(mesh):
    assert recorded.gaps(mesh) == []
