"""Envoy's filters that verify tokens and roles, as resources that Envoy reads again on a change.

::

    jwt_authn       the token is valid: signature, issuer, audience, times
    rbac            its caller has one of the roles that the method needs, and it is not revoked

The first stands before the transcoder, the second after it, where the path of each call of a
contract is the path of its method. Each process verifies both again.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from gateway.service_contracts import ContractSet
from kit.base.access.credentials import AUTHORIZATION, SCHEME
from kit.base.access.roles import CALLER_ROLES, Role, with_implied
from kit.base.access.settings import AccessSettings
from kit.base.access.tokens import CLOCK_SKEW_S, MeshNames
from kit.base.access.trust import TrustedKeys

TOKENS = "tokens"
ROLES = "roles"
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection."
OPEN_PATHS = ("/healthz", "/sign-in", f"{HEALTH}Check", f"{HEALTH}Watch")
"""What can be called without a token."""
OPEN_FOLDER = "/sign-in/"
"""The files of the page for signing in."""
REVOKED = "1 revoked"
NEEDS = "2 needs"
UNLISTED = "3 unlisted"
"""Names of the rules. Envoy takes the first that matches, in the order of the names."""

LIMITED = "limited"
EXEMPT = "/venuemesh.tradeflow.v1.TradeFlow/"
TOKENS_MAX = 10_000
"""Tokens whose calls are counted at a time; of more, those that have not called for longest start
again."""
UNLIMITED = 1_000_000_000

Json = dict[str, Any]

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
JWT_TYPE = f"{_FILTERS}.jwt_authn.v3.JwtAuthentication"
RBAC_TYPE = f"{_FILTERS}.rbac.v3.RBAC"
_JWT_METADATA = "envoy.filters.http.jwt_authn"
_MESH = "mesh"
_PLATFORM = "platform"
_ALWAYS: Json = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """What Envoy verifies callers with."""

    settings: AccessSettings
    names: MeshNames
    trusted: Callable[[], TrustedKeys]
    session_cookie: str


def role_sets(contracts: ContractSet) -> list[frozenset[Role]]:
    """The different sets of roles that methods need, one of each set."""
    found = {method.roles for contract in contracts.services for method in contract.methods}
    return sorted(found, key=sorted)


def rule_name(roles: Iterable[Role]) -> str:
    """Of the rule that refuses callers without one of these roles."""
    return f"{NEEDS} {' '.join(sorted(roles))}"


def tokens(access: GatewayAccess) -> Json:
    """The filter that verifies tokens."""
    trusted, platform = access.trusted(), access.settings.platform
    providers = {
        _MESH: _provider(_MESH, access.names.issuer, access.names.callers, trusted.jwks)
        # A session has a token of the mesh, whoever issued the one that it began with.
        | {"from_cookies": [access.session_cookie]},
    }
    # Without keys there is nothing that it could verify, and Envoy would refuse all of the filter.
    if platform is not None and trusted.platform_jwks.get("keys"):
        providers[_PLATFORM] = _provider(
            _PLATFORM, platform.issuer, platform.audience, trusted.platform_jwks
        )
    either = {"requirements": [{"provider_name": name} for name in providers]}
    needed = {"requires_any": either} if len(providers) > 1 else {"provider_name": _MESH}
    return _resource(
        TOKENS,
        JWT_TYPE,
        providers=providers,
        rules=[
            *({"match": {"path": path}} for path in OPEN_PATHS),
            {"match": {"prefix": OPEN_FOLDER}},
            {"match": {"prefix": "/"}, "requires": needed},
        ],
        bypass_cors_preflight=True,
    )


def roles(access: GatewayAccess, contracts: ContractSet) -> Json:
    """The filter that refuses revoked tokens, callers without the role, and methods that no
    contract has."""
    methods = sorted(
        (sorted(method.roles), f"/{contract.name}/{method.name}")
        for contract in contracts.services
        for method in contract.methods
    )
    listed = [path for _, path in methods]
    policies = {}
    for needed, group in groupby(methods, key=lambda pair: pair[0]):
        paths = [path for _, path in group]
        wanted = frozenset(needed)
        policies[rule_name(wanted)] = _policy(_any_path(paths), _without(access, wanted))
    others = _all(_not(_any_path([*listed, *OPEN_PATHS])), _not(_path({"prefix": OPEN_FOLDER})))
    viewer = rule_name([Role.VIEWER])
    policies[viewer]["permissions"].append(others)
    known = [_any_path([*listed, *OPEN_PATHS]), _path({"prefix": REFLECTION})]
    unlisted = _all(_header("content-type", {"prefix": "application/grpc"}), _not(_or(known)))
    policies[UNLISTED] = _policy(unlisted, {"any": True})
    if revoked := access.trusted().revoked_token_ids:
        claims = [
            _claim(provider, claim, _any_of(sorted(revoked)))
            for provider in (_MESH, _PLATFORM)
            for claim in ("jti", "first")
        ]
        policies[REVOKED] = _policy({"any": True}, {"or_ids": {"ids": claims}})
    return _resource(ROLES, RBAC_TYPE, rules={"action": "DENY", "policies": policies})


def limits(calls_per_second: int) -> Json:
    """The filter that bounds the calls of each token.

    TradeFlow is exempt: neither a cancel nor an order that reduces a position may wait, and from
    outside the latter looks like any order.
    """
    exempt = {
        "header_value_match": {
            "descriptor_value": LIMITED,
            "expect_match": False,
            "headers": [{"name": ":path", "string_match": {"prefix": EXEMPT}}],
        }
    }
    # A renewed token counts as the first one, so that renewing gives no more calls.
    claims = {_MESH: "first", _PLATFORM: "jti"}
    actions = [{"actions": [exempt, _token_action(*claim)]} for claim in claims.items()]
    entries = [{"key": "header_match", "value": LIMITED}, {"key": "token"}]
    return {
        "stat_prefix": "calls",
        "rate_limits": actions,
        # Without a value, each token has a bucket of its own.
        "descriptors": [{"entries": entries, "token_bucket": _bucket(calls_per_second)}],
        "max_dynamic_descriptors": TOKENS_MAX,
        "always_consume_default_token_bucket": False,
        "token_bucket": _bucket(UNLIMITED),
        "filter_enabled": _ALWAYS,
        "filter_enforced": _ALWAYS,
        "rate_limited_as_resource_exhausted": True,
    }


def caller_claim(claim: str) -> str:
    """For the log: a claim of the caller's token, whoever issued it."""
    found = f"metadata.filter_metadata['{_JWT_METADATA}']"
    mesh, platform = f"{found}['{_MESH}']", f"{found}['{_PLATFORM}']"
    return f"%CEL('{_MESH}' in {found} ? {mesh}['{claim}'] : {platform}['{claim}'])%"


def caller_roles() -> str:
    """For the log: the roles in a token of the mesh."""
    return f"%DYNAMIC_METADATA({_JWT_METADATA}:{_MESH}:roles)%"


def _bucket(calls_per_second: int) -> Json:
    return {
        "max_tokens": 2 * calls_per_second,
        "tokens_per_fill": calls_per_second,
        "fill_interval": "1s",
    }


def _token_action(provider: str, claim: str) -> Json:
    path = [{"key": provider}, {"key": claim}]
    metadata = {"key": _JWT_METADATA, "path": path}
    return {"metadata": {"descriptor_key": "token", "metadata_key": metadata, "source": "DYNAMIC"}}


def _provider(name: str, issuer: str, audience: str, jwks: Any) -> Json:
    return {
        "issuer": issuer,
        "audiences": [audience],
        "local_jwks": {"inline_string": json.dumps(jwks)},
        "from_headers": [{"name": AUTHORIZATION, "value_prefix": SCHEME}],
        # The process verifies it again.
        "forward": True,
        "payload_in_metadata": name,
        "clock_skew_seconds": CLOCK_SKEW_S,
    }


def _without(access: GatewayAccess, needed: Collection[Role]) -> Json:
    """A caller that has none of these roles, nor one that includes them."""
    sufficient = [role for role in CALLER_ROLES if not with_implied([role]).isdisjoint(needed)]
    if not sufficient:
        return {"any": True}
    listed = {"list_match": {"one_of": _any_of(sufficient)}}
    having = [_claim(_MESH, "roles", listed)]
    if platform := access.settings.platform:
        text = rf"(.* )?({'|'.join(sufficient)})( .*)?"
        separated = {"string_match": {"safe_regex": {"regex": text}}}
        having += [_claim(_PLATFORM, platform.roles_claim, match) for match in (listed, separated)]
    return {"not_id": {"or_ids": {"ids": having}}}


def _claim(provider: str, claim: str, value: Json) -> Json:
    matcher = {
        "filter": _JWT_METADATA,
        "path": [{"key": provider}, {"key": claim}],
        "value": value,
    }
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _any_of(texts: Iterable[str]) -> Json:
    matchers = [{"string_match": {"exact": text}} for text in texts]
    # Envoy refuses a choice of one.
    return {"or_match": {"value_matchers": matchers}} if len(matchers) > 1 else matchers[0]


def _policy(permission: Json, principal: Json) -> Json:
    return {"permissions": [permission], "principals": [principal]}


def _any_path(paths: Iterable[str]) -> Json:
    return _or([_path({"exact": path}) for path in paths])


def _path(matcher: Json) -> Json:
    return {"url_path": {"path": matcher}}


def _header(name: str, matcher: Json) -> Json:
    return {"header": {"name": name, "string_match": matcher}}


def _or(rules: Sequence[Json]) -> Json:
    return {"or_rules": {"rules": list(rules)}}


def _all(*rules: Json) -> Json:
    return {"and_rules": {"rules": list(rules)}}


def _not(rule: Json) -> Json:
    return {"not_rule": rule}


def _resource(name: str, kind: str, **config: Any) -> Json:
    """A filter as Envoy reads it by discovery, so that a change ends no stream."""
    return {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": {"@type": kind, **config},
    }
