"""Adopts legacy positions for persons: from then on the inspector protects and closes them."""

from collections.abc import Callable
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.inspector.v1 import adoptions_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import legacy_positions, position_updates, positions
from core.inspector.first_events import first_event
from core.inspector.legacy_positions import ADOPTED, LegacyKey
from core.inspector.manual_requests import VenueFacts
from core.inspector.position_updates import NOTHING
from core.inspector.positions import Position
from core.inspector.submissions import RISK
from core.inspector.transactions import exclusive_transaction
from core.inspector.verdict_inputs import VerdictInputs
from kit.accounting.amounts import ZERO, plain
from kit.accounting.instruments import spot_base
from kit.base.database import Connection, Database
from kit.base.errors import BadRequest, ServiceUnavailable
from kit.events import event_log
from kit.events.leases import Lease
from kit.risk.order_checks import amount

Request = adoptions_pb2.AdoptPositionRequest


class Adoptions:
    """Adopts positions."""

    def __init__(
        self, database: Database, rules: VerdictInputs, lease: Lease, venues: VenueFacts
    ) -> None:
        self._database = database
        self._rules = rules
        self._lease = lease
        self._venues = venues
        self.after_commit: Callable[[], None] = lambda: None

    async def adopt(self, request: Request, caller: str) -> adoptions_pb2.AdoptPositionResponse:
        """Adopt all that is held there and belongs to no strategy. It gets its exits at once.
        Raises BadRequest, ServiceUnavailable, LeaseLost, StoreUnavailable."""
        _check(request)
        instrument = await self._rules.instrument(request.venue, request.symbol)
        if instrument is None:
            text = f"the terms of {request.venue}/{request.symbol} are not known now"
            raise ServiceUnavailable(text)
        ask = await self._venues.best_price(request.venue, request.symbol, is_buy=True)
        bid = await self._venues.best_price(request.venue, request.symbol, is_buy=False)
        key = LegacyKey(request.venue, request.account, request.symbol)
        async with exclusive_transaction(self._database, self._lease) as connection:
            size = (await legacy_positions.sizes(connection)).get(key, ZERO)
            known = await positions.send_find_open(connection, ADOPTED, *key)
            if await known() is not None:
                raise _refused("symbol", request.symbol, "a position that is not adopted yet")
            if not size:
                allowed = "a derivative in which the account holds what no strategy has opened"
                raise _refused("symbol", request.symbol, allowed)
            # A position that is long is closed at the bid.
            _check_sides(request, size, bid if size > ZERO else ask)
            position = await self._adopt(connection, request, caller, instrument, size)
        self.after_commit()
        return adoptions_pb2.AdoptPositionResponse(
            lifecycle_id=position.position_id, size=plain(size)
        )

    async def _adopt(
        self,
        connection: Connection,
        request: Request,
        caller: str,
        instrument: types_pb2.Instrument,
        size: Decimal,
    ) -> Position:
        now_ns = self._rules.clock.time_ns()
        event = _event(request, caller, size, now_ns)
        position = Position(
            event.event_id,
            ADOPTED,
            request.venue,
            request.account,
            request.symbol,
            spot_base(instrument),
            instrument.size_step,
            instrument.size_min,
            request.stop_price,
            request.target_price,
            trailing_offset=request.trailing_offset,
        )
        if not position.tradable(abs(size)):
            raise _refused("size", plain(size), f"at least {instrument.size_min}")
        await event_log.append(connection, RISK, [event], now_ns)
        await positions.insert(connection, position)
        fill = orders_pb2.Fill(
            venue=request.venue,
            account=request.account,
            symbol=request.symbol,
            fill_id="adopted",
            client_order_id="adopted",
        )
        await positions.add_external_fill(connection, position, fill, size)
        await position_updates.settle(connection, position.position_id, now_ns)
        chain = position.position_id
        await positions.request_close(connection, position, NOTHING, chain, chain)
        return position


def _check(request: Request) -> None:
    """Raises BadRequest for a request that is wrong whatever is held."""
    if not request.reason.strip():
        raise _refused("reason", request.reason, "why it is adopted")
    if not request.stop_price:
        raise _refused("stop_price", "", "a price: what is adopted gets a stop")
    for field in ("stop_price", "target_price", "trailing_offset"):
        text = getattr(request, field)
        value = amount(text) if text else None
        if text and (value is None or value <= ZERO):
            raise _refused(field, text, "decimal text above 0")


def _check_sides(request: Request, size: Decimal, best: Decimal | None) -> None:
    """Raises BadRequest for an exit that would close the position at once. Without a good book
    nothing is known."""
    if best is None:
        return
    side = "below" if size > ZERO else "above"
    is_beyond = Decimal(request.stop_price) < best
    if is_beyond is not (size > ZERO):
        raise _refused("stop_price", request.stop_price, f"{side} the price {plain(best)}")
    if request.target_price and (Decimal(request.target_price) > best) is not (size > ZERO):
        other = "above" if size > ZERO else "below"
        raise _refused("target_price", request.target_price, f"{other} the price {plain(best)}")


def _refused(field: str, value: str, allowed: str) -> BadRequest:
    text = f"{field} is {value!r}; allowed is {allowed}"
    return BadRequest(text, field=field, value=value, allowed=allowed)


def _event(request: Request, caller: str, size: Decimal, now_ns: int) -> event_pb2.Event:
    instance = f"{request.venue}/{request.account}"
    # A person is the cause: the time names the request.
    event = first_event(instance, f"adoption {instance} {request.symbol} {now_ns}", now_ns)
    adopted = event.position_adopted
    adopted.caller, adopted.reason, adopted.size = caller, request.reason, plain(size)
    adopted.venue, adopted.account = request.venue, request.account
    adopted.symbol = request.symbol
    adopted.stop_price, adopted.target_price = request.stop_price, request.target_price
    adopted.trailing_offset = request.trailing_offset
    return event
