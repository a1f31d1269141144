"""The command line: finds a command and runs it. Each command is a file in ops/commands."""

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
    "order": "place, cancel and list orders",
    "export": "write recorded data to a Parquet or CSV file",
    "frames": "write recorded raw frames as a capture for up --replay",
    "import": "add a file of trades or candles to the record",
    "conform": "run the conformance cards against connectors",
    "endure": "run connectors on a long feed with faults in 1 % of the frames",
    "new-venue": "create a folder for a new venue",
    "test": "run the tests",
    "check": "format, lint, types, import rules, contracts, style",
    "bench": "run the benchmarks",
    "soak": "replay a session while processes are killed, and compare the record",
    "lock": "pin the dependencies again",
}
EXIT_FAILED = 1
EXIT_WRONG_USE = 2


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns its exit code. An error the user can fix is printed in one line."""
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name not in COMMANDS:
        print(f"venuemesh: no command {name!r}; see ./venuemesh --help", file=sys.stderr)
        return EXIT_WRONG_USE
    # Only this command is imported, so that a process loads only what it needs.
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
    """The list of commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    head = ["usage: ./venuemesh COMMAND [options]", ""]
    return "\n".join([*head, *lines, "", "./venuemesh COMMAND --help tells the options of one."])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
