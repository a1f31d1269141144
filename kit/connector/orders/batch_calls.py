"""Calls of a venue that place or cancel several orders at once, by REST.

The venue answers each order by itself. A row is read as the answer to a call for that order alone
would be, so the same codes mean the same. An order whose row is missing or unreadable is
OutcomeUnknown; the others are not affected.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kit.base.request_budget import Priority
from kit.connector.orders.errors import DETAIL_MAX, OK
from kit.connector.orders.rest_session import UNREADABLE, OrderApiRequest, RestSession
from kit.execution.contract import OrderKey, OutcomeUnknown, Verdict


@dataclass(frozen=True, slots=True)
class BatchRow:
    """The answer for one order of a call. One of the ids may be empty."""

    client_order_id: str
    venue_order_id: str
    body: Any
    """What the venue answers to the same request for this order alone."""


class BatchApi(Protocol):
    """How requests for single orders become one request, and its answer rows. Pure."""

    place_method: str
    """The method of ``OrderApi.place`` whose requests can be joined; empty: none."""
    cancel_method: str
    """The same of ``OrderApi.cancel``."""

    def place(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        """Join requests that place orders. ``params``: of the single requests."""

    def cancel(self, params: Sequence[Mapping[str, Any]]) -> OrderApiRequest:
        """Join requests that cancel orders."""

    def rows(self, answer: Any) -> Sequence[BatchRow]:
        """The rows of an answer, in any order; none for an error of the whole call. Raises
        LookupError, ValueError and the like for an answer that is not as it should be."""


class BatchCalls:
    """The batch calls of one account."""

    def __init__(self, session: RestSession, api: BatchApi, read: Callable[[Any], Verdict]) -> None:
        """``read`` makes a verdict of the answer to a call for one order."""
        self.api = api
        self._session = session
        self._read = read

    async def send(
        self, request: OrderApiRequest, keys: Sequence[OrderKey], priority: Priority
    ) -> Sequence[Verdict]:
        """Send a request about these orders, once. Returns a verdict for each, in their order."""
        request = replace(request, orders=len(keys))
        answer = await self._session.send_many(request, priority, self.api.rows)
        if not isinstance(answer, Sequence):
            return [answer] * len(keys)
        by_client_id = {row.client_order_id: row for row in answer if row.client_order_id}
        by_venue_id = {row.venue_order_id: row for row in answer if row.venue_order_id}
        return [
            self._verdict(
                by_client_id.get(key.client_order_id) or by_venue_id.get(key.venue_order_id)
            )
            for key in keys
        ]

    def _verdict(self, row: BatchRow | None) -> Verdict:
        if row is None:
            return OutcomeUnknown("the answer has no row for the order")
        errors = self._session.errors
        try:
            error = errors.find_error(row.body)
            return self._read(row.body) if error is None else errors.verdict(OK, error)
        except UNREADABLE as failure:
            return OutcomeUnknown(f"the row cannot be read: {failure!r}"[:DETAIL_MAX])
