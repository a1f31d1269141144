import pytest

from core.bars.database_rows import bar_of_row
from core.bars.instrument_bars import InstrumentBars
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch
from core.bars.tests.rig import Rig, rig_for
from kit.marketdata.model.columns import Scale

T = MONDAY_NS


@pytest.fixture
async def rig(valkey_url, postgres_url):
    async with rig_for(valkey_url, postgres_url) as rig:
        yield rig


async def test_a_bar_is_restored_at_the_scale_of_its_instrument_now(rig: Rig) -> None:
    async with rig.running():
        await rig.append(batch([Trade(1, T, price=12_345, size=678)], scale=(2, 3)))
        await rig.stored()
    rows = await rig.aggregator._store.load_bars("binance", "BTCUSDT", [(T, T + 1)])
    instrument = InstrumentBars("BTCUSDT", Scale(4, 4))
    (second,) = [bar for bar in (bar_of_row(row, instrument) for row in rows) if bar.level == 0]
    assert second.total.close == 1_234_500
    assert second.total.volume == 6_780
    assert second.total.quote_volume == 1_234_500 * 6_780


async def test_only_bars_that_overlap_are_loaded_each_once(rig: Rig) -> None:
    async with rig.running():
        trades = [Trade(number, T + number * SECOND_NS) for number in range(1, 100)]
        await rig.append(batch(trades))
        await rig.stored()
    spans = [(T + SECOND_NS * 3, T + SECOND_NS * 4), (T + SECOND_NS * 4 + 1, T + SECOND_NS * 6)]
    rows = await rig.aggregator._store.load_bars("binance", "BTCUSDT", spans)
    found = sorted((row[1], (row[2] - T) // SECOND_NS) for row in rows if row[2] >= T)
    assert found[:5] == [("15m", 0), ("15s", 0), ("1d", 0), ("1h", 0), ("1m", 0)]
    assert [opened for name, opened in found if name == "1s"] == [3, 4, 5]
    assert [opened for name, opened in found if name == "5s"] == [0, 5]


async def test_a_strange_symbol_is_stored_as_it_is(rig: Rig) -> None:
    symbol = "A\\B\tC\nD'É"
    async with rig.running():
        await rig.append(batch([Trade(1, T, symbol=symbol)]))
        await rig.stored()
    assert {key[0] for key in await rig.bars()} == {symbol}
