"""The keys that approve orders: those of the approvers file, and those of the mesh itself.

The approvers file lists each key with its role, accounts, epochs and end. It is read again while
the process runs, so that a key can be added, rotated or revoked without a restart. While the file
cannot be read, none of its keys is accepted.

The key of the inspector is a file in the mesh's data folder, readable by its owner only, with the
public key in a file of its own, which is all that venues need. The first process that needs them
makes them. It approves orders in the worlds simulate and replay, and of paper accounts. Real
accounts in the live world know it if it is in the approvers file.
"""

import tomllib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError
from kit.base.reloaded_file import ReloadedFile
from kit.base.secret_files import make_secret, write_secret
from kit.base.settings import MeshSettings
from kit.execution.approval.signing import MeshScope

APPROVERS_FILE = Path("keys") / "approvers.toml"
INSPECTOR_KEY_ID = "inspector"
INSPECTOR_FILE = Path("keys") / "inspector" / "approval.key"
INSPECTOR_PUBLIC_FILE = Path("keys") / "inspector.pub"
"""In base64, as in the approvers file."""
EARLIER_INSPECTOR_FILE = Path("keys") / "inspector.key"
"""Where earlier versions had the private key."""
INSPECTOR_LAST_EPOCH = (1 << 63) - 1
NEVER_NS = (1 << 63) - 1
KEY_BYTES = 32
ALL_ACCOUNTS = "*"

Role = Literal["trade", "reduce"]
"""trade: every operation. reduce: cancel orders and reduce positions, whatever the epoch is."""


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """A public key, and what it may approve."""

    key_id: str
    public_key: Ed25519PublicKey
    role: Role
    accounts: frozenset[str]
    """Each as "venue/account"; "*" is every account."""
    first_epoch: int
    last_epoch: int
    not_after_ns: int
    """When the key ends, ns since the Unix epoch."""
    is_revoked: bool = False

    def is_for(self, venue: str, account: str) -> bool:
        """Whether the key may approve orders of an account."""
        return ALL_ACCOUNTS in self.accounts or f"{venue}/{account}" in self.accounts


class Approver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the approvers file."""

    key_id: str
    public_key: str
    """An Ed25519 key as base64 of 32 bytes."""
    role: Role
    accounts: tuple[str, ...]
    first_epoch: int
    last_epoch: int
    not_after: datetime
    """With its offset from UTC."""
    revoked: bool = False


class ApproversFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the approvers file."""

    approvers: tuple[Approver, ...] = ()


class ApproverKeys:
    """The keys of a process, as they are in the file now."""

    def __init__(self, file: Path, clock: Clock, own: Sequence[ApproverKey] = ()) -> None:
        """``own``: the key of the mesh itself, where it is accepted. Raises SettingError for a
        file that cannot be read; a file that does not exist has no keys."""
        self._own = {key.key_id: key for key in own}
        none: Mapping[str, ApproverKey] = {}
        self._file = ReloadedFile(file, read_approvers, clock, missing=none, unreadable=none)

    def find(self, key_id: str) -> ApproverKey | None:
        """Return the key with an id, or None. Reads the file again if it has changed."""
        if key_id in self._own:
            return self._own[key_id]
        return self._file.content.get(key_id)

    def key_ids(self) -> set[str] | None:
        """The ids of all keys, revoked ones too; None while the file cannot be read."""
        return None if self._file.problem else {*self._file.content, INSPECTOR_KEY_ID}

    @property
    def problem(self) -> str:
        """Why no key of the file is accepted, for the operator; "" while the file can be read."""
        found = self._file.problem
        return f"approvers file not read, NO KEY IS ACCEPTED: {found}" if found else ""


def read_approvers(file: Path) -> Mapping[str, ApproverKey]:
    """Return the keys of an approvers file by key id. Raises SettingError."""
    try:
        found = msgspec.convert(tomllib.loads(file.read_text()), ApproversFile)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise SettingError("orders.approvers_file", str(file), str(error)) from None
    keys = {one.key_id: _approver_key(one) for one in found.approvers}
    if len(keys) < len(found.approvers):
        raise SettingError("orders.approvers_file", str(file), "each key_id must be there once")
    # Under a second id, a key would have other limits, and be valid after it is revoked.
    if len({key.public_key.public_bytes_raw() for key in keys.values()}) < len(keys):
        raise SettingError("orders.approvers_file", str(file), "each public_key must be there once")
    return keys


def inspector_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return the private key of the inspector. Raises OSError."""
    file, earlier = data_dir / INSPECTOR_FILE, data_dir / EARLIER_INSPECTOR_FILE
    if not file.exists():
        with suppress(FileNotFoundError):
            _make(file, earlier.read_bytes())
        _make(file, Ed25519PrivateKey.generate().private_bytes_raw())
        earlier.unlink(missing_ok=True)
    return Ed25519PrivateKey.from_private_bytes(file.read_bytes())


def publish_inspector_key(data_dir: Path) -> bytes:
    """Write the public key of the inspector beside the approvers file, and return it. Raises
    OSError."""
    public = inspector_key(data_dir).public_key().public_bytes_raw()
    write_secret(data_dir / INSPECTOR_PUBLIC_FILE, b64encode(public))
    return public


def own_approvers(data_dir: Path) -> Sequence[ApproverKey]:
    """Return the key of the inspector as an approver of all accounts and epochs. Raises OSError."""
    try:
        raw = b64decode((data_dir / INSPECTOR_PUBLIC_FILE).read_bytes())
    except FileNotFoundError:
        raw = publish_inspector_key(data_dir)
    public = Ed25519PublicKey.from_public_bytes(raw)
    accounts, last = frozenset({ALL_ACCOUNTS}), INSPECTOR_LAST_EPOCH
    return (ApproverKey(INSPECTOR_KEY_ID, public, "trade", accounts, 1, last, NEVER_NS),)


def scope_of(mesh: MeshSettings) -> MeshScope:
    """Return the scope of approvals of a mesh."""
    return MeshScope(mesh.mesh_id, mesh.world)


def _approver_key(approver: Approver) -> ApproverKey:
    try:
        raw = b64decode(approver.public_key, validate=True)
    except NotBase64:
        raw = b""
    if len(raw) != KEY_BYTES:
        allowed = "must be base64 of the 32 bytes of an Ed25519 key"
        raise SettingError(f"approvers.{approver.key_id}.public_key", approver.public_key, allowed)
    if not approver.key_id:
        raise SettingError("approvers.key_id", approver.key_id, "must be a name")
    if not 0 <= approver.first_epoch <= approver.last_epoch:
        allowed = "must be at least first_epoch, and that at least 0"
        raise SettingError(f"approvers.{approver.key_id}.last_epoch", approver.last_epoch, allowed)
    if approver.not_after.tzinfo is None:
        allowed = "must have an offset from UTC, as 2030-01-01T00:00:00Z"
        raise SettingError(f"approvers.{approver.key_id}.not_after", approver.not_after, allowed)
    return ApproverKey(
        key_id=approver.key_id,
        public_key=Ed25519PublicKey.from_public_bytes(raw),
        role=approver.role,
        accounts=frozenset(approver.accounts),
        first_epoch=approver.first_epoch,
        last_epoch=approver.last_epoch,
        not_after_ns=int(approver.not_after.timestamp()) * NANOSECONDS_PER_SECOND,
        is_revoked=approver.revoked,
    )


def _make(file: Path, content: bytes) -> None:
    """Write a key, unless it is there: if another process was faster, its key is used."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        make_secret(file, content)
