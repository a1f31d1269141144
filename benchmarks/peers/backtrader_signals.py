"""backtrader computes the signals of ``benchmarks/eight_rules.py`` on a file of bars.

Run with the interpreter of the peers' environment: ``python backtrader_signals.py BARS``; a line of
the file has open, high, low, close and volume. Prints {"bars": …, "seconds": …, "signals": …} as
JSON; a signal is the number of its bar, "open" or "close", and "buy" or "sell". There are no
orders, no broker's statistics and no observers: a signal is filled at once, as in ours.
"""

import json
import sys
import time
from pathlib import Path

import backtrader as bt

THRESHOLD = 2 / 8
MINUTES_OF_DAY = 1_440


class Bars(bt.feed.DataBase):
    """Bars of a minute from memory."""

    params = (("rows", ()),)

    def start(self) -> None:
        super().start()
        self.place = 0

    def _load(self) -> bool:
        if self.place >= len(self.p.rows):
            return False
        row = self.p.rows[self.place]
        lines = self.lines
        lines.datetime[0] = 737_000 + self.place / MINUTES_OF_DAY
        lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
        lines.openinterest[0] = 0.0
        self.place += 1
        return True


class EightRules(bt.Strategy):
    """The rules, exits and distances of the strategy."""

    def __init__(self) -> None:
        self.fast, self.slow = bt.ind.EMA(period=12), bt.ind.EMA(period=26)
        self.strength = bt.ind.RSI(period=14)
        self.band = bt.ind.BollingerBands(period=20, devfactor=2.0)
        self.highest = bt.ind.Highest(self.data.high, period=20)
        self.lowest = bt.ind.Lowest(self.data.low, period=20)
        self.range = bt.ind.ATR(period=14)
        self.held = 0
        self.signals = []

    def next(self) -> None:
        number, price = len(self) - 1, self.data.close[0]
        fast, slow = self.fast, self.slow
        if self.held:
            is_over = (
                fast[-1] >= slow[-1] and fast[0] < slow[0]
                if self.held > 0
                else fast[-1] <= slow[-1] and fast[0] > slow[0]
            )
            if is_over:
                self.signals.append((number, "close", "sell" if self.held > 0 else "buy"))
                self.held = 0
            return
        strength, band = self.strength[0], self.band
        score = (
            (fast[0] > slow[0])
            - (fast[0] < slow[0])
            + (strength < 35)
            - (strength > 65)
            + (price < band.bot[0])
            - (price > band.top[0])
            + (price > self.highest[-1])
            - (price < self.lowest[-1])
        ) / 8
        if abs(score) >= THRESHOLD and self.range[0] > 0:
            self.held = 1 if score > 0 else -1
            self.signals.append((number, "open", "buy" if score > 0 else "sell"))


def main(file: Path) -> None:
    rows = [tuple(map(float, line.split())) for line in file.read_text().splitlines()]
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(Bars(rows=rows))
    cerebro.addstrategy(EightRules)
    started = time.process_time()
    (strategy,) = cerebro.run()
    seconds = time.process_time() - started
    print(json.dumps({"bars": len(rows), "seconds": seconds, "signals": strategy.signals}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
