"""What Envoy refuses of browsers: pages of other sites, and calls that a page did not mean to make.

A browser says which page makes a call (Origin), and whether it is one of the same site
(Sec-Fetch-Site). A call by the cookie of the session has a header that a page of another site
cannot set without asking first.
"""

import re
from collections.abc import Iterable
from typing import Any

from gateway.http_paths import HTTP_PATHS
from gateway.settings import ANY_HOST, GatewaySettings
from kit.base.access.credentials import AUTHORIZATION

MEANT = ("x-venuemesh-request", "1")
"""The header of calls by cookie."""
FOREIGN_PAGES = "foreign pages"
OTHER_SITES = "other sites"
NOT_MEANT = "not meant"
CALLED = ("/v1/", "/venuemesh.", "/grpc.", *(at.path for at in HTTP_PATHS if not at.is_websocket))
"""Where a page sends the header. It can send none with a websocket, which always names the page."""
API_PATHS = (*CALLED, *(at.path for at in HTTP_PATHS if at.is_websocket))

Json = dict[str, Any]


def origins(settings: GatewaySettings) -> tuple[str, ...]:
    """The origins of the pages that may call: those of the gateway itself, and the configured
    ones."""
    own = (f"http://{host}:{settings.public_port}" for host in settings.hosts)
    return (*own, *settings.origins)


def origin_matchers(settings: GatewaySettings) -> list[Json]:
    """String matchers of the origins that may call."""
    if ANY_HOST in settings.hosts:
        return [{"safe_regex": {"regex": ".*"}}]
    return [{"exact": origin} for origin in origins(settings)]


def refusals(settings: GatewaySettings) -> Json:
    """Rules of the filter that refuses what browsers must not do."""
    session = {"contains": f"{settings.session_cookie}="}
    header, value = MEANT
    by_cookie = _all(
        _header("cookie", string_match=session),
        _header(AUTHORIZATION, present_match=False),
        _not(_header(header, string_match={"exact": value})),
    )
    policies = {NOT_MEANT: {"permissions": [_below(CALLED)], "principals": [by_cookie]}}
    if ANY_HOST not in settings.hosts:
        known = "|".join(re.escape(origin) for origin in origins(settings))
        # It holds for a call without the header too.
        unknown = _not(_header("origin", string_match={"safe_regex": {"regex": known}}))
        foreign = _all(_header("origin", present_match=True), unknown)
        # A call without Origin, as an image or a script of another page makes it.
        other_site = {"safe_regex": {"regex": "cross-site|same-site"}}
        hidden = _all(_header("sec-fetch-site", string_match=other_site), unknown)
        policies[FOREIGN_PAGES] = {"permissions": [{"any": True}], "principals": [foreign]}
        policies[OTHER_SITES] = {"permissions": [_below(API_PATHS)], "principals": [hidden]}
    return {"action": "DENY", "policies": policies}


def _below(paths: Iterable[str]) -> Json:
    rules = [{"url_path": {"path": {"prefix": path}}} for path in paths]
    return {"or_rules": {"rules": rules}}


def _header(name: str, **match: Any) -> Json:
    return {"header": {"name": name, **match}}


def _all(*ids: Json) -> Json:
    return {"and_ids": {"ids": list(ids)}}


def _not(one: Json) -> Json:
    return {"not_id": one}
