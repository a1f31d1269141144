"""Starts ``serving_process`` for a test."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.tests.conftest import ROOT, Door


@contextmanager
def start_process(
    door: Door, service_id: str, kind: str, port: int, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this gateway's mesh, killed at the end."""
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
    arguments = (sys.executable, "-m", "gateway.tests.serving_process")
    with (door.folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            (*arguments, service_id, kind, str(port)),
            env=environment, cwd=door.folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
