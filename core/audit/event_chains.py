"""Finds the events that led to a fill, an order or a position, with their causes."""

from collections.abc import Collection, Sequence

from venuemesh.audit.v1 import audit_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.audit.proofs import check_event_id
from kit.base.database import Database
from kit.base.errors import BadRequest, UnknownEvent
from kit.base.schema import Connection
from kit.events.logged_events import LoggedEvent
from kit.events.streams import stream_of
from kit.events.subjects import (
    event_group_id,
    order_subject,
    order_subject_of,
    postings_subject,
)

ROUNDS_MAX = 16
"""Of looking for causes outside the chains."""
FILLS_OF_POSITION = 20
FILLS_SEARCHED = 200
"""The newest fills of an instrument, among which those of an order outside of lifecycles are."""

_COLUMNS = "SELECT stream, sequence, stored_time_ns, body FROM events WHERE"
_BY_SUBJECT = f"{_COLUMNS} subject = ANY (%s) AND subject <> '' LIMIT %s"
_BY_ID = f"{_COLUMNS} event_id = ANY (%s) LIMIT %s"
_BY_LIFECYCLE = f"{_COLUMNS} lifecycle_id = ANY (%s) AND lifecycle_id <> '' LIMIT %s"
_BY_INSTRUMENT = (
    f"{_COLUMNS} regexp_replace(subject, '/[^/]*$', '') = ANY (%s) AND subject LIKE 'fill:%%'"
    " ORDER BY sequence DESC LIMIT %s"
)


class EventChainReader:
    """Answers Why."""

    def __init__(self, database: Database, events_max: int) -> None:
        self._database = database
        self._events_max = events_max

    async def why(self, request: audit_pb2.WhyRequest) -> audit_pb2.WhyResponse:
        """Raises BadRequest, UnknownEvent and StoreUnavailable."""
        query, keys, most = _question(request)
        chain = _Chain(self._events_max)
        async with self._database.transaction() as connection:
            await chain.read(connection, query, keys, most)
            if not chain.events:
                raise UnknownEvent(f"no event is about {_named(keys)}", event_id=_named(keys))
            about = list(chain.events)
            for _ in range(ROUNDS_MAX):
                lifecycles, causes, subjects = chain.unread()
                orders = chain.unsearched_orders()
                if not (lifecycles or causes or subjects or orders) or chain.is_truncated:
                    break
                await chain.read(connection, _BY_LIFECYCLE, lifecycles)
                await chain.read(connection, _BY_ID, causes)
                await chain.read(connection, _BY_SUBJECT, subjects)
                await chain.search_fills(connection, orders)
        return chain.response(about)


class _Chain:
    """The events that were found."""

    def __init__(self, events_max: int) -> None:
        self.events: dict[bytes, event_pb2.StoredEvent] = {}
        self.is_truncated = False
        self._events_max = events_max
        self._asked: set[tuple[str, bytes | str]] = set()
        """Queries with keys. The lifecycle of a signal has the id of its event."""
        self._searched: set[str] = set()

    async def read(
        self, connection: Connection, query: str, keys: Collection[bytes | str], most: int = 0
    ) -> None:
        """Read the events of these keys, which are all of one kind."""
        if not keys:
            return
        self._asked |= {(query, key) for key in keys}
        for found in await _events(connection, query, keys, most or self._events_max + 1):
            self._add(found)

    async def search_fills(
        self, connection: Connection, orders: Sequence[orders_pb2.Order]
    ) -> None:
        """Read the fills of orders that belong to no lifecycle."""
        for order in orders:
            content, subject = order.content, order_subject(order)
            self._searched.add(subject)
            instrument = [f"fill:{content.venue}/{content.account}/{content.symbol}"]
            newest = await _events(connection, _BY_INSTRUMENT, instrument, FILLS_SEARCHED)
            for found in newest:
                if order_subject_of(found.event.order_filled.fill) == subject:
                    self._add(found)
            # Whether there may be fills of the order that are older than those.
            if len(newest) == FILLS_SEARCHED:
                self.is_truncated |= newest[-1].stored_time_ns > order.created_time_ns

    def unread(self) -> tuple[set[bytes], set[bytes], set[str]]:
        """The chains, the causes and the subjects that the events name and that were not read
        yet."""
        events = [found.event for found in self.events.values()]
        lifecycles = {event.lifecycle_id for event in events if event.lifecycle_id}
        causes = {cause for event in events for cause in event.cause_ids}
        subjects = {
            subject for event in events if not event.lifecycle_id for subject in _related(event)
        }
        asked = self._asked
        return (
            {one for one in lifecycles if (_BY_LIFECYCLE, one) not in asked},
            {one for one in causes - set(self.events) - lifecycles if (_BY_ID, one) not in asked},
            {one for one in subjects if (_BY_SUBJECT, one) not in asked},
        )

    def unsearched_orders(self) -> list[orders_pb2.Order]:
        """Orders that belong to no lifecycle, each once, as they were first."""
        found: dict[str, orders_pb2.Order] = {}
        for event in (one.event for one in self.events.values()):
            if event.HasField("order_changed") and not event.lifecycle_id:
                found.setdefault(
                    order_subject(event.order_changed.order), event.order_changed.order
                )
        return [order for subject, order in found.items() if subject not in self._searched]

    def _add(self, found: event_pb2.StoredEvent) -> None:
        if len(self.events) < self._events_max or found.event.event_id in self.events:
            self.events[found.event.event_id] = found
        else:
            self.is_truncated = True

    def response(self, about: Sequence[bytes]) -> audit_pb2.WhyResponse:
        found = sorted(
            self.events.values(),
            key=lambda one: (one.event.time_ns, one.position.stream, one.position.sequence),
        )
        response = audit_pb2.WhyResponse(
            events=found, subject_ids=about, is_truncated=self.is_truncated
        )
        missing: dict[bytes, None] = {}
        for event in (one.event for one in found):
            for cause in event.cause_ids:
                if cause in self.events:
                    response.links.add(cause_id=cause, effect_id=event.event_id)
                else:
                    missing[cause] = None
        chains = dict.fromkeys(one.event.lifecycle_id for one in found if one.event.lifecycle_id)
        response.lifecycle_ids.extend(chains)
        response.missing_ids.extend(missing)
        return response


async def _events(
    connection: Connection, query: str, keys: Collection[bytes | str], limit: int
) -> list[event_pb2.StoredEvent]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(query, [list(keys), limit])
    return [
        LoggedEvent(stream_of(name), sequence, stored_ns, body).message()
        for name, sequence, stored_ns, body in await cursor.fetchall()
    ]


def _related(event: event_pb2.Event) -> list[str]:
    """The subjects of what an event outside of lifecycles belongs to, and of what follows."""
    match event.WhichOneof("payload"):
        case "order_filled":
            order = order_subject_of(event.order_filled.fill)
            return [order, postings_subject(event_group_id(event.event_id))]
        case "cash_moved":
            return [postings_subject(event_group_id(event.event_id))]
    return []


def _question(request: audit_pb2.WhyRequest) -> tuple[str, list[bytes] | list[str], int]:
    """The query, its keys, and how many events it finds at most, 0 for any number."""
    if request.event_id:
        check_event_id(request.event_id)
        return _BY_ID, [request.event_id], 0
    account = f"{_given(request, 'venue')}/{_given(request, 'account')}"
    if request.order_id:
        return _BY_SUBJECT, [f"order:{account}/{request.order_id}"], 0
    instrument = f"fill:{account}/{_given(request, 'symbol')}"
    if request.fill_id:
        return _BY_SUBJECT, [f"{instrument}/{request.fill_id}"], 0
    return _BY_INSTRUMENT, [instrument], FILLS_OF_POSITION


def _given(request: audit_pb2.WhyRequest, name: str) -> str:
    value = str(getattr(request, name))
    if not value or "\0" in value:
        allowed = "event_id, or venue and account with order_id or symbol"
        raise BadRequest(f"{name} is missing", field=name, value=value, allowed=allowed)
    return value


def _named(keys: Sequence[bytes | str]) -> str:
    return ", ".join(key if isinstance(key, str) else f"event {key.hex()}" for key in keys)
