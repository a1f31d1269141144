"""The checkout's folders, and the tools installed for it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE = ("kit", "venues", "core", "gateway", "ops", "benchmarks", "conftest.py", "clients/python")
"""The folders of Python code."""
IMAGES = ("venue", "core", "gateway", "mcp", "tools")
"""The images of the Dockerfile. Each has its packages in requirements/NAME.lock."""


def tool(name: str) -> str:
    """The path of a program that pip installed beside Python."""
    return str(Path(sys.executable).parent / name)
