"""``./venuemesh audit``: the log of all events: verified, exported, and asked why."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc

from kit.base.clock import SystemClock
from kit.merkle import checkpoints, proofs
from kit.merkle.key_folder import KeyFolder, KeyFolderError
from kit.merkle.signed_notes import NoteError
from kit.merkle.tree import leaf_hash
from ops import gateway
from ops.arguments import add_verbs
from ops.audit import export_file, offline, tables
from ops.errors import EXIT_FAILED, OperationsError, UsageError
from ops.output import print_json
from ops.progress import progress
from ops.tables import console

if TYPE_CHECKING:
    Stub: TypeAlias = audit_pb2_grpc.AuditAsyncStub

CALL_SECONDS_MAX = 30
COUNT = 20
QUESTIONS = {
    "fill": ("venue", "account", "symbol", "fill_id"),
    "order": ("venue", "account", "order_id"),
    "position": ("venue", "account", "symbol"),
    "event": ("event_id",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(parser)
    verify = gateway.add_verb(verbs, "verify", "compare all events with what was signed")
    verify.add_argument("file", nargs="?", type=Path, metavar="FILE", help="an export: no server")
    verify.add_argument(
        "--anchors", type=Path, metavar="FILE", help="checkpoints that an export must agree with"
    )
    verify.add_argument(
        "--since", type=int, default=0, metavar="SIZE", help="only what follows this checkpoint"
    )
    prove = gateway.add_verb(verbs, "prove", "prove that an event is in the log")
    prove.add_argument("event", type=_event_id, metavar="EVENT", help="id of the event, hex")
    for verb in (verify, prove):
        verb.add_argument(
            "--key", type=Path, metavar="FILE", help="the public keys, verifier_keys.txt"
        )
    export = gateway.add_verb(verbs, "export", "write the whole log to a file")
    export.add_argument("file", type=Path, metavar="FILE", help="to be written")
    why = gateway.add_verb(verbs, "why", "tell why something has happened")
    why.add_argument("about", choices=QUESTIONS, help="what the question is about")
    why.add_argument(
        "ids", nargs="+", metavar="ID", help="VENUE ACCOUNT SYMBOL FILL, VENUE ACCOUNT ORDER, …"
    )
    gateway.add_verb(verbs, "checkpoints", f"list the newest {COUNT} checkpoints")
    gateway.add_verb(verbs, "sign", "sign the log now, print the note, and have it sent")
    rotate = verbs.add_parser("rotate-key", help="sign with a new key, and with the former one")
    rotate.add_argument("folder", type=Path, metavar="FOLDER", help="audit.key_folder of the mesh")


def run(chosen: argparse.Namespace) -> int:
    """Return 0, or 1 if a verification has found a difference."""
    if chosen.verb == "rotate-key":
        return _rotate_key(chosen)
    if chosen.verb == "verify" and chosen.file is not None:
        return _verify_file(chosen)
    return asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> int:
    async with gateway.connected(gateway.require(chosen)) as channel:
        return await VERBS[chosen.verb](audit_pb2_grpc.AuditStub(channel), chosen)


def _rotate_key(chosen: argparse.Namespace) -> int:
    keys = KeyFolder(chosen.folder)
    try:
        known = keys.verifier_keys()
        if not known:
            raise OperationsError(f"{chosen.folder} has no keys of a log: start the mesh once")
        made = keys.rotate(known[-1].name, SystemClock().time_ns())
    except (OSError, KeyFolderError, NoteError) as error:
        raise OperationsError(f"the key cannot be changed: {error}") from None
    if chosen.json:
        print_json({"verifier_key": str(made)})
    else:
        print(made)
    return 0


def _verify_file(chosen: argparse.Namespace) -> int:
    if chosen.key is None:
        raise UsageError("an export is verified with --key FILE: the public keys of the log")
    keys = offline.read_keys(chosen.key)
    anchors = offline.read_anchors(chosen.anchors, keys) if chosen.anchors else []
    result = offline.verify(export_file.read(chosen.file), keys, anchors)
    if chosen.json:
        print_json(msgspec.to_builtins(result))
    else:
        _print_outcome(result.leaves, result.signed_size, result.difference)
    return EXIT_FAILED if result.difference else 0


async def _verify(stub: "Stub", chosen: argparse.Namespace) -> int:
    outcome = audit_pb2.VerifyResponse()
    request = audit_pb2.VerifyRequest(since_size=chosen.since)
    with progress("audit verify", as_json=chosen.json) as show:
        async for outcome in stub.Verify(request):
            show(outcome.leaves, outcome.size - chosen.since)
    differs = outcome.HasField("difference")
    if chosen.json:
        print_json(outcome)
    else:
        detail = ""
        if differs:
            kind = audit_pb2.LogDifferenceKind.Name(outcome.difference.kind)
            detail = f"{kind.removeprefix('LOG_DIFFERENCE_KIND_')}: {outcome.difference.detail}"
            if outcome.difference.event_id:
                detail += f" (event {outcome.difference.event_id.hex()})"
        _print_outcome(outcome.leaves, outcome.signed_size, detail)
    return EXIT_FAILED if differs else 0


def _print_outcome(leaves: int, signed_size: int, difference: str) -> None:
    if difference:
        print(f"DIFFERENT: {difference}")
    else:
        print(f"{leaves} events agree, {signed_size} of the log are signed")


async def _prove(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = audit_pb2.ProveRequest(event_id=chosen.event)
    proof = await stub.Prove(request, timeout=CALL_SECONDS_MAX)
    leaf = leaf_hash(proof.leaf)
    root = proofs.root_of_inclusion(leaf, proof.leaf_index, proof.size, proof.path)
    if root != proof.root:
        raise OperationsError("the proof is wrong: it does not lead to the root")
    if chosen.key is not None:
        keys = offline.read_keys(chosen.key)
        try:
            signed = checkpoints.opened(proof.checkpoint.note, keys[0].name, keys)
        except NoteError as error:
            raise OperationsError(f"the checkpoint is not signed: {error}") from None
        if (signed.size, signed.root) != (proof.size, root):
            raise OperationsError("the checkpoint has another root than the proof")
    if chosen.json:
        print_json(proof)
    else:
        known = "signed" if chosen.key else "not verified: name the public keys with --key"
        print(f"leaf {proof.leaf_index} of {proof.size}, root {proof.root.hex()}, {known}")
    return 0


async def _export(stub: "Stub", chosen: argparse.Namespace) -> int:
    leaves = 0
    newest = await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest(), timeout=CALL_SECONDS_MAX)
    with chosen.file.open("x") as file, progress("audit export", as_json=chosen.json) as show:
        export_file.write_origin(file, newest.checkpoint.note.partition("\n")[0])
        async for part in stub.Export(audit_pb2.ExportRequest()):
            export_file.write_part(file, part)
            leaves += len(part.leaves)
            show(leaves)
    if chosen.json:
        print_json({"leaves": leaves, "file": str(chosen.file)})
    else:
        print(f"{leaves} events in {chosen.file}")
    return 0


async def _why(stub: "Stub", chosen: argparse.Namespace) -> int:
    names = QUESTIONS[chosen.about]
    if len(chosen.ids) != len(names):
        wanted = " ".join(name.upper() for name in names)
        raise UsageError(f"why {chosen.about}: allowed is {wanted}")
    fields = dict(zip(names, chosen.ids, strict=True))
    request = (
        audit_pb2.WhyRequest(event_id=_event_id(chosen.ids[0]))
        if chosen.about == "event"
        else audit_pb2.WhyRequest(**fields)
    )
    answer = await stub.Why(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(tables.chain(answer))
    return 0


async def _checkpoints(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = audit_pb2.ListCheckpointsRequest(page_size=COUNT)
    answer = await stub.ListCheckpoints(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        console().print(tables.checkpoints(answer.checkpoints))
    return 0


async def _sign(stub: "Stub", chosen: argparse.Namespace) -> int:
    request = audit_pb2.SignCheckpointRequest()
    answer = await stub.SignCheckpoint(request, timeout=CALL_SECONDS_MAX)
    if chosen.json:
        print_json(answer)
    else:
        print(answer.checkpoint.note, end="")
    return 0


VERBS: Mapping[str, Callable[["Stub", argparse.Namespace], Awaitable[int]]] = {
    "verify": _verify,
    "prove": _prove,
    "export": _export,
    "why": _why,
    "checkpoints": _checkpoints,
    "sign": _sign,
}


def _event_id(text: str) -> bytes:
    """Raises UsageError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"{text!r} is not the id of an event: allowed are hex digits") from None
