"""Buy a new high that comes with volume. See docs/strategies/breakout.md."""

from kit.features.indicators import atr, close, donchian, previous, sma, volume
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

entry = donchian(parameter("entry_bars", 55, least=5, most=2_000))
leave = donchian(parameter("exit_bars", 20, least=3, most=1_000))
volume_factor = parameter("volume_factor", 1.5, least=0.0, most=100.0)
# This bar's own extreme is in its channel, so the close is compared with the channel before it.
is_above, is_below = close > previous(entry.upper), close < previous(entry.lower)

breakout = Strategy(
    name="breakout",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "paper"),
    rules=(
        Rule(name="new_high", condition=is_above),
        Rule(name="no_new_low", condition=is_below, veto=True),
        Rule(name="thin", condition=volume < volume_factor * sma(50, volume), veto=True),
    ),
    threshold=0.9,
    exits=(Exit(name="new_low", condition=close < previous(leave.lower), closes="long"),),
    position=PositionSize(risk_fraction="0.005", stop_distance=atr(20) * 2),
    cooldown_s=300,
    expiry_s=20,
    warm_up_bars=300,
)
