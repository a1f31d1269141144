"""What a chart draws of the conditions of a strategy."""

import pytest

from kit.features.evaluator import Evaluator
from kit.features.indicators import (
    adx,
    atr,
    bars_since,
    bollinger,
    close,
    crosses_above,
    dema,
    donchian,
    ema,
    hma,
    keltner,
    macd,
    mfi,
    position_in,
    previous,
    rsi,
    session_vwap,
    sma,
    stochastic,
    tema,
    typical_price,
    volume,
    vwap,
    where,
    zscore,
)
from kit.features.market import Market, basis_bps, own, spread_bps
from kit.features.price_lines import price_lines

bands = bollinger(20)


def lines(*conditions):
    """What is drawn, each once."""
    return list(dict.fromkeys(map(str, price_lines(conditions))))


@pytest.mark.parametrize(
    "line",
    [
        sma(5),
        dema(5),
        tema(5),
        hma(9),
        vwap(10),
        session_vwap(),
        bands.upper,
        bands.lower,
        keltner(20).lower,
        donchian(20).middle,
        ema(5, typical_price),
        0.98 * ema(5),
        ema(5) - 2 * atr(14),
        where(volume > 3, ema(5), ema(9)),
        typical_price,
    ],
    ids=str,
)
def test_what_is_in_the_unit_of_the_price_is_a_line(line):
    assert lines(close > line) == [str(line)]
    assert lines((volume > 2) & ~(previous(line) >= close)) == [str(line)]


@pytest.mark.parametrize(
    "condition",
    [
        close > previous(close),
        rsi(14) < 30,
        adx(14).adx > 20,
        mfi(14) < 20,
        stochastic().k > 80,
        atr(14) > 3,
        ema(5, volume) > 3,
        sma(5, Market("kraken/BTC/USDT").close) > 3,
        basis_bps > 2,
        own.trade_size > 2,
        spread_bps > 3,
    ],
    ids=str,
)
def test_other_numbers_are_no_lines(condition):
    assert lines(condition) == []


def test_both_sides_of_a_comparison_are_drawn():
    assert lines(crosses_above(ema(5), ema(13)), ema(5) > sma(50)) == [
        "ema(close, 13)",
        "ema(close, 5)",
        "sma(close, 50)",
    ]
    assert lines(position_in(bands) > 1) == [str(bands.lower), str(bands.upper)]
    assert lines(zscore(20) > 2) == ["sma(close, 20)"]
    assert lines(bars_since(close > bands.upper) < 3) == [str(bands.upper)]
    assert lines(macd().line > 0) == ["ema(close, 12)", "ema(close, 26)"]
    assert lines(2 * ema(5) > 3) == ["ema(close, 5)"]


def test_each_line_is_computed_already():
    condition = crosses_above(bands.upper, vwap(10)) | (bars_since(hma(9) < close) < 2)
    evaluator = Evaluator([condition])
    places = [evaluator.place_of_part(line) for line in price_lines([condition])]
    assert len(set(places)) == 3
    with pytest.raises(KeyError):
        evaluator.place_of_part(sma(99))
