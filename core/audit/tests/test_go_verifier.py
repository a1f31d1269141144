"""Proofs and checkpoints, verified by Go's golang.org/x/mod/sumdb in a program of its own."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from venuemesh.audit.v1 import audit_pb2

from core.audit.tests.rig import EXECUTIONS, Rig, fill, rig_for

FOLDER = Path(__file__).parent / "go_verifier"
SECONDS_MAX = 240
SIZES = (1, 2, 7, 8, 9, 20)


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    environment = {**os.environ, "GOWORK": "off"}

    def go(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["go", *words],
            cwd=FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )

    if go("mod", "download").returncode != 0:
        pytest.skip("the Go module cannot be downloaded")
    program = tmp_path_factory.mktemp("go") / "verifier"
    built = go("build", "-o", str(program), ".")
    assert built.returncode == 0, built.stderr
    return program


def verify(verifier: Path, given: dict) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [verifier],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
async def rig(postgres_url, tmp_path):
    async with rig_for(postgres_url, tmp_path) as rig:
        yield rig


async def proofs(rig: Rig) -> dict:
    """Every leaf in every signed log, and every signed log in every later one."""
    number = 0
    for size in SIZES:
        while await rig.store.size() < size:
            await rig.put(EXECUTIONS, fill(number))
            number += 1
            await rig.write()
        await rig.sign()
    signed = await rig.store.checkpoints_after(0, 100)
    inclusion, consistency = [], []
    for checkpoint in signed:
        for row in await rig.reader.leaves(0, checkpoint.size):
            request = audit_pb2.ProveRequest(event_id=row.event_id or b"", size=checkpoint.size)
            proof = await rig.prover.prove(request)
            path = list(map(text, proof.path))
            one = {"size": proof.size, "index": proof.leaf_index, "path": path}
            inclusion.append(one | {"leaf": text(proof.leaf)})
        for earlier in signed:
            if earlier.size <= checkpoint.size:
                request = audit_pb2.ProveRequest(first_size=earlier.size, size=checkpoint.size)
                proof = await rig.prover.prove(request)
                path = list(map(text, proof.path))
                one = {"size": proof.size, "first": proof.first_size, "path": path}
                consistency.append(one)
    (key,) = rig.keys.verifiers()
    return {
        "key": str(key),
        "notes": [checkpoint.note for checkpoint in signed],
        "inclusion": inclusion,
        "consistency": consistency,
    }


async def test_another_implementation_agrees(verifier: Path, rig: Rig):
    given = await proofs(rig)
    done = verify(verifier, given)
    assert done.returncode == 0, done.stderr
    counts = (len(given["notes"]), len(given["inclusion"]), len(given["consistency"]))
    assert done.stdout == "{} checkpoints, {} leaves, {} trees\n".format(*counts)
    assert counts[0] >= len(SIZES) - 2
    given["inclusion"][-1]["index"] -= 1
    assert "leaf" in verify(verifier, given).stderr
    given["notes"][0] = given["notes"][0].replace("venuemesh", "venuemesj")
    assert verify(verifier, given).returncode != 0
