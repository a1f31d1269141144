"""The cards played by the command line, in a process of its own."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

SECONDS_MAX = 110.0
"""On a machine that has much else to do; otherwise it is a few seconds."""


async def run(*arguments: str, within: Path, paths: Sequence[Path]) -> tuple[int, str]:
    """Python with these arguments, in a folder, importing from these: exit code and output."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "VENUEMESH_DATA_DIR": str(within / "data"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=within,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS_MAX)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode()


def outcomes(printed: str) -> dict[str, str]:
    """What ``conform --json`` has printed of one venue: outcome by card."""
    line = next(one for one in printed.splitlines() if one.startswith('{"venue"'))
    return {row["card"]: row["outcome"] for row in msgspec.json.decode(line)["cards"]}
