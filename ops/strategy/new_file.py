"""A first strategy file, to be changed."""

from pathlib import Path

from kit.strategy.strategy import NAME
from ops.errors import UsageError

TEMPLATE = '''\
"""What this strategy assumes, in a sentence or two."""

from kit.features.indicators import atr, crosses_below, ema, rsi
from kit.strategy.parameters import parameter
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

# ./venuemesh strategy run FILE --set fast=8 runs it with another value.
fast = ema(parameter("fast", 12, least=2, most=200))
slow = ema(parameter("slow", 26, least=2, most=500))

{name} = Strategy(
    name="{name}",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(
        Rule(name="above", condition=fast > slow, weight=2.0),
        Rule(name="not_overbought", condition=rsi(14) < 70, weight=1.0),
    ),
    threshold=0.9,
    exits=(Exit(name="crossed_back", condition=crosses_below(fast, slow), closes="long"),),
    position=PositionSize(
        notional="100",
        stop_distance=atr(14) * 10,
        target_distance=atr(14) * 20,
    ),
    cooldown_s=60,
    expiry_s=15,
    warm_up_bars=200,
)
'''


def write(file: Path) -> None:
    """Write the template, with the name of the file as that of the strategy. Raises
    UsageError."""
    name = file.stem
    if file.suffix != ".py" or not NAME.fullmatch(name):
        allowed = "a name of up to 48 lower-case letters, digits and _, a letter first, and .py"
        raise UsageError(f"the file is {file.name!r}; allowed: {allowed}, as trend.py")
    try:
        with file.open("x") as opened:
            opened.write(TEMPLATE.format(name=name))
    except FileExistsError:
        raise UsageError(f"{file} is there already: choose another name") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
