"""Coinbase's REST answers: Advanced Trade under /api/v3/brokerage and /v2, Exchange elsewhere."""

from collections.abc import Mapping

from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from venues.coinbase.simulator import rest_advanced, rest_exchange
from venues.coinbase.simulator.answers import CoinbaseApiError

FAILURES: Mapping[int, bytes] = {
    403: b'{"error":"PERMISSION_DENIED","message":"Forbidden"}',
    418: b'{"error":"rate_limit_exceeded","message":"Public rate limit exceeded"}',
    429: b'{"error":"rate_limit_exceeded","message":"Public rate limit exceeded"}',
    500: b'{"error":"internal_server_error","message":"Internal server error"}',
    503: b'{"error":"UNAVAILABLE","message":"Service unavailable"}',
}
"""One body for both: clients of Advanced Trade read ``error``, those of Exchange ``message``."""


async def answer(request: RestRequest, market_view: MarketView) -> RestResponse:
    """One call."""
    recorded = market_view.recorded(request.path)
    if recorded is not None:
        return RestResponse(recorded)
    parts = request.path.strip("/").split("/")
    try:
        if parts[0] in ("api", "v2"):
            return await rest_advanced.answer(parts, request, market_view)
        return await rest_exchange.answer(parts, request, market_view)
    except CoinbaseApiError as refusal:
        return refusal.answer
