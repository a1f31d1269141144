"""The key that signs what ``./venuemesh order`` asks for.

By default it is the development key of the mesh's data folder, which in the live world only paper
accounts accept. An operator signs for a real account with a key of the approvers file.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from kit.execution.approval.keys import APPROVERS_FILE, read_approvers
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.settings import OrdersSettings
from ops.errors import OperationsError
from ops.orders.arguments import KEY_ID_VARIABLE, KEY_VARIABLE

OTHERS = 0o077


def own_signer(
    chosen: argparse.Namespace,
    scope: MeshScope,
    data: Path,
    settings: OrdersSettings,
    environment: Mapping[str, str] = os.environ,
) -> ApprovalSigner | None:
    """Return a signer with the key that the operator has named, or None if none is named. Raises
    OperationsError, SettingError."""
    name = str(chosen.key or environment.get(KEY_VARIABLE, ""))
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
        approvers = Path(settings.approvers_file or data / APPROVERS_FILE)
        known = read_approvers(approvers).get(key_id)
        if known is None:
            text = f"the approvers file {approvers} has no key {key_id!r}: name its --epoch"
            raise OperationsError(text)
        epoch = known.first_epoch
    return ApprovalSigner(key_id, read_key(Path(name).expanduser()), epoch, scope)


def read_key(file: Path) -> Ed25519PrivateKey:
    """Return the private key of a PEM file that only its owner can read. Raises OperationsError,
    which never has the key in it."""
    try:
        mode = file.stat().st_mode
        if mode & OTHERS:
            text = f"{file} can be read by others (mode {mode & 0o777:o}): chmod 600 {file}"
            raise OperationsError(text)
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise OperationsError(f"the key {file} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise OperationsError(f"{file} is no Ed25519 key in PEM without a password")
    return key
