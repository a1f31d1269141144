"""Follow a trend that is under way. See docs/strategies/trend.md."""

from kit.features.indicators import adx, atr, close, crosses_below, ema
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

fast = ema(parameter("fast", 20, least=2, most=500))
slow = ema(parameter("slow", 60, least=3, most=2_000))
directions = adx(parameter("adx_period", 14, least=2, most=200))
is_trending = directions.adx > parameter("adx_least", 20.0, least=0.0, most=100.0)

trend = Strategy(
    name="trend",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "paper"),
    rules=(
        Rule(name="averages", condition=(fast > slow) & is_trending, weight=2.0),
        Rule(name="direction", condition=directions.plus > directions.minus),
        Rule(name="above_average", condition=close > fast),
    ),
    threshold=0.9,
    exits=(Exit(name="averages_crossed", condition=crosses_below(fast, slow), closes="long"),),
    position=PositionSize(
        risk_fraction="0.005", stop_distance=atr(20) * 3, target_distance=atr(20) * 9
    ),
    cooldown_s=600,
    expiry_s=30,
    warm_up_bars=600,
)
