"""Compares the indicators with those of TA-Lib over a million bars: one line each.

Runs in an environment of its own that has TA-Lib: kit/features needs the standard library only.
"""

import math
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import talib

from kit.features import indicators as own
from kit.features.evaluator import Evaluator, FeatureBar
from kit.features.expression import Expression

TOLERANCE = 1e-8
"""Largest difference, as a part of the larger number, or of ``scale`` if that is larger."""
SETTLED = 6_000
"""TA-Lib starts some averages at another bar. The difference fades, and counts no more after so
many bars."""


def bars(count: int) -> list[FeatureBar]:
    """A random walk, with bars without any move among them."""
    source, price, found = random.Random(16), 30_000.0, []
    for number in range(count):
        opened = price
        price = max(1.0, price * math.exp(source.gauss(0.0, 0.001)))
        if number % 50 < 3:
            price = opened
        high = max(opened, price) * (1 + abs(source.gauss(0.0, 0.0003)))
        low = min(opened, price) * (1 - abs(source.gauss(0.0, 0.0003)))
        volume = source.expovariate(0.1)
        found.append(FeatureBar(opened, high, low, price, volume, volume / 2, 3, volume * price))
    return found


def cases(columns: dict[str, Any]) -> dict[str, tuple[Expression, Any, float]]:
    """Our expression, TA-Lib's numbers, and the scale of the numbers."""
    high, low, close, volume = (columns[name] for name in ("high", "low", "close", "volume"))
    price = 30_000.0
    bands = talib.BBANDS(close, 20, 2.0, 2.0)
    macd = talib.MACD(close, 12, 26, 9)
    stochastic = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    aroon = talib.AROON(high, low, 14)
    adx, ours = own.adx(14), own.bollinger(20, 2.0)
    return {
        "sma": (own.sma(30), talib.SMA(close, 30), price),
        "sma of 5,000": (own.sma(5_000), talib.SMA(close, 5_000), price),
        "ema": (own.ema(26), talib.EMA(close, 26), price),
        "wma": (own.wma(30), talib.WMA(close, 30), price),
        "dema": (own.dema(10), talib.DEMA(close, 10), price),
        "tema": (own.tema(10), talib.TEMA(close, 10), price),
        "kama": (own.kama(10), talib.KAMA(close, 10), price),
        "highest": (own.highest(20), talib.MAX(high, 20), price),
        "lowest": (own.lowest(20), talib.MIN(low, 20), price),
        "bollinger upper": (ours.upper, bands[0], price),
        "bollinger lower": (ours.lower, bands[2], price),
        "deviation": (own.deviation(20), talib.STDDEV(close, 20), price),
        "variance": (own.variance(20), talib.VAR(close, 20), price * price),
        "rsi": (own.rsi(14), talib.RSI(close, 14), 100.0),
        "macd": (own.macd().line, macd[0], price),
        "macd signal": (own.macd().signal, macd[1], price),
        "macd histogram": (own.macd().histogram, macd[2], price),
        "atr": (own.atr(14), talib.ATR(high, low, close, 14), 1.0),
        "true range": (own.true_range(), talib.TRANGE(high, low, close), 1.0),
        "adx": (adx.adx, talib.ADX(high, low, close, 14), 100.0),
        "plus di": (adx.plus, talib.PLUS_DI(high, low, close, 14), 100.0),
        "minus di": (adx.minus, talib.MINUS_DI(high, low, close, 14), 100.0),
        "stochastic k": (own.stochastic().k, stochastic[0], 100.0),
        "stochastic d": (own.stochastic().d, stochastic[1], 100.0),
        "williams r": (own.williams_r(), talib.WILLR(high, low, close, 14), 100.0),
        "momentum": (own.momentum(10), talib.MOM(close, 10), price),
        "rate of change": (own.rate_of_change(10), talib.ROCP(close, 10), 1.0),
        "cci": (own.cci(20), talib.CCI(high, low, close, 20), 1_000.0),
        "mfi": (own.mfi(14), talib.MFI(high, low, close, volume, 14), 100.0),
        "aroon up": (own.aroon().up, aroon[1], 100.0),
        "aroon down": (own.aroon().down, aroon[0], 100.0),
        "obv moves": (own.obv() - own.previous(own.obv()), _moves(close, volume), 10.0),
        "correlation": (
            own.correlation(30, own.high, own.low),
            talib.CORREL(high, low, 30),
            1.0,
        ),
    }


def _moves(close: Any, volume: Any) -> Any:
    """TA-Lib begins the balance with the first volume, we with 0."""
    balance = talib.OBV(close, volume)
    return np.concatenate([[math.nan], np.diff(balance)])


def largest_difference(ours: Sequence[float], theirs: Any, scale: float) -> float:
    """After both have settled; NaN where one of both is not known."""
    mine, other = np.array(ours)[SETTLED:], theirs[SETTLED:]
    sizes = np.maximum(np.maximum(np.abs(mine), np.abs(other)), scale)
    return float(np.max(np.abs(mine - other) / sizes))


def main(count: int) -> int:
    """Returns 1 if an indicator differs."""
    made = bars(count)
    names = ("high", "low", "close", "volume")
    columns = {name: np.array([getattr(bar, name) for bar in made]) for name in names}
    compared = cases(columns)
    evaluator = Evaluator([expression for expression, _, _ in compared.values()])
    places = [evaluator.places[expression] for expression, _, _ in compared.values()]
    found: list[list[float]] = [[] for _ in places]
    appends: list[Callable[[float], None]] = [one.append for one in found]
    for bar in made:
        results = evaluator.update(bar)
        for place, append in zip(places, appends, strict=True):
            value = results[place]
            append(math.nan if value is None else value)
    differs = False
    for (name, (_, theirs, scale)), ours in zip(compared.items(), found, strict=True):
        # A bar that moves nothing has no value in a quotient of ranges, and is left out by us.
        difference = largest_difference(ours, theirs, scale)
        is_right = difference <= TOLERANCE
        differs = differs or not is_right
        verdict = "" if is_right else " differs"
        sys.stdout.write(f"{name}: {difference:.1e}{verdict}\n")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
