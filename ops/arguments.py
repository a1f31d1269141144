"""Parsing the arguments of a command."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from kit.base.suggestions import did_you_mean
from ops.errors import UsageError


class OneLineErrorParser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, whose text is one line. Every command has the
    option ``--json``."""

    def __init__(self, command: str = "", description: str = "", **options: Any) -> None:
        """``options``: those of ``ArgumentParser``, which passes them for the verbs of a
        command."""
        names = {"prog": f"./venuemesh {command}", "description": description}
        super().__init__(**{**names, **options}, allow_abbrev=False)
        # Without a default, so that a verb does not overrule what stands before it.
        self.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="results on stdout and errors on stderr as JSON",
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse what is not known here, where the options of a verb are known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            suggestion = did_you_mean(name, self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{suggestion}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), map(str, action.choices or ()))
            raise


def add_verbs(parser: argparse.ArgumentParser) -> Any:
    """The verbs of a command: ``add_parser`` of the result adds one, ``chosen.verb`` is its
    name."""
    return parser.add_subparsers(
        dest="verb", required=True, metavar="VERB", parser_class=OneLineErrorParser
    )
