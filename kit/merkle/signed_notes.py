"""Signed notes (C2SP signed-note): a text, and signatures by named Ed25519 keys.

A verifier key is ``<name>+<id, 8 hex digits>+<base64 of the type and the public key>``. Go's
golang.org/x/mod/sumdb/note reads and writes the same.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 1
COSIGNATURE = 4
"""Type of a witness's key: its signatures have a time."""
KEY_ID_BYTES = 4
NOTE_BYTES_MAX = 100_000
SIGNATURES_MAX = 100
_DASH = "— "
_TIME_BYTES = 8


class NoteError(ValueError):
    """A text that is not a signed note, or not signed by a known key."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and its name."""

    name: str
    kind: int
    """ED25519 or COSIGNATURE."""
    public: bytes

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Raises NoteError."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        content = decoded(encoded)
        if len(content) != 1 + 32 or content[0] not in (ED25519, COSIGNATURE) or not name:
            raise NoteError(f"{text.strip()!r} is not a verifier key of Ed25519")
        key = cls(name, content[0], content[1:])
        if key.key_id.hex() != key_id:
            raise NoteError(f"verifier key {text.strip()!r} has the wrong id")
        return key

    @property
    def key_id(self) -> bytes:
        named = self.name.encode() + b"\n" + bytes([self.kind])
        return hashlib.sha256(named + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def has_signed(self, text: str, signature: bytes) -> bool:
        """Whether a signature, without the key id, is one of this text."""
        message = text.encode()
        if self.kind == COSIGNATURE:
            seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
            message = f"cosignature/v1\ntime {seconds}\n".encode() + message
            signature = signature[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its name."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, ED25519, self.private.public_key().public_bytes_raw())

    def signature_line(self, text: str) -> str:
        signature = self.private.sign(text.encode())
        encoded = base64.b64encode(self.verifier.key_id + signature).decode()
        return f"{_DASH}{self.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature of a note."""

    name: str
    key_id: bytes
    content: bytes
    line: str


def decoded(text: str) -> bytes:
    """The bytes of base64 that has one form only; b"" for any other text."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return content if base64.b64encode(content).decode() == text else b""


def signed(text: str, keys: Sequence[SigningKey]) -> str:
    """The note of a text, which ends with a line break."""
    return f"{text}\n" + "".join(key.signature_line(text) for key in keys)


def parts(note: str) -> tuple[str, list[Signature]]:
    """The text of a note, and its signatures, which are not verified. Raises NoteError."""
    if len(note) > NOTE_BYTES_MAX:
        raise NoteError(f"a note of {len(note)} characters is longer than {NOTE_BYTES_MAX}")
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteError("the note has no signatures")
    found = [signature(line) for line in lines.removesuffix("\n").split("\n")]
    if len(found) > SIGNATURES_MAX:
        raise NoteError(f"the note has more than {SIGNATURES_MAX} signatures")
    return text + "\n", found


def signature(line: str) -> Signature:
    """A signature line, without its line break. Raises NoteError."""
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    content = decoded(encoded)
    if not line.startswith(_DASH) or not name or len(content) <= KEY_ID_BYTES:
        raise NoteError(f"not a signature line: {line[:200]!r}")
    return Signature(name, content[:KEY_ID_BYTES], content[KEY_ID_BYTES:], line)


def opened(note: str, keys: Sequence[VerifierKey]) -> tuple[str, list[VerifierKey]]:
    """The text of a note, and which of the keys have signed it. Raises NoteError when none has, and
    when a signature under the id of one of them is wrong."""
    text, signatures = parts(note)
    by_id = {(key.name, key.key_id): key for key in keys}
    signers = []
    for found in signatures:
        key = by_id.get((found.name, found.key_id))
        if key is None:
            continue
        if not key.has_signed(text, found.content):
            raise NoteError(f"the signature of {found.name} ({found.key_id.hex()}) is wrong")
        signers.append(key)
    if not signers:
        names = ", ".join(f"{one.name} ({one.key_id.hex()})" for one in signatures)
        raise NoteError(f"no known key has signed the note; it names {names}")
    return text, signers
