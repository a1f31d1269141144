"""What can follow what was typed: shells ask at each TAB, through argcomplete.

A shell runs the command line with the typed line in the environment and reads the answer from a
file descriptor. Only the command that is being typed is imported.
"""

import argparse
import importlib
import os
from collections.abc import Callable, Iterable, Sequence

from ops.arguments import OneLineErrorParser

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "venuemesh"
LIBRARY = "argcomplete"
"""Imported only where it is needed: it takes 50 ms."""
ASKED = "_ARGCOMPLETE"
"""Variable with which a shell asks."""
LINE = "COMP_LINE"

Names = Callable[[], Iterable[str]]
AddArguments = Callable[[str, argparse.ArgumentParser], None]


def script(shell: str) -> str:
    """What a shell reads at its start."""
    return str(importlib.import_module(LIBRARY).shellcode([PROGRAM], shell=shell))


def is_asked() -> bool:
    return ASKED in os.environ


def answer(commands: Sequence[str], add_arguments: AddArguments) -> None:
    """Answer the shell and end the process. ``add_arguments``: adds those of a command."""
    parser = OneLineErrorParser()
    parser.add_argument("--version", action="store_true")
    verbs = parser.add_subparsers(dest="command", parser_class=OneLineErrorParser)
    typed = os.environ.get(LINE, "").split()
    for name in commands:
        made = verbs.add_parser(name)
        if name in typed[1:2]:
            add_arguments(name, made)
    importlib.import_module(LIBRARY).autocomplete(parser)


def complete_with(action: argparse.Action, names: Names) -> None:
    """Complete an argument with these names."""

    def completer(**_: object) -> list[str]:
        return sorted(names())

    action.completer = completer  # type: ignore[attr-defined]
