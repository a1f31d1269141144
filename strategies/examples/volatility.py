"""Wait until a market is unusually quiet, then go with the first large move. See
docs/strategies/volatility.md."""

from kit.features.indicators import (
    atr,
    bars_since,
    bollinger,
    close,
    ema,
    keltner,
    rank,
    realised_volatility,
)
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

period = parameter("period", 20, least=5, most=500)
bands, channel = bollinger(period, 2.0), keltner(period, 1.5)
is_quiet = (bands.upper < channel.upper) & (bands.lower > channel.lower)
quiet_lately = bars_since(is_quiet) <= parameter("quiet_bars", 5, least=1, most=100)
up, down = close > bands.upper, close < bands.lower

volatility = Strategy(
    name="volatility",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "paper"),
    rules=(
        Rule(name="up", condition=up & quiet_lately),
        Rule(name="down", condition=down & quiet_lately, score=-1.0),
        Rule(
            name="loud_already", condition=rank(200, realised_volatility(period)) > 0.8, veto=True
        ),
    ),
    # One of two rules of the same weight.
    threshold=0.5,
    exits=(
        Exit(name="back_down", condition=close < ema(period), closes="long"),
        Exit(name="back_up", condition=close > ema(period), closes="short"),
    ),
    position=PositionSize(
        risk_fraction="0.005", stop_distance=atr(period) * 2, target_distance=atr(period) * 6
    ),
    cooldown_s=300,
    expiry_s=20,
    warm_up_bars=300,
)
