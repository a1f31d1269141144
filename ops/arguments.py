"""Parsing the arguments of a command."""

import argparse
import sys
from typing import NoReturn


class OneLineErrorParser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(prog=f"./venuemesh {command}", description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        print(f"venuemesh: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)
