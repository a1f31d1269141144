"""Go with those who are in a hurry. See docs/strategies/order_flow.md."""

from kit.features.indicators import atr, clipped, ema
from kit.features.market import flow, microprice, mid_price, quote_imbalance, spread_bps
from kit.strategy.parameters import parameter, text_parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

window = parameter("window", 10, least=2, most=500)
spread_most = parameter("spread_most_bps", 3.0, least=0.0, most=100.0)
imbalance = ema(3, quote_imbalance)
pressure = 2_000 * (microprice / mid_price - 1)

order_flow = Strategy(
    name="order_flow",
    instruments=(text_parameter("instrument", "binance/BTCUSDT"),),
    interval="1s",
    account=text_parameter("account", "paper"),
    rules=(
        Rule(name="book", condition=imbalance, weight=2.0),
        Rule(name="trades", condition=flow(window), weight=2.0),
        Rule(name="microprice", condition=clipped(pressure)),
        Rule(name="wide", condition=spread_bps > spread_most, veto=True),
    ),
    threshold=0.5,
    exits=(
        Exit(name="buyers_gone", condition=imbalance + flow(window) < 0, closes="long"),
        Exit(name="sellers_gone", condition=imbalance + flow(window) > 0, closes="short"),
    ),
    position=PositionSize(notional="250", stop_distance=atr(60) * 10, target_distance=atr(60) * 15),
    cooldown_s=20,
    expiry_s=3,
    warm_up_bars=120,
)
