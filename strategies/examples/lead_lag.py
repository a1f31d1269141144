"""Follow a venue that moves first. See docs/strategies/lead_lag.md."""

from kit.features.indicators import atr, clipped, correlation, log_return, previous
from kit.features.market import Market, lead, own, spread_bps
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

window = parameter("window", 3, least=1, most=60)
full_lead = parameter("full_lead", 0.0004, least=0.00001, most=0.1)
leader = Market(text_parameter("leader", "okx/BTC-USDT"))
ahead = lead(window, leader.close, own.close)
# Whether what the leader did one bar ago is what this venue does now.
follows = correlation(120, previous(log_return(leader.close)), log_return(own.close))

lead_lag = Strategy(
    name="lead_lag",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval="1s",
    account=text_parameter("account", "paper"),
    rules=(
        Rule(name="ahead", condition=clipped(ahead / full_lead), weight=3.0),
        Rule(name="flow", condition=leader.flow(window)),
        Rule(name="unrelated", condition=follows < 0.05, veto=True),
        Rule(name="wide", condition=spread_bps > 3, veto=True),
    ),
    threshold=0.6,
    exits=(
        Exit(name="caught_up", condition=ahead <= 0, closes="long"),
        Exit(name="caught_down", condition=ahead >= 0, closes="short"),
    ),
    position=PositionSize(notional="250", stop_distance=atr(60) * 8),
    cooldown_s=5,
    expiry_s=2,
    warm_up_bars=180,
)
