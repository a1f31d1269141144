"""Which of the processes that run tests side by side this is.

Each has its own ports, because what starts does not listen on all of its ports yet.
"""

import os

WORKERS_MAX = 8
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS_MAX
