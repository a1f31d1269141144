"""The token that a command makes with the key of a mesh on this machine."""

import jwt

from kit.base.access.authority import FOLDER, Authority
from kit.base.access.roles import CALLER_ROLES
from kit.base.access.tokens import MeshNames, TokenVerifier
from kit.base.access.trust import TrustedKeys
from kit.base.clock import SystemClock
from ops import gateway


def test_the_token_of_a_local_mesh_is_of_its_newest_key(tmp_path):
    mesh = Authority(tmp_path / FOLDER, SystemClock())
    mesh.rotate()
    before = {file: file.read_bytes() for file in (tmp_path / FOLDER).iterdir()}
    token = gateway.local_token(tmp_path, "local")
    assert {file: file.read_bytes() for file in (tmp_path / FOLDER).iterdir()} == before
    assert jwt.get_unverified_header(token)["kid"] == mesh.signing.key_id
    verifier = TokenVerifier(MeshNames("local"), SystemClock())
    verifier.trust(TrustedKeys(mesh.jwks(), {}, frozenset(), "1"))
    caller = verifier.verify(token)
    assert (caller.name[:6], caller.roles) == ("local-", {*CALLER_ROLES})


def test_there_is_no_local_token_without_a_key_that_is_safe(tmp_path):
    assert gateway.local_token(tmp_path, "local") == ""
    assert not (tmp_path / FOLDER).exists()
    Authority(tmp_path / FOLDER, SystemClock())
    (key,) = (tmp_path / FOLDER).glob("*.pem")
    key.chmod(0o644)
    assert gateway.local_token(tmp_path, "local") == ""
