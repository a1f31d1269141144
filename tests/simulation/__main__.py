"""Runs many seeds, or one of them with its whole history.

python -m tests.simulation --seeds 10000 --jobs 2
python -m tests.simulation --seed 17
"""

import sys

from tests.simulation import command_line
from tests.simulation.runs import run_seed

MODULE = "tests.simulation"

if __name__ == "__main__":
    command_line.with_fixed_hashes(MODULE)
    arguments = command_line.parser(MODULE, __doc__).parse_args()
    sys.exit(command_line.run(arguments, run_seed))
