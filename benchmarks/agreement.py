"""The matching engine against an independent exchange, over a million random orders::

    python -m benchmarks.agreement [ORDERS] [SEED]

Each order must fill alike in both, to the last digit of its fees; so must what they refuse, and all
balances and books. The first difference ends it with an error.
"""

import sys
from collections.abc import Sequence

from kit.simulator.matching.contract import FeeAsset, SelfTrade
from kit.simulator.matching.tests.agreement import Agreement

ORDERS = 1_000_000
ACTIONS_AT_ONCE = 10_000


def main(arguments: Sequence[str]) -> int:
    """Print what was compared. Returns the exit code."""
    wanted = int(arguments[0]) if arguments else ORDERS
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    parts = [(asset, mode) for asset in FeeAsset for mode in SelfTrade]
    total = 0
    for number, (asset, mode) in enumerate(parts):
        agreement = Agreement(seed + number, asset, mode)
        while agreement.orders < wanted / len(parts):
            agreement.run(ACTIONS_AT_ONCE)
        total += agreement.orders
        print(
            f"fee in {asset.value}, {mode.value}: {agreement.orders:,} orders,"
            f" {agreement.refused:,} refused, {agreement.fills:,} fills, all the same",
            flush=True,
        )
    print(f"{total:,} orders, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
