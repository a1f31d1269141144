"""Strategies and bars for tests."""

from pathlib import Path

from venuemesh.bars.v1 import bars_pb2

from kit.features.indicators import atr, close, crosses_above, crosses_below, ema, rsi, trade_flow
from kit.strategy.instance import StrategyInstance
from kit.strategy.loader import LoadedStrategy
from kit.strategy.strategy import Exit, Instrument, PositionSize, Rule, Strategy

SECOND_NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * SECOND_NS
BTCUSDT = Instrument("binance", "BTCUSDT")


def bar(number, price=100.0, **changes):
    """A complete final bar of one second."""
    fields = {
        "venue": BTCUSDT.venue,
        "symbol": BTCUSDT.symbol,
        "interval": "1s",
        "open_time_ns": BEGIN_NS + number * SECOND_NS,
        "close_time_ns": BEGIN_NS + (number + 1) * SECOND_NS,
        "open": str(price),
        "high": str(price + 0.5),
        "low": str(price - 0.5),
        "close": str(price),
        "volume": "3",
        "buy_volume": str(1 + number % 3),
        "quote_volume": str(3 * price),
        "trade_count": 3,
        "covered_ns": SECOND_NS,
        "final": True,
        "source": bars_pb2.BAR_SOURCE_TRADES,
    }
    return bars_pb2.Bar(**{**fields, **changes})


def strategy(**changes):
    """Buys at each bar; ``changes`` are fields of Strategy."""
    fields = {
        "name": "always",
        "instruments": ("binance/BTCUSDT",),
        "interval": "1s",
        "account": "paper",
        "rules": (Rule(name="up", condition=close > 0),),
        "threshold": 0.5,
        "position": PositionSize(notional="25", stop_distance=close * 0.01),
        "cooldown_s": 0,
        "expiry_s": 1,
        "warm_up_bars": 0,
    }
    return Strategy(**{**fields, **changes})


def crossing(**changes):
    """Has rules, a veto and exits on every kind of indicator."""
    fast, slow = ema(3), ema(8)
    fields = {
        "name": "crossing",
        "rules": (
            Rule(name="up", condition=crosses_above(fast, slow), weight=2.0),
            Rule(name="down", condition=crosses_below(fast, slow), score=-1.0, weight=2.0),
            Rule(name="flow", condition=trade_flow),
            Rule(name="high", condition=rsi(5) > 95, veto=True),
        ),
        "threshold": 0.3,
        "exits": (
            Exit(name="long_over", condition=crosses_below(fast, slow), closes="long"),
            Exit(name="short_over", condition=crosses_above(fast, slow), closes="short"),
        ),
        "position": PositionSize(
            risk_fraction="0.01", stop_distance=atr(4) * 3, target_distance=atr(4) * 6
        ),
        "cooldown_s": 3,
        "expiry_s": 2,
    }
    return strategy(**{**fields, **changes})


def loaded(of=None, version="ab" * 32):
    return LoadedStrategy(of or strategy(), version, Path("example.py"))


def instance(of=None):
    return StrategyInstance(loaded(of), BTCUSDT)
