"""A strategy that opens and closes positions all the time, so that a test sees many chains."""

from kit.features.indicators import atr, trade_flow
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

quick = Strategy(
    name="quick",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(Rule(name="bought", condition=trade_flow > 0.1),),
    threshold=0.5,
    exits=(Exit(name="sold", condition=trade_flow < -0.1, closes="long"),),
    position=PositionSize(
        notional="250",
        stop_distance=atr(14) * 20,
        target_distance=atr(14) * 40,
    ),
    cooldown_s=0,
    expiry_s=10,
    warm_up_bars=30,
)
