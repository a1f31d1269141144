"""Starts processes for a test."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from gateway.tests.conftest import ROOT, Door

SERVING = ("gateway.tests.serving_process",)


@contextmanager
def start_process(
    door: Door,
    service_id: str,
    kind: str,
    port: int,
    variables: Mapping[str, str],
    command: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this gateway's mesh, killed at the end. ``command``: the module and arguments of
    another one than ``serving_process``."""
    name = f"{service_id}-{port}"
    token = door.folder / f"{name}.token"
    token.write_text(door.process_token(service_id, kind))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "VENUEMESH_DATA_DIR": str(door.folder),
        "VENUEMESH_REGISTRY": door.registry_address,
        "VENUEMESH_ACCESS_TOKEN_FILE": str(token),
        **variables,
    }
    arguments = tuple(command) or (*SERVING, service_id, kind, str(port))
    with (door.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            (sys.executable, "-m", *arguments),
            env=environment, cwd=door.folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
