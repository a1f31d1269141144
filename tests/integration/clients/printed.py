"""What the examples print, which is the same in every language."""

import re
from collections.abc import Sequence

NUMBER = r"\d+(?:\.\d*[1-9])?"
TRADE = rf"trade BTCUSDT (?:buy|sell) {NUMBER} {NUMBER}"
GAP_AFTER_RESTART = r"gap cursor_expired cursor \d+-\d+ of trades is not held: other_epoch"
PRINTED = {
    "book": [
        r"binance BTCUSDT proven, cursor \d+-\d+, checksum \d+",
        *[rf"ask {NUMBER} {NUMBER}"] * 5,
        *[rf"bid {NUMBER} {NUMBER}"] * 5,
        r"compared with the venue: agrees, \d+ levels, 0 differ",
    ],
    "trades": [TRADE] * 3,
    "history": [rf"trade \d{{4}}-\S+ .*{NUMBER} {NUMBER}"] * 3,
    "order": [r"placed [0-9a-f]{32}"],
}
"""By the name of an example: line by line."""
LAST_LINE = {"history": r"\d+ trades on \d+ pages", "order": rf"filled, filled 0.001 at {NUMBER}"}
ENDLESS = frozenset({"trades"})


def check_printed(name: str, lines: Sequence[str]) -> None:
    """Compare all that an example has printed; of an endless one, the first lines."""
    for line, pattern in zip(lines, PRINTED[name], strict=False):
        assert re.fullmatch(pattern, line), (pattern, lines)
    assert len(lines) >= len(PRINTED[name])
    assert re.fullmatch(LAST_LINE.get(name, PRINTED[name][-1]), lines[-1]), lines
