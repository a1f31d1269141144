"""Be paid the funding of a crowded perpetual. See docs/strategies/funding_carry.md."""

from kit.features.indicators import absolute, atr, clipped, ema, realised_volatility
from kit.features.market import basis_bps, funding_rate
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

full_rate = parameter("full_rate", 0.0005, least=0.00001, most=0.05)
least_rate = parameter("least_rate", 0.0001, least=0.0, most=0.05)
volatility_most = parameter("volatility_most", 0.03, least=0.0, most=1.0)
# The long side pays a positive rate: sell.
carry = clipped(-1 * funding_rate / full_rate)

funding_carry = Strategy(
    name="funding_carry",
    instruments=(text_parameter("instrument", "binance_futures/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "demo"),
    rules=(
        Rule(name="carry", condition=carry, weight=3.0),
        # A premium of the perpetual over its index that sinks pays the short side once more.
        Rule(name="premium", condition=clipped(-1 * ema(30, basis_bps) / 10)),
        Rule(name="low", condition=absolute(funding_rate) < least_rate, veto=True),
        Rule(name="wild", condition=realised_volatility(60) > volatility_most, veto=True),
    ),
    threshold=0.5,
    exits=(
        Exit(name="long_pays", condition=funding_rate > 0, closes="long"),
        Exit(name="short_pays", condition=funding_rate < 0, closes="short"),
    ),
    position=PositionSize(risk_fraction="0.005", stop_distance=atr(60) * 20),
    cooldown_s=3_600,
    expiry_s=60,
    warm_up_bars=120,
)
