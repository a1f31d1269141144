"""An example: a fast average crosses a slow one while more is bought than sold.

It trades a paper account in the world simulate. Copy it to begin a strategy of your own, and run
``./venuemesh strategy check FILE``.
"""

from kit.features.indicators import atr, crosses_above, crosses_below, ema, trade_flow
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

fast, slow = ema(5), ema(13)

ema_cross = Strategy(
    name="ema_cross",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(
        Rule(name="cross", condition=crosses_above(fast, slow), weight=2.0),
        # A number from -1 to 1 is a score as it is.
        Rule(name="flow", condition=trade_flow, weight=1.0),
    ),
    threshold=0.6,
    exits=(Exit(name="cross_back", condition=crosses_below(fast, slow), closes="long"),),
    position=PositionSize(
        notional="500",
        stop_distance=atr(14) * 20,
        target_distance=atr(14) * 40,
    ),
    cooldown_s=30,
    expiry_s=15,
)
