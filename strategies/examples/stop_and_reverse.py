"""Be long after a new high and short after a new low. See docs/strategies/stop_and_reverse.md."""

from kit.features.indicators import atr, close, donchian, previous, rsi
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

channel = donchian(parameter("channel_bars", 40, least=5, most=2_000))
strength = rsi(parameter("rsi_period", 14, least=2, most=200))
stretched = parameter("stretched", 80.0, least=51.0, most=99.0)

stop_and_reverse = Strategy(
    name="stop_and_reverse",
    instruments=(text_parameter("instrument", "binance_futures/BTCUSDT"),),
    interval=text_parameter("interval", "1m"),
    account=text_parameter("account", "paper"),
    rules=(
        # This bar's own extreme is in its channel, so the close is compared with the one before.
        Rule(name="new_high", condition=close > previous(channel.upper)),
        Rule(name="new_low", condition=close < previous(channel.lower), score=-1.0),
    ),
    # One of the two rules is true at most.
    threshold=0.5,
    exits=(
        Exit(name="long_half", condition=strength > stretched, closes="long", fraction="0.5"),
        Exit(
            name="short_half", condition=strength < 100 - stretched, closes="short", fraction="0.5"
        ),
    ),
    flips=True,
    position=PositionSize(risk_fraction="0.005", stop_distance=atr(20) * 4),
    cooldown_s=300,
    expiry_s=20,
    warm_up_bars=300,
)
