"""The command line: finds the command and runs it. Each is a file of its own in ops/commands."""

import importlib
import sys
from collections.abc import Sequence
from keyword import iskeyword

from kit.base.errors import SettingError
from ops.errors import OperationsError

COMMANDS = {
    "up": "run the whole mesh in the foreground",
    "status": "what runs, since when, rates, lags, gaps",
    "venue": "run one venue in the foreground",
    "run": "run one service in the foreground",
    "order": "place, cancel and look at orders",
    "export": "write what was recorded to a Parquet or CSV file",
    "frames": "write recorded raw frames as a tape that up plays",
    "import": "take a file of trades or candles into the record",
    "conform": "play the conformance cards against connectors",
    "endure": "connectors on a long feed with faults in 1 % of the frames",
    "new-venue": "make a folder for one more venue",
    "test": "run the tests",
    "check": "format, lint, types, import rules, contracts, style",
    "bench": "run the benchmarks",
    "soak": "play a session while processes are killed, and compare what is recorded",
    "lock": "pin what the project needs anew",
}
EXIT_FAILED = 1
EXIT_WRONG_USE = 2


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code; what the user can put right is one line."""
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name not in COMMANDS:
        print(f"venuemesh: no command {name!r}; see ./venuemesh --help", file=sys.stderr)
        return EXIT_WRONG_USE
    # Only this one, so that a process does not load what it does not need.
    module = name.replace("-", "_")
    command = importlib.import_module(f"ops.commands.{module}{'_' * iskeyword(module)}")
    try:
        return int(command.run(arguments[1:]))
    except SettingError as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_WRONG_USE
    except OperationsError as error:
        print(f"venuemesh: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130


def overview() -> str:
    """All commands with one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    head = ["usage: ./venuemesh COMMAND [options]", ""]
    return "\n".join([*head, *lines, "", "./venuemesh COMMAND --help tells the options of one."])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
