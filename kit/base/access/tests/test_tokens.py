"""Tokens: who is believed."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from kit.base.access.authority import PUBLISH_S, Authority
from kit.base.access.roles import CALLER_ROLES, Role
from kit.base.access.tokens import (
    MODEL,
    TOKEN_LENGTH_MAX,
    MeshNames,
    PlatformIssuer,
    TokenTerms,
    TokenVerifier,
    issue,
)
from kit.base.access.trust import TrustedKeys, from_message, to_message
from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.errors import SettingError, TokenExpired, TokenInvalid, TokenRevoked

NAMES = MeshNames("local")
VALID_S = 3_600


class SetClock(SystemClock):
    """Wall clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000 * NANOSECONDS_PER_SECOND

    def time_ns(self) -> int:  # type: ignore[override]
        return self.now_ns

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * NANOSECONDS_PER_SECOND)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def authority(tmp_path, clock) -> Authority:
    return Authority(tmp_path / "authority", clock)


def verifier(authority, clock, revoked=(), platform=None, platform_jwks=None) -> TokenVerifier:
    made = TokenVerifier(NAMES, clock, platform)
    made.trust(TrustedKeys(authority.jwks(), platform_jwks or {}, frozenset(revoked)))
    return made


def token(
    authority, clock, *roles: Role, names=NAMES, caller="desk", valid_s=VALID_S, kind=""
) -> str:
    terms = TokenTerms(caller, frozenset(roles), valid_s, kind=kind)
    return issue(terms, authority.signing, names, clock)[0]


def test_a_token_for_a_model_says_so_and_no_other_kind_of_a_caller_counts(authority, clock):
    verify = verifier(authority, clock).verify
    assert verify(token(authority, clock, Role.TRADER, kind=MODEL)).is_model
    assert verify(token(authority, clock, Role.TRADER, kind="venue")).kind == ""


def test_a_token_tells_its_caller_and_the_roles_with_those_they_include(authority, clock):
    caller = verifier(authority, clock).verify(token(authority, clock, Role.TRADER))
    assert caller.name == "desk"
    assert caller.roles == {Role.TRADER, Role.VIEWER}
    assert caller.expires_time_ns == clock.time_ns() + VALID_S * NANOSECONDS_PER_SECOND
    admin = verifier(authority, clock).verify(token(authority, clock, Role.ADMIN))
    assert admin.roles == set(CALLER_ROLES)


def test_a_token_ends(authority, clock):
    text = token(authority, clock, Role.VIEWER)
    checked = verifier(authority, clock)
    checked.verify(text)
    clock.advance(VALID_S - 1)
    checked.verify(text)
    clock.advance(1)
    with pytest.raises(TokenExpired):
        checked.verify(text)


def test_a_token_is_not_valid_before_it_was_issued(authority, clock):
    text = token(authority, clock, Role.VIEWER)
    clock.advance(-60)
    with pytest.raises(TokenInvalid, match="not valid yet"):
        verifier(authority, clock).verify(text)


def test_a_revoked_token_and_its_chain_are_refused(authority, clock):
    first, first_id = issue(
        TokenTerms("desk", frozenset({Role.VIEWER}), VALID_S), authority.signing, NAMES, clock
    )
    renewed, _ = issue(
        TokenTerms("desk", frozenset({Role.VIEWER}), VALID_S, first_id),
        authority.signing,
        NAMES,
        clock,
    )
    checked = verifier(authority, clock)
    checked.verify(first)
    checked.verify(renewed)
    checked.trust(TrustedKeys(authority.jwks(), revoked_token_ids=frozenset({first_id})))
    for text in (first, renewed):
        with pytest.raises(TokenRevoked):
            checked.verify(text)


def test_a_token_of_another_mesh_is_refused(authority, clock, tmp_path):
    other = Authority(tmp_path / "other", clock)
    checked = verifier(authority, clock)
    with pytest.raises(TokenInvalid, match="does not know"):
        checked.verify(token(other, clock, Role.ADMIN))
    # The same key, as when two meshes share one folder of keys.
    with pytest.raises(TokenInvalid, match="not valid here"):
        checked.verify(token(authority, clock, Role.ADMIN, names=MeshNames("other")))


def test_the_role_of_a_process_is_believed_only_of_a_process_token(authority, clock):
    claims = {
        "iss": NAMES.issuer,
        "aud": NAMES.callers,
        "sub": "x",
        "roles": ["process"],
        "iat": clock.time_ns() // NANOSECONDS_PER_SECOND,
        "exp": clock.time_ns() // NANOSECONDS_PER_SECOND + 60,
        "jti": "1",
    }
    key = authority.signing
    text = jwt.encode(claims, key.private, "EdDSA", {"kid": key.key_id})
    with pytest.raises(TokenInvalid, match="no role"):
        verifier(authority, clock).verify(text)
    process = verifier(authority, clock).verify(token(authority, clock, Role.PROCESS))
    assert process.roles == {Role.PROCESS, Role.VIEWER}
    assert process.is_process


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b.c", "e30.e30.", "\x00" * 20, "é" * 50, "x" * (TOKEN_LENGTH_MAX + 1)],
)
def test_what_is_no_token_is_refused(authority, clock, text):
    with pytest.raises(TokenInvalid):
        verifier(authority, clock).verify(text)


def test_a_token_without_signature_or_with_a_shared_secret_is_refused(authority, clock):
    text = token(authority, clock, Role.ADMIN)
    claims = jwt.decode(text, options={"verify_signature": False})
    headers = {"kid": authority.signing.key_id}
    public = authority.signing.private.public_key().public_bytes_raw()
    for forged in (
        jwt.encode(claims, "", "none", headers),
        jwt.encode(claims, public, "HS256", headers),
    ):
        with pytest.raises(TokenInvalid):
            verifier(authority, clock).verify(forged)


@pytest.mark.parametrize("left_out", ["iss", "aud", "sub", "exp", "iat", "jti", "roles"])
def test_a_token_without_a_claim_is_refused(authority, clock, left_out):
    claims = jwt.decode(token(authority, clock, Role.ADMIN), options={"verify_signature": False})
    del claims[left_out]
    key = authority.signing
    with pytest.raises(TokenInvalid):
        verifier(authority, clock).verify(
            jwt.encode(claims, key.private, "EdDSA", {"kid": key.key_id})
        )


def test_after_a_rotation_both_keys_verify_until_the_older_is_unused(authority, clock):
    older = token(authority, clock, Role.VIEWER)
    clock.advance(PUBLISH_S)
    rotated = authority.rotate()
    clock.advance(PUBLISH_S)
    assert authority.signing.key_id == rotated.key_id
    newer = token(authority, clock, Role.VIEWER)
    checked = verifier(authority, clock)
    assert checked.verify(older).name == checked.verify(newer).name
    clock.advance(VALID_S + 1)
    authority.remove_unused(VALID_S)
    checked.trust(TrustedKeys(authority.jwks()))
    with pytest.raises(TokenInvalid, match="does not know"):
        checked.verify(older)


def test_a_new_key_signs_once_it_is_known_everywhere(authority, clock):
    first = authority.signing
    clock.advance(PUBLISH_S)
    second = authority.rotate()
    assert authority.signing.key_id == first.key_id
    assert second.key_id in {key["kid"] for key in authority.jwks()["keys"]}
    clock.advance(PUBLISH_S)
    assert authority.signing.key_id == second.key_id


def test_the_keys_survive_a_restart_and_only_their_owner_reads_them(authority, clock, tmp_path):
    again = Authority(tmp_path / "authority", clock)
    assert again.signing.key_id == authority.signing.key_id
    (key,) = (tmp_path / "authority").glob("*.pem")
    assert key.stat().st_mode & 0o077 == 0
    key.chmod(0o644)
    with pytest.raises(SettingError, match="chmod 600"):
        Authority(tmp_path / "authority", clock)


class Platform:
    """The issuer of a platform, with a key of its own."""

    terms = PlatformIssuer("https://login.example", "trading", "groups")

    def __init__(self, key_id: str = "p1") -> None:
        self.key = rsa.generate_private_key(65_537, 2_048)
        self.key_id = key_id

    def jwks(self):
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [public | {"kid": self.key_id, "alg": "RS256"}]}

    def token(self, clock, **changes) -> str:
        now_s = clock.time_ns() // NANOSECONDS_PER_SECOND
        claims = {
            "iss": self.terms.issuer,
            "aud": self.terms.audience,
            "sub": "anna",
            "groups": ["staff", "operator"],
            "iat": now_s,
            "exp": now_s + 60,
            "jti": "7",
        }
        return jwt.encode(claims | changes, self.key, "RS256", {"kid": self.key_id})


def test_a_token_of_the_platform_is_accepted_with_the_roles_of_its_claim(authority, clock):
    platform = Platform()
    checked = verifier(authority, clock, (), platform.terms, platform.jwks())
    caller = checked.verify(platform.token(clock))
    assert (caller.name, caller.roles) == ("anna", {Role.OPERATOR, Role.VIEWER})


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": NAMES.issuer, "aud": NAMES.callers, "roles": ["admin"]},
        {"iss": NAMES.issuer, "aud": NAMES.processes, "roles": ["process"]},
        {"aud": NAMES.processes, "groups": ["process"]},
        {"groups": ["process"]},
        {"groups": ["staff"]},
        {"aud": "other"},
        {"groups": 5},
        {"exp": "soon"},
        {"iat": 1e400},
    ],
)
def test_the_platform_cannot_speak_for_the_mesh(authority, clock, changes):
    platform = Platform()
    checked = verifier(authority, clock, (), platform.terms, platform.jwks())
    with pytest.raises(TokenInvalid):
        checked.verify(platform.token(clock, **changes))


def test_a_key_of_the_platform_does_not_replace_one_of_the_mesh(authority, clock):
    platform = Platform(authority.signing.key_id)
    checked = verifier(authority, clock, (), platform.terms, platform.jwks())
    assert checked.verify(token(authority, clock, Role.VIEWER)).name == "desk"
    with pytest.raises(TokenInvalid):
        checked.verify(platform.token(clock))


def test_trust_is_the_same_after_it_was_sent(authority):
    keys = TrustedKeys(authority.jwks(), {"keys": []}, frozenset({"a", "b"}), "r1")
    assert from_message(to_message(keys)) == keys
