"""The text of a failed call for a model: the reason, and the next step."""

from collections.abc import Mapping

from gateway.mcp.gateway_client import CallFailed
from kit.base.outside_text import cleaned

NEXT_STEPS: Mapping[str, str] = {
    "UNKNOWN_INSTRUMENT": "market_list_instruments lists the symbols of a venue.",
    "UNKNOWN_SERVICE": "mesh_list_services lists what runs; mesh_list_venues what is installed.",
    "UNKNOWN_VENUE": "mesh_list_venues lists the venues.",
    "UNKNOWN_ACCOUNT": "orders_list_accounts lists the accounts of a venue.",
    "UNKNOWN_ORDER": "orders_list_open_orders lists open orders, orders_list_fills those filled.",
    "BAD_PAGE_TOKEN": "Call again without page_token, with the same other arguments.",
    "REQUEST_ID_REUSED": "Call again with a new request_id.",
    "ROLE_MISSING": "Tell the person which role it needs: no other call gives it to you.",
    "TOKEN_MISSING": "Tell the person: the connection to this server shows no token.",
    "TOKEN_EXPIRED": "Tell the person: the token of this connection has expired.",
    "TOKEN_REVOKED": "Tell the person: the token of this connection was revoked.",
    "CALLER_LIMITED": "Wait a second, then call again.",
    "RATE_LIMITED": "Wait some seconds, then call again.",
    "SERVICE_UNAVAILABLE": "Call again later; mesh_list_services shows which processes run.",
}


class InvalidCall(Exception):
    """The call itself is wrong: an error of the protocol, with the reason as its text."""


def explained(failure: CallFailed, remedies: Mapping[str, str]) -> str:
    """The text for a model."""
    lines = [f"{failure.reason}: {cleaned(failure.message)}".removeprefix(": ")]
    allowed = failure.metadata.get("allowed")
    if allowed:
        lines.append(f"Allowed: {cleaned(allowed)}")
    step = NEXT_STEPS.get(failure.reason) or remedies.get(failure.reason)
    if step:
        lines.append(f"Next step: {step}")
    return "\n".join(lines)
