"""The key of an operator that signs what ``./venuemesh order`` asks for.

Without one the inspector checks and approves. A key is for emergencies, and for other order
authorities: what it signs goes to the venue's process at once.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.base import settings
from kit.base.private_keys import PrivateKeyError, read_ed25519_key
from kit.execution.approval.keys import APPROVERS_FILE, read_approvers
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.settings import OrdersSettings
from ops import gateway
from ops.errors import OperationsError
from ops.gateway import Gateway
from ops.orders.arguments import KEY_ID_VARIABLE, KEY_VARIABLE
from ops.private_files import require_private


async def signer(
    chosen: argparse.Namespace, mesh: Gateway, channel: grpc.aio.Channel
) -> ApprovalSigner | None:
    """A signer with the key that is named for this command, or None. Raises OperationsError,
    SettingError."""
    if "key" not in chosen:
        return None
    scope = MeshScope("", "")
    if mesh.local is not None:
        scope = MeshScope(mesh.local.mesh_id, mesh.local.world)
    elif _key_name(chosen, os.environ):
        answer = await gateway.services(channel, gateway.KIND_REGISTRY)
        scope = MeshScope(answer.mesh_id, answer.world)
    data = mesh.data or gateway.data_of(chosen)
    return own_signer(chosen, scope, data, settings.load(OrdersSettings, "orders"))


def own_signer(
    chosen: argparse.Namespace,
    scope: MeshScope,
    data: Path,
    orders: OrdersSettings,
    environment: Mapping[str, str] = os.environ,
) -> ApprovalSigner | None:
    """Return a signer with the key that the operator has named, or None if none is named. Raises
    OperationsError, SettingError."""
    name = _key_name(chosen, environment)
    if not name:
        if chosen.key_id or chosen.epoch is not None:
            raise OperationsError(f"--key-id and --epoch need the key: --key or {KEY_VARIABLE}")
        return None
    key_id = chosen.key_id or environment.get(KEY_ID_VARIABLE, "")
    if not key_id:
        text = f"the key {name} needs its id in the approvers file: --key-id or {KEY_ID_VARIABLE}"
        raise OperationsError(text)
    epoch = chosen.epoch
    if epoch is None:
        approvers = Path(orders.approvers_file or data / APPROVERS_FILE)
        known = read_approvers(approvers).get(key_id)
        if known is None:
            text = f"the approvers file {approvers} has no key {key_id!r}: name its --epoch"
            raise OperationsError(text)
        epoch = known.first_epoch
    return ApprovalSigner(key_id, read_key(Path(name).expanduser()), epoch, scope)


def _key_name(chosen: argparse.Namespace, environment: Mapping[str, str]) -> str:
    return str(chosen.key or environment.get(KEY_VARIABLE, ""))


def read_key(file: Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file that only its owner can read. Raises OperationsError,
    which never has the key in it."""
    try:
        require_private(file)
        return read_ed25519_key(file)
    except OSError as error:
        raise OperationsError(f"the key {file} cannot be read: {error.strerror}") from None
    except PrivateKeyError:
        text = f"{file} is no Ed25519 key in PEM without a password"
        raise OperationsError(text) from None
