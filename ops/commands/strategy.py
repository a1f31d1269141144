"""``./venuemesh strategy``: find what is wrong with a strategy before it runs."""

import argparse
from pathlib import Path

from kit.strategy.loader import StrategyFileError, load_file
from ops.arguments import add_verbs
from ops.errors import EXIT_FAILED
from ops.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    check = verbs.add_parser("check", help="load a file as the detector does, which runs its code")
    check.add_argument("file", type=Path, metavar="FILE", help="a Python file")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if the file has no usable strategy."""
    try:
        found = load_file(chosen.file)
    except StrategyFileError as error:
        if chosen.json:
            problem = {"line": error.line, "reason": error.reason}
            print_json({"file": str(chosen.file), "problems": [problem], "strategies": []})
        else:
            print(error)
        return EXIT_FAILED
    strategies = [loaded.strategy for loaded in found]
    if chosen.json:
        rows = [
            {
                "name": one.name,
                "instruments": one.instruments,
                "interval": one.interval,
                "account": one.account,
                "rules": [rule.name for rule in one.rules],
                "exits": [exit_rule.name for exit_rule in one.exits],
            }
            for one in strategies
        ]
        print_json({"file": str(chosen.file), "problems": [], "strategies": rows})
        return 0
    for one in strategies:
        rules, instruments = len(one.rules), ", ".join(one.instruments)
        print(f"{chosen.file}: {one.name}: {rules} rules on {one.interval} bars of {instruments}")
    return 0
