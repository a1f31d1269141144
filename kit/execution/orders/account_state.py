"""The orders, fills, balances and positions of one account in memory, as the journal has them.

Everything that is heard of an order comes in here, in whatever order and however often it comes.
What changes is written into the journal and told to a listener. News that cannot be matched to an
order wait as strangers while an order is on its way that they may be of.
"""

from collections.abc import Callable
from decimal import Decimal
from enum import Enum, auto
from typing import Protocol

import msgspec
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.execution.amounts import ZERO
from kit.execution.approval import plain
from kit.execution.contract import OrderState, RejectReason, VenueFill, VenueOrder
from kit.execution.journal.records import Amending, Filled, Foreign, Record
from kit.execution.orders import states
from kit.execution.orders.order import Order, Outcome, filled_of
from kit.execution.orders.order_index import OrderIndex

STRANGERS_MAX = 10_000
TERMS_AFTER_NS = 60 * NANOSECONDS_PER_SECOND
"""So long after an amendment the venue may still answer with what was before."""

_log = telemetry.logger("orders.ledger")


class News(Enum):
    """What a fill was."""

    NEW = auto()
    KNOWN = auto()
    FEE = auto()
    """Known with another fee."""
    STRANGE = auto()
    """Of an order that is not known."""


class Listener(Protocol):
    """Who hears of what changes."""

    def order(self, entry: Order) -> None:
        """An order is new, or has changed."""

    def fill(self, entry: Order, fill: Filled) -> None:
        """A fill is new; its order comes next."""

    def doubt(self, entry: Order) -> None:
        """The venue has to be asked about an order."""

    def stranger(self, symbol: str, venue_order_id: str) -> None:
        """The venue has to be asked whose order this is."""


class AccountState:
    """Of one account. Not shared between threads."""

    def __init__(
        self,
        venue: str,
        account: str,
        clock: Clock,
        write: Callable[[Record], None],
        listener: Listener,
    ) -> None:
        self.venue, self.account = venue, account
        self._clock = clock
        self._write = write
        self._listener = listener
        self.index = OrderIndex()
        self.strangers: dict[tuple[str, str], list[VenueOrder | VenueFill]] = {}
        """News of orders that are not known, by symbol and the venue's id."""

    def unknown_count(self) -> int:
        """Orders whose fate is not known."""
        return sum(entry.state == states.UNKNOWN for entry in self.index.open.values())

    def move(
        self,
        entry: Order,
        state: OrderState,
        reason: RejectReason = orders_pb2.REJECT_REASON_UNSPECIFIED,
        detail: str = "",
    ) -> bool:
        """Have an order stand somewhere, by decision of this process. False, and nothing is
        changed, where that may not follow."""
        if not states.may_follow(entry.state, state):
            return False
        self._settle(entry, state)
        entry.reason, entry.detail = reason, detail
        self.changed(entry)
        if state == states.UNKNOWN:
            self._listener.doubt(entry)
        return True

    def name(self, entry: Order, venue_order_id: str) -> None:
        """The venue's id of an order is known."""
        if not venue_order_id or entry.venue_order_id == venue_order_id:
            return
        self.index.name(entry, venue_order_id)
        for news in self.strangers.pop((entry.symbol, venue_order_id), ()):
            if isinstance(news, VenueOrder):
                self.order(news)
            else:
                self.fill(news)

    def end_unheard(self, entry: Order, detail: str) -> None:
        """The venue does not know an order any more that it had: its fills tell how it ended."""
        self._settle(entry, states.FILLED if entry.is_full else states.CANCELLED)
        entry.detail = detail
        self.changed(entry)

    def note(self, entry: Order) -> None:
        """Write down how an order is, without telling: it is its own matter."""
        self._write(entry.stood())

    def resize(self, entry: Order, size: Decimal) -> None:
        """An order that waits here is to be so large when it is sent."""
        if entry.size != size:
            entry.size = size
            self.changed(entry)

    def accepted(self, entry: Order, venue_order_id: str) -> None:
        """The venue has taken an order."""
        before = entry.stood()
        self.name(entry, venue_order_id)
        state = states.after_news(
            entry.state, states.ACKNOWLEDGED, entry.reason, is_filled=entry.filled > ZERO
        )
        self._settle(entry, state)
        if entry.stood() != before:
            self.changed(entry)

    def changed(self, entry: Order) -> None:
        """Write down and tell how an order is now."""
        entry.updated_time_ns = self._clock.time_ns()
        self._write(entry.stood())
        self._listener.order(entry)

    def order(self, news: VenueOrder, *, asked: bool = False) -> Order | None:
        """Take in what the venue says of an order; None while it is not known whose it is.
        ``asked``: it is an answer to a question, not news that may be old."""
        entry = self.index.find(news.symbol, news.client_order_id, news.venue_order_id)
        if entry is None:
            if not news.client_order_id and self._may_be_ours(news.symbol):
                self._keep_stranger(news)
                return None
            entry = self.take_in(news)
        elif entry.held or self._is_of_a_former_self(entry, news):
            return entry
        before = entry.stood()
        if asked or not entry.venue_order_id or news.venue_time_ns > entry.venue_time_ns:
            self.name(entry, news.venue_order_id)
        self._take_amounts(entry, news, asked=asked)
        self._take_state(entry, news)
        if news.venue_time_ns > entry.venue_time_ns:
            entry.venue_time_ns = news.venue_time_ns
        if entry.stood() != before:
            self.changed(entry)
        if entry.lacks_fills or (entry.cancel_wanted and not entry.is_final):
            self._listener.doubt(entry)
        return entry

    def fill(self, news: VenueFill) -> News:
        """Take in a fill."""
        known = self.index.find_fill(news.symbol, news.fill_id)
        if known is not None:
            return self._known_fill(*known, news)
        entry = self.index.find(news.symbol, news.client_order_id, news.venue_order_id)
        if entry is None:
            self._keep_stranger(news)
            return News.STRANGE
        if not entry.venue_order_id:
            self.name(entry, news.venue_order_id)
        if self.index.find_fill(news.symbol, news.fill_id) is not None:
            return News.KNOWN
        filled = filled_of(entry, news, self._clock.time_ns())
        self.index.put_fill(entry, filled)
        self._write(filled)
        self._listener.fill(entry, filled)
        if entry.state == states.REJECTED:
            _log.error("filled though rejected", extra={"client_order_id": entry.client_order_id})
            self._settle(entry, states.UNKNOWN)
            self._listener.doubt(entry)
        elif not entry.is_final:
            # Of an order that was amended only the venue can say when it is whole.
            is_whole = entry.is_full and not entry.amendments
            self._settle(entry, states.FILLED if is_whole else states.PARTLY_FILLED)
            if entry.is_full and not is_whole:
                self._listener.doubt(entry)
        self.changed(entry)
        return News.NEW

    def take_in(self, news: VenueOrder) -> Order:
        """An order that was placed elsewhere."""
        content = orders_pb2.OrderContent(
            venue=self.venue,
            account=self.account,
            symbol=news.symbol,
            side=news.side,
            type=news.type,
            size=plain(news.size),
            price=plain(news.price) if news.price is not None else "",
            stop_price=plain(news.stop_price) if news.stop_price is not None else "",
        )
        foreign = Foreign(
            key=news.client_order_id or f"{news.symbol}/{news.venue_order_id}",
            client_order_id=news.client_order_id,
            content=content.SerializeToString(),
            created_time_ns=self._clock.time_ns(),
        )
        self._write(foreign)
        return self.index.put_foreign(foreign)

    def amendment(self, entry: Order, amending: Amending) -> None:
        """An amendment is wanted, or has ended so."""
        self.index.put_amending(amending)
        self._write(amending)
        if amending.outcome == Outcome.DONE and not entry.is_final:
            entry.amend(amending)
            entry.terms_time_ns = self._clock.time_ns()
            if entry.is_full:
                self._listener.doubt(entry)
        self.changed(entry)

    def _take_amounts(self, entry: Order, news: VenueOrder, *, asked: bool) -> None:
        told = news.filled_size
        if news.state == states.FILLED:
            told = told or entry.size
        if news.average_price is not None and told >= entry.filled_told:
            entry.average_told = news.average_price
        entry.filled_told = max(entry.filled_told, told)
        if asked:
            entry.told_size, entry.told_price = news.size, news.price
            entry.told_stop_price = news.stop_price
        if self._may_tell_terms(entry, news, asked=asked):
            entry.size = news.size
            if entry.price is not None and news.price is not None:
                entry.price = news.price
            if entry.stop_price is not None and news.stop_price is not None:
                entry.stop_price = news.stop_price

    def _may_tell_terms(self, entry: Order, news: VenueOrder, *, asked: bool) -> bool:
        """Whether size and prices in news are not from before an amendment."""
        if entry.is_amending or entry.is_final or news.size <= ZERO:
            return False
        is_newest = asked and news.venue_time_ns in (
            0,
            max(news.venue_time_ns, entry.venue_time_ns),
        )
        if not entry.awaits_terms:
            return is_newest or news.venue_time_ns > entry.venue_time_ns
        is_told = (news.size, news.price) == (entry.size, entry.price)
        is_told = is_told and news.stop_price in (None, entry.stop_price)
        is_old = self._clock.time_ns() - entry.terms_time_ns > TERMS_AFTER_NS
        if is_told or (is_newest and is_old):
            entry.awaits_terms = False
            return True
        return False

    def _take_state(self, entry: Order, news: VenueOrder) -> None:
        before = entry.state
        filled = entry.filled > ZERO
        state = states.after_news(before, news.state, entry.reason, is_filled=filled)
        if state in (states.ACKNOWLEDGED, states.OPEN) and filled:
            state = states.PARTLY_FILLED
        if state == before:
            return
        if before == states.REJECTED:
            _log.error("lost order is there", extra={"client_order_id": entry.client_order_id})
        self._settle(entry, state)
        entry.reason = orders_pb2.REJECT_REASON_UNSPECIFIED
        if state == states.REJECTED:
            entry.reason = news.reject_reason or orders_pb2.REJECT_REASON_OTHER
        entry.detail = news.detail

    def _settle(self, entry: Order, state: OrderState) -> None:
        entry.state = state
        if entry.is_final:
            self.index.open.pop(entry.key, None)
            for amending in list(entry.amendments.values()):
                if amending.outcome == Outcome.WANTED:
                    lapsed = ended(amending, Outcome.LAPSED, "the order has ended")
                    entry.amendments[amending.request_id] = lapsed
                    self._write(lapsed)
        else:
            self.index.open[entry.key] = entry

    def _known_fill(self, entry: Order, number: int, news: VenueFill) -> News:
        before = self.index.fills[number]
        fees = tuple((paid.asset, paid.amount) for paid in news.fees)
        if not fees or sorted(fees) == sorted(before.fees):
            return News.KNOWN
        after = filled_of(entry, news, before.received_time_ns)
        entry.recount(before, after)
        self.index.fills[number] = after
        self._write(after)
        self.changed(entry)
        return News.FEE if before.fees else News.KNOWN

    def _is_of_a_former_self(self, entry: Order, news: VenueOrder) -> bool:
        """Where an amendment makes a new order at the venue, the old one is told as cancelled."""
        known = entry.venue_order_id
        return bool(
            known
            and news.venue_order_id not in ("", known)
            and news.state == states.CANCELLED
            and entry.amendments
        )

    def _may_be_ours(self, symbol: str) -> bool:
        return any(
            entry.state in states.IN_DOUBT and not entry.venue_order_id and entry.symbol == symbol
            for entry in self.index.open.values()
        )

    def _keep_stranger(self, news: VenueOrder | VenueFill) -> None:
        place = news.symbol, news.venue_order_id
        if place not in self.strangers and len(self.strangers) >= STRANGERS_MAX:
            _log.error("too many strangers", extra={"venue_order_id": news.venue_order_id})
            return
        kept = self.strangers.setdefault(place, [])
        if news not in kept:
            kept.append(news)
        self._listener.stranger(*place)


def ended(amending: Amending, outcome: Outcome, words: str = "") -> Amending:
    """An amendment with what has become of it."""
    return msgspec.structs.replace(amending, outcome=outcome, words=words)
