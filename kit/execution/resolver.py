"""What has become of the orders whose fate is not known.

The venue is asked: for the order by its id, then what is open, then the fills. "No such order"
counts only when it was asked for after everything under way must have arrived and must be findable,
and only after several times. Until then, and as long as the venue does not answer, an order stays
UNKNOWN.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import VenuemeshError
from kit.execution import amounts
from kit.execution.amender import settle_amendments
from kit.execution.calls import ask
from kit.execution.contract import ExecutionClient, OrderKey, VenueFill, VenueOrder
from kit.execution.orders import states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.order import Order
from kit.execution.settings import OrdersSettings
from kit.execution.submitter import OrderSubmitter

FIRST_PAUSE_S = 0.25
AT_ONCE = 8
FILLS_BEFORE_NS = 60 * NANOSECONDS_PER_SECOND
"""The venue's clock may be behind ours by so much."""
STRANGER_TRIES = 5
PATIENCE_TRIES = 12
"""So often missing fills of an order that has ended are asked for; then reconciling has to find
them."""

_log = telemetry.logger("orders.resolver")


@dataclass(slots=True)
class Doubt:
    """A question to the venue that is open."""

    place: tuple[str, str]
    """Key of the order and "", or symbol and venue's id of a stranger."""
    pauses: Iterator[float]
    since_ns: int
    due_ns: int
    is_of_unknown: bool = False
    is_missing: bool = False
    """Whether it is asked for because the venue did not name it any more."""
    tries: int = 0
    noes: int = 0


class Resolver:
    """Asks about the orders of one account."""

    def __init__(
        self,
        desk: ExecutionClient,
        ledger: AccountState,
        clock: Clock,
        settings: OrdersSettings,
        jitter: random.Random | None = None,
    ) -> None:
        self._desk = desk
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._jitter = jitter
        self._doubts: dict[tuple[str, str], Doubt] = {}
        self._queue: list[tuple[int, int, Doubt]] = []
        self._numbers = count()
        self._woken = asyncio.Event()
        self.pilot: OrderSubmitter | None = None
        """Who cancels again what was to be cancelled."""

    @property
    def open_questions(self) -> int:
        """How many there are."""
        return len(self._doubts)

    def watch(self, entry: Order, *, is_missing: bool = False) -> None:
        """Ask about an order until it is settled. ``is_missing``: it was open, and the venue did
        not name it any more."""
        doubt = self._doubt((entry.key, ""))
        is_of_unknown = entry.state == states.UNKNOWN
        if (is_of_unknown and not doubt.is_of_unknown) or (is_missing and not doubt.is_missing):
            # Only now is it sure that nothing more of it will be sent.
            doubt.is_of_unknown = doubt.is_of_unknown or is_of_unknown
            doubt.is_missing = is_missing
            doubt.since_ns = self._clock.monotonic_ns()
            doubt.noes = 0

    def stranger(self, symbol: str, venue_order_id: str) -> None:
        """Ask whose order this is."""
        self._doubt((symbol, venue_order_id))

    async def run(self) -> None:
        """Ask, for ever."""
        while True:
            due = self._due()
            if due:
                await asyncio.gather(*map(self._try, due))
                continue
            self._woken.clear()
            await self._rest()

    async def look(self, entry: Order) -> None:
        """Ask once, now. Raises VenueUnavailable when there is no answer."""
        await self._found(entry)

    def _due(self) -> list[Doubt]:
        """A few that are to be asked about now."""
        now_ns = self._clock.monotonic_ns()
        due: list[Doubt] = []
        while self._queue and self._queue[0][0] <= now_ns and len(due) < AT_ONCE:
            due_ns, _, doubt = heappop(self._queue)
            # One that was settled or postponed since stands in the queue for nothing.
            if doubt.due_ns == due_ns and self._doubts.get(doubt.place) is doubt:
                due.append(doubt)
        return due

    async def _rest(self) -> None:
        """Until the next question is due, or there is a new one."""
        if not self._queue:
            await self._woken.wait()
            return
        left_ns = max(0, self._queue[0][0] - self._clock.monotonic_ns())
        waiting = asyncio.ensure_future(self._woken.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(left_ns / NANOSECONDS_PER_SECOND))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _doubt(self, place: tuple[str, str]) -> Doubt:
        doubt = self._doubts.get(place)
        if doubt is None:
            now_ns = self._clock.monotonic_ns()
            pauses = delays(FIRST_PAUSE_S, self._settings.pause_max_s, self._jitter)
            doubt = self._doubts[place] = Doubt(place, pauses, now_ns, now_ns)
            self._postpone(doubt)
            self._woken.set()
        return doubt

    def _postpone(self, doubt: Doubt) -> None:
        pause_ns = int(next(doubt.pauses) * NANOSECONDS_PER_SECOND)
        doubt.due_ns = self._clock.monotonic_ns() + pause_ns
        heappush(self._queue, (doubt.due_ns, next(self._numbers), doubt))

    async def _try(self, doubt: Doubt) -> None:
        self._postpone(doubt)
        doubt.tries += 1
        try:
            if doubt.place[1]:
                is_settled = await self._who(doubt)
            else:
                is_settled = await self._what(doubt)
        except VenuemeshError as error:
            level = _log.warning if doubt.tries == 1 else _log.debug
            level("no answer", extra={"order": doubt.place[0], "detail": error.message})
            return
        except Exception:
            _log.exception("question failed", extra={"order": doubt.place[0]})
            return
        if is_settled and self._doubts.get(doubt.place) is doubt:
            del self._doubts[doubt.place]

    async def _what(self, doubt: Doubt) -> bool:
        """Whether it is known now what has become of an order."""
        entry = self._ledger.index.orders.get(doubt.place[0])
        if entry is None or self._is_settled(entry, doubt):
            return True
        if entry.state in (states.INTENDED, states.SENT):
            return False
        asked_ns = self._clock.monotonic_ns()
        if await self._found(entry):
            doubt.is_missing = False
            self._settle_amendments(entry, doubt, asked_ns)
        elif not entry.is_final and self._says_no(doubt, asked_ns):
            self._conclude(entry)
        if entry.cancel_wanted and entry.state in states.AT_VENUE and self.pilot is not None:
            await self.pilot.cancel_again(entry)
        return self._is_settled(entry, doubt)

    async def _found(self, entry: Order) -> bool:
        """Ask in all ways that there are. Whether the venue knows the order as one that is open or
        has ended, or may know it without saying so."""
        timeout_s = self._settings.ask_timeout_s
        order = None
        if self._desk.capabilities.finds_by_client_id or entry.venue_order_id:
            order = await ask(self._desk.find(entry.venue_key), timeout_s)
        if order is None:
            open_orders = await ask(self._desk.open_orders(entry.symbol), timeout_s)
            order = next((one for one in open_orders if self._is(one, entry)), None)
        if order is not None:
            # It was asked for by its ids, so it is this one, also where the answer lacks ours.
            order = replace(order, client_order_id=entry.client_order_id)
            self._ledger.order(order, asked=True)
        if order is None or entry.lacks_fills:
            since_ns = max(0, entry.created_time_ns - FILLS_BEFORE_NS)
            fills = await ask(self._desk.fills(entry.symbol, since_ns), timeout_s)
            for fill in fills:
                if self._is(fill, entry):
                    self._ledger.fill(replace(fill, client_order_id=entry.client_order_id))
                elif self._may_hide(fill, entry):
                    return True
        return order is not None

    def _is(self, news: VenueOrder | VenueFill, entry: Order) -> bool:
        found = self._ledger.index.find(news.symbol, news.client_order_id, news.venue_order_id)
        return found is entry

    def _may_hide(self, fill: VenueFill, entry: Order) -> bool:
        """Whether a fill may be of this order, at a venue that finds none by our id and whose fills
        do not have it. Nobody can say then."""
        rules = self._desk.capabilities
        index = self._ledger.index
        return (
            not rules.finds_by_client_id
            and not rules.fills_have_client_id
            and not entry.was_at_venue
            and fill.side == entry.content.side
            and index.find(fill.symbol, fill.client_order_id, fill.venue_order_id) is None
        )

    def _is_settled(self, entry: Order, doubt: Doubt) -> bool:
        if entry.is_final:
            return not entry.lacks_fills or doubt.tries > PATIENCE_TRIES
        if entry.cancel_wanted or entry.is_amending or entry.lacks_fills:
            return False
        if doubt.is_missing or entry.is_full:
            return False
        return entry.held or entry.state in (states.OPEN, states.PARTLY_FILLED)

    def _under_way_ns(self) -> int:
        """So long after the last sending an order may arrive and still not be found."""
        seconds = self._settings.arrival_s + 2 * self._desk.capabilities.lag_s
        return int(seconds * NANOSECONDS_PER_SECOND)

    def _says_no(self, doubt: Doubt, asked_ns: int) -> bool:
        """Count an answer, if it counts. Whether there were enough."""
        lag_ns = int(self._desk.capabilities.lag_s * NANOSECONDS_PER_SECOND)
        if asked_ns >= doubt.since_ns + self._under_way_ns() + doubt.noes * lag_ns:
            doubt.noes += 1
        return doubt.noes >= self._settings.noes

    def _conclude(self, entry: Order) -> None:
        if entry.was_at_venue:
            words = "it has ended unheard: the venue does not know it any more"
            self._ledger.end_unheard(entry, words)
        else:
            words = "the venue has never heard of it"
            reason = orders_pb2.REJECT_REASON_NEVER_ARRIVED
            self._ledger.move(entry, states.REJECTED, reason, words)

    def _settle_amendments(self, entry: Order, doubt: Doubt, asked_ns: int) -> None:
        if entry.is_amending:
            is_over = asked_ns >= doubt.since_ns + self._under_way_ns()
            settle_amendments(self._ledger, entry, is_over=is_over)

    async def _who(self, doubt: Doubt) -> bool:
        """Whether it is known now whose order a stranger is."""
        if doubt.place not in self._ledger.strangers:
            return True
        symbol, venue_order_id = doubt.place
        key = OrderKey(symbol, "", venue_order_id)
        found = await ask(self._desk.find(key), self._settings.ask_timeout_s)
        if found is None and doubt.tries >= STRANGER_TRIES:
            found = _made_of(self._ledger.strangers.get(doubt.place, []))
        if found is not None:
            self._ledger.order(found, asked=True)
        return doubt.place not in self._ledger.strangers


def _made_of(news: list[VenueOrder | VenueFill]) -> VenueOrder | None:
    """An order that the venue does not tell of, as its news show it."""
    orders = [one for one in news if isinstance(one, VenueOrder)]
    if orders:
        return orders[-1]
    fills = [one for one in news if isinstance(one, VenueFill)]
    if not fills:
        return None
    size = amounts.total(fill.size for fill in fills)
    return VenueOrder(
        symbol=fills[0].symbol,
        venue_order_id=fills[0].venue_order_id,
        client_order_id=fills[0].client_order_id,
        side=fills[0].side,
        type=orders_pb2.ORDER_TYPE_UNSPECIFIED,
        size=size,
        price=None,
        state=states.FILLED,
        filled_size=size,
        detail="known by its fills only",
    )
