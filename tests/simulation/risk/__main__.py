"""Runs many seeds of the limits, or one of them with its whole history.

python -m tests.simulation.risk --seeds 10000 --jobs 2
python -m tests.simulation.risk --seed 17
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from conftest import free_port
from tests.simulation import command_line
from tests.simulation.risk.runs import MODULE, begin, run_seed
from tests.support.postgres_process import PostgresProcess


def main() -> int:
    """Run the command line. Returns the exit code."""
    parser = command_line.parser(MODULE, __doc__)
    parser.add_argument("--database", help="the URL of a server to use; otherwise one is started")
    arguments = parser.parse_args()
    if arguments.database:
        return command_line.run(arguments, run_seed, begin, arguments.database)
    folder = Path(tempfile.mkdtemp(prefix="venuemesh-risk-"))
    server = PostgresProcess(folder / "postgres", free_port(), fsync="off", max_connections="200")
    try:
        asyncio.run(server.start())
        return command_line.run(arguments, run_seed, begin, server.url)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    command_line.with_fixed_hashes(MODULE)
    sys.exit(main())
