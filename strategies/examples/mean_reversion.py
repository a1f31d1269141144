"""Buy what has fallen far from its average in a quiet market. See
docs/strategies/mean_reversion.md."""

from kit.features.indicators import absolute, clipped, deviation, efficiency_ratio, rsi, zscore
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

period = parameter("period", 40, least=5, most=2_000)
entry = parameter("entry", 2.0, least=0.5, most=10.0)
distance = zscore(period)

mean_reversion = Strategy(
    name="mean_reversion",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "paper"),
    rules=(
        # The further below the average, the more it buys: 1 at ``entry`` deviations.
        Rule(name="distance", condition=clipped(-1 * distance / entry), weight=2.0),
        Rule(name="oversold", condition=rsi(14) < 30),
        Rule(name="trending", condition=efficiency_ratio(period) > 0.4, veto=True),
        Rule(name="not_far", condition=distance > -0.5 * entry, veto=True),
    ),
    threshold=0.8,
    exits=(Exit(name="back", condition=absolute(distance) < 0.25),),
    position=PositionSize(risk_fraction="0.005", stop_distance=deviation(period) * 2),
    cooldown_s=300,
    expiry_s=20,
    warm_up_bars=200,
)
