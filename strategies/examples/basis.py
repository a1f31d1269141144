"""Trade the premium of a perpetual over spot back to its usual level. See
docs/strategies/basis.md."""

from kit.features.indicators import absolute, atr, clipped, correlation, log_return, zscore
from kit.features.market import Market, own, price_gap_bps
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

period = parameter("period", 240, least=10, most=5_000)
entry = parameter("entry", 2.0, least=0.5, most=10.0)
spot = Market(text_parameter("spot", "binance/BTCUSDT"))
premium = zscore(period, price_gap_bps(own.close, spot.close))
moves_together = correlation(60, log_return(own.close), log_return(spot.close))

basis = Strategy(
    name="basis",
    instruments=(text_parameter("instrument", "binance_futures/BTCUSDT"),),
    interval=text_parameter("interval", "5s"),
    account=text_parameter("account", "demo"),
    rules=(
        Rule(name="premium", condition=clipped(-1 * premium / entry)),
        Rule(name="apart", condition=moves_together < 0.3, veto=True),
    ),
    threshold=0.99,
    exits=(Exit(name="usual", condition=absolute(premium) < 0.25),),
    position=PositionSize(risk_fraction="0.005", stop_distance=atr(60) * 10),
    cooldown_s=60,
    expiry_s=10,
    warm_up_bars=600,
)
