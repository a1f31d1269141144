"""The market of a dialect after five seconds, and public REST calls to its exchange."""

from kit.simulator.dialect import Dialect, RestRequest, RestResponse
from kit.simulator.market import SimulatedMarket
from kit.simulator.market_runner import STEP_NS, SimulatedMarketView

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000
EVENTS_PER_SECOND = 2_000


def opened_market(exchange: Dialect) -> SimulatedMarketView:
    market = SimulatedMarket("1", OPENING_NS, EVENTS_PER_SECOND, exchange.instruments)
    market_view = SimulatedMarketView(market, exchange)
    while market.time_ns < OPENING_NS + 5 * SECOND_NS:
        step = market.advance(market.time_ns + STEP_NS)
        market_view.happened(step)
        exchange.encode(step, frozenset(), market_view)
    return market_view


async def get_public(
    exchange: Dialect, market_view: SimulatedMarketView, path: str, **query: object
) -> RestResponse:
    texts = {key: str(value) for key, value in query.items()}
    return await exchange.answer(RestRequest("GET", path, texts), market_view)
