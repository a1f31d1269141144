"""Strategies that misbehave, and good ones beside them."""

from core.detector.evaluation import StrategySource
from kit.strategy.tests.market import BEGIN_NS, SECOND_NS

GOOD = """\
from kit.features.indicators import atr, close, crosses_above, crosses_below, ema, previous
from kit.strategy.strategy import Exit, PositionSize, Rule, Strategy

always = Strategy(
    name="always",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(Rule(name="up", condition=close > 0),),
    threshold=0.5,
    position=PositionSize(notional="25", stop_distance=previous(close, 3)),
    cooldown_s=0,
    expiry_s=1,
    warm_up_bars=0,
)
"""
BAD = """\
import ctypes, gc, os, signal, socket, sys, threading, time
from kit.features.indicators import close
from kit.strategy.strategy import PositionSize, Rule, Strategy

kept = []

def flood():
    hosted = next(
        one for one in gc.get_objects()
        if type(one).__name__ == "HostedInstance" and one.loaded.strategy.name == "{name}"
    )
    update = hosted.update
    hosted.update = lambda steps, position: (update(steps, position)[0] * 10_000, b"")

def misbehave():
    {code}

def condition(bar):
    if bar.open_time_ns >= {time_ns}:
        misbehave()
    return 1.0

bad = Strategy(
    name="{name}",
    instruments=("binance/BTCUSDT",),
    interval="1s",
    account="paper",
    rules=(Rule(name="up", condition=condition),),
    threshold=0.5,
    position=PositionSize(notional="25", stop_distance=close * 0.01),
    cooldown_s=0,
    expiry_s=1,
    warm_up_bars=0,
)
"""
MISDEEDS = {
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "recurses": ("misbehave()", "RecursionError"),
    "loops": ("while True: pass", "it has worked for more than 0.5 s"),
    "sleeps": ("time.sleep(1e6)", "PermissionError"),
    "deadlocks": (
        "lock = threading.Lock(); lock.acquire(); lock.acquire()",
        "it has slept for more than 0.5 s",
    ),
    "takes_memory": ("bytearray(2 << 30)", "MemoryError"),
    "keeps_memory": ("kept.append(bytearray(b'1') * (100 << 20))", "MB of memory; allowed: 64"),
    "ends": ("os._exit(7)", "its process has ended with exit code 7"),
    "crashes": ("ctypes.string_at(0)", "its process was ended by SIGSEGV"),
    "forks": ("while True: os.fork()", "PermissionError"),
    "starts_threads": ("threading.Thread(target=print).start()", "can't start new thread"),
    "writes_garbage": (
        "os.write(0, b'\\0\\0\\0\\5hello')",
        "it has written to the socket of its process",
    ),
    "writes_half": ("os.write(0, b'\\0\\0\\xff\\xff')", "it has slept for more than 0.5 s"),
    "reads": ("os.read(0, 9)", "it has slept for more than 0.5 s"),
    "closes": ("os.close(0)", "its process has ended with exit code 1"),
    "floods_signals": ("flood()", "more than one signal on a bar"),
    "floods_the_socket": (
        "[os.write(0, b'\\0\\0\\0\\1x' * 10_000) for _ in range(1_000)]",
        "it has written to the socket of its process",
    ),
    "sets_timers": ("signal.setitimer(signal.ITIMER_REAL, 1)", "Operation not permitted"),
}
"""What the code does, and what is said of it."""


def bad_source(name: str, number: int = 3) -> StrategySource:
    """Misbehaves from this bar on."""
    code, _ = MISDEEDS[name]
    text = BAD.format(code=code, name=name, time_ns=BEGIN_NS + number * SECOND_NS)
    return StrategySource(text.encode(), f"{name}.py", "", {})


def good_source() -> StrategySource:
    return StrategySource(GOOD.encode(), "always.py", "", {})
