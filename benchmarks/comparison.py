"""The matching engine against an independent exchange, over a million random orders::

    python -m benchmarks.comparison [ORDERS] [SEED]

Fills, exact fees, rejections, balances and books must be equal in both. The first difference ends
the run with an error. Each core compares other rules.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, repeat

from kit.accounting.fees import FeeAsset
from kit.simulator.matching.contract import SelfTradeMode
from kit.simulator.matching.tests.comparison import Comparison

ORDERS = 1_000_000
ACTIONS_AT_ONCE = 10_000
RULES = [(asset, mode) for asset in FeeAsset for mode in SelfTradeMode]


def compare(rules: tuple[FeeAsset, SelfTradeMode], seed: int, wanted: int) -> int:
    """Under one set of rules; print what was compared. Returns how many orders it were."""
    agreement = Comparison(seed, *rules)
    while agreement.orders < wanted:
        agreement.run(min(ACTIONS_AT_ONCE, 2 * wanted))
    print(
        f"fee in {rules[0].value}, {rules[1].value}: {agreement.orders:,} orders,"
        f" {agreement.refused:,} refused, {agreement.fills:,} fills, all equal",
        flush=True,
    )
    return agreement.orders


def main(arguments: Sequence[str]) -> int:
    wanted = int(arguments[0]) if arguments else ORDERS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    with ProcessPoolExecutor() as cores:
        parts = cores.map(compare, RULES, count(seed), repeat(-(-wanted // len(RULES))))
        print(f"{sum(parts):,} orders, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
