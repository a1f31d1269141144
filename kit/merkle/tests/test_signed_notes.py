"""Signed notes, checkpoints and the keys that sign them."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.merkle import checkpoints, signed_notes
from kit.merkle.checkpoints import Checkpoint
from kit.merkle.key_folder import KeyFolder, KeyFolderError
from kit.merkle.signed_notes import COSIGNATURE, NoteError, SigningKey, VerifierKey

ORIGIN = "venuemesh/test"
# The examples of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot\
pRZb6KE6RyyBwJnAM=
"""


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(ORIGIN, Ed25519PrivateKey.generate())


def test_a_note_of_another_implementation_is_verified():
    text, signers = signed_notes.opened(GO_NOTE, [VerifierKey.parse(GO_KEY)])
    assert text.endswith("your problem is.\n")
    assert [str(signer) for signer in signers] == [GO_KEY]


def test_what_was_signed_is_read_again(key: SigningKey):
    checkpoint = Checkpoint(ORIGIN, 17, bytes(range(32)))
    note = checkpoint.signed([key])
    assert checkpoints.opened(note, ORIGIN, [key.verifier]) == checkpoint
    assert VerifierKey.parse(str(key.verifier)) == key.verifier


def test_every_changed_character_is_found(key: SigningKey):
    note = Checkpoint(ORIGIN, 17, bytes(range(32))).signed([key])
    for place, sign in enumerate(note):
        changed = note[:place] + ("A" if sign != "A" else "B") + note[place + 1 :]
        with pytest.raises(NoteError):
            checkpoints.opened(changed, ORIGIN, [key.verifier])


def test_base64_has_one_form(key: SigningKey):
    note = Checkpoint(ORIGIN, 17, bytes(range(32))).signed([key])
    for ending in ("=\n", "=\n\n"):
        end = note.index(ending)
        for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
            changed = note[: end - 1] + sign + note[end:]
            if changed != note:
                with pytest.raises(NoteError):
                    checkpoints.opened(changed, ORIGIN, [key.verifier])


def test_another_key_is_not_enough(key: SigningKey):
    stranger = SigningKey(ORIGIN, Ed25519PrivateKey.generate())
    note = Checkpoint(ORIGIN, 1, bytes(32)).signed([stranger])
    with pytest.raises(NoteError, match="no known key"):
        checkpoints.opened(note, ORIGIN, [key.verifier])
    both = Checkpoint(ORIGIN, 1, bytes(32)).signed([stranger, key])
    assert checkpoints.opened(both, ORIGIN, [key.verifier]).size == 1
    with pytest.raises(NoteError, match="not of 'other'"):
        checkpoints.opened(both, "other", [key.verifier])


def test_a_cosignature_has_a_time(key: SigningKey):
    witness = VerifierKey("witness", COSIGNATURE, key.verifier.public)
    text = Checkpoint(ORIGIN, 1, bytes(32)).text
    signature = key.private.sign(f"cosignature/v1\ntime 9\n{text}".encode())
    assert witness.has_signed(text, (9).to_bytes(8, "big") + signature)
    assert not witness.has_signed(text, (8).to_bytes(8, "big") + signature)


@pytest.mark.parametrize(
    "text",
    ["", "a\n1\n", "a\n-1\nAAAA\n", f"a\n01\n{base64.b64encode(bytes(32)).decode()}\n", "\n1\nA\n"],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "text", ["", "a+b+c", GO_KEY[:-4] + "AAAA", GO_KEY.replace("c74f", "c74e")]
)
def test_what_is_no_verifier_key_is_refused(text: str):
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_the_two_newest_keys_sign(tmp_path):
    folder = KeyFolder(tmp_path / "keys")
    (first,) = folder.signing_keys(ORIGIN, 1)
    second = folder.rotate(ORIGIN, 2)
    assert [key.verifier for key in folder.signing_keys(ORIGIN, 3)] == [first.verifier, second]
    third = folder.rotate(ORIGIN, 3)
    assert [key.verifier for key in folder.signing_keys(ORIGIN, 4)] == [second, third]
    assert folder.verifier_keys() == [first.verifier, second, third]
    assert {file.stat().st_mode & 0o777 for file in folder.folder.iterdir()} == {0o600}


def test_a_key_that_others_can_read_is_refused(tmp_path):
    folder = KeyFolder(tmp_path)
    folder.signing_keys(ORIGIN, 1)
    next(tmp_path.glob("*.pem")).chmod(0o640)
    with pytest.raises(KeyFolderError, match="chmod 600"):
        folder.signing_keys(ORIGIN, 2)
