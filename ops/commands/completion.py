"""``./venuemesh completion``: the script with which a shell completes the command line."""

import argparse

from ops import completion
from ops.output import print_json

EPILOG = """\
bash: source <(./venuemesh completion bash), in ~/.bashrc with the path of the checkout;
zsh: the same in ~/.zshrc, after compinit; fish: ./venuemesh completion fish | source"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=completion.SHELLS)
    parser.epilog = EPILOG


def run(chosen: argparse.Namespace) -> int:
    """Print the script. Returns 0."""
    text = completion.script(chosen.shell)
    if chosen.json:
        print_json({"shell": chosen.shell, "script": text})
    else:
        print(text, end="")
    return 0
