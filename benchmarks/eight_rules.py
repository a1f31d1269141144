"""The strategy of the detector's benchmark. The peers' scripts compute the same rules."""

from kit.features.indicators import (
    atr,
    bollinger,
    close,
    crosses_above,
    crosses_below,
    ema,
    highest,
    lowest,
    previous,
    rsi,
)
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

fast, slow = ema(parameter("fast", 12, least=2)), ema(26)
strength = rsi(14)
band = bollinger(20, 2.0)

eight_rules = Strategy(
    name="eight_rules",
    instruments=("binance/BTCUSDT",),
    interval=text_parameter("interval", "1m"),
    account="paper",
    rules=(
        Rule(name="fast_above", condition=fast > slow),
        Rule(name="fast_below", condition=fast < slow, score=-1.0),
        Rule(name="oversold", condition=strength < 35),
        Rule(name="overbought", condition=strength > 65, score=-1.0),
        Rule(name="below_band", condition=close < band.lower),
        Rule(name="above_band", condition=close > band.upper, score=-1.0),
        Rule(name="new_high", condition=close > previous(highest(20))),
        Rule(name="new_low", condition=close < previous(lowest(20)), score=-1.0),
    ),
    # Two of eight rules more than against it.
    threshold=0.25,
    exits=(
        Exit(name="crossed_below", condition=crosses_below(fast, slow), closes="long"),
        Exit(name="crossed_above", condition=crosses_above(fast, slow), closes="short"),
    ),
    position=PositionSize(notional="500", stop_distance=atr(14) * 2, target_distance=atr(14) * 4),
    cooldown_s=0,
    expiry_s=1,
    warm_up_bars=60,
)
