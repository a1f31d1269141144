"""A strategy of ``./venuemesh soak cash``: it opens and closes positions all the time."""

from kit.features.indicators import atr, trade_flow
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

in_and_out = Strategy(
    name="in_and_out",
    instruments=("binance/BTCUSDT", "bybit/BTCUSDT", "okx_futures/BTC-USDT-SWAP"),
    interval="1s",
    account="paper",
    rules=(Rule(name="bought", condition=trade_flow > 0.1),),
    threshold=0.5,
    exits=(Exit(name="sold", condition=trade_flow < -0.1, closes="long"),),
    position=PositionSize(
        notional="250",
        stop_distance=atr(14) * 20,
        target_distance=atr(14) * 40,
        trailing_distance=atr(14) * 10,
    ),
    cooldown_s=5,
    expiry_s=10,
    warm_up_bars=30,
)
