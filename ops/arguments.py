"""Parsing the arguments of a command."""

import argparse
import sys
from typing import Any, NoReturn


class OneLineErrorParser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line."""

    def __init__(self, command: str = "", description: str = "", **options: Any) -> None:
        """``options``: those of ``ArgumentParser``, which passes them for the verbs of a
        command."""
        names = {"prog": f"./venuemesh {command}", "description": description}
        super().__init__(**{**names, **options}, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        print(f"venuemesh: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)
