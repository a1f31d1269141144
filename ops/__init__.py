"""Running Venuemesh: the command line, the local supervisor, checks and packaging."""

import os

# The supervisor starts other programs while it serves gRPC. They need nothing of its state, so that
# gRPC need not prepare for each of them, and complain when it cannot. It reads this when imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
