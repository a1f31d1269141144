"""Where the checkout is, and the tools that are installed for it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("kit", "venues", "core", "gateway", "ops", "benchmarks", "conftest.py")
"""What of ours is Python."""


def tool(name: str) -> str:
    """The path of a program that pip installed beside Python."""
    return str(Path(sys.executable).parent / name)
