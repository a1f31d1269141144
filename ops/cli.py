"""The command line: finds a command and runs it.

Each command is a file in ops/commands with two functions: ``add_arguments(parser)``, and
``run(chosen)``, which returns the exit code.
"""

import argparse
import importlib
import json
import signal
import sys
from collections.abc import Sequence
from keyword import iskeyword
from typing import Protocol, cast

from kit.base.errors import SettingError
from kit.base.suggestions import did_you_mean
from ops import completion
from ops.arguments import OneLineErrorParser
from ops.errors import EXIT_WRONG_USE, OperationsError, UsageError

COMMANDS = {
    "up": "run the whole mesh in the foreground",
    "migrate": "bring the database to the schema of this version",
    "status": "what runs, since when, rates, lags, gaps",
    "venue": "run one venue in the foreground",
    "run": "run one service in the foreground",
    "order": "place, cancel and list orders",
    "token": "issue and revoke tokens, and print links that sign a browser in",
    "certificate": "make, show and renew certificates of processes",
    "repair": "list holes in the record, and start, watch and cancel their repair",
    "ledger": "balances, statements, profit and exports of the ledger",
    "audit": "verify the log of all events, prove one, and tell why something has happened",
    "strategy": "find what is wrong with a strategy before it runs",
    "advisor": "explain and repeat decisions, show what results are due to, train scoring models",
    "inspector": "the modes of the mesh, and what strategies hold",
    "risk": "check a policy, explain a verdict, compare the past with a policy",
    "mcp": "give a program with a language model the tools of a mesh, over its standard streams",
    "export": "write recorded data to a Parquet or CSV file",
    "frames": "write recorded raw frames as a capture for up --replay",
    "import": "add a file of trades or candles to the record",
    "conform": "run the conformance cards against connectors",
    "endure": "run connectors on a long feed with faults in 1 % of the frames",
    "config": "check the settings, and print an example of them",
    "completion": "print what completes commands in bash, zsh or fish",
    "new-venue": "create a folder for a new venue",
    "test": "run the tests",
    "check": "format, lint, types, import rules, contracts, style",
    "bench": "run the benchmarks",
    "soak": "kill processes at random for a long time, and compare the record, ledger or cash",
    "lock": "pin the dependencies again",
    "secrets": "make the passwords of the stores in containers",
    "sbom": "list what the images and Studio are made of, as CycloneDX",
    "vulnerabilities": "compare the pinned packages with the known vulnerabilities",
}
PASSED_ON = frozenset({"test", "bench", "soak"})
"""Commands whose arguments are those of another program."""
EXIT_INTERRUPTED = 130


class Command(Protocol):
    """A module of ops/commands."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options of the command."""

    def run(self, chosen: argparse.Namespace) -> int:
        """Run it. Returns the exit code."""


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns its exit code. An error the user can fix is printed in one line."""
    if completion.is_asked():
        completion.answer([*COMMANDS], lambda name, parser: load(name).add_arguments(parser))
    try:
        return _run(arguments)
    except SettingError as error:
        details = {"key": error.key, "value": str(error.value), "allowed": error.allowed}
        return _report(arguments, EXIT_WRONG_USE, "WRONG_SETTING", str(error), **details)
    except OperationsError as error:
        return _report(arguments, error.exit_code, error.reason, str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name == "--version":
        _print_version("--json" in rest)
        return 0
    if name not in COMMANDS:
        text = f"no command {name!r}{did_you_mean(name, COMMANDS)}; see ./venuemesh --help"
        raise UsageError(text)
    if name in PASSED_ON:
        # They start meshes, which end with them: kill ends them as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return int(load(name).run(parsed(name, rest)))


def parsed(name: str, arguments: Sequence[str]) -> argparse.Namespace:
    """What a command is asked to do. Raises UsageError."""
    parser = OneLineErrorParser(name, sentence(name))
    load(name).add_arguments(parser)
    given = ["--", *arguments] if name in PASSED_ON else arguments
    return parser.parse_args(given, argparse.Namespace(json=False))


def load(name: str) -> Command:
    """Import one command, and no other, so that a process loads only what it needs."""
    module = name.replace("-", "_")
    found = importlib.import_module(f"ops.commands.{module}{'_' * iskeyword(module)}")
    return cast("Command", found)


def sentence(name: str) -> str:
    """The description of a command."""
    text = COMMANDS[name]
    return f"{text[0].upper()}{text[1:]}."


def overview() -> str:
    """The list of commands, one line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    head = ["usage: ./venuemesh COMMAND [options]", ""]
    return "\n".join([*head, *lines, "", "./venuemesh COMMAND --help tells the options of one."])


def _print_version(as_json: bool) -> None:
    from kit.base.version import VERSION

    print(json.dumps({"version": VERSION}) if as_json else f"venuemesh {VERSION}")


def _report(
    arguments: Sequence[str], exit_code: int, reason: str, message: str, **details: str
) -> int:
    if "--json" in arguments:
        error = {"reason": reason, "message": message, "exit_code": exit_code, **details}
        print(json.dumps({"error": error}), file=sys.stderr)
    else:
        print(f"venuemesh: {message}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
